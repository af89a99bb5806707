"""What patterns tell of a crystal's Laue group, in words."""

from __future__ import annotations

from collections.abc import Sequence

from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns.symmetry.decision import LEAST_CEILING, Pool
from napari_ebsdml.patterns.symmetry.distortion import Distortion
from napari_ebsdml.patterns.symmetry.groups import SYSTEMS
from napari_ebsdml.patterns.symmetry.joint import Joint

_SEEN = 0.01
"""Distortions below it are not told from none (`benchmarks/found_maps.py --tetragonal`)."""
_SEEN_ALONE = 0.02
"""The same where patterns are judged one by one."""


def words(
    pools: Sequence[Pool], cameras: Sequence[Camera], suits: dict[str, int], kept: Sequence[str],
    chances: dict[str, float], distortion: Distortion | None = None,
) -> str:  # fmt: skip
    """Of patterns that were judged one by one, with one or several rival cameras."""
    best = kept[0]
    pool = pools[suits[best]]
    number = f"{pool.number} pattern{'s' if pool.number > 1 else ''}"
    reached = min(100.0, 100 * pool.agreement(best))
    text = (
        f"{SYSTEMS[best]}, Laue group {best} ({100 * chances[best]:.0f} %) from {number}; its "
        f"operations reach {reached:.0f} % of what the noise allows"
    )
    if len(kept) > 1:
        others = " or ".join(f"{name} ({100 * chances[name]:.0f} %)" for name in kept[1:])
        text += f"; not excluded: {others}"
        other = next((n for n in kept[1:] if suits[n] != suits[best]), None)
        if other is not None:
            centres = [
                ", ".join(f"{x:.2f}" for x in cameras[suits[name]].centre or ())
                for name in (best, other)
            ]
            text += (
                f"; the pattern centre is part of the question: ({centres[0]}) for {best}, "
                f"({centres[1]}) for {other}"
            )
        if pool.number < 10:
            text += "; more patterns of other orientations tell more"
    return text + (_of_cube(best) if distortion is None else _of_distortion(distortion)) + "."


def words_together(joint: Joint, kept: Sequence[str], chances: dict[str, float]) -> str:
    """Of patterns that hold together."""
    best, mosaic = kept[0], joint.mosaic
    text = (
        f"{SYSTEMS[best]}, Laue group {best} ({100 * chances[best]:.0f} %): "
        f"{mosaic.holds.sum()} of {len(mosaic.views)} patterns hold together"
    )
    if best == "-1":
        text += ", and no operation carries what they show onto itself"
    else:
        weakest = min(100.0, 100 * joint.weakest(best))
        text += (
            f", and its operations agree to at least {weakest:.0f} % of how well the patterns do "
            "as they lie"
        )
    if len(kept) > 1:
        others = " or ".join(f"{name} ({100 * chances[name]:.0f} %)" for name in kept[1:])
        text += f"; not excluded: {others}"
    return text + "".join(map(_of_distortion, joint.distortions)) + "."


def _of_distortion(one: Distortion) -> str:
    """What the lattice says, where that decides."""
    group, smaller = one.family.group, one.family.smaller
    if one.chance >= 0.5:
        return (
            f"; bands lie as in a lattice of {group} that is distorted by "
            f"{100 * one.axial:.1f} %, which leaves {smaller}"
        )
    if SYSTEMS[group] == "cubic":
        least = _SEEN_ALONE if one.is_alone else _SEEN
        return f"; the lattice is a cube to within {100 * max(one.axial, least):.1f} %"
    return ""


def _of_cube(best: str) -> str:
    if SYSTEMS[best] == "cubic":
        # `benchmarks/found_maps.py --tetragonal`.
        return "; a tetragonal crystal with c/a within some 8 % of 1 (martensite) looks the same"
    return ""


def nothing(pools: Sequence[Pool], suits: dict[str, int], searched: bool, bands: int) -> str:
    """Why no symmetry is told."""
    if pools[0].ceiling < LEAST_CEILING:
        return (
            "No symmetry is supported: neighbouring pixels share nothing, the patterns are noise. "
            "Give averaged patterns of one crystal."
        )
    if not bands:
        return (
            "No symmetry is supported: the patterns show no straight bands, as those of an "
            "amorphous material or of noise do. Give averaged patterns of one crystal."
        )
    best = max(suits, key=lambda name: pools[suits[name]].merit(name))
    reached = max(0.0, 100 * pools[suits[best]].agreement(best))
    return (
        f"No symmetry is supported: with {best}, the best, operations reach {reached:.0f} % of "
        "what the noise allows, in too small a part of the screen or too little: an amorphous or "
        "overlapped pattern, "
        + ("no camera that fits, " if searched else "a wrong pattern centre, ")
        + "or a triclinic crystal. Give more or averaged patterns of one crystal"
        + ("." if searched else ", or detector=None to search for the camera.")
    )
