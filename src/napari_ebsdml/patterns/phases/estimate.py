"""How long `find_phases` will take, told before it begins, from the work that it has."""

from __future__ import annotations

import math

CAMERA_S, START_S, EACH_SAMPLED_S, EACH_INDEXED_S = 9.0, 12.0, 0.12, 0.011
"""Processor seconds: the search for a pattern centre; lattices and space groups; a pattern that
phases are found from; a pattern that is indexed."""


def expected_seconds(number: int, sample: int, searches: bool, cores: int) -> float:
    """Seconds that a map takes, at the speed of the machine that the times were measured on.

    Parameters
    ----------
    number
        Patterns of the map.
    sample
        Of which so many at most are searched for phases.
    searches
        Whether nobody tells the pattern centre.
    cores
        That index patterns and place symmetries side by side.

    Notes
    -----
    The times are of maps of two phases, see `docs/measurements/patterns.md`; more phases, or one
    that is hard to tell, take longer.
    """
    alone = START_S + (CAMERA_S if searches else 0.0)
    shared = EACH_SAMPLED_S * min(sample, number) + EACH_INDEXED_S * number
    return alone + shared / max(1, cores)


def speed_from(expected: float, seconds: float) -> float:
    """How much faster this machine is, from a map that was done; NaN where that tells nothing."""
    return expected / seconds if expected > 0 and seconds > 1 else math.nan
