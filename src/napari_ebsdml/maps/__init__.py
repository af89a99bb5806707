"""Maps computed from a `Scan` pixel by pixel, and grains; pure functions, no viewer, no torch.

Names are loaded when first used, so that whoever asks for settings alone does not wait for the
compiled kernels. The type stub beside this file lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
