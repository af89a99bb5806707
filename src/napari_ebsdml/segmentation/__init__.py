"""Job 2: segmentation of maps by a U-Net that learns from strokes.

Names are loaded when first used, so that the form of a dock does not wait for torch. The type
stub beside this file lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
