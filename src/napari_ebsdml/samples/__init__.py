"""Maps for trials: synthetic ones with known truth, and measured ones that anyone can fetch."""

from .deformed import DeformedCrystal, bent_crystal, curved_crystal, twisted_crystal
from .downloads import fetch
from .dual_phase import (
    FERRITE,
    MARTENSITE,
    MORPHOLOGIES,
    VARIANTS,
    DualPhaseSample,
    dual_phase_steel,
)
from .transformed import TransformedSample, alpha_titanium, martensite

__all__ = [
    "FERRITE",
    "MARTENSITE",
    "MORPHOLOGIES",
    "VARIANTS",
    "DeformedCrystal",
    "DualPhaseSample",
    "TransformedSample",
    "alpha_titanium",
    "bent_crystal",
    "curved_crystal",
    "dual_phase_steel",
    "fetch",
    "martensite",
    "twisted_crystal",
]
