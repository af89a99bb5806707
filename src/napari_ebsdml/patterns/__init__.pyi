from .answers.explanation import Explanation
from .answers.result import SpaceGroupResult
from .classifier import SpaceGroupClassifier
from .crystal_frame.classifier import CrystalFrameClassifier
from .crystal_frame.training import Recipe
from .crystals.library import Library
from .crystals.user_crystals import add_files, add_to_library, read_cif
from .frame.fold import fold_patterns, refine_geometry
from .frame.geometry import Geometry
from .frame.refine import refine_scan
from .improve import ImprovedOrientations, improve_orientations
from .phases.find import FoundPhases, find_phases
from .refine import refine_orientations
from .simulated.two_phase import TwoPhaseSample, two_phase_map
from .symmetry.laue import LaueResult, laue_group

__all__ = [
    "CrystalFrameClassifier",
    "Explanation",
    "FoundPhases",
    "Geometry",
    "ImprovedOrientations",
    "LaueResult",
    "Library",
    "Recipe",
    "SpaceGroupClassifier",
    "SpaceGroupResult",
    "TwoPhaseSample",
    "add_files",
    "add_to_library",
    "find_phases",
    "fold_patterns",
    "improve_orientations",
    "laue_group",
    "read_cif",
    "refine_geometry",
    "refine_orientations",
    "refine_scan",
    "two_phase_map",
]
