"""Space groups of raw patterns: networks that need neither orientation nor geometry.

The method of doi:10.1038/s41598-021-87557-5: an image network, few labelled patterns, from a
random start or from weights learned elsewhere.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
