"""Maps as figures for papers: with scale bar, key, and real numbers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"making": ["figure"], "settings": ["FigureSettings"], "content": ["layers_of"]},
)
