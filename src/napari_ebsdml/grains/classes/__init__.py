"""Classes of grains: a few named grains, and the rest follow.

Names are loaded when first used; the type stub beside this file lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
