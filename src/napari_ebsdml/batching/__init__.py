"""Many maps, unattended: here, on all cores, or on a cluster that runs Dask."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "run": ["BatchResult", "batch"],
        "files": ["find_maps"],
        "step": ["Outcome", "Step", "Work", "steps_offered"],
        "events": ["BatchEvent"],
    },
)
