"""Synthetic dual-phase steel: ferrite, martensite and bainite in one EBSD map, with the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._orix import prepare_orix
from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import NOT_INDEXED, Scan, Source

from ._austenite import make_austenite, make_canvas
from ._bainite import BAINITE_FAMILY, bainite_region, joined
from ._checks import checked_seed, checked_shape, in_range
from ._ferrite import SMALL_GRAIN, WIDMANSTAETTEN, make_ferrite
from ._martensite import make_martensite
from ._measure import Crystals, measure

if TYPE_CHECKING:
    from orix.crystal_map import PhaseList

FERRITE, MARTENSITE, BAINITE = 1, 2, 3
"""Values of `DualPhaseSample.truth`."""

VARIANTS: dict[str, float] = {"T1": 0.43, "T2": 0.58, "T3": 0.66}
"""Martensite fractions of the three steels of hal-03450484, held at rising temperature."""

# Austenite grains in um where the map is large enough, the size that all lengths are set for; on a
# small map the least in um, and the part of the map's side that a grain takes.
_GRAIN_SIZE, _SMALLEST_GRAIN, _GRAIN_IN_MAP = 25.0, 4.0, 0.8
# Part of the ferrite that is plates, for the fractions of `VARIANTS`; assumed.
_PLATE_SHARES = (0.01, 0.06, 0.14)

# Pattern quality and lattice strain; as for `_measure`, tests hold what they give together. Mean
# and spread of ferrite; what small grains and plates have less; part of the grains that is worse,
# and by how much.
_FERRITE_QUALITY, _SMALL_GRAIN_LOSS, _PLATE_LOSS = (0.88, 0.030), 0.13, 0.06
_BAD_FERRITE, _BAD_FERRITE_LOSS = 0.06, (0.05, 0.16)
# Martensite: mean and spread of blocks, spread between packets, part that is worse, by how much.
_MARTENSITE_QUALITY, _PACKET_SPREAD = (0.60, 0.036), 0.022
_LATE_BLOCKS, _LATE_LOSS = 0.15, (0.03, 0.15)
_COARSE_QUALITY, _COARSE_STRAIN = (0.80, 0.04), 0.30
# Bainite: how much better than martensite, and its strain.
_BAINITE_GAIN, _BAINITE_STRAIN = 0.13, 0.45
# Shape of the gamma distributions of the strain, mean 1: the larger, the more alike crystals are.
_FERRITE_STRAIN, _MARTENSITE_STRAIN = 6.0, 8.0
# Contrast by channelling: of sum(beam^4), whose mean over all directions is 0.6.
_CHANNELLING = 0.10


class DualPhaseSample(NamedTuple):
    """A synthetic map and what it was made of; ``scan, truth, *_ = dual_phase_steel()``.

    All arrays have the shape of the scan and know every pixel, indexed or not.
    """

    scan: Scan
    """What the instrument sees: one bcc phase, BC, BS, MAD, Bands, Error."""
    truth: NDArray[np.uint8]
    """1 ferrite, 2 martensite, 3 bainite."""
    prior_austenite: NDArray[np.int32]
    """Austenite grain or annealing twin that each pixel belonged to, from 1."""
    ferrite_grain: NDArray[np.int32]
    """Ferrite grain from 1, 0 in martensite."""
    packet: NDArray[np.int32]
    """Packet of martensite or bainite from 1, 0 in ferrite."""
    block: NDArray[np.int32]
    """Block of martensite or bainite from 1, 0 in ferrite."""
    variant: NDArray[np.uint8]
    """Kurdjumov-Sachs variant 1..24 (Morito's numbers), 0 in ferrite."""
    morphology: NDArray[np.uint8]
    """A key of `MORPHOLOGIES`."""


MORPHOLOGIES: dict[int, str] = {
    1: "allotriomorphic ferrite",
    2: "Widmanstaetten ferrite",
    3: "small ferrite grain in martensite",
    4: "lath martensite",
    5: "coarse auto-tempered martensite",
    6: "bainite",
}
"""Meaning of `DualPhaseSample.morphology`."""


def dual_phase_steel(
    shape: tuple[int, int] = (856, 1141),
    martensite_fraction: float = 0.43,
    seed: int = 0,
    step: float = 0.1,
    *,
    austenite_grain_size: float | None = None,
    widmanstaetten_share: float | None = None,
    bainite_fraction: float = 0.0,
) -> DualPhaseSample:
    """Make an EBSD map of a dual-phase steel, with its ground truth.

    The map is built the way the steel is: austenite grains with annealing twins; ferrite that
    nucleates on their boundaries and grows until the wanted fraction is reached, partly as
    Widmanstaetten plates; then martensite in what is left, with Kurdjumov-Sachs variants in
    packets, blocks and laths; last the measurement, with patterns that overlap at boundaries,
    scratches, dirt, noise and pixels that are not indexed. All indexed pixels are one bcc phase,
    since EBSD cannot tell ferrite and martensite apart.

    Parameters
    ----------
    shape
        Rows and columns.
    martensite_fraction
        Area fraction, 0 to 1; met to the pixel. See `VARIANTS` for those of a published study.
    seed
        The same seed and arguments give the same map.
    step
        Distance of pixels in um.
    austenite_grain_size
        Mean diameter in um. Ferrite and packets scale with it, blocks and laths hardly. Default:
        25, less (but not below 4) for a map that would not show a few grains.
    widmanstaetten_share
        Part of the ferrite that is Widmanstaetten plates, 0 to 1, at most: plates grow only where
        they find a place. Default: 1 % at a martensite fraction of 0.43 and below, 14 % at 0.66
        and above.
    bainite_fraction
        Area fraction of bainite, in place of ferrite: sheaves that grow in the austenite before
        the rest becomes martensite, in packets of few variants, with coarser blocks, patterns and
        lattice strain between those of ferrite and martensite.

    Returns
    -------
    DualPhaseSample

    Raises
    ------
    InputError
        When an argument is out of range.

    Notes
    -----
    Maps, heat treatments and quality figures follow T. Martinez Ostormujof et al.,
    Ultramicroscopy 2022 (preprint hal-03450484); crystallography follows S. Morito et al.,
    doi:10.1016/S1359-6454(02)00577-3.

    Examples
    --------
    >>> scan, truth, *_ = dual_phase_steel((64, 64))
    >>> scan.shape
    (64, 64)
    """
    rows, columns = checked_shape(shape)
    fraction = in_range("martensite_fraction", martensite_fraction, 0.0, 1.0)
    bainite = in_range("bainite_fraction", bainite_fraction, 0.0, 1.0)
    if fraction + bainite > 1 + 1e-9:
        raise InputError("martensite_fraction and bainite_fraction are more than 1 together.")
    step = in_range("step", step, 0.001, 1e3)
    seed = checked_seed(seed)
    if austenite_grain_size is None:
        extent = float(np.sqrt(rows * columns)) * step
        low, high = max(_SMALLEST_GRAIN, 10 * step), max(_GRAIN_SIZE, 10 * step)
        size = float(np.clip(_GRAIN_IN_MAP * extent, low, high))
    else:
        size = in_range("austenite_grain_size", austenite_grain_size, 4 * step, 1e6)
    if widmanstaetten_share is None:
        share = float(np.interp(fraction, list(VARIANTS.values()), _PLATE_SHARES))
    else:
        share = in_range("widmanstaetten_share", widmanstaetten_share, 0.0, 1.0)

    # One stream of random numbers for each stage: a change in one leaves the others alone.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(8)]
    canvas = make_canvas(streams[0], (rows, columns), step, size)
    austenite = make_austenite(streams[1], canvas)
    ferrite = make_ferrite(streams[2], canvas, austenite, max(1.0 - fraction - bainite, 0.0), share)
    where = ferrite.grain < 0
    is_plate = ferrite.kind == WIDMANSTAETTEN
    in_bainite = np.zeros(where.shape, dtype=bool)
    if bainite > 0:
        wanted = min(round(bainite * where.size), int(where.sum()))
        in_bainite = bainite_region(streams[6], canvas, austenite, where, wanted)
    martensite = make_martensite(
        streams[3], canvas, austenite, where & ~in_bainite, ferrite.plates,
        ferrite.orientation[is_plate],
    )  # fmt: skip
    blocks = len(martensite.variant)
    if bainite > 0:
        sheaves = make_martensite(
            streams[7], canvas, austenite, in_bainite, [], np.zeros((0, 4)), BAINITE_FAMILY
        )
        martensite = joined(martensite, sheaves)
    is_bainite = np.arange(len(martensite.variant)) >= blocks

    grains = len(ferrite.kind)
    label = np.where(where, grains + martensite.block, ferrite.grain).astype(np.int32)
    orientation = np.concatenate([ferrite.orientation, martensite.orientation])
    quality, strain = _crystal_state(
        streams[4], orientation, ferrite.kind, martensite.is_coarse, martensite.packet, is_bainite
    )
    crystals = Crystals(label, orientation, quality, strain)
    measured = measure(streams[5], canvas, crystals, where, martensite.lath, martensite.fading)

    def of_block(values: NDArray[np.integer]) -> NDArray[np.int32]:
        full = np.zeros(where.shape, dtype=np.int32)
        full[where] = values[martensite.block[where]]
        return full

    morphology = np.zeros(where.shape, dtype=np.uint8)
    morphology[~where] = ferrite.kind[ferrite.grain[~where]]
    morphology[where] = 4 + of_block(martensite.is_coarse.astype(np.int32))[where]
    morphology[in_bainite] = 6
    scan = Scan(
        quaternions=measured.quaternions,
        phase_id=np.where(measured.is_indexed, 1, NOT_INDEXED).astype(np.int32),
        phases=_iron(),
        step=(step, step),
        prop=measured.prop,
        source=Source(
            format="synthetic",
            scan_name=f"dual-phase steel {100 * fraction:.0f} % martensite, seed {seed}"
            + (f", {100 * bainite:.0f} % bainite" if bainite else ""),
            header={
                "martensite_fraction": fraction,
                "seed": seed,
                "austenite_grain_size": size,
                "widmanstaetten_share": share,
            },
        ),
    )
    return DualPhaseSample(
        scan=scan,
        truth=np.select([in_bainite, where], [BAINITE, MARTENSITE], FERRITE).astype(np.uint8),
        prior_austenite=_consecutive(austenite.domain, None),
        ferrite_grain=_consecutive(ferrite.grain, ~where),
        packet=_consecutive(of_block(martensite.packet), where),
        block=_consecutive(martensite.block, where),
        variant=of_block(martensite.variant).astype(np.uint8),
        morphology=morphology,
    )


def _crystal_state(
    rng: np.random.Generator,
    orientation: NDArray[np.float64],
    kind: NDArray[np.int32],
    is_coarse: NDArray[np.bool_],
    packet: NDArray[np.int32],
    is_bainite: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pattern quality and lattice strain of each ferrite grain and block."""
    n, m = len(kind), len(is_coarse)
    quality, strain = np.empty(n + m), np.empty(n + m)
    quality[:n] = rng.normal(*_FERRITE_QUALITY, n)
    quality[:n] -= np.where(kind == SMALL_GRAIN, _SMALL_GRAIN_LOSS, 0.0)
    quality[:n] -= np.where(kind == WIDMANSTAETTEN, _PLATE_LOSS, 0.0)
    # A few ferrite grains are strained or badly polished.
    is_bad = rng.random(n) < _BAD_FERRITE
    quality[:n] -= np.where(is_bad, rng.uniform(*_BAD_FERRITE_LOSS, n), 0.0)
    strain[:n] = rng.gamma(_FERRITE_STRAIN, 1 / _FERRITE_STRAIN, n)
    family = rng.normal(0.0, _PACKET_SPREAD, int(packet.max(initial=-1)) + 1)
    quality[n:] = rng.normal(*_MARTENSITE_QUALITY, m) + family[packet]
    # The last blocks to form are the most strained.
    is_late = rng.random(m) < _LATE_BLOCKS
    quality[n:] -= np.where(is_late, rng.uniform(*_LATE_LOSS, m), 0.0)
    strain[n:] = rng.gamma(_MARTENSITE_STRAIN, 1 / _MARTENSITE_STRAIN, m)
    quality[n:] = np.where(is_coarse, rng.normal(*_COARSE_QUALITY, m), quality[n:])
    strain[n:] = np.where(is_coarse, _COARSE_STRAIN, strain[n:])
    if is_bainite.any():
        quality[n:][is_bainite] += _BAINITE_GAIN
        strain[n:][is_bainite] *= _BAINITE_STRAIN
    # Channelling: pattern contrast depends on the direction of the beam in the crystal.
    beam = to_matrix(orientation)[:, :, 2]
    quality += _CHANNELLING * ((beam**4).sum(axis=1) - 0.6)
    return quality, strain


def _consecutive(label: NDArray[np.int32], where: NDArray[np.bool_] | None) -> NDArray[np.int32]:
    """Number the labels from 1 in the order of their values; 0 outside `where`."""
    out = np.zeros(label.shape, dtype=np.int32)
    at = np.ones(label.shape, dtype=bool) if where is None else where
    values = label[at]
    if values.size:
        rank = np.zeros(int(values.max()) + 1, dtype=np.int32)
        used = np.zeros(len(rank), dtype=bool)
        used[values] = True
        rank[used] = np.arange(1, int(used.sum()) + 1)
        out[at] = rank[values]
    return out


def _iron() -> PhaseList:
    from diffpy.structure import Atom, Lattice, Structure

    prepare_orix()
    from orix.crystal_map import Phase, PhaseList

    a = 2.866
    atoms = [Atom("Fe", [0, 0, 0]), Atom("Fe", [0.5, 0.5, 0.5])]
    structure = Structure(title="Iron bcc", lattice=Lattice(a, a, a, 90, 90, 90), atoms=atoms)
    return PhaseList(ids=[1], phases=[Phase("Iron bcc", space_group=229, structure=structure)])
