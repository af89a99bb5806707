"""One symmetry variant per grain, and the mean orientation that follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.disorientation import nearest_operator, rotate_to_variant
from napari_ebsdml.maps.grains import check_labels
from napari_ebsdml.maps.symmetry import PhaseTable, phase_table

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


def homogenise(scan: Scan, labels: ArrayLike, progress: Progress = None) -> NDArray[np.float64]:
    """Quaternions with one symmetry variant and one sign inside each grain.

    Indexing software picks any of the equivalent orientations for each pixel, so raw quaternions
    jump within a grain. Here every pixel takes the equivalent (and the sign) closest to the
    pixel from which it is reached, walking through the grain. The grain as a whole is then
    turned so that its mean lies in the fundamental zone (smallest rotation angle, w >= 0), which
    makes the result independent of the variants in the file.

    Parameters
    ----------
    scan
        Map with orientations.
    labels : (rows, columns) int
        Grains, as from `segment_grains`; 0 for no grain.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (rows, columns, 4) float64
        w, x, y, z, specimen -> crystal; 0 where not indexed. Indexed pixels of no grain are
        reduced to the fundamental zone one by one.

    Raises
    ------
    InputError
        When the labels do not fit the scan, or a grain covers two phases.
    MissingDataError
        When the scan has no orientations or a phase has no point group.

    Notes
    -----
    T. Martinez Ostormujof et al. (2021), https://hal.univ-lorraine.fr/hal-03450484, section 3.2.
    """
    return variants_and_means(scan, check_labels(scan, labels), phase_table(scan), progress)[0]


def grain_mean_orientation(scan: Scan, labels: ArrayLike) -> NDArray[np.float64]:
    """Mean orientation of each grain.

    The unit quaternion m that maximises the sum of (q . m)^2 over the grain, every q taken in
    the variant that makes the grain continuous (see `homogenise`).

    Parameters
    ----------
    scan
        Map with orientations.
    labels : (rows, columns) int
        Grains, as from `segment_grains`; 0 for no grain.

    Returns
    -------
    (labels.max() + 1, 4) float64
        Row i belongs to label i, in the fundamental zone; 0 for label 0, and for labels without
        an indexed pixel.

    Raises
    ------
    InputError, MissingDataError
        As `homogenise`.

    Notes
    -----
    Markley et al., J. Guid. Control Dyn. 30 (2007) 1193, doi:10.2514/1.28949.
    """
    return variants_and_means(scan, check_labels(scan, labels), phase_table(scan))[1]


def variants_and_means(
    scan: Scan, labels: NDArray[np.int32], table: PhaseTable, progress: Progress = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]:
    """Homogenised quaternions, mean per label, and row of `table` per label (-1: none)."""
    n_labels = int(labels.max()) + 1
    out = np.zeros_like(table.quaternions)
    means = np.zeros((n_labels, 4))
    phase = np.full(n_labels, -1, dtype=np.int32)
    mixed = _phase_of_labels(labels, table.index, phase)
    if mixed > 0:
        ids = np.unique(scan.phase_id[(labels == mixed) & (table.index >= 0)])
        raise InputError(
            f"Label {mixed} covers pixels of phases {ids.tolist()}; a grain must be of one phase. "
            "Split the label by phase, or use segment_grains."
        )
    _walk(table.quaternions, table.index, labels, n_labels, *table.symmetry, out)
    if progress is not None:
        progress(0.7)
    _means(out, table.index, labels, means)
    _to_fundamental_zone(out, table.index, labels, phase, *table.symmetry[:2], means)
    if progress is not None:
        progress(1.0)
    return out, means, phase


@njit(cache=True, nogil=True)
def _phase_of_labels(labels: Any, index: Any, phase: Any) -> int:
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            label, p = labels[i, j], index[i, j]
            if label > 0 and p >= 0:
                if phase[label] < 0:
                    phase[label] = p
                elif phase[label] != p:
                    return int(label)
    return 0


@njit(cache=True, nogil=True)
def _walk(
    q: Any, index: Any, labels: Any, n_labels: int, operators: Any, count: Any, safe: Any, out: Any
) -> None:
    rows, columns = labels.shape
    first = np.full(n_labels, -1, dtype=np.int32)
    seen = np.zeros((rows, columns), dtype=np.bool_)
    queue = np.empty(rows * columns, dtype=np.int32)
    for si in range(rows):
        for sj in range(columns):
            label, p = labels[si, sj], index[si, sj]
            if p < 0 or seen[si, sj]:
                continue
            seen[si, sj] = True
            out[si, sj] = q[si, sj]
            if label <= 0:
                continue
            if first[label] < 0:
                first[label] = si * columns + sj
            else:
                # A grain in several pieces: line the pieces up with the first.
                at = first[label]
                k, sign = nearest_operator(
                    q[si, sj], out[at // columns, at % columns], operators[p], count[p]
                )
                rotate_to_variant(q[si, sj], operators[p], k, sign, out[si, sj])
            queue[0] = si * columns + sj
            head, tail = 0, 1
            while head < tail:
                i, j = queue[head] // columns, queue[head] % columns
                head += 1
                here = out[i, j]
                for side in range(4):
                    k = i + (side == 0) - (side == 1)
                    m = j + (side == 2) - (side == 3)
                    if k < 0 or m < 0 or k == rows or m == columns or seen[k, m]:
                        continue
                    if labels[k, m] != label or index[k, m] < 0:
                        continue
                    seen[k, m] = True
                    near = q[k, m]
                    c = (
                        near[0] * here[0] + near[1] * here[1]
                        + near[2] * here[2] + near[3] * here[3]
                    )  # fmt: skip
                    if abs(c) >= safe[p]:
                        at, sign = 0, (1.0 if c > 0 else -1.0)
                    else:
                        at, sign = nearest_operator(near, here, operators[p], count[p])
                    rotate_to_variant(near, operators[p], at, sign, out[k, m])
                    queue[tail] = k * columns + m
                    tail += 1


@njit(cache=True, nogil=True)
def _means(q: Any, index: Any, labels: Any, means: Any) -> None:
    # Upper triangle of the sum of q q^T per grain; its first eigenvector is the mean.
    sums = np.zeros((len(means), 10))
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            label = labels[i, j]
            if label <= 0 or index[i, j] < 0:
                continue
            n = 0
            for a in range(4):
                means[label, a] += q[i, j, a]
                for b in range(a, 4):
                    sums[label, n] += q[i, j, a] * q[i, j, b]
                    n += 1
    t = np.empty((4, 4))
    new = np.empty(4)
    for label in range(1, len(means)):
        m = means[label]
        n = 0
        for a in range(4):
            for b in range(a, 4):
                t[a, b] = t[b, a] = sums[label, n]
                n += 1
        if t[0, 0] + t[1, 1] + t[2, 2] + t[3, 3] == 0:
            continue
        # Power iteration from the plain sum: within a grain one eigenvalue is far above the rest.
        m /= np.sqrt(m[0] ** 2 + m[1] ** 2 + m[2] ** 2 + m[3] ** 2)
        for _ in range(100):
            for a in range(4):
                new[a] = t[a, 0] * m[0] + t[a, 1] * m[1] + t[a, 2] * m[2] + t[a, 3] * m[3]
            new /= np.sqrt(new[0] ** 2 + new[1] ** 2 + new[2] ** 2 + new[3] ** 2)
            change = 0.0
            for a in range(4):
                change = max(change, abs(new[a] - m[a]))
                m[a] = new[a]
            if change < 1e-15:
                break


@njit(cache=True, nogil=True)
def _to_fundamental_zone(
    q: Any, index: Any, labels: Any, phase: Any, operators: Any, count: Any, means: Any
) -> None:
    identity = np.array([1.0, 0.0, 0.0, 0.0])
    chosen = np.zeros(len(means), dtype=np.int32)
    signs = np.ones(len(means))
    for label in range(1, len(means)):
        p = phase[label]
        if p >= 0:
            k, sign = nearest_operator(means[label], identity, operators[p], count[p])
            rotate_to_variant(means[label], operators[p], k, sign, means[label])
            chosen[label], signs[label] = k, sign
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            p, label = index[i, j], labels[i, j]
            if p < 0:
                continue
            if label > 0:
                k, sign = chosen[label], signs[label]
            else:
                k, sign = nearest_operator(q[i, j], identity, operators[p], count[p])
            rotate_to_variant(q[i, j], operators[p], k, sign, q[i, j])
