"""Why the classifier says so: Shapley values in the crystal frame, drawn on the pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.bands import BANDS, band_nodes
from napari_ebsdml.patterns.frame.flatten import find_mask
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.frame.folded import features
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.frame.triangle import node_indices, to_square

if TYPE_CHECKING:
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier


@dataclass(frozen=True, eq=False)
class Explanation:
    """Shapley values of one pattern (or one grain).

    Attributes
    ----------
    space_groups : tuple of int
        Order of the first axis of the images.
    images : (space groups, rows, columns) array
        On the detector: positive where the pattern speaks for a space group, negative where
        against it. In units of the group's log-odds per node of the triangle.
    triangle : (space groups, side, side) array
        The same in the crystal frame, as `triangle.to_square` lays it out.
    folded : (side, side) array
        The folded pattern itself.
    bands : dict of space group -> list of ((h, k, l), value)
        Sum of the values along each band of low indices, the most decisive first. Bands cross, so
        that the sums overlap.
    probability : dict of space group -> float
    """

    space_groups: tuple[int, ...]
    images: NDArray[np.float32]
    triangle: NDArray[np.float32]
    folded: NDArray[np.float32]
    bands: dict[int, list[tuple[tuple[int, int, int], float]]]
    probability: dict[int, float]


class _GroupScore(nn.Module):
    """Log-odds of each space group from the networks' joint logits."""

    def __init__(self, classifier: SpaceGroupClassifier) -> None:
        super().__init__()
        self.networks = nn.ModuleList(classifier.networks)
        self.temperature = classifier.temperature
        self.groups = len(classifier.space_groups)
        self.register_buffer("place", torch.from_numpy(classifier._group_of))

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
    classifier: SpaceGroupClassifier, pattern: NDArray[np.generic], quaternions: ArrayLike | None,
    detector: Any, samples: int,
) -> Explanation:  # fmt: skip
    """See `SpaceGroupClassifier.explain`.

    Notes
    -----
    Expected gradients (captum's GradientShap), doi:10.1038/s42256-021-00343-w, with the
    classifier's real templates as the background set.
    """
    from captum.attr import GradientShap

    stack = pattern[None] if pattern.ndim == 2 else pattern
    if stack.ndim != 3 or not len(stack):
        raise InputError(
            f"explain needs (rows, columns) or (n, rows, columns), not {pattern.shape}."
        )
    given = None if quaternions is None else np.asarray(quaternions, float).reshape(-1, 4)
    if given is not None and len(given) == 1:
        given = np.repeat(given, len(stack), axis=0)
    if detector is not None and not isinstance(detector, Geometry):
        detector = Geometry.of(detector, (int(stack.shape[1]), int(stack.shape[2])))
    if isinstance(detector, Geometry) and len(detector.bounds) not in (1, len(stack)):
        # A whole map's detector: its pattern centres differ by less than a picture shows.
        mean = detector.bounds.mean(axis=0, keepdims=True)
        detector = Geometry(mean, detector.to_sample, detector.shape)
    _, rays, geometry = classifier._check(stack, given, detector)
    norm = np.linalg.norm(rays, axis=1, keepdims=True)
    if not (np.isfinite(norm).all() and (norm > 0.5).all()):
        raise InputError("explain needs an orientation of every pattern; one is 0 or not finite.")
    mask = find_mask(stack)
    folded = fold_patterns(stack, rays / norm, geometry, mask).total()
    x = torch.from_numpy(features(folded))
    seen = torch.from_numpy((folded.count > 0.3).astype(np.float32))
    score = _GroupScore(classifier).eval()
    background = torch.from_numpy(classifier._real.values) * seen
    method = GradientShap(score)
    values = []
    state = torch.random.get_rng_state()
    numpy_state = np.random.get_state()  # noqa: NPY002 - captum draws from the global generator
    try:
        for g in range(len(classifier.space_groups)):
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
    for g, group in enumerate(classifier.space_groups):
        sums = [(hkl, float(table[g][near[hkl]].sum())) for hkl in BANDS]
        bands[group] = sorted(sums, key=lambda pair: -abs(pair[1]))
    return Explanation(
        classifier.space_groups, images, picture,
        to_square(x.numpy(), folded.steps)[0], bands,
        {group: float(chance[g]) for g, group in enumerate(classifier.space_groups)},
    )  # fmt: skip
