"""Synthetic maps with known truth: dual-phase steel, and crystals of known curvature."""

from .deformed import DeformedCrystal, bent_crystal, curved_crystal, twisted_crystal
from .dual_phase import (
    FERRITE,
    MARTENSITE,
    MORPHOLOGIES,
    VARIANTS,
    DualPhaseSample,
    dual_phase_steel,
)

__all__ = [
    "FERRITE",
    "MARTENSITE",
    "MORPHOLOGIES",
    "VARIANTS",
    "DeformedCrystal",
    "DualPhaseSample",
    "bent_crystal",
    "curved_crystal",
    "dual_phase_steel",
    "twisted_crystal",
]
