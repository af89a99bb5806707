from .content import layers_of
from .making import figure
from .report import report
from .settings import FigureSettings

__all__ = ["FigureSettings", "figure", "layers_of", "report"]
