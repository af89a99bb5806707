"""Phases found as sentences, a table and classes of a layer; no Qt here."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._palette import LABEL_COLORS

if TYPE_CHECKING:
    from napari_ebsdml.patterns.phases.find import FoundPhase, FoundPhases


def headline(found: FoundPhases) -> str:
    """Each phase in a line, and what is left over, as rich text."""
    lines = [_in_a_line(number, one) for number, one in enumerate(found.clusters, 1)]
    left = 100 * left_over(found)
    if lines and left >= 0.5:
        lines.append(f"{left:.0f} % of the pixels fit no phase found.")
    return "<br>".join(lines)


def left_over(found: FoundPhases) -> float:
    """Part of the pixels that fit no phase, 0..1."""
    return float((found.scan.phase_id < 0).mean())


def _in_a_line(number: int, one: FoundPhase) -> str:
    told = [f"<b>{number}: {one.laue.system or 'no symmetry told'}</b>"]
    if one.laue.best is not None:
        others = " or ".join(sorted(one.laue.group - {one.laue.best}))
        text = f"Laue group {one.laue.best} ({100 * one.laue.probability:.0f} %"
        told.append(text + (f"; {others} not excluded)" if others else ")"))
    lattice = one.lattice
    if lattice is not None:
        text = f"{lattice.bravais}, a = {lattice.a:.2f} ± {lattice.a * lattice.uncertainty:.2f} Å"
        if lattice.bravais[0] != "c":
            text += f", c/a = {lattice.c / lattice.a:.3f}"
        if not lattice.is_energy_told:
            text += f" ({lattice.energy:g} keV assumed)"
        told.append(text)
    told.append(f"{100 * one.share:.0f} % of the indexed pixels")
    if one.elements:
        told.append(elements_in_words(one))
    line = " · ".join(told)
    return f"{line}. {escape(one.contradiction)}" if one.contradiction else line


def columns_of(found: FoundPhases) -> dict[str, list[Any]]:
    """Figures of the phases, a row each."""
    clusters = found.clusters

    def of_lattice(name: str, digits: int = 2) -> list[Any]:
        values = [getattr(one.lattice, name, "") for one in clusters]
        return [round(v, digits) if isinstance(v, float) else v for v in values]

    if not clusters:
        return {}
    elements: dict[str, list[Any]] = {}
    if any(one.elements for one in clusters):
        elements["elements %"] = [elements_in_words(one) for one in clusters]
    # Short ones first: they are seen without scrolling.
    return {
        "phase": list(range(1, len(clusters) + 1)),
        "Laue group": [one.laue.best or "none" for one in clusters],
        "p %": [round(100 * one.laue.probability) for one in clusters],
        "lattice": of_lattice("bravais"),
        "a [Å]": of_lattice("a"),
        "pixels %": [round(100 * one.share, 1) for one in clusters],
        "b [Å]": of_lattice("b"),
        "c [Å]": of_lattice("c"),
        "space groups": [
            ", ".join(str(n) for n in one.space_groups[0].numbers) if one.space_groups else ""
            for one in clusters
        ],
        **elements,
    }


def elements_in_words(one: FoundPhase) -> str:
    """Shares of a phase's element counts in per cent, such as "Fe K 70, Cr K 18, Ni K 12"."""
    return ", ".join(f"{line} {100 * v:.0f}" for line, v in one.elements.items() if v >= 0.005)


def classes_of(found: FoundPhases) -> tuple[NDArray[np.int32], list[LabelClass]]:
    """Labels of the pixels, and their classes: 0 fits none, then the phases."""
    classes = [LabelClass(0, "fits no phase", "transparent")]
    labels = np.zeros(found.scan.shape, np.int32)
    for k, (number, one) in enumerate(zip(found.phases.ids, found.clusters, strict=True)):
        labels[found.scan.phase_id == number] = k + 1
        classes.append(LabelClass(k + 1, one.name, color_of(k)))
    return labels, classes


def color_of(number: int) -> str:
    """Colour of a phase, counted from 0."""
    return LABEL_COLORS[number % len(LABEL_COLORS)]
