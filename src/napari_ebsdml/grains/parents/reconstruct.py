"""Parent grains from the orientations of what they transformed to."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, part_of
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.grains.parents.certainty import certainty
from napari_ebsdml.grains.parents.children import Children, find_children
from napari_ebsdml.grains.parents.clusters import (
    Parents,
    group,
    orientations_of,
    renumbered,
)
from napari_ebsdml.grains.parents.energy import Energy
from napari_ebsdml.grains.parents.evidence import boundary_evidence
from napari_ebsdml.grains.parents.fit import Fitted, chosen_pairs, on_symmetric, refine
from napari_ebsdml.grains.parents.near_variants import smoothed
from napari_ebsdml.grains.parents.packets import local_parents
from napari_ebsdml.grains.parents.pixels import blocks, fill_gaps, mended, variants_of
from napari_ebsdml.grains.parents.result import ParentGrains
from napari_ebsdml.grains.parents.settings import ParentSettings
from napari_ebsdml.grains.parents.twins import twin_pairs
from napari_ebsdml.grains.parents.votes import agreements, candidates, vote
from napari_ebsdml.maps._checks import check_angle, check_count
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.relationships import (
    CUBIC,
    OrientationRelationship,
    known_relationships,
    named_relationship,
)
from napari_ebsdml.maps.symmetry import laue_class, laue_operators

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_DEFAULT = ParentSettings()
_APART = 7.0
"""Degrees; child grains closer than this tell nothing of the relationship."""
_ROUNDS = 3
"""How often the relationship and the parents are found from each other."""
_SEEN = 0.005
"""Part of a parent that a variant must cover to count."""


def parent_grains(
    scan: Scan,
    orientation_relationship: OrientationRelationship | str = "auto",
    *,
    refine: bool = _DEFAULT.refine,
    threshold: float = _DEFAULT.threshold,
    min_pixels: int = _DEFAULT.min_pixels,
    tolerance: float = _DEFAULT.tolerance,
    smallest_parent: int = _DEFAULT.smallest_parent,
    fill: int = _DEFAULT.fill,
    child_phase: int | str | None = None,
    parent_phase: int | str | None = None,
    progress: Progress = None,
) -> ParentGrains:
    """Reconstruct the grains of the parent phase: prior austenite, beta titanium.

    Child grains are segmented; the orientation relationship is refined from the misorientations of
    neighbours; every candidate of every grain's parent is voted on by the neighbours; grains whose
    parents agree are grouped, and divided among parents (and their twins) so that misfit and
    boundaries together cost least. Retained parent phase takes part where the map has some.

    Parameters
    ----------
    scan
        Map with orientations of the child phase, and of the parent phase where some is retained.
    orientation_relationship
        "auto": the best of those known for the child's crystal, or a name ("Kurdjumov-Sachs",
        "Nishiyama-Wassermann", "Greninger-Troiano", "Pitsch", "Burgers"), or one of your own.
    refine
        Whether to fit it to the map. With False it is used as it is.
    threshold
        Degrees at which a child grain ends.
    min_pixels
        Smaller child grains take the parent of their neighbours.
    tolerance
        Degrees; a child grain with a larger misfit belongs to no parent.
    smallest_parent
        Pixels; smaller parents are given to their neighbours.
    fill
        Pixels; how far pixels without a parent (not indexed, small grains) take the nearest one's.
    child_phase, parent_phase
        `Scan.phase_id` or name. Default: the child is the phase with most pixels whose crystal
        the relationship knows as a child (bcc before fcc); the parent is the other one that fits.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    ParentGrains

    Raises
    ------
    InputError
        When an argument is out of range or names nothing.
    MissingDataError
        When the map has no pixel of a child phase, or no orientations.

    Notes
    -----
    The relationship: T. Nyyssonen et al., Metall. Mater. Trans. A 47 (2016) 2587,
    doi:10.1007/s11661-016-3462-2; grain graphs: F. Niessen et al., J. Appl. Cryst. 55 (2022) 180,
    doi:10.1107/S1600576721011560; variant graphs: R. Hielscher et al., Materialia 22 (2022)
    101399, doi:10.1016/j.mtla.2022.101399. Twins of the parent share variants with it: under
    exact Kurdjumov-Sachs a packet on the twin plane is the same in both, and no orientation
    tells which it is in.

    Examples
    --------
    >>> from napari_ebsdml import samples
    >>> sample = samples.martensite((120, 160), relationship="Greninger-Troiano")
    >>> parents = parent_grains(sample.scan)
    >>> parents.parent_id.shape
    (120, 160)
    """
    check_angle("threshold", threshold)
    check_angle("tolerance", tolerance)
    check_count("min_pixels", min_pixels, 1)
    check_count("smallest_parent", smallest_parent, 1)
    check_count("fill", fill, 0)
    tried = _relationships(orientation_relationship)
    child, parent = _phases(scan, tried, child_phase, parent_phase)
    kind = laue_class(scan.phases[child])
    tried = [r for r in tried if r.child == kind]
    settings: dict[str, Any] = {
        "orientation_relationship": orientation_relationship,
        "refine": refine, "threshold": threshold, "min_pixels": min_pixels,
        "tolerance": tolerance, "smallest_parent": smallest_parent, "fill": fill,
        "child_phase": child_phase, "parent_phase": parent_phase,
    }  # fmt: skip
    children = find_children(
        scan, child, parent, threshold, min_pixels, part_of(progress, 0.0, 0.15)
    )
    fitted = _first_fit(children, tried, scan, child, refine)
    if progress is not None:
        progress(0.2)
    found = _reconstruct(children, fitted, refine, part_of(progress, 0.2, 0.9))
    return _on_pixels(
        scan, child, parent, children, found, tolerance, smallest_parent, fill, settings,
        part_of(progress, 0.9),
    )  # fmt: skip


class _Found(NamedTuple):
    """Parents of the child grains."""

    parents: Parents
    fitted: Fitted
    sure: Floats
    """(n,) confidence in the parent of each child grain."""
    about: Floats
    """(n, 4) orientation of the parent about each child grain."""
    unaided: Floats
    """(parents + 1, 4) orientations of the parents from their child grains alone."""


def _relationships(
    given: OrientationRelationship | str,
) -> list[OrientationRelationship]:
    if isinstance(given, OrientationRelationship):
        return [given]
    if not isinstance(given, str):
        raise InputError(
            "orientation_relationship must be a name or an OrientationRelationship, not "
            f"{type(given).__name__}."
        )
    if given.casefold() != "auto":
        return [named_relationship(given)]
    return list(known_relationships().values())


def _phase(scan: Scan, given: int | str) -> int:
    for number, phase in scan.phases:
        if given == number or (isinstance(given, str) and phase.name == given):
            return int(number)
    names = ", ".join(f"{i} ({phase.name})" for i, phase in scan.phases if i >= 0)
    raise InputError(f"{scan.name} has no phase {given!r}; it has {names}.")


def _phases(
    scan: Scan,
    tried: list[OrientationRelationship],
    child_phase: int | str | None,
    parent_phase: int | str | None,
) -> tuple[int, int | None]:
    """The child phase, and the parent phase or None."""
    lowest = max(int(scan.phase_id.min()), 0)
    counts = np.bincount(scan.phase_id[scan.phase_id >= 0] - lowest)
    pixels = {lowest + i: int(n) for i, n in enumerate(counts) if n}
    if not pixels:
        raise MissingDataError(f"{scan.name} has no indexed pixel: there are no child grains.")
    kinds = {
        i: laue_class(scan.phases[i]) for i in pixels if scan.phases[i].point_group is not None
    }
    if child_phase is not None:
        child = _phase(scan, child_phase)
        if child not in pixels:
            raise MissingDataError(f"{scan.name} has no pixel of phase {child_phase!r}.")
        if kinds.get(child) not in {r.child for r in tried}:
            raise InputError(
                f"Phase {scan.phases[child].name!r} ({kinds.get(child, 'no point group')}) is no "
                f"child of {', '.join(r.name for r in tried)}; choose another of either."
            )
    else:
        fitting = [i for i, kind in kinds.items() if kind in {r.child for r in tried}]
        if parent_phase is not None:
            fitting = [i for i in fitting if i != _phase(scan, parent_phase)]
        if not fitting:
            raise MissingDataError(
                f"{scan.name} has no child phase for {', '.join(r.name for r in tried)}; give "
                "child_phase, or a relationship of your own."
            )
        # Hexagonal before cubic (alpha in beta), not face-centred before face-centred.
        child = max(fitting, key=lambda i: (kinds[i] != CUBIC, not _is_fcc(scan, i), pixels[i]))
    if parent_phase is not None:
        parent = _phase(scan, parent_phase)
        if parent == child:
            raise InputError("The parent phase must be another one than the child phase.")
        return child, parent if parent in pixels else None
    wanted = {r.parent for r in tried if r.child == kinds[child]}
    others = [
        i
        for i, kind in kinds.items()
        if i != child and kind in wanted and _can_be_parent(scan, child, i)
    ]
    return child, max(others, key=lambda i: pixels[i], default=None)


def _is_fcc(scan: Scan, phase: int) -> bool:
    group = scan.phases[phase].space_group
    if group is not None:
        return str(group.short_name).startswith("F")
    name = scan.phases[phase].name.casefold()
    return any(part in name for part in ("fcc", "austenit", "gamma", "nickel"))


def _can_be_parent(scan: Scan, child: int, phase: int) -> bool:
    # Of two cubic phases austenite is the parent; beside a hexagonal child any cubic one.
    return laue_class(scan.phases[child]) != CUBIC or _is_fcc(scan, phase)


def _first_fit(
    children: Children,
    tried: list[OrientationRelationship],
    scan: Scan,
    child: int,
    is_refined: bool,
) -> Fitted:
    a, b = children.pairs[:, 0], children.pairs[:, 1]
    both = ~children.is_parent[a] & ~children.is_parent[b]
    angle = disorientation_angle(children.means[a], children.means[b], scan.phases[child])
    use = both & (angle > _APART)
    pairs = chosen_pairs(children.pairs[use], np.sqrt(children.length[use]))
    mixed = children.is_parent[a] != children.is_parent[b]
    crossing = chosen_pairs(children.pairs[mixed], np.sqrt(children.length[mixed]))
    first = children.is_parent[crossing[:, 0]]
    parents = np.where(first, crossing[:, 0], crossing[:, 1])
    others = np.where(first, crossing[:, 1], crossing[:, 0])
    of_children = children.means[pairs[:, 0]], children.means[pairs[:, 1]]
    of_both = children.means[parents], children.means[others]
    fits = [refine(r, of_children, of_both, not is_refined) for r in tried]
    return min(fits, key=lambda fit: fit.cost)


def _reconstruct(
    children: Children, fitted: Fitted, is_refined: bool, progress: Progress
) -> _Found:
    relationship, scatter = fitted.relationship, max(fitted.scatter / math.sqrt(2), 0.5)
    nothing = np.zeros((0, 4))
    operators = laue_operators(relationship.parent)
    has_twins = relationship.parent == CUBIC and relationship.child == CUBIC
    rounds = _ROUNDS
    for number in range(rounds):
        told = nth_of(progress, number, rounds)
        last = number == rounds - 1
        found = candidates(relationship, children.means, children.is_parent)
        edges = agreements(found, children.pairs, relationship, scatter, part_of(told, 0.0, 0.3))
        belief = vote(found, children.pairs, children.length, edges, part_of(told, 0.3, 0.5))
        energy = Energy(
            found, children.pairs, children.length, children.facing, np.sqrt(children.area),
            operators, scatter, has_twins,
        )  # fmt: skip
        parents = group(energy, belief, int(last), part_of(told, 0.5))
        fits = (parents.of_grain > 0) & ~children.is_parent & (parents.misfit < 4 * scatter)
        pairs = parents.orientation[parents.of_grain[fits]], children.means[fits]
        after = refine(relationship, (nothing, nothing), pairs, not is_refined)
        if is_refined:
            after = on_symmetric(after, pairs)
        fitted = after
        if last:
            break
        relationship = after.relationship
        scatter = min(max(after.scatter, 0.5), 3.0)
    sure = certainty(energy, belief, parents, relationship.parent, has_twins)
    unaided = parents.orientation
    if children.is_parent.any():
        weight = np.where(children.is_parent, 0.0, energy.weight)
        unaided = orientations_of(dataclasses.replace(energy, weight=weight), parents.of_grain)
    name = relationship.name
    if is_refined and name in known_relationships():
        exact = relationship.deviation(known_relationships()[name]) < 0.01
        name = name if exact else f"refined from {name}"
    named = dataclasses.replace(relationship, name=name)
    about = local_parents(children, parents.of_grain, parents.orientation, relationship, scatter)
    return _Found(parents, fitted._replace(relationship=named), sure, about, unaided)


def _on_pixels(
    scan: Scan,
    child: int,
    parent: int | None,
    children: Children,
    found: _Found,
    tolerance: float,
    smallest_parent: int,
    fill: int,
    settings: dict[str, Any],
    progress: Progress,
) -> ParentGrains:
    relationship, parents = found.fitted.relationship, found.parents
    of_grain = np.where(np.nan_to_num(parents.misfit, nan=180.0) <= tolerance, parents.of_grain, 0)
    area = np.bincount(of_grain, weights=children.area, minlength=len(parents.orientation))
    of_grain = np.where(area[of_grain] >= smallest_parent, of_grain, 0)
    kept = np.unique(of_grain[of_grain > 0])
    numbers = np.zeros(len(parents.orientation), dtype=np.int32)
    numbers[kept] = np.arange(1, len(kept) + 1)
    of_grain = numbers[of_grain]
    orientations = np.zeros((len(kept) + 1, 4))
    orientations[1:] = _fundamental(parents.orientation[kept], relationship.parent)

    parent_id = of_grain[children.wide].astype(np.int32)
    # Large grains that fit no parent stay without; other phases have none.
    alone = (of_grain == 0) & (children.area >= smallest_parent)
    of_the_two = (scan.phase_id == child) | (scan.phase_id == -1)
    if parent is not None:
        of_the_two |= scan.phase_id == parent
    allowed = of_the_two & ~alone[children.labels]
    parent_id = fill_gaps(np.where(of_the_two, parent_id, 0).astype(np.int32), allowed, fill)
    if progress is not None:
        progress(0.3)
    of_parent = np.zeros(scan.shape, bool) if parent is None else scan.phase_id == parent
    # In the axes that the parent is given in.
    about = _like(found.about, orientations[of_grain], relationship.parent)
    local = np.where(of_grain[children.wide] == parent_id, children.wide, 0), about
    nearest, misfit = variants_of(
        relationship, children.scan.quaternions, parent_id, orientations, local, of_parent
    )
    variant = smoothed(
        relationship, children.scan.quaternions, parent_id, orientations, local, nearest
    )
    if children.scan.quaternions is not scan.quaternions:
        # Smoothed orientations tell the variant; the misfit is that of what was measured.
        measured = np.where((children.scan.phase_id >= 0)[..., None], scan.quaternions, 0.0)
        nearest, misfit = variants_of(
            relationship, measured, parent_id, orientations, local, of_parent
        )
    other = (variant != nearest) & (variant > 0) & np.isfinite(misfit)
    ideal = multiply(
        relationship.variants.quaternions[variant[other] - 1], orientations[parent_id[other]]
    )
    misfit[other] = disorientation_angle(scan.quaternions[other], ideal, relationship.child)
    told = _determined(parent_id, variant, of_parent, len(orientations))
    if not told.all():
        numbers = np.where(told, np.cumsum(told) - 1, 0).astype(np.int32)
        parent_id, of_grain = numbers[parent_id], numbers[of_grain]
        orientations = orientations[told]
        variant[parent_id == 0] = 0
        misfit[parent_id == 0] = np.nan
    far = tolerance + 3 * children.noise
    bad = (parent_id > 0) & ~of_parent & ((variant == 0) | ~(misfit <= far))
    variant = mended(variant, bad, parent_id, max(fill, 1))
    if progress is not None:
        progress(0.7)
    table = relationship.variants
    packet = np.append(0, table.packet).astype(np.uint8)[variant]
    bain = np.append(0, table.bain_group).astype(np.uint8)[variant]
    of_grains = np.where(of_grain > 0, found.sure, 0.0)[children.wide]
    known = (parent_id > 0) & (children.wide > 0)
    typical = float(of_grains[known].mean()) if known.any() else 0.0
    confidence = np.where(known, of_grains, np.where(parent_id > 0, typical, 0.0))
    result = ParentGrains(
        parent_id=parent_id,
        orientations=orientations,
        variant=variant,
        packet=packet,
        bain_group=bain,
        block=blocks(parent_id, packet, bain, variant),
        misfit=misfit,
        confidence=confidence.astype(np.float32),
        orientation_relationship=relationship,
        scatter=found.fitted.scatter,
        grain_of=_without_twins(children, of_grain, orientations, relationship),
        retained=np.bincount(parent_id[of_parent], minlength=len(orientations)),
        retained_deviation=_retained(children, found, relationship),
        evidence=boundary_evidence(children, relationship),
        noise=children.noise,
        scan=scan,
        child=child,
        parent=parent,
        settings=settings,
    )
    if progress is not None:
        progress(1.0)
    return result


def _determined(
    parent_id: Ints, variant: NDArray[np.uint8], of_parent: NDArray[np.bool_], count: int
) -> NDArray[np.bool_]:
    """Which parents show two variants, or some of the parent itself: one alone fits several."""
    pixels = np.bincount(parent_id.ravel(), minlength=count)
    met = np.bincount(
        parent_id.ravel().astype(np.int64) * 256 + variant.ravel(), minlength=count * 256
    ).reshape(count, 256)
    enough = np.maximum(_SEEN * pixels, 2.0)[:, None]
    told = (met[:, 1:] >= enough).sum(axis=1) > 1
    told |= np.bincount(parent_id[of_parent], minlength=count) > 0
    told[0] = True
    return np.asarray(told)


def _like(quaternions: Floats, targets: Floats, group_name: str) -> Floats:
    """Equivalents of rows that lie nearest to those of other rows."""
    every = multiply(laue_operators(group_name)[None], quaternions[:, None, :])
    at = np.abs(np.einsum("nkc,nc->nk", every, targets)).argmax(axis=1)
    return np.ascontiguousarray(every[np.arange(len(every)), at])


def _fundamental(quaternions: Floats, group_name: str) -> Floats:
    """Equivalents of smallest angle."""
    every = multiply(laue_operators(group_name)[None], quaternions[:, None, :])
    at = np.argmax(np.abs(every[..., 0]).round(9), axis=1)
    best = every[np.arange(len(every)), at]
    return np.asarray(best * np.where(best[:, :1] < 0, -1.0, 1.0))


def _without_twins(
    children: Children, of_grain: Ints, orientations: Floats, relationship: OrientationRelationship
) -> Ints:
    """Grain of each parent, when those that are twins and touch count as one."""
    grain = np.arange(len(orientations), dtype=np.int32)
    if relationship.parent != CUBIC or relationship.child != CUBIC:
        return grain
    keys, _ = twin_pairs(of_grain, children.pairs, orientations)
    for key in keys:
        low, high = sorted(int(grain[end]) for end in divmod(int(key), len(orientations)))
        grain[grain == high] = low
    return renumbered(grain)


def _retained(children: Children, found: _Found, relationship: OrientationRelationship) -> float:
    """Median angle between retained grains and what child grains beside them give alone."""
    a, b = children.pairs[:, 0], children.pairs[:, 1]
    mixed = children.is_parent[a] != children.is_parent[b]
    first = children.is_parent[a[mixed]]
    kept = np.where(first, a[mixed], b[mixed])
    parents = found.parents.of_grain[np.where(first, b[mixed], a[mixed])]
    use = parents > 0
    if not use.any():
        return math.nan
    angle = disorientation_angle(
        children.means[kept[use]], found.unaided[parents[use]], relationship.parent
    )
    return float(np.nanmedian(angle)) if np.isfinite(angle).any() else math.nan
