"""Orientation fields with known curvature, and arithmetic kept apart from the package's own."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.spatial.transform import Rotation


def quaternion(rotation: Rotation) -> np.ndarray:
    return rotation.as_quat(canonical=True, scalar_first=True)


def field(shape, step, gradient, start, sigma=0.0, seed=0):
    """Crystal -> specimen quaternions of a crystal whose lattice turns about one axis.

    gradient: (3, 2) rad/um, d(theta)/d(x, y), of rank one, so that the curvature is uniform
    exactly; sigma: noise in degrees about each axis.
    """
    y, x = np.indices(shape) * np.array(step)[:, None, None]
    turn = x[..., None] * gradient[:, 0] + y[..., None] * gradient[:, 1]
    noise = np.random.default_rng(seed).standard_normal((*shape, 3)) * np.radians(sigma)
    rotation = (
        Rotation.from_rotvec(noise.reshape(-1, 3))
        * Rotation.from_rotvec(turn.reshape(-1, 3))
        * start
    )
    return quaternion(rotation).reshape(*shape, 4)


def systems_matrix(systems, turn, columns=2):
    """Curvature per density, (3 * columns, n), by plain tensor algebra."""
    matrix = turn.as_matrix()
    out = []
    for b, line in zip(systems.burgers, systems.lines, strict=True):
        alpha = np.outer(matrix @ b, matrix @ line)
        kappa = alpha.T - np.trace(alpha) / 2 * np.eye(3)
        out.append(kappa[:, :columns].ravel())
    return np.array(out).T


def highs(systems, turn, kappa, columns=2):
    """Least line energy by scipy's HiGHS, in 1/m^2."""
    matrix = systems_matrix(systems, turn, columns)
    costs = np.tile(systems.energies, 2)
    size = np.abs(kappa[:, :columns]).max()
    result = linprog(
        costs, A_eq=np.hstack((matrix, -matrix)), b_eq=kappa[:, :columns].ravel() / size
    )
    assert result.status == 0
    return result.fun * size * 1e16


def scrambled(q, group="O", seed=0):
    """Another symmetry variant in every pixel; group None leaves q alone."""
    if group is None:
        return q
    flat = q.reshape(-1, 4)
    known = np.isfinite(flat).all(1) & flat.any(1)
    variants = Rotation.create_group(group)
    pick = variants[np.random.default_rng(seed).integers(len(variants), size=known.sum())]
    out = flat.copy()
    out[known] = (Rotation.from_quat(flat[known], scalar_first=True) * pick).as_quat(
        scalar_first=True
    )
    return out.reshape(q.shape)


def random_field(shape, exponent, seed=0):
    """Random rotation vectors, 1 per axis (root mean square), mean zero.

    Their amplitudes fall as wave number ** -exponent; 1 is that of lines closer than the step, 1.5
    that of walls, 3 that of a smoothly varying bend. A map samples it at points, so it has waves
    down to half a step.
    """
    random = np.random.default_rng(seed)
    rows, columns = (4 * n for n in shape)
    k = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns))
    k[0, 0] = np.inf
    parts = []
    for _ in range(3):
        waves = np.fft.fft2(random.standard_normal((rows, columns))) * k**-exponent
        part = np.fft.ifft2(waves).real[: 2 * shape[0] : 2, : 2 * shape[1] : 2]
        parts.append((part - part.mean()) / part.std())
    return np.stack(parts, axis=-1)
