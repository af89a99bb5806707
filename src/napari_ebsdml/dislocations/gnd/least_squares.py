"""Batched L2 fit: the density of smallest sum of squares, by the pseudo-inverse per pixel."""

from __future__ import annotations

import numpy as np
from numba import njit

from napari_ebsdml.dislocations.gnd.simplex import rotate_systems

RANK_TOLERANCE = 1e-12
"""Eigenvalues of A A^T below this share of the largest count as zero."""


@njit(cache=True, nogil=True)
def _eigen(g, v):  # type: ignore[no-untyped-def]
    """Cyclic Jacobi: the diagonal of g becomes the eigenvalues, columns of v the vectors."""
    m = g.shape[0]
    for i in range(m):
        for j in range(m):
            v[i, j] = 1.0 if i == j else 0.0
    for _ in range(30):
        off = 0.0
        trace = 0.0
        for i in range(m):
            trace += abs(g[i, i])
            for j in range(i):
                off += abs(g[i, j])
        if off <= 1e-16 * trace:
            return
        for i in range(m):
            for j in range(i + 1, m):
                if abs(g[i, j]) <= 1e-18 * trace:
                    continue
                theta = (g[j, j] - g[i, i]) / (2 * g[i, j])
                t = 1 / (abs(theta) + np.sqrt(theta * theta + 1))
                if theta < 0:
                    t = -t
                c = 1 / np.sqrt(t * t + 1)
                s = t * c
                for k in range(m):
                    a, b = g[k, i], g[k, j]
                    g[k, i], g[k, j] = c * a - s * b, s * a + c * b
                for k in range(m):
                    a, b = g[i, k], g[j, k]
                    g[i, k], g[j, k] = c * a - s * b, s * a + c * b
                for k in range(m):
                    a, b = v[k, i], v[k, j]
                    v[k, i], v[k, j] = c * a - s * b, s * a + c * b


@njit(cache=True, nogil=True)
def fit_l2(  # type: ignore[no-untyped-def]
    kappa, quaternions, burgers, lines, costs, columns, keep, total, energy, misfit, per_system
):
    """L2 fit of many pixels; arguments as for `simplex.fit_l1`. `costs` only weigh `energy`."""
    pixels, m = kappa.shape
    n = costs.size
    matrix = np.empty((m, n))
    gram = np.empty((m, m))
    vectors = np.empty((m, m))
    z = np.empty(m)
    for p in range(pixels):
        known = True
        for i in range(m):
            known = known and np.isfinite(kappa[p, i])
        norm = 0.0
        for i in range(4):
            norm += quaternions[p, i] ** 2
        if not (known and norm > 0.5 and norm < 2.0):
            continue
        rotate_systems(quaternions[p], burgers, lines, columns, matrix)
        for i in range(m):
            for j in range(i + 1):
                value = 0.0
                for s in range(n):
                    value += matrix[i, s] * matrix[j, s]
                gram[i, j] = gram[j, i] = value
        _eigen(gram, vectors)
        largest = 0.0
        for i in range(m):
            largest = max(largest, gram[i, i])
        z[:] = 0.0
        missing = 0.0
        for k in range(m):
            share = 0.0
            for i in range(m):
                share += vectors[i, k] * kappa[p, i]
            if gram[k, k] > RANK_TOLERANCE * largest:
                for i in range(m):
                    z[i] += vectors[i, k] * share / gram[k, k]
            else:
                missing += share * share
        misfit[p] = np.sqrt(missing)
        total[p] = energy[p] = 0.0
        for s in range(n):
            value = 0.0
            for i in range(m):
                value += matrix[i, s] * z[i]
            total[p] += abs(value)
            energy[p] += costs[s] * abs(value)
            if keep:
                per_system[p, s] = value
