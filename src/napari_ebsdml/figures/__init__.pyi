from .content import layers_of
from .making import figure
from .settings import FigureSettings

__all__ = ["FigureSettings", "figure", "layers_of"]
