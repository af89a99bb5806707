"""Machine learning on EBSD maps in napari.

The names below are the public API; each is loaded when first used, so that importing the
package is quick. See the type stub beside this file for the list.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
