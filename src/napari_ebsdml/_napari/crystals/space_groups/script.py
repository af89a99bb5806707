"""What the page "Name the space groups" does, as a script; no Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_ebsdml._napari.crystals.space_groups.cameras import (
    OWN,
    REFINE_PATTERNS,
    REFINED,
    SEARCH,
    CameraChoice,
)
from napari_ebsdml._napari.shell.script import call, reading, script
from napari_ebsdml.errors import InputError
from napari_ebsdml.options import changes
from napari_ebsdml.patterns.settings import ClassifySettings
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry


def classify_script(
    scan: Scan,
    entries: Sequence[ModelEntry],
    settings: ClassifySettings,
    camera: CameraChoice,
    start: CameraChoice,
) -> str:
    """Classify a map with each of some models, and tell how often each answer was given.

    Parameters
    ----------
    scan, entries, settings, camera
        As for `classify.classify`.
    start
        What a refined geometry was refined from.

    Raises
    ------
    InputError
        When a model is in no file, or the map is in none.
    """
    imports = ["import numpy as np"]
    lines = [f"scan = {reading(scan)}"]
    arguments: list[str] = []
    if start.source == OWN:
        assert scan.patterns is not None
        imports.append("from napari_ebsdml.camera import Camera")
        shape = tuple(int(size) for size in scan.patterns.shape[2:])
        values: dict[str, Any] = {
            "shape": shape, "pc": start.pc, "convention": start.convention,
            "sample_tilt": start.sample_tilt, "tilt": start.tilt,
        }  # fmt: skip
        made = call("Camera", **values)
        lines.append(f"detector = {made}")
        arguments = ["detector=detector"]
    if camera.source == REFINED:
        imports.append("from napari_ebsdml.patterns import refine_scan")
        first = "detector" if start.source == OWN else "scan.detector"
        lines.append(f"detector, moved = refine_scan(scan, {first}, {REFINE_PATTERNS})")
        arguments = ["detector=detector"]
    if camera.source == SEARCH:
        imports.insert(0, "import dataclasses")
        lines += [
            "# The file's orientations and geometry are not used: both are searched for.",
            "everywhere = np.ones(scan.shape, bool)",
            "scan = dataclasses.replace(scan.without(everywhere), camera=None)",
        ]
    chosen = changes(settings)
    ambiguous = chosen.pop("ambiguous", True)
    imports.append("from napari_ebsdml.patterns.answers.compare import answers_of")
    for entry in entries:
        if entry.is_trained_here:
            raise InputError(
                f"{entry.name} is in no file that a script could load: save it under Model first."
            )
        own = arguments if entry.needs_orientations else []
        predict = call("classifier.predict_scan", "scan", *own, **chosen)
        file = repr(f"{entry.name}-space-groups.npy")
        lines += [
            "",
            f"classifier = ebsdml.SpaceGroupClassifier.load({str(entry.source)!r})",
            f"result = {predict}",
            f"answers = answers_of(result, ambiguous={ambiguous!r})",
            "for kind, number in zip(answers.kinds, answers.count()):",
            "    print(kind, number)",
            f"np.save({file}, result.space_group)",
        ]
    return script("Space groups", imports, lines)
