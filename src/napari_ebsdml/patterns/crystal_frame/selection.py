"""Which crystals of a library teach, and which templates vouch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.search.templates import Templates

CLOSE = 0.985
"""Templates that correlate more than this are not separable in a pattern (they share 97 % of
their variance; noise and geometry of a good measured pattern take more than the rest)."""
_HEUSLER_CLOSE = 0.95
_ORDER = {("fcc", 221): 1, ("bcc", 221): 1, ("bcc", 225): 2, ("bcc", 230): 2}


def teaching(library: Library, alike: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Crystals to train on: no invented superstructure that shows nothing of its order, (n,).

    L1_2 and B2 of elements that scatter alike look like the fcc or bcc crystal, but carry another
    space group: a network that learns them learns to guess. Those that correlate by more than
    `CLOSE` with a crystal of a simpler order are left out; the few Heusler crystals, whose order
    is the faintest, already at 0.95.

    Parameters
    ----------
    library
    alike : (n, n) array
        Correlation of the crystals with each other: `Templates.alike`, as patterns show them, or
        `Library.alike`, which takes no time and leaves out a few less.
    """
    pairs = zip(library.families, library.space_groups.tolist(), strict=True)
    order = np.array([_ORDER.get(pair, 0) for pair in pairs])
    group = library.space_groups
    simpler = (order[None] < order[:, None]) & (group[None] != group[:, None])
    closest = np.where(simpler, alike, -1.0).max(axis=1)
    limit = np.where((order == 2) & (group == 225), _HEUSLER_CLOSE, CLOSE)
    return library.is_real | (closest <= limit)


def covering(templates: Templates, closeness: float = 0.95) -> NDArray[np.bool_]:
    """Templates that stand for all: the real ones, and others until each has a near one, (n,)."""
    alike = templates.alike
    chosen = templates.is_real.copy()
    nearest = alike[:, chosen].max(axis=1) if chosen.any() else np.full(len(templates), -1.0)
    while nearest.min(initial=1.0) < closeness:
        worst = int(nearest.argmin())
        chosen[worst] = True
        nearest = np.maximum(nearest, alike[worst])
    return chosen
