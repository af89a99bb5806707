"""Maps of a phase that grew in a parent phase: lath martensite, and alpha titanium, with truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._orix import prepare_orix
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.relationships import CUBIC, OrientationRelationship, named_relationship
from napari_ebsdml.scan import NOT_INDEXED, Scan, Source

from ._austenite import make_austenite, make_canvas
from ._checks import checked_seed, checked_shape, in_range
from ._fields import smooth_field
from ._martensite import Family, make_martensite
from ._rotations import from_rotation_vector, scatter, uniform

if TYPE_CHECKING:
    from orix.crystal_map import PhaseList

CHILD, PARENT = 1, 2
"""`Scan.phase_id` of the child, and of what is retained of the parent."""

# Bending of the lattice in degrees and its length in um; retained islands: their length in um,
# and how few variants one alpha colony has. Chosen by eye.
_BEND, _BEND_LENGTH = 0.8, 3.0
_ISLAND = 0.8
_COLONY = 0.3
_PHASES = {
    "m-3m": (("Iron bcc", 229, 2.866, 2.866), ("Iron fcc", 225, 3.59, 3.59)),
    "6/mmm": (("Titanium alpha", 194, 2.951, 4.684), ("Titanium beta", 229, 3.32, 3.32)),
}


class TransformedSample(NamedTuple):
    """A synthetic map of a transformed crystal; every array knows every pixel, indexed or not."""

    scan: Scan
    """What the instrument sees: phase 1 the child, phase 2 what is retained of its parent."""
    parent_id: NDArray[np.int32]
    """Parent grain, or twin in it, that each pixel belonged to, from 1."""
    parent_quaternions: NDArray[np.float64]
    """(rows, columns, 4) specimen -> parent crystal, before it was strained."""
    variant: NDArray[np.uint8]
    """From 1, in the order of `relationship.variants`; 0 in retained parent."""
    packet: NDArray[np.int32]
    """Packet from 1; 0 in retained parent."""
    relationship: OrientationRelationship
    """The one that the map was made with."""


def martensite(
    shape: tuple[int, int] = (400, 500),
    seed: int = 0,
    step: float = 0.1,
    *,
    relationship: OrientationRelationship | str = "Kurdjumov-Sachs",
    grain_size: float = 15.0,
    retained: float = 0.0,
    noise: float = 0.1,
    wrong: float = 0.0,
    not_indexed: float = 0.0,
) -> TransformedSample:
    """Make a map of lath martensite (bcc) that was austenite (fcc) with annealing twins.

    Parameters
    ----------
    shape
        Rows and columns.
    seed
        The same seed and arguments give the same map.
    step
        Distance of pixels in um.
    relationship
        Name of a known orientation relationship of fcc and bcc, or one of your own.
    grain_size
        Mean diameter of the parent grains in um.
    retained
        Area fraction of parent left as islands, 0 to 0.9.
    noise
        Standard deviation of the orientation error about each axis in degrees.
    wrong
        Part of the pixels, at random, with a random orientation.
    not_indexed
        Part of the pixels, at random, that are not indexed.

    Returns
    -------
    TransformedSample

    Raises
    ------
    InputError
        When an argument is out of range.

    Notes
    -----
    Packets, blocks and laths as in `dual_phase_steel`; blocks scatter by 0.7 degrees about the
    relationship, and the parent is strained by 1 degree between packets (about each axis).
    """
    given = named_relationship(relationship) if isinstance(relationship, str) else relationship
    if given.child != CUBIC:
        raise InputError(f"Martensite is bcc; {given.name} is of {given.parent} and {given.child}.")
    return _sample(shape, seed, step, given, 1.0, grain_size, retained, noise, wrong, not_indexed)


def alpha_titanium(
    shape: tuple[int, int] = (400, 500),
    seed: int = 0,
    step: float = 0.3,
    *,
    grain_size: float = 45.0,
    retained: float = 0.0,
    noise: float = 0.1,
    wrong: float = 0.0,
    not_indexed: float = 0.0,
) -> TransformedSample:
    """Make a map of alpha titanium (hcp) in colonies that was beta (bcc), by Burgers' relationship.

    The arguments are those of `martensite`.
    """
    return _sample(
        shape, seed, step, named_relationship("Burgers"), _COLONY, grain_size, retained, noise,
        wrong, not_indexed,
    )  # fmt: skip


def _sample(
    shape: tuple[int, int],
    seed: int,
    step: float,
    relationship: OrientationRelationship,
    taste: float,
    grain_size: float,
    retained: float,
    noise: float,
    wrong: float,
    not_indexed: float,
) -> TransformedSample:
    shape = checked_shape(shape)
    step = in_range("step", step, 0.001, 1e3)
    size = in_range("grain_size", grain_size, 4 * step, 1e6)
    kept = in_range("retained", retained, 0.0, 0.9)
    noise = in_range("noise", noise, 0.0, 20.0)
    wrong = in_range("wrong", wrong, 0.0, 1.0)
    missing = in_range("not_indexed", not_indexed, 0.0, 1.0)
    spawned = np.random.SeedSequence(checked_seed(seed)).spawn(4)
    streams = [np.random.default_rng(s) for s in spawned]
    canvas = make_canvas(streams[0], shape, step, size)
    # Austenite has annealing twins; the beta phase of titanium has none.
    austenite = make_austenite(streams[1], canvas, twins=relationship.child == CUBIC)
    variants = relationship.variants
    order = np.argsort(variants.packet, kind="stable")
    planes = variants.packet_planes
    if not len(planes) or (np.bincount(variants.packet) != len(order) // len(planes))[1:].any():
        # No packets to speak of: any habit plane for any variant.
        planes = planes[:1] if len(planes) else np.array([[0.0, 0.0, 1.0]])
    family = Family(variants.quaternions[order], planes, taste)
    everywhere = np.ones(shape, dtype=bool)
    made = make_martensite(streams[2], canvas, austenite, everywhere, [], np.zeros((0, 4)), family)
    rng = streams[3]
    bend = np.stack([smooth_field(rng, shape, step, _BEND_LENGTH) for _ in range(3)], axis=-1)
    turn = from_rotation_vector(np.deg2rad(made.lath + _BEND * bend))
    quaternions = multiply(turn, made.orientation[made.block])
    parent = austenite.orientation[austenite.domain]
    phase = np.full(shape, CHILD, dtype=np.int32)
    if kept > 0:
        field = smooth_field(rng, shape, step, _ISLAND)
        island = field > np.quantile(field, 1 - kept)
        strained = multiply(from_rotation_vector(np.deg2rad(_BEND * bend)), parent)
        quaternions[island] = strained[island]
        phase[island] = PARENT
    quaternions = multiply(scatter(rng, phase.size, noise).reshape(*shape, 4), quaternions)
    bad = rng.random(shape) < wrong
    quaternions[bad] = uniform(rng, int(bad.sum()))
    gone = rng.random(shape) < missing
    quaternions[gone] = 0.0
    is_child = phase == CHILD
    scan = Scan(
        quaternions=quaternions,
        phase_id=np.where(gone, NOT_INDEXED, phase).astype(np.int32),
        phases=_phases(relationship.child),
        step=(step, step),
        source=Source(
            format="synthetic",
            scan_name=f"{relationship.name}, seed {seed}",
            header={"relationship": relationship.name, "seed": seed, "grain_size": size},
        ),
    )
    number = np.unique(austenite.domain, return_inverse=True)[1].reshape(shape) + 1
    variant = order[made.variant[made.block] - 1] + 1
    return TransformedSample(
        scan,
        number.astype(np.int32),
        parent,
        np.where(is_child, variant, 0).astype(np.uint8),
        np.where(is_child, made.packet[made.block] + 1, 0).astype(np.int32),
        relationship,
    )


def _phases(child: str) -> PhaseList:
    from diffpy.structure import Lattice, Structure

    prepare_orix()
    from orix.crystal_map import Phase, PhaseList

    phases = []
    for name, group, a, c in _PHASES[child]:
        gamma = 120 if group == 194 else 90
        structure = Structure(title=name, lattice=Lattice(a, a, c, 90, 90, gamma))
        phases.append(Phase(name, space_group=group, structure=structure))
    return PhaseList(ids=[CHILD, PARENT], phases=phases)
