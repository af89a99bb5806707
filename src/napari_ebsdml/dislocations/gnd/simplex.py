"""Batched L1 fit: a small linear programme per pixel, solved exactly.

``minimise sum_s u_s |rho_s|  subject to  A rho = kappa``, with A different in every pixel (six or
nine rows, one column per dislocation type). Since rho is free in sign, every basis of columns is
feasible once each basic variable takes the sign it needs, so no first phase is needed and the
basis of the pixel before is a valid start. The ratio test walks over sign changes while the
objective still falls (Barrodale and Roberts, SIAM J. Numer. Anal. 10 (1973) 839,
doi 10.1137/0710069), which needs fewer pivots than the same programme in split variables.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SEGMENT = 256
"""Pixels that share a chain of warm starts; fixed, so that no result depends on threads."""
ARTIFICIAL = 1e5
"""Cost of curvature that the systems cannot explain, relative to the cheapest dislocation."""
TOLERANCE = 1e-9
MAX_PIVOTS = 500


@njit(cache=True, nogil=True)
def rotate_systems(q, burgers, lines, columns, matrix):  # type: ignore[no-untyped-def]
    """Curvature per density of each system in the specimen frame: (3 * columns, n) `matrix`.

    kappa_ij = l_i b_j - delta_ij (b . l) / 2; row ``columns * i + j``. burgers, lines: (3, n) in
    the crystal frame; q crystal -> specimen. `columns` is how many derivatives are known: 2 or 3.
    """
    norm = q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]
    w, x, y, z = q[0], q[1], q[2], q[3]
    f = 2.0 / norm
    r00 = 1 - f * (y * y + z * z)
    r01 = f * (x * y - w * z)
    r02 = f * (x * z + w * y)
    r10 = f * (x * y + w * z)
    r11 = 1 - f * (x * x + z * z)
    r12 = f * (y * z - w * x)
    r20 = f * (x * z - w * y)
    r21 = f * (y * z + w * x)
    r22 = 1 - f * (x * x + y * y)
    for s in range(burgers.shape[1]):
        p, t, v = burgers[0, s], burgers[1, s], burgers[2, s]
        g, h, k = lines[0, s], lines[1, s], lines[2, s]
        half = 0.5 * (p * g + t * h + v * k)
        b0 = r00 * p + r01 * t + r02 * v
        b1 = r10 * p + r11 * t + r12 * v
        l0 = r00 * g + r01 * h + r02 * k
        l1 = r10 * g + r11 * h + r12 * k
        l2 = r20 * g + r21 * h + r22 * k
        matrix[0, s] = l0 * b0 - half
        matrix[1, s] = l0 * b1
        matrix[columns, s] = l1 * b0
        matrix[columns + 1, s] = l1 * b1 - half
        matrix[2 * columns, s] = l2 * b0
        matrix[2 * columns + 1, s] = l2 * b1
        if columns == 3:
            b2 = r20 * p + r21 * t + r22 * v
            matrix[2, s] = l0 * b2
            matrix[5, s] = l1 * b2
            matrix[8, s] = l2 * b2 - half


@njit(cache=True, nogil=True)
def _invert(work, inverse, m):  # type: ignore[no-untyped-def]
    """Gauss-Jordan with row pivoting of `work` (m, m), destroyed; False when nearly singular."""
    for i in range(m):
        for j in range(m):
            inverse[i, j] = 1.0 if i == j else 0.0
    for k in range(m):
        best, size = k, abs(work[k, k])
        for i in range(k + 1, m):
            if abs(work[i, k]) > size:
                best, size = i, abs(work[i, k])
        if size < 1e-6:
            return False
        if best != k:
            for j in range(m):
                work[k, j], work[best, j] = work[best, j], work[k, j]
                inverse[k, j], inverse[best, j] = inverse[best, j], inverse[k, j]
        factor = 1.0 / work[k, k]
        for j in range(m):
            work[k, j] *= factor
            inverse[k, j] *= factor
        for i in range(m):
            if i != k:
                factor = work[i, k]
                if factor != 0.0:
                    for j in range(m):
                        work[i, j] -= factor * work[k, j]
                        inverse[i, j] -= factor * inverse[k, j]
    return True


@njit(cache=True, nogil=True)
def solve_l1(matrix, costs, kappa, basis, inverse, work, x, y, price):  # type: ignore[no-untyped-def]
    """One pixel. Overwrites `basis` (in: where to start), `inverse`, `x` and the dual `y`.

    matrix (m, n), costs (n,), kappa (m,); work (3, m, m), price (n,) scratch. A basis entry
    n + i stands for the artificial column of row i. Returns the number of pivots, or -1.
    """
    m, n = matrix.shape
    d = work[1, 0]
    sign = work[1, 1]
    cost = work[1, 2]
    right = work[1, 3]
    size = 0.0
    for i in range(m):
        size = max(size, abs(kappa[i]))
    for i in range(m):
        right[i] = kappa[i] / size
    for attempt in range(3):
        if attempt:
            # A degenerate vertex made the pivots go round: move the right-hand side off it.
            for i in range(m):
                right[i] = kappa[i] / size + 1e-11 * 10.0**attempt * (1 + i * 0.37) * (-1) ** i
                basis[i] = n + i
        for i in range(m):
            for k in range(m):
                if basis[k] < n:
                    work[0, i, k] = matrix[i, basis[k]]
                else:
                    work[0, i, k] = 1.0 if i == basis[k] - n else 0.0
        if not _invert(work[0], inverse, m):
            for i in range(m):
                basis[i] = n + i
                for k in range(m):
                    inverse[i, k] = 1.0 if i == k else 0.0
        for i in range(m):
            value = 0.0
            for k in range(m):
                value += inverse[i, k] * right[k]
            x[i] = value
            sign[i] = 1.0 if value >= 0 else -1.0
            cost[i] = costs[basis[i]] if basis[i] < n else ARTIFICIAL
        for pivot in range(MAX_PIVOTS):
            for k in range(m):
                value = 0.0
                for i in range(m):
                    value += cost[i] * sign[i] * inverse[i, k]
                y[k] = value
            first = y[0]
            for s in range(n):
                price[s] = first * matrix[0, s]
            for k in range(1, m):
                value = y[k]
                for s in range(n):
                    price[s] += value * matrix[k, s]
            enter, gain = -1, TOLERANCE
            for s in range(n):
                excess = abs(price[s]) - costs[s]
                if excess > gain:
                    enter, gain = s, excess
            if enter < 0:
                _finish(matrix, kappa, basis, inverse, work, x)
                return pivot
            direction = 1.0 if price[enter] > 0 else -1.0
            for i in range(m):
                value = 0.0
                for k in range(m):
                    value += inverse[i, k] * matrix[k, enter]
                d[i] = direction * value
            # Walk along the edge over sign changes until the objective stops falling.
            slope = -gain
            leave = -1
            length = 0.0
            while slope < -1e-12:
                leave = -1
                nearest = np.inf
                for i in range(m):
                    if d[i] * sign[i] > 1e-9:
                        ratio = max(x[i] / d[i], 0.0)
                        if ratio < nearest or (
                            ratio == nearest and leave >= 0 and abs(d[i]) > abs(d[leave])
                        ):
                            leave, nearest = i, ratio
                if leave < 0:
                    break
                length = nearest
                slope += 2 * cost[leave] * abs(d[leave])
                sign[leave] = -sign[leave]
            if leave < 0:
                break
            for i in range(m):
                x[i] -= length * d[i]
            basis[leave] = enter
            cost[leave] = costs[enter]
            sign[leave] = direction
            x[leave] = direction * length
            factor = 1.0 / (direction * d[leave])
            for k in range(m):
                inverse[leave, k] *= factor
            for i in range(m):
                if i != leave:
                    factor = direction * d[i]
                    for k in range(m):
                        inverse[i, k] -= factor * inverse[leave, k]
    return -1


@njit(cache=True, nogil=True)
def _finish(matrix, kappa, basis, inverse, work, x):  # type: ignore[no-untyped-def]
    """Basic variables for the unperturbed right-hand side, refined once."""
    m, n = matrix.shape
    rest = work[1, 4]
    for i in range(m):
        rest[i] = kappa[i]
        x[i] = 0.0
    for _ in range(2):
        for i in range(m):
            for k in range(m):
                x[i] += inverse[i, k] * rest[k]
        for i in range(m):
            rest[i] = kappa[i]
        for k in range(m):
            if basis[k] < n:
                for i in range(m):
                    rest[i] -= matrix[i, basis[k]] * x[k]
            else:
                rest[basis[k] - n] -= x[k]


@njit(cache=True, nogil=True)
def fit_l1(  # type: ignore[no-untyped-def]
    kappa,
    quaternions,
    burgers,
    lines,
    costs,
    columns,
    keep,
    total,
    energy,
    misfit,
    per_system,
    dual,
):
    """L1 fit of many pixels.

    kappa (pixels, 3 * columns); quaternions (pixels, 4); burgers, lines (3, n) scaled so that the
    shortest Burgers vector is 1. Fills total, energy, misfit (pixels,), per_system (pixels, n)
    when `keep`, and dual (pixels, 3 * columns) when it has any rows. Pixels with NaN in kappa are
    left as they are. Returns how many pixels could not be solved.
    """
    pixels, m = kappa.shape
    n = costs.size
    segments = (pixels + SEGMENT - 1) // SEGMENT
    failed = 0
    matrix = np.empty((m, n))
    price = np.empty(n)
    basis = n + np.arange(m)
    inverse = np.empty((m, m))
    work = np.empty((3, m, m))
    x = np.empty(m)
    y = np.empty(m)
    for segment in range(segments):
        basis[:] = n + np.arange(m)
        for p in range(segment * SEGMENT, min((segment + 1) * SEGMENT, pixels)):
            largest = 0.0
            known = True
            for i in range(m):
                known = known and np.isfinite(kappa[p, i])
                largest = max(largest, abs(kappa[p, i]))
            norm = 0.0
            for i in range(4):
                norm += quaternions[p, i] ** 2
            if not (known and norm > 0.5 and norm < 2.0):
                continue
            total[p] = energy[p] = misfit[p] = 0.0
            if keep:
                per_system[p, :] = 0.0
            if dual.shape[0]:
                dual[p, :] = 0.0
            if largest < 1e-290:
                continue
            rotate_systems(quaternions[p], burgers, lines, columns, matrix)
            if solve_l1(matrix, costs, kappa[p], basis, inverse, work, x, y, price) < 0:
                failed += 1
                total[p] = energy[p] = misfit[p] = np.nan
                if keep:
                    per_system[p, :] = np.nan
                basis[:] = n + np.arange(m)
                continue
            for i in range(m):
                s = basis[i]
                if s < n:
                    total[p] += abs(x[i])
                    energy[p] += costs[s] * abs(x[i])
                    if keep:
                        per_system[p, s] = x[i]
                else:
                    misfit[p] += abs(x[i])
                if dual.shape[0]:
                    dual[p, i] = y[i]
    return failed
