"""Synthetic twinned metals: which part of a grain is the matrix, and which the twin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.twins import HCP_TWIN_PLANES
from napari_ebsdml.scan import NOT_INDEXED, Scan, Source

from ._austenite import make_canvas
from ._checks import checked_seed, checked_shape, in_range
from ._fields import scattered_points, smooth_field
from ._growth import Nuclei, grow
from ._instrument import Instrument, crystal_quality, observe
from ._lamellae import cubic_twins, hexagonal_twins, insert_twins, textured
from ._rotations import from_rotation_vector
from .deformed import _phase_list

MATRIX, TWIN = 1, 2
"""Values of `TwinnedSample.truth`."""


class TwinnedSample(NamedTuple):
    """A synthetic map; all arrays have its shape and know every pixel, indexed or not."""

    scan: Scan
    truth: NDArray[np.uint8]
    """1 matrix, 2 twin."""
    grain: NDArray[np.int32]
    """Matrix or twin crystal, from 1."""
    host: NDArray[np.int32]
    """Grain, with its twins, from 1."""


def twinned(
    shape: tuple[int, int] = (300, 400),
    seed: int = 0,
    step: float = 0.3,
    *,
    crystal: str = "hcp",
    planes: tuple[str, ...] = ("{10-12}",),
    grain_size: float = 20.0,
    twins: float = 1.5,
    twin_width: float = 0.05,
    bend: float = 0.8,
    texture: float = 0.3,
    instrument: Instrument | None = None,
) -> TwinnedSample:
    """Make a map of twinned grains.

    Parameters
    ----------
    shape
        Rows and columns.
    seed
        The same seed and arguments give the same map.
    step
        Distance of pixels in um.
    crystal
        ``"hcp"``: deformation twins, lenses; ``"fcc"``: annealing twins, slabs.
    planes
        Of hcp crystals: names in `napari_ebsdml.maps.twins.HCP_TWIN_PLANES`; each grain takes one.
    grain_size
        Mean diameter in um.
    twins
        Mean number of lamellae in a grain.
    twin_width
        Mean half width of a lamella to the grain size.
    bend
        Slow bending of the lattice in degrees.
    texture
        Part of the grains that have one of a few orientations, 0 to 1.
    instrument
        How it is measured.

    Returns
    -------
    TwinnedSample

    Raises
    ------
    InputError
        When an argument is out of range.
    """
    rows, columns = checked_shape(shape)
    step = in_range("step", step, 0.001, 1e3)
    size = in_range("grain_size", grain_size, 4 * step, 1e6)
    number = in_range("twins", twins, 0.0, 50.0)
    width = in_range("twin_width", twin_width, 0.0, 1.0) * size
    share = in_range("texture", texture, 0.0, 1.0)
    bend = in_range("bend", bend, 0.0, 30.0)
    if crystal not in ("hcp", "fcc"):
        raise InputError(f"crystal must be 'hcp' or 'fcc', not {crystal!r}.")
    unknown = [name for name in planes if name not in HCP_TWIN_PLANES]
    if unknown or not planes:
        raise InputError(f"planes must be of {', '.join(HCP_TWIN_PLANES)}, not {planes!r}.")
    seen = instrument or Instrument()
    streams = [
        np.random.default_rng(s) for s in np.random.SeedSequence(checked_seed(seed)).spawn(4)
    ]
    rng = streams[0]
    canvas = make_canvas(rng, (rows, columns), step, size)
    low, high = np.array([-size, -size, -size / 2]), np.array([*canvas.size, 0]) + size
    points = scattered_points(rng, low, high, size)
    n = len(points)
    nuclei = Nuclei(
        points, np.broadcast_to(np.eye(3), (n, 3, 3)).copy(), 0.2 * size * rng.normal(size=n),
        np.zeros(n, dtype=np.int32),
    )  # fmt: skip
    nowhere = np.zeros((rows, columns), dtype=np.int32)
    label, _ = grow(canvas.bent_x, canvas.bent_y, nowhere, nuclei)
    turn = textured(rng, n, share, 3, 12.0)
    rng = streams[1]
    host = np.arange(n, dtype=np.int32)
    groups = rng.integers(len(planes), size=n)
    for k, plane in enumerate(planes if crystal == "hcp" else ("",)):
        law = hexagonal_twins(plane) if crystal == "hcp" else cubic_twins()
        grains = np.flatnonzero(groups == k) if crystal == "hcp" else np.arange(n)
        label, turn, _, more = insert_twins(
            rng, canvas, label, turn, law, grains, crystal == "hcp", number, width
        )
        host = np.concatenate([host, more[len(host) :]])
    rng = streams[2]
    strain = rng.gamma(2.0, 0.5, len(turn))[label][..., None]
    field = np.stack([smooth_field(rng, label.shape, step, size / 2) for _ in range(3)], axis=-1)
    orientation = multiply(from_rotation_vector(np.deg2rad(bend * strain * field)), turn[label])
    rng = streams[3]
    quality = 0.8 + crystal_quality(rng, seen, len(turn))[label]
    q, is_indexed, prop = observe(rng, seen, label, orientation, quality, step)
    scan = Scan(
        quaternions=q,
        phase_id=np.where(is_indexed, 0, NOT_INDEXED).astype(np.int32),
        phases=_phase_list(crystal),
        step=(step, step),
        prop=prop,
        source=Source(
            format="synthetic",
            scan_name=f"twinned {crystal}, seed {seed}",
            header={"seed": seed, "grain_size": size, "twins": number},
        ),
    )

    def from_one(values: NDArray[np.integer]) -> NDArray[np.int32]:
        found = np.unique(values, return_inverse=True)[1].reshape(values.shape) + 1
        return np.asarray(found, dtype=np.int32)

    truth = np.where(label >= n, TWIN, MATRIX).astype(np.uint8)
    return TwinnedSample(scan, truth, from_one(label), from_one(host[label]))
