"""Dislocation networks of ParaDiS and OpenDiS: nodes and the links between them.

The format is text: parameters up to ``nodalData``, then each node's tag, position, number of
arms and constraint, and under it for each arm the tag of the other node, the Burgers vector
and the plane normal.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.structures.lines import Lines
from napari_ebsdml.errors import FileFormatError


@dataclass(frozen=True, eq=False)
class Network:
    """A network in its periodic cube.

    Attributes
    ----------
    start, along : (n, 3) arrays
        Links in the file's unit of length, which is the Burgers vector's length.
    burgers : (n, 3) array
        In units of b.
    edge
        Edge of the cube.
    """

    start: NDArray[np.float64]
    along: NDArray[np.float64]
    burgers: NDArray[np.float64]
    edge: float

    @property
    def density(self) -> float:
        """Line length per volume in 1 / b^2; over b^2 in m^2 it is the density in 1/m^2."""
        return float(np.linalg.norm(self.along, axis=1).sum()) / self.edge**3

    def lines(self, size: int = 96) -> Lines:
        """The network on a grid of `size` voxels along each edge, for `elastic_field`."""
        scale = size / self.edge
        return Lines(
            (self.start * scale).astype(np.float32),
            (self.along * scale).astype(np.float32),
            self.burgers.astype(np.float32),
            size,
        )


def read_network(path: str | os.PathLike[str]) -> Network:
    """Read a ParaDiS or OpenDiS nodal data file.

    Parameters
    ----------
    path
        File with ``nodalData``, not split over several.

    Raises
    ------
    FileFormatError
        When it is none, is cut short, is split, its box is no cube, or a link does not agree
        with that of the node at its other end.
    """
    where = Path(path)
    try:
        text = where.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FileFormatError(where, f"{error.strerror}.") from error
    text = re.sub(r"#[^\n]*", "", text)
    head, found, body = text.partition("nodalData")
    if not found:
        raise FileFormatError(where, "no ParaDiS or OpenDiS file: it has no nodalData.")
    low = _parameter(head, "minCoordinates", 3, where)
    high = _parameter(head, "maxCoordinates", 3, where)
    if int(_parameter(head, "numFileSegments", 1, where)[0]) != 1:
        raise FileFormatError(where, "the network is split over several files; write it to one.")
    number = int(_parameter(head, "nodeCount", 1, where)[0])
    edges = high - low
    if not (edges[0] > 0 and np.allclose(edges, edges[0], rtol=1e-6)):
        raise FileFormatError(where, f"the box must be a cube, not {edges.tolist()}.")
    words = body.partition("=")[2].replace(",", " ").split()
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError as error:
        raise FileFormatError(where, f"nodalData holds what is no number ({error}).") from None
    places: dict[tuple[int, int], NDArray[np.float64]] = {}
    links: dict[tuple[tuple[int, int], tuple[int, int], int], NDArray[np.float64]] = {}
    at = 0
    for _ in range(number):
        if at + 7 > len(values):
            raise FileFormatError(where, f"the file ends before its {number} nodes do.")
        tag = int(values[at]), int(values[at + 1])
        places[tag] = values[at + 2 : at + 5]
        arms = int(values[at + 5])
        at += 7
        if at + 8 * arms > len(values):
            raise FileFormatError(where, f"the file ends before its {number} nodes do.")
        seen: dict[tuple[int, int], int] = {}
        for arm in values[at : at + 8 * arms].reshape(arms, 8):
            other = int(arm[0]), int(arm[1])
            # Two nodes may be joined by more than one link: number them.
            seen[other] = seen.get(other, 0) + 1
            links[tag, other, seen[other]] = arm[2:5]
        at += 8 * arms
    start, along, burgers = [], [], []
    for (first, second, which), vector in links.items():
        back = links.get((second, first, which))
        if back is None or second not in places:
            raise FileFormatError(where, f"node {first} has a link to {second}, not vice versa.")
        single = (second, first, 2) not in links
        if single and not np.allclose(vector, -back, atol=1e-3):
            raise FileFormatError(where, f"the ends of link {first}-{second} disagree.")
        if first < second:
            step = places[second] - places[first]
            start.append(places[first] - low)
            along.append(step - edges[0] * np.round(step / edges[0]))
            burgers.append(vector)
    if not start:
        raise FileFormatError(where, "the network has no link.")
    return Network(np.array(start), np.array(along), np.array(burgers), float(edges[0]))


def _parameter(head: str, name: str, number: int, where: Path) -> NDArray[np.float64]:
    found = re.search(rf"{name}\s*=\s*\[?([^\]=a-zA-Z]*(?:[eE][-+]?\d+[^\]=a-zA-Z]*)*)", head)
    words = found.group(1).split()[:number] if found else []
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError:
        values = np.array([])
    if values.size != number:
        raise FileFormatError(where, f"{name} is missing, or not {number} numbers.")
    return values
