"""Why the classifier says so: Shapley values in the crystal frame, drawn on the pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.answers.explanation import Explanation
from napari_ebsdml.patterns.crystal_frame.model import CrystalModel
from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.bands import BANDS, band_nodes
from napari_ebsdml.patterns.frame.checks import check_patterns, geometry_of
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.frame.folded import features
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.orientations import scan_quaternions
from napari_ebsdml.patterns.frame.triangle import node_indices, to_square


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalExplanation(Explanation):
    """Shapley values of one pattern (or one grain), in log-odds of the space group.

    Attributes
    ----------
    triangle : (space groups, side, side) array
        The images in the crystal frame, as `triangle.to_square` lays it out. Both are in units of
        the group's log-odds per node of the triangle.
    folded : (side, side) array
        The folded pattern itself.
    """

    triangle: NDArray[np.float32]
    folded: NDArray[np.float32]


class _GroupScore(nn.Module):
    """Log-odds of each space group from the networks' joint logits."""

    def __init__(self, model: CrystalModel) -> None:
        super().__init__()
        self.networks = nn.ModuleList(model.networks)
        self.temperature = model.temperature
        self.groups = len(model.space_groups)
        self.register_buffer("place", torch.from_numpy(model.group_of))

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.stack([net(x) for net in self.networks]).mean(dim=0) / self.temperature
        columns = []
        for g in range(self.groups):
            mine = self.place == g
            for_it = torch.logsumexp(logits[:, mine], dim=1)
            against = torch.logsumexp(logits[:, ~mine], dim=1)
            columns.append(for_it - against)
        return torch.stack(columns, dim=1)


def explain(
    model: CrystalModel, pattern: NDArray[np.generic], orientations: Any, detector: Any,
    samples: int, frame: str | None,
) -> CrystalExplanation:  # fmt: skip
    """See `CrystalFrameClassifier.explain`.

    Notes
    -----
    Expected gradients (captum's GradientShap), doi:10.1038/s42256-021-00343-w, with the
    model's real templates as the background set.
    """
    from captum.attr import GradientShap

    pattern = np.asarray(pattern)  # lazy ones, too
    check_patterns(pattern)
    stack = pattern[None] if pattern.ndim == 2 else pattern
    if stack.ndim != 3 or not len(stack):
        raise InputError(
            f"explain needs (rows, columns) or (n, rows, columns), not {pattern.shape}."
        )
    if isinstance(orientations, np.ndarray) and not orientations.size % 4:
        orientations = orientations.reshape(-1, 4)
    # One orientation is that of all patterns of a grain.
    single = getattr(orientations, "shape", None) in ((1,), (1, 4))
    rays, _ = scan_quaternions(orientations, (1 if single else len(stack),), frame)
    rays = np.broadcast_to(rays, (len(stack), 4))
    if detector is not None and not isinstance(detector, Geometry):
        detector = Geometry.of(detector, (int(stack.shape[1]), int(stack.shape[2])))
    if isinstance(detector, Geometry) and len(detector.bounds) not in (1, len(stack)):
        # A whole map's detector: its pattern centres differ by less than a picture shows.
        mean = detector.bounds.mean(axis=0, keepdims=True)
        detector = Geometry(mean, detector.to_sample, detector.shape)
    geometry = geometry_of(stack, detector, len(stack))
    norm = np.linalg.norm(rays, axis=1, keepdims=True)
    if not (np.isfinite(norm).all() and (norm > 0.5).all()):
        raise InputError("explain needs an orientation of every pattern; one is 0 or not finite.")
    mask = find_mask(stack)
    folded = fold_patterns(stack, rays / norm, geometry, mask).total()
    x = torch.from_numpy(features(folded))
    seen = torch.from_numpy(folded.seen.astype(np.float32))
    score = _GroupScore(model).eval()
    background = torch.from_numpy(model.real.values) * seen
    method = GradientShap(score)
    values = []
    state = torch.random.get_rng_state()
    numpy_state = np.random.get_state()  # noqa: NPY002 - captum draws from the global generator
    try:
        for g in range(len(model.space_groups)):
            torch.manual_seed(0)
            np.random.seed(0)  # noqa: NPY002
            found = method.attribute(x, background, n_samples=samples, stdevs=0.05, target=g)
            values.append(found.detach().numpy()[0].astype(np.float32))
    finally:
        torch.random.set_rng_state(state)
        np.random.set_state(numpy_state)  # noqa: NPY002
    table = np.stack(values) * seen.numpy()
    # Single nodes are noise to the eye; the picture shows their surroundings' mean.
    picture = gaussian_filter(to_square(table, folded.steps), (0, 1.2, 1.2), mode="nearest")
    smooth = np.ascontiguousarray(picture[(slice(None), *node_indices(folded.steps))])
    turns = np.ascontiguousarray(to_matrix(to_kikuchipy(rays[:1])) @ geometry.to_sample)
    images = np.empty((len(table), *geometry.shape), np.float32)
    _kernels.project(
        smooth, np.arange(len(table)), np.repeat(turns, len(table), axis=0),
        geometry.bounds[:1], folded.steps, images,
    )  # fmt: skip
    images *= mask
    with torch.no_grad():
        odds = score(x)[0].double()
    chance = torch.sigmoid(odds).numpy()
    near = {hkl: band_nodes(hkl, folded.steps) for hkl in BANDS}
    bands = {}
    for g, group in enumerate(model.space_groups):
        sums = [(hkl, float(table[g][near[hkl]].sum())) for hkl in BANDS]
        bands[group] = sorted(sums, key=lambda pair: -abs(pair[1]))
    return CrystalExplanation(
        space_groups=model.space_groups, images=images, triangle=picture,
        folded=to_square(x.numpy(), folded.steps)[0], bands=bands,
        probability={group: float(chance[g]) for g, group in enumerate(model.space_groups)},
    )  # fmt: skip
