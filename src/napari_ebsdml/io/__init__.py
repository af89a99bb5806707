"""Reading and writing EBSD files: one module per format, none of which needs napari or torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["frames"],
    submod_attrs={
        "_read": ["from_xmap", "read", "read_all", "scan_names", "write"],
        "provenance": ["provenance_of"],
        "_registry": ["format_of", "formats", "sniff"],
    },
)
