"""What a batch tells while it runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class BatchEvent:
    """Where a batch is.

    Attributes
    ----------
    kind
        "start", "progress" (within maps), "file" (one is done), "tables" (they were written),
        "lost" (the cluster was, and is looked for again) or "end".
    fraction
        Of the whole, 0..1, by the size of the files.
    done, total
        Files.
    seconds_left
        Estimated; None until there is something to estimate from.
    name
        Of the file that is done.
    rows
        Of "file": rows of the summary, one for each map in the file.
    says, notes
        Of "file": what is worth saying, and what to be careful about.
    skipped
        Of "file": it was done before, and is whole.
    """

    kind: str
    fraction: float
    done: int
    total: int
    seconds_left: float | None = None
    name: str = ""
    rows: Sequence[Mapping[str, Any]] = ()
    says: Sequence[str] = ()
    notes: Sequence[str] = ()
    skipped: bool = False


@dataclass
class Pace:
    """How far a batch is, and how long it will last at the pace so far.

    Parameters
    ----------
    sizes
        What each file weighs.
    """

    sizes: Sequence[float]
    started: float = field(default_factory=time.monotonic)
    finished: set[int] = field(default_factory=set)
    parts: dict[int, float] = field(default_factory=dict)
    free: float = 0.0
    """Weight of what cost nothing, since it was done before."""

    def part(self, number: int, fraction: float) -> None:
        """A file is done to this part."""
        if number not in self.finished:
            self.parts[number] = max(self.parts.get(number, 0.0), min(1.0, fraction))

    def finish(self, number: int, skipped: bool) -> None:
        """A file is done."""
        self.finished.add(number)
        self.parts.pop(number, None)
        if skipped:
            self.free += self.sizes[number]

    @property
    def weight(self) -> float:
        """Weight of what is done."""
        whole = sum(self.sizes[number] for number in self.finished)
        return whole + sum(self.sizes[n] * part for n, part in self.parts.items())

    @property
    def fraction(self) -> float:
        """Part that is done, 0..1."""
        total = sum(self.sizes)
        return min(1.0, self.weight / total) if total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before there is one."""
        worked = self.weight - self.free
        if worked <= 0:
            return None
        spent = time.monotonic() - self.started
        return spent * max(0.0, sum(self.sizes) - self.weight) / worked

    def event(self, kind: str, **told: Any) -> BatchEvent:
        """An event that says where the batch is."""
        return BatchEvent(
            kind, self.fraction, len(self.finished), len(self.sizes), self.seconds_left, **told
        )
