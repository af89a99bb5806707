"""Compiled parts of the line simulator: random walks, splines, pixels."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


@njit(cache=True, nogil=True)
def _mix(z):  # type: ignore[no-untyped-def]
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def start_state(seed, index):  # type: ignore[no-untyped-def]
    """State of the generator of map `index`: any map can be made again on its own."""
    state = np.empty(1, np.uint64)
    state[0] = _mix(_mix(np.uint64(seed) + _GOLDEN) + np.uint64(index) * _GOLDEN)
    return state


@njit(cache=True, nogil=True)
def uniform(state):  # type: ignore[no-untyped-def]
    """Next number in [0, 1) of the splitmix64 sequence (doi:10.1145/2660193.2660195)."""
    state[0] += _GOLDEN
    return float(_mix(state[0]) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def below(state, n):  # type: ignore[no-untyped-def]
    """Next whole number in 0..n-1."""
    return int(uniform(state) * n)


@njit(cache=True, nogil=True)
def _on_boundary(side, along, last):  # type: ignore[no-untyped-def]
    """Row and column of a place on the boundary of a square, counted round it."""
    if side == 0:
        return 0, along
    if side == 1:
        return along, last
    if side == 2:
        return last, last - along
    return last - along, 0


@njit(cache=True, nogil=True)
def _walk_nodes(state, nodes, most, start, visited, x, y):  # type: ignore[no-untyped-def]
    """Walk over lattice corners; return the number of points, 0 when it grew too long."""
    visited[:] = False
    last = nodes - 1
    i, j = _on_boundary(start // last, start % last, last)
    n = 0
    while n < most:
        x[n] = j / last
        y[n] = i / last
        visited[i * nodes + j] = True
        n += 1
        if n > 1 and (i == 0 or j == 0 or i == last or j == last):
            return n
        for _ in range(12):
            while True:
                step = below(state, 9)
                a, b = i + step // 3 - 1, j + step % 3 - 1
                if 0 <= a <= last and 0 <= b <= last:
                    break
            if not visited[a * nodes + b]:
                break
        i, j = a, b
    return 0


@njit(cache=True, nogil=True)
def _walk_edges(state, cells, most, start, x, y):  # type: ignore[no-untyped-def]
    """Walk over midpoints of cell edges; coordinates are doubled, so exactly one is odd."""
    top = 2 * cells
    a, b = _on_boundary(start // cells, 2 * (start % cells) + 1, top)
    before_a, before_b = -1, -1
    n = 0
    while n < most:
        x[n] = b / top
        y[n] = a / top
        n += 1
        if n > 1 and (a == 0 or b == 0 or a == top or b == top):
            return n
        while True:
            # Two cells share the edge; each has three further edges.
            choice = below(state, 6)
            sign = 1 if choice < 3 else -1
            kind = choice % 3
            if a % 2 == 0:  # horizontal edge: the cells lie above and below
                na, nb = (a + 2 * sign, b) if kind == 0 else (a + sign, b + 2 * kind - 3)
            else:
                na, nb = (a, b + 2 * sign) if kind == 0 else (a + 2 * kind - 3, b + sign)
            if na < 0 or nb < 0 or na > top or nb > top:
                continue
            if na != before_a or nb != before_b:
                break
        before_a, before_b, a, b = a, b, na, nb
    return 0


@njit(cache=True, nogil=True)
def _spline(cx, cy, k, degree, m, x, y):  # type: ignore[no-untyped-def]
    """Clamped uniform B-spline of `k` control points at `m` even parameters (de Boor)."""
    spans = k - degree
    dx = np.empty(degree + 1)
    dy = np.empty(degree + 1)
    for i in range(m):
        t = spans * (i / (m - 1))
        span = min(int(t), spans - 1)
        for j in range(degree + 1):
            dx[j] = cx[span + j]
            dy[j] = cy[span + j]
        for r in range(1, degree + 1):
            for j in range(degree, r - 1, -1):
                low = min(max(span + j - degree, 0), spans)
                high = min(max(span + j + 1 - r, 0), spans)
                w = (t - low) / (high - low)
                dx[j] += (w - 1.0) * (dx[j] - dx[j - 1])
                dy[j] += (w - 1.0) * (dy[j] - dy[j - 1])
        x[i] = dx[degree]
        y[i] = dy[degree]


@njit(cache=True, nogil=True)
def draw_line(state, edges, nodes, short, long, smoothing, per_point, most, visited, wx, wy, x, y):  # type: ignore[no-untyped-def]
    """Draw one smooth line over the unit square into x, y; return its number of points."""
    # One start for all attempts: else starts from which long walks are rare would be rarer.
    start = below(state, 4 * nodes if edges else 4 * (nodes - 1))
    while True:
        if edges:
            n = _walk_edges(state, nodes, long, start, wx, wy)
        else:
            n = _walk_nodes(state, nodes, long, start, visited, wx, wy)
        if n >= short:
            break
    if smoothing == 0:
        m = min(per_point * n, most)
        _spline(wx, wy, n, 3, m, x, y)
        return m
    while n > smoothing:
        m = int(0.8 * n)
        _spline(wx, wy, n, 3, m, x, y)
        wx[:m] = x[:m]
        wy[:m] = y[:m]
        n = m
    m = min(per_point * n, most)
    _spline(wx, wy, n, min(8, n - 1), m, x, y)
    return m


@njit(cache=True, nogil=True)
def _put(p, dx, dy, arc, line, mark, touched, n, lx, ly, la):  # type: ignore[no-untyped-def]
    """Add a piece of the current line to pixel `p`; return the number of touched pixels."""
    if mark[p] != line:
        mark[p] = line
        lx[p] = 0.0
        ly[p] = 0.0
        la[p] = 0.0
        touched[n] = p
        n += 1
    lx[p] += dx
    ly[p] += dy
    la[p] += arc
    return n


@njit(cache=True, nogil=True)
def _pixel(v, size):  # type: ignore[no-untyped-def]
    return min(max(int(v), 0), size - 1)


@njit(cache=True, nogil=True)
def bin_exact(x, y, m, size, line, mark, touched, lx, ly, la):  # type: ignore[no-untyped-def]
    """Cut one line where it crosses pixel edges: net vector and arc length per pixel."""
    n = 0
    for i in range(m - 1):
        ax, ay, bx, by = x[i] * size, y[i] * size, x[i + 1] * size, y[i + 1] * size
        dx, dy = bx - ax, by - ay
        arc = math.sqrt(dx * dx + dy * dy)
        jb, ib = _pixel(bx, size), _pixel(by, size)
        i0, j0 = _pixel(ay, size), _pixel(ax, size)
        t = 0.0
        while True:
            tx = ((j0 + (1 if dx > 0 else 0)) - ax) / dx if j0 != jb else 2.0
            ty = ((i0 + (1 if dy > 0 else 0)) - ay) / dy if i0 != ib else 2.0
            u = max(min(tx, ty, 1.0), t)
            f = u - t
            p = i0 * size + j0
            n = _put(p, f * dx, f * dy, f * arc, line, mark, touched, n, lx, ly, la)
            if i0 == ib and j0 == jb:
                break
            if tx <= ty:
                j0 += 1 if dx > 0 else -1
            else:
                i0 += 1 if dy > 0 else -1
            t = u
    return n


@njit(cache=True, nogil=True)
def bin_midpoint(x, y, m, size, shift, line, mark, touched, lx, ly, la):  # type: ignore[no-untyped-def]
    """Cut one line at the middle of each segment that crosses an edge, as the script does.

    A piece belongs to the pixel of the middle between its two ends, moved back by `shift`.
    """
    n = 0
    fx, fy, arc = x[0] * size, y[0] * size, 0.0
    for i in range(1, m + 1):
        # The last turn has no segment: it only closes the last piece, at the line's end.
        k = min(i, m - 1)
        ax, ay, bx, by = x[i - 1] * size, y[i - 1] * size, x[k] * size, y[k] * size
        half = 0.5 * math.sqrt((bx - ax) ** 2 + (by - ay) ** 2)
        arc += half
        if i == m or math.floor(ax) != math.floor(bx) or math.floor(ay) != math.floor(by):
            tx, ty = 0.5 * (ax + bx), 0.5 * (ay + by)
            px = _pixel(0.5 * (fx + tx) - shift, size)
            py = _pixel(0.5 * (fy + ty) - shift, size)
            p = py * size + px
            n = _put(p, tx - fx, ty - fy, arc, line, mark, touched, n, lx, ly, la)
            fx, fy, arc = tx, ty, 0.0
        arc += half
    return n


@njit(cache=True, nogil=True)
def fill_maps(  # type: ignore[no-untyped-def]
    seed, first, few, many, edges, nodes, short, long, smoothing, per_point, most,
    exact, shift, use_arc, shortest, noise, gnd, total, count,
):  # fmt: skip
    """Simulate maps `first`, `first + 1`, ... into gnd, total and count."""
    n_maps, size = total.shape[0], total.shape[1]
    visited = np.zeros(nodes * nodes, np.bool_)
    wx, wy = np.empty(long), np.empty(long)
    x, y = np.empty(max(most, long)), np.empty(max(most, long))
    mark = np.full(size * size, -1, np.int64)
    touched = np.empty(size * size, np.int64)
    lx, ly, la = np.empty(size * size), np.empty(size * size), np.empty(size * size)
    line = 0
    for k in range(n_maps):
        state = start_state(seed, first + k)
        g = gnd[k].reshape(size * size, 2)
        r = total[k].reshape(size * size)
        c = count[k].reshape(size * size)
        g[:] = 0
        r[:] = 0
        c[:] = 0
        for _ in range(few + below(state, many - few + 1)):
            m = draw_line(
                state, edges, nodes, short, long, smoothing, per_point, most, visited, wx, wy, x, y
            )
            if exact:
                n = bin_exact(x, y, m, size, line, mark, touched, lx, ly, la)
            else:
                n = bin_midpoint(x, y, m, size, shift * size, line, mark, touched, lx, ly, la)
            line += 1
            for q in range(n):
                p = touched[q]
                chord = math.sqrt(lx[p] * lx[p] + ly[p] * ly[p])
                if chord > shortest:
                    g[p, 0] += lx[p]
                    g[p, 1] += ly[p]
                    r[p] += la[p] if use_arc else chord
                    c[p] += 1
        if noise > 0:
            for p in range(size * size):
                # Box and Muller, doi:10.1214/aoms/1177706645
                radius = noise * math.sqrt(-2.0 * math.log(1.0 - uniform(state)))
                angle = 2.0 * math.pi * uniform(state)
                g[p, 0] += radius * math.cos(angle)
                g[p, 1] += radius * math.sin(angle)


@njit(cache=True, nogil=True)
def pick_crops(seed, first, gnd, total, count, radius, classes, scrambled, out_g, out_r, out_n):  # type: ignore[no-untyped-def]
    """Take equally many crops of N = 1..classes from each map that has all; return how many.

    `scrambled` mixes the densities among the crops of one map and one N, leaving the GND as
    it is: for measuring what wrongly paired labels do.
    """
    n_maps, size = total.shape[0], total.shape[1]
    places = np.empty((classes, size * size), np.int64)
    n_places = np.empty(classes, np.int64)
    room = out_r.shape[0]
    found = 0
    for k in range(n_maps):
        # Separate streams: scrambled and right labels belong to the same crops.
        state = start_state(seed ^ 0x5DEECE66D, first + k)
        mixer = start_state(seed ^ 0x2545F4914F, first + k)
        n_places[:] = 0
        for i in range(radius, size - radius):
            for j in range(radius, size - radius):
                c = count[k, i, j]
                if 1 <= c <= classes:
                    places[c - 1, n_places[c - 1]] = i * size + j
                    n_places[c - 1] += 1
        fewest = n_places.min()
        if fewest == 0:
            continue
        least = max(int(0.8 * fewest), 1)
        if found + classes * fewest > room:
            return found
        for c in range(classes):
            take = least + below(state, fewest - least + 1)
            # Partial Fisher-Yates shuffle: the first `take` places are a fair draw.
            for q in range(take):
                other = q + below(state, n_places[c] - q)
                places[c, q], places[c, other] = places[c, other], places[c, q]
            for q in range(take):
                i, j = places[c, q] // size, places[c, q] % size
                out_g[found] = gnd[k, i - radius : i + radius + 1, j - radius : j + radius + 1]
                out_n[found] = c + 1
                out_r[found] = total[k, i, j]
                found += 1
            if scrambled:
                base = found - take
                for q in range(take - 1):
                    other = q + below(mixer, take - q)
                    hold = out_r[base + q]
                    out_r[base + q] = out_r[base + other]
                    out_r[base + other] = hold
    return found
