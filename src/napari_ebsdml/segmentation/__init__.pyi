from .explanation import Explanation, explain
from .inputs.channels import (
    COMPUTED_CHANNELS,
    ORIENTATION_CHANNELS,
    compute_channels,
    default_channels,
    with_property,
)
from .labels.data import Classes
from .learning.event import SegmentationEvent
from .learning.training import Training
from .models.baselines import ForestSegmenter, GrainThresholdSegmenter
from .models.live import LiveMap
from .models.network import UNet
from .reading import read_model
from .results.evaluation import Evaluation, evaluate
from .results.interval import PhaseFraction, phase_fractions
from .results.report import write_report
from .results.result import SegmentationResult, vote_in_volume
from .segmenter import ModelWarning, Segmenter
from .settings import PredictSettings, TrainingSettings, UNetSettings

__all__ = [
    "COMPUTED_CHANNELS",
    "ORIENTATION_CHANNELS",
    "Classes",
    "Evaluation",
    "Explanation",
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
    "explain",
    "phase_fractions",
    "read_model",
    "vote_in_volume",
    "with_property",
    "write_report",
]
