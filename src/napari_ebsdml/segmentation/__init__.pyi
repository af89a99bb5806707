from .baselines import ForestSegmenter, GrainThresholdSegmenter
from .channels import (
    COMPUTED_CHANNELS,
    ORIENTATION_CHANNELS,
    compute_channels,
    default_channels,
    with_property,
)
from .data import Classes
from .evaluation import Evaluation, evaluate
from .event import SegmentationEvent
from .interval import PhaseFraction, phase_fractions
from .live import LiveMap
from .network import UNet
from .reading import read_model
from .report import write_report
from .result import SegmentationResult
from .segmenter import ModelWarning, Segmenter
from .settings import PredictSettings, TrainingSettings, UNetSettings
from .training import Training

__all__ = [
    "COMPUTED_CHANNELS",
    "ORIENTATION_CHANNELS",
    "Classes",
    "Evaluation",
    "ForestSegmenter",
    "GrainThresholdSegmenter",
    "LiveMap",
    "ModelWarning",
    "PhaseFraction",
    "PredictSettings",
    "SegmentationEvent",
    "SegmentationResult",
    "Segmenter",
    "Training",
    "TrainingSettings",
    "UNet",
    "UNetSettings",
    "compute_channels",
    "default_channels",
    "evaluate",
    "phase_fractions",
    "read_model",
    "with_property",
    "write_report",
]
