from .classifier import RawClassifier
from .data import FewShotSplit, LabelledPatterns, from_folder, from_scan, from_scans
from .explain import RawExplanation
from .filters import FilterPair, alike_filters
from .member import Member, RawRecipe
from .scores import Score, class_table, material_table
from .small_network import SmallNetwork
from .training import RawTraining
from .xception import Xception

__all__ = [
    "FewShotSplit",
    "FilterPair",
    "LabelledPatterns",
    "Member",
    "RawClassifier",
    "RawExplanation",
    "RawRecipe",
    "RawTraining",
    "Score",
    "SmallNetwork",
    "Xception",
    "alike_filters",
    "class_table",
    "from_folder",
    "from_scan",
    "from_scans",
    "material_table",
]
