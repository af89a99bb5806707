"""Who imports whom in the package: rooms, floors, arrows and circles, read from the source.

    python tools/import_graph.py                  the house and each of its rooms
    python tools/import_graph.py --base REVISION  the same beside that of another revision
    python tools/import_graph.py --room patterns  floors and arrows of one room ("." is the house)

A room is a package; what lies in it, modules and packages, are its rooms in turn. An arrow is an
import between two of them, inside functions too ("late"). A circle is a set of rooms each of which
imports the others by some way. A room's floor is one above the highest room that it imports, late
arrows within a circle left out; those, and what loads in a circle, are the arrows up. Imports under
``if TYPE_CHECKING`` do nothing at run time and are counted apart.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "src/napari_ebsdml"
KINDS = ("load", "late", "types")


@dataclass(frozen=True)
class Import:
    """One import: dotted names below the package, ``""`` for the package itself.

    Attributes
    ----------
    source, target
        Modules or packages.
    kind
        ``"load"`` when the source is loaded, ``"late"`` in a function, ``"types"`` for the
        type checker alone.
    line
    """

    source: str
    target: str
    kind: str
    line: int


class House:
    """All modules of a package and the imports between them."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.files: dict[str, Path] = {}
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            self.files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        self.packages = {n for n, path in self.files.items() if path.name == "__init__.py"}
        self._homes: dict[str, dict[str, str]] = {}
        self.imports = [found for name in self.files for found in self._imports_of(name)]

    def rooms(self) -> list[str]:
        """Every package that holds more than one module; ``""``, the house, first."""
        return [p for p in sorted(self.packages) if len(self.plan(p).rooms) > 1]

    def plan(self, room: str = "") -> Plan:
        """Floor plan of one room."""
        ahead = f"{room}." if room else ""

        def child(name: str) -> str | None:
            if not name.startswith(ahead) or name == room:
                return None
            return name.removeprefix(ahead).partition(".")[0]

        rooms = {c for name in self.files if (c := child(name)) is not None}
        arrows: dict[tuple[str, str], str] = {}
        for found in self.imports:
            a, b = child(found.source), child(found.target)
            if a is None or b is None or a == b:
                continue
            arrows[a, b] = min(arrows.get((a, b), found.kind), found.kind, key=KINDS.index)
        return Plan(tuple(sorted(rooms)), arrows)

    def _imports_of(self, name: str) -> Iterator[Import]:
        tree = ast.parse(self.files[name].read_text(encoding="utf-8"))
        aliases: dict[str, tuple[str, str]] = {}
        for node, kind in _with_kind(tree.body, "load"):
            for target, called in self._targets(name, node):
                if called and target in self.packages:
                    aliases[called] = target, kind
                yield Import(name, target, kind, node.lineno)
        # `import package as p; p.name` imports what the package would fetch.
        for use in ast.walk(tree):
            if isinstance(use, ast.Attribute) and isinstance(use.value, ast.Name):
                target, kind = aliases.get(use.value.id, ("", ""))
                if kind and (found := self._home(target, use.attr)) != target:
                    yield Import(name, found, kind, use.lineno)

    def _targets(self, name: str, node: ast.stmt) -> Iterator[tuple[str, str]]:
        """Modules that a statement imports; and the name it gives to a package."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                below = self._below(alias.name)
                if below is not None:
                    called = alias.asname or ("" if "." in alias.name else alias.name)
                    yield self._module(below), called
        elif isinstance(node, ast.ImportFrom):
            start = self._below(node.module or "") if not node.level else self._relative(name, node)
            if start is not None:
                for alias in node.names:
                    found = self._home(self._module(start), alias.name)
                    yield found, (alias.asname or alias.name) if found in self.packages else ""

    def _below(self, dotted: str) -> str | None:
        if dotted == self.name:
            return ""
        ahead = f"{self.name}."
        return dotted.removeprefix(ahead) if dotted.startswith(ahead) else None

    def _relative(self, name: str, node: ast.ImportFrom) -> str:
        parts = name.split(".") if name else []
        up = node.level - (name in self.packages)
        parts = parts[: len(parts) - up] if up else parts
        return ".".join([*parts, *([node.module] if node.module else [])])

    def _module(self, dotted: str) -> str:
        """The longest beginning of a dotted name that is a module."""
        while dotted and dotted not in self.files:
            dotted = dotted.rpartition(".")[0]
        return dotted

    def _home(self, package: str, attribute: str) -> str:
        """Module that `attribute` of a package comes from."""
        inner = f"{package}.{attribute}" if package else attribute
        if inner in self.files:
            return inner
        return (
            self._exports(package).get(attribute, package) if package in self.packages else package
        )

    def _exports(self, package: str) -> dict[str, str]:
        """Names that a package passes on, from its stub (`lazy_loader`) or its own imports."""
        if package not in self.packages:
            return {}
        if package not in self._homes:
            self._homes[package] = {}
            path = self.files[package]
            for source in (path, path.with_suffix(".pyi")):
                if not source.exists():
                    continue
                for node in ast.parse(source.read_text(encoding="utf-8")).body:
                    if isinstance(node, ast.ImportFrom) and node.level == 1:
                        start = self._module(self._relative(package, node))
                        for alias in node.names:
                            home = self._home(start, alias.name)
                            self._homes[package][alias.asname or alias.name] = home
        return self._homes[package]


def _with_kind(body: Iterable[ast.stmt], kind: str) -> Iterator[tuple[ast.stmt, str]]:
    """All statements, with the kind that an import there would have."""
    for node in body:
        yield node, kind
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _with_kind(node.body, "late" if kind == "load" else kind)
            continue
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, name, [])
            if name in ("handlers", "cases"):
                inner = [statement for part in inner for statement in part.body]
            types = name == "body" and isinstance(node, ast.If) and _is_type_checking(node.test)
            yield from _with_kind(inner, "types" if types else kind)


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


@dataclass(frozen=True)
class Plan:
    """Rooms of one package and the arrows between them, each with its strongest kind."""

    rooms: tuple[str, ...]
    arrows: Mapping[tuple[str, str], str]

    def of_kind(self, *kinds: str) -> list[tuple[str, str]]:
        """Arrows of some kinds."""
        return sorted(arrow for arrow, kind in self.arrows.items() if kind in kinds)

    @cached_property
    def floor(self) -> dict[str, int]:
        """Floor of each room, from 0; rooms that load each other in a circle share one."""
        circle_of = {room: n for n, circle in enumerate(self.circles) for room in circle}
        arrows = self.of_kind("load") + [
            (a, b) for a, b in self.of_kind("late")
            if a not in circle_of or circle_of[a] != circle_of.get(b)
        ]  # fmt: skip
        groups = _circles(self.rooms, arrows)
        group_of = {room: g for g, group in enumerate(groups) for room in group}
        found: dict[int, int] = {}
        # Groups come with what they import before them.
        for g, group in enumerate(groups):
            below = {group_of[b] for a, b in arrows if a in group} - {g}
            found[g] = 1 + max((found[other] for other in below), default=-1)
        return {room: found[group_of[room]] for room in self.rooms}

    @property
    def up(self) -> list[tuple[str, str]]:
        """Arrows at run time that do not end on a lower floor."""
        return [(a, b) for a, b in self.of_kind("load", "late") if self.floor[b] >= self.floor[a]]

    @property
    def circles(self) -> list[list[str]]:
        """Circles at run time."""
        return self._circles("load", "late")

    @property
    def type_circles(self) -> list[list[str]]:
        """Circles that types alone close or widen."""
        return [c for c in self._circles(*KINDS) if c not in self.circles]

    def _circles(self, *kinds: str) -> list[list[str]]:
        return sorted(sorted(g) for g in _circles(self.rooms, self.of_kind(*kinds)) if len(g) > 1)

    def figures(self) -> list[int]:
        """Rooms, floors, arrows, late ones among them, up, circles, types only, type circles."""
        return [
            len(self.rooms), 1 + max(self.floor.values(), default=-1),
            len(self.of_kind("load", "late")), len(self.of_kind("late")), len(self.up),
            len(self.circles), len(self.of_kind("types")), len(self.type_circles),
        ]  # fmt: skip


def _circles(rooms: Iterable[str], arrows: Iterable[tuple[str, str]]) -> list[set[str]]:
    """Strongly connected components (Tarjan), those that are imported first."""
    ends: dict[str, list[str]] = {room: [] for room in rooms}
    for a, b in arrows:
        ends[a].append(b)
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(room: str) -> None:
        number[room] = lowest[room] = len(number)
        stack.append(room)
        for end in ends[room]:
            if end not in number:
                visit(end)
                lowest[room] = min(lowest[room], lowest[end])
            elif end in stack:
                lowest[room] = min(lowest[room], number[end])
        if lowest[room] == number[room]:
            at = stack.index(room)
            found.append(set(stack[at:]))
            del stack[at:]

    for room in ends:
        if room not in number:
            visit(room)
    return found


HEAD = ("rooms", "floors", "arrows", "late", "up", "circles", "types", "type circles")


def table(house: House, base: House | None = None) -> str:
    """Figures of the house and its rooms, beside those of `base`: before > after."""
    lines: list[tuple[str, ...]] = [("room", *HEAD)]
    names = house.rooms() + ([r for r in base.rooms() if r not in house.rooms()] if base else [])
    for name in sorted(names):
        after = house.plan(name).figures() if name in house.packages else []
        before = base.plan(name).figures() if base and name in base.packages else []
        cells = [str(value) for value in after] or ["-"] * len(HEAD)
        if base is not None:
            old = [str(value) for value in before] or ["-"] * len(HEAD)
            cells = [b if a == b else f"{b} > {a}" for a, b in zip(cells, old, strict=True)]
        lines.append((name or "the house", *cells))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def faults(house: House) -> list[str]:
    """A line for each arrow up and each circle."""
    lines = []
    for name in house.rooms():
        plan, where = house.plan(name), name or "the house"
        lines += [f"{where}: up, {a} -> {b} ({plan.arrows[a, b]})" for a, b in plan.up]
        lines += [f"{where}: circle, {' '.join(circle)}" for circle in plan.circles]
        lines += [f"{where}: circle of types, {' '.join(circle)}" for circle in plan.type_circles]
    return lines


def floors(plan: Plan) -> str:
    """Floors of a room from the top down, and what each of its rooms imports."""
    lines = []
    for floor in range(max(plan.floor.values(), default=-1), -1, -1):
        lines.append(f"floor {floor}")
        for room in plan.rooms:
            if plan.floor[room] == floor:
                ends = [
                    b + {"load": "", "late": " (late)", "types": " (types)"}[kind]
                    for (a, b), kind in sorted(plan.arrows.items()) if a == room
                ]  # fmt: skip
                lines.append(f"  {room}" + (f" -> {', '.join(ends)}" if ends else ""))
    return "\n".join(lines)


def at_revision(revision: str) -> House:
    """The package as it was at a revision of the repository."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", revision, PACKAGE],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if archive.returncode:
        raise SystemExit(archive.stderr.decode(errors="replace").strip())
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(folder, filter="data")
        return House(Path(folder) / PACKAGE)


def main(arguments: list[str] | None = None) -> int:
    """Print what is asked for; 1 when anything points up or runs in a circle."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--base", metavar="REVISION", help="compare with this revision")
    parser.add_argument("--room", help="floors and arrows of one room; . is the house")
    given = parser.parse_args(arguments)
    house = House(ROOT / PACKAGE)
    if given.room is not None:
        room = given.room.strip("./").replace("/", ".")
        if room not in house.packages:
            parser.error(f"there is no room {given.room!r}; there are {', '.join(house.rooms())}")
        print(floors(house.plan(room)))
        return 0
    base = at_revision(given.base) if given.base else None
    print(table(house, base))
    found = faults(house)
    if base is not None:
        print("\nbefore:", *(faults(base) or ["nothing up, no circle"]), sep="\n  ")
    print("\nnow:" if base else "", *(found or ["nothing up, no circle"]), sep="\n  ")
    return int(any(": circle of types" not in line for line in found))


if __name__ == "__main__":
    sys.exit(main())
