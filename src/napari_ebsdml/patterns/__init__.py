"""Space groups of Kikuchi patterns: structures, master patterns, folding, classifier."""

import lazy_loader

# torch takes a second to import; geometry and folding do without it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
