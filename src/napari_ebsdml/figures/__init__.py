"""Maps as figures for papers, with scale bar, key and real numbers, and as reports."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "making": ["figure"],
        "report": ["report"],
        "settings": ["FigureSettings"],
        "content": ["layers_of"],
    },
)
