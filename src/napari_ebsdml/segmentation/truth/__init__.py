"""Tools that make a ground truth: pre-label, vote per grain, clean up, flip grains.

Names are loaded when first used; the type stub beside this file lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
