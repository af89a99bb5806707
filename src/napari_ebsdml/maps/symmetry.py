"""Proper rotations of the eleven Laue classes as quaternion arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._orix import laue_group_of
from napari_ebsdml._parallel import over_rows
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.io._phase_text import LAUE_CLASSES as LAUE_CLASSES
from napari_ebsdml.scan import Scan, checked_scan

if TYPE_CHECKING:
    from orix.crystal_map import Phase
    from orix.quaternion.symmetry import Symmetry

    CrystalSymmetry: TypeAlias = Phase | Symmetry | str | int

_BLOCK = 1 << 14


@dataclass(frozen=True, eq=False)
class PhaseTable:
    """What the kernels need to know about the phases of a scan.

    Attributes
    ----------
    quaternions : (rows, columns, 4) float64
        Those of the scan, contiguous in memory.
    index : (rows, columns) int32
        Which row of the other arrays holds a pixel's phase; -1 where there is no orientation.
    ids : (phases,) int32
        `Scan.phase_id` of each row.
    operators : (phases, most operators, 4) float64
        Proper rotations; rows past `count` are 0.
    count : (phases,) int64
        24 exactly for Laue class m-3m, which the kernels treat in closed form.
    safe_cosine : (phases,) float64
        A misorientation whose |w| is above this is a disorientation already.
    """

    quaternions: NDArray[np.float64]
    index: NDArray[np.int32]
    ids: NDArray[np.int32]
    operators: NDArray[np.float64]
    count: NDArray[np.int64]
    safe_cosine: NDArray[np.float64]

    @property
    def symmetry(self) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """What the kernels take: operators, how many, safe cosine."""
        return self.operators, self.count, self.safe_cosine


def point_group(symmetry: CrystalSymmetry) -> Symmetry:
    """Point group of a phase, of a Hermann-Mauguin name or of a space-group number.

    Raises
    ------
    InputError
        When the name or the number is not one of orix's.
    MissingDataError
        When the phase has no point group.
    """
    from orix.crystal_map import Phase
    from orix.quaternion.symmetry import Symmetry

    if isinstance(symmetry, Symmetry):
        return symmetry
    if isinstance(symmetry, Phase):
        group = symmetry.point_group
        if group is None:
            raise MissingDataError(
                f"Phase {symmetry.name!r} has no point group; give it one, for example "
                'scan.phases["name"].point_group = "m-3m".'
            )
        return _setting(symmetry, group)
    try:
        if isinstance(symmetry, int | np.integer) and not isinstance(symmetry, bool):
            if not 1 <= symmetry <= 230:
                raise ValueError
            return point_group(Phase(space_group=int(symmetry)))
        if isinstance(symmetry, str):
            # orix has these two under the names that tell their axis.
            name = {"2": "112", "m": "11m"}.get(symmetry, symmetry)
            return Phase(point_group=name).point_group
    except ValueError:
        pass
    raise InputError(
        f"{symmetry!r} is not a crystal symmetry; give an orix Phase or Symmetry, a point group "
        'such as "m-3m" or a space-group number from 1 to 230.'
    )


# Space groups 312, 31m and -31m: twofold axes at right angles to a, not along it.
_AXES_ACROSS_A = frozenset({149, 151, 153, 157, 159, 162, 163})


def _setting(phase: Phase, group: Symmetry) -> Symmetry:
    """Point group with its axes where the lattice or the space group says that they are.

    orix knows one setting of each point group: twofold axis along c for monoclinic, along a for
    trigonal. The usual monoclinic setting has it along b (y, at a right angle to a and c*).
    """
    from orix.quaternion.symmetry import C2y, C2z, D3y

    # orix has no name for the Laue class of its group m, that of space groups 6 to 9.
    laue = laue_group_of(group).name or "2/m"
    if laue == "2/m" and group.name not in ("211", "121", "112", "m11", "1m1", "11m"):
        lattice = phase.structure.lattice
        right = abs(lattice.alpha - 90) < 1e-6 and abs(lattice.gamma - 90) < 1e-6
        if right and abs(lattice.beta - 90) > 1e-6:
            return C2y
        return C2z if group.name == "m" else group
    number = phase.space_group.number if phase.space_group is not None else None
    return D3y if laue == "-3m" and number in _AXES_ACROSS_A else group


def laue_class(symmetry: CrystalSymmetry) -> str:
    """Name of the Laue class, one of `LAUE_CLASSES`; see `point_group` for the errors."""
    return str(laue_group_of(point_group(symmetry)).name or "2/m")


def laue_operators(symmetry: CrystalSymmetry) -> NDArray[np.float64]:
    """Proper rotations of the Laue class.

    A diffraction pattern does not tell a crystal from its inverse, so every point group counts
    with the proper rotations of its Laue class: 432 and -43m both as the 24 of m-3m.

    Parameters
    ----------
    symmetry
        orix `Phase` or `Symmetry`, Hermann-Mauguin name or space-group number.

    Returns
    -------
    (n, 4) float64, read-only
        Unit quaternions w, x, y, z in orix's crystal frame, the identity first, w >= 0.

    Raises
    ------
    InputError, MissingDataError
        As `point_group`.

    Examples
    --------
    >>> laue_operators("m-3m").shape, laue_operators("6/mmm").shape
    ((24, 4), (12, 4))
    """
    if isinstance(symmetry, str):
        return _operators_by_name(symmetry)
    return _operators(point_group(symmetry))


@lru_cache(maxsize=64)
def _operators_by_name(name: str) -> NDArray[np.float64]:
    return _operators(point_group(name))


def _operators(group: Symmetry) -> NDArray[np.float64]:
    data = np.asarray(laue_group_of(group).data, dtype=np.float64)
    return _rotations(data.tobytes())


@lru_cache(maxsize=64)
def _rotations(elements: bytes) -> NDArray[np.float64]:
    quaternions = np.frombuffer(elements).reshape(-1, 4)
    # The Laue class has the inversion, so the rotation parts of its improper elements are
    # proper elements, too; taking all and dropping repeats keeps each rotation once.
    kept: list[NDArray[np.float64]] = []
    for q in quaternions:
        if all(abs(float(q @ other)) < 1 - 1e-6 for other in kept):
            first = next(float(c) for c in q if abs(c) > 1e-9)
            kept.append(q * np.sign(first) / np.linalg.norm(q))
    # Small angles first, then one order for all groups of a class: ties are broken by it.
    operators = np.array(sorted(kept, key=lambda q: tuple(-q.round(9))))
    operators[np.abs(operators) < 1e-15] = 0
    operators.flags.writeable = False
    return operators


def safe_cosine(operators: NDArray[np.float64]) -> float:
    """Cosine of a half angle below which no operator can make a misorientation smaller.

    With t the smallest rotation angle of an operator, a misorientation below t/2 is smaller
    than all its equivalents by the triangle inequality.
    """
    if len(operators) == 1:
        return 0.0
    smallest = 2 * np.arccos(np.abs(operators[1:, 0]).max())
    return float(np.cos(smallest / 4))


def phase_table(scan: Scan) -> PhaseTable:
    """Gather the symmetry of every phase that the scan uses, and where orientations are.

    Raises
    ------
    InputError
        When quaternions are not of unit length.
    MissingDataError
        When indexed pixels exist but none has an orientation, or a phase has no point group.
    """
    checked_scan(scan)
    lowest, highest = int(scan.phase_id.min()), int(scan.phase_id.max())
    every = [i for i in sorted(scan.phases.ids) if lowest <= i <= highest and i >= 0]
    index = np.empty(scan.shape, dtype=np.int32)
    ids = np.array(every, dtype=np.int32)
    seen = np.zeros(len(every), dtype=np.bool_)
    # One memory layout, so that the kernels compile once.
    quaternions = np.ascontiguousarray(scan.quaternions)
    phase_id = np.ascontiguousarray(scan.phase_id)
    bad, oriented, indexed = _fill_index(quaternions, phase_id, ids, index, seen)
    if bad >= 0:
        at = tuple(int(i) for i in np.unravel_index(bad, scan.shape))
        raise InputError(
            f"The quaternion at (row, column) {at} of {scan.name} is {scan.quaternions[at]}, "
            "which is not of unit length; normalise the quaternions (0 where not indexed)."
        )
    if indexed and not oriented:
        raise MissingDataError(
            f"{scan.name} has no orientations (all quaternions are 0); read a file that holds "
            "Euler angles or quaternions."
        )
    operators = [
        laue_operators(scan.phases[i]) if used else np.array([[1.0, 0.0, 0.0, 0.0]])
        for i, used in zip(every, seen, strict=True)
    ]
    most = max((len(o) for o in operators), default=1)
    packed = np.zeros((max(len(operators), 1), most, 4))
    for row, rotations in zip(packed, operators, strict=False):
        row[: len(rotations)] = rotations
    return PhaseTable(
        quaternions,
        index,
        ids,
        packed,
        np.array([len(o) for o in operators], dtype=np.int64),
        np.array([safe_cosine(o) for o in operators], dtype=np.float64),
    )


def _fill_index(
    q: NDArray[np.float64],
    phase_id: NDArray[np.int32],
    ids: NDArray[np.int32],
    index: NDArray[np.int32],
    seen: NDArray[np.bool_],
) -> tuple[int, int, int]:
    """Fill `index` and `seen`; first pixel with a bad quaternion, or -1, and two numbers of pixels.

    The numbers are those of pixels with an orientation and of indexed ones. No kernel: every
    first map would wait for it to be compiled.
    """
    bad: list[int] = []
    oriented: list[int] = []
    indexed: list[int] = []
    used = [np.zeros(len(ids), dtype=np.bool_)]
    # Row of each phase by its number, unless numbers are huge.
    row_of = np.zeros(min(int(ids.max(initial=0)), 1 << 16) + 1, dtype=np.int32)
    narrow = not len(ids) or ids[-1] < len(row_of)
    if narrow:
        row_of[ids] = np.arange(len(ids), dtype=np.int32)

    def work(first: int, end: int) -> None:
        for start in range(first, end, step):
            here = slice(start, min(start + step, end))
            quaternions, phases = q[here], phase_id[here]
            norm = np.einsum("ijk,ijk->ij", quaternions, quaternions)
            known = phases >= 0
            turned = known & (norm != 0)
            # Written so that NaN counts as bad.
            unit = np.abs(norm - 1) < 1e-3
            wrong = turned & ~unit
            if wrong.any():
                bad.append(start * phases.shape[1] + int(wrong.argmax()))
            turned &= unit
            indexed.append(int(np.count_nonzero(known)))
            oriented.append(int(np.count_nonzero(turned)))
            rows = row_of[phases] if narrow else np.searchsorted(ids, phases)
            index[here] = rows = np.where(turned, rows, -1)
            used.append(np.bincount(rows.ravel() + 1, minlength=len(ids) + 1)[1:] > 0)

    step = max(1, _BLOCK // max(index.shape[1], 1))
    over_rows(work, index.shape)
    seen[:] = np.any(used, axis=0)
    return min(bad, default=-1), sum(oriented), sum(indexed)
