"""Job 2: segmentation of maps by a U-Net that learns from strokes."""

from napari_ebsdml.segmentation.baselines import ForestSegmenter, GrainThresholdSegmenter
from napari_ebsdml.segmentation.channels import (
    COMPUTED_CHANNELS,
    ORIENTATION_CHANNELS,
    compute_channels,
    default_channels,
    with_property,
)
from napari_ebsdml.segmentation.data import Classes
from napari_ebsdml.segmentation.evaluation import Evaluation, evaluate
from napari_ebsdml.segmentation.network import UNet, UNetSettings
from napari_ebsdml.segmentation.result import PhaseFraction, SegmentationResult
from napari_ebsdml.segmentation.segmenter import ModelWarning, Segmenter
from napari_ebsdml.segmentation.settings import TrainingSettings
from napari_ebsdml.segmentation.training import SegmentationEvent
from napari_ebsdml.segmentation.under_way import Training

__all__ = [
    "COMPUTED_CHANNELS",
    "ORIENTATION_CHANNELS",
    "Classes",
    "Evaluation",
    "ForestSegmenter",
    "GrainThresholdSegmenter",
    "ModelWarning",
    "PhaseFraction",
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
    "with_property",
]
