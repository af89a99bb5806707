"""Maps for trials: synthetic ones with known truth, and measured ones that anyone can fetch."""

from ._instrument import Instrument
from .annealed import (
    DEFORMED,
    RECOVERED,
    RECRYSTALLISED,
    AnnealedSample,
    Stored,
    partly_recrystallised,
)
from .deformed import DeformedCrystal, bent_crystal, curved_crystal, twisted_crystal
from .downloads import fetch
from .dual_phase import (
    BAINITE,
    FERRITE,
    MARTENSITE,
    MORPHOLOGIES,
    VARIANTS,
    DualPhaseSample,
    dual_phase_steel,
)
from .random_maps import FAMILIES, random_map
from .transformed import TransformedSample, alpha_titanium, martensite
from .twinned import MATRIX, TWIN, TwinnedSample, twinned

__all__ = [
    "BAINITE",
    "DEFORMED",
    "FAMILIES",
    "FERRITE",
    "MARTENSITE",
    "MATRIX",
    "MORPHOLOGIES",
    "RECOVERED",
    "RECRYSTALLISED",
    "TWIN",
    "VARIANTS",
    "AnnealedSample",
    "DeformedCrystal",
    "DualPhaseSample",
    "Instrument",
    "Stored",
    "TransformedSample",
    "TwinnedSample",
    "alpha_titanium",
    "bent_crystal",
    "curved_crystal",
    "dual_phase_steel",
    "fetch",
    "martensite",
    "partly_recrystallised",
    "random_map",
    "twinned",
    "twisted_crystal",
]
