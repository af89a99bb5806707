"""How a `Scan` looks in napari: quality, further properties, IPF-Z colours, phases."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import LayerTuple, add_result, layer_data
from napari_ebsdml.scan import NOT_INDEXED, Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from orix.crystal_map import Phase

# Names of the property that looks most like a micrograph, best first, in lower case and
# without spaces and underscores.
_QUALITY = (
    "bc", "bandcontrast", "iq", "imagequality", "patternquality", "radonquality",
    "dp", "dotproduct", "ncc", "scores", "ci", "confidenceindex", "mad", "bs", "bandslope",
)  # fmt: skip

# Grey levels are for what an image detector saw; figures get a scale that is not a picture's.
_PICTURES = frozenset(_QUALITY[:6]) | {"bs", "bandslope", "sem", "semsignal", "pattern intensity"}

_UNITS = {"mad": "°", "meanangulardeviation": "°", "fit": "°"}

_PATTERN_BYTES = 256 << 20


def map_layers(scan: Scan, translate: Sequence[float] = (0.0, 0.0)) -> list[LayerTuple]:
    """Layers of a scan, bottom to top.

    A quality image (BC, IQ or the like), IPF-Z colours, phases (hidden Labels layer). Further
    columns of the file are added on demand; see `columns`.

    Parameters
    ----------
    scan
    translate
        Place of the first pixel in um, (y, x).
    """
    return _layers((scan,), tuple(translate))


def stack_layers(
    scans: Sequence[Scan], translate: Sequence[float] = (0.0, 0.0)
) -> list[LayerTuple]:
    """Layers of serial sections as volumes, bottom to top; sections must have the same size."""
    return _layers(tuple(scans), (0.0, *translate))


def can_stack(scans: Sequence[Scan]) -> bool:
    """Whether scans have the same size and step, so that they may be sections of one volume."""
    first = scans[0]
    return len(scans) > 1 and all(
        scan.shape == first.shape and np.allclose(scan.step, first.step, rtol=1e-3)
        for scan in scans[1:]
    )


def _layers(scans: tuple[Scan, ...], translate: tuple[float, ...]) -> list[LayerTuple]:
    which: Any = scans[0] if len(scans) == 1 else scans
    names = _properties(scans)
    if names:
        data, unit, looks = _column(scans, names[0])
        # Whatever it measures, it is the picture that everything else lies on.
        looks["colormap"] = "gray"
        layers = [layer_data(which, data, names[0], unit, translate=translate, **looks)]
    else:
        layers = [layer_data(which, *_instead_of_quality(scans), translate=translate)]
    indexed = any(scan.is_indexed.any() for scan in scans)
    if indexed:
        colors = _ipf(scans)
        if colors is not None:
            layers.append(layer_data(which, colors, "IPF-Z", kind="rgb", translate=translate))
        labels, classes = phase_labels(scans)
        layers.append(
            layer_data(
                which,
                labels,
                "phase",
                kind="phases",
                classes=classes,
                translate=translate,
                visible=False,
            )
        )
    return layers


def columns(scans: Sequence[Scan]) -> list[str]:
    """Numeric columns of the file that `map_layers` shows no layer of, and that vary."""
    return _properties(scans)[1:]


def add_column(viewer: ViewerModel, scans: Sequence[Scan], name: str) -> Layer:
    """Show a column of the file as a layer of the map, or of the stack of sections."""
    data, unit, looks = _column(tuple(scans), name)
    which: Any = scans[0] if len(scans) == 1 else tuple(scans)
    return add_result(viewer, which, data, name, unit, replace=True, **looks)


def _column(scans: Sequence[Scan], name: str) -> tuple[NDArray[Any], str, dict[str, Any]]:
    looks = {"colormap": "gray" if _key(name) in _PICTURES else "viridis"}
    return _stack([scan.prop[name] for scan in scans]), unit_of(scans[0], name), looks


def unit_of(scan: Scan, name: str) -> str:
    """Unit of a column of the file, as people write it; "" for none."""
    return scan.units.get(name) or _UNITS.get(_key(name), "")


def _key(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _properties(scans: Sequence[Scan]) -> list[str]:
    """Numeric properties that all scans have, the most picture-like first.

    Those that are the same everywhere (columns that the vendor leaves empty) get no layer.
    """
    shared = [
        name
        for name, values in scans[0].prop.items()
        if values.dtype.kind in "biuf"
        and all(name in scan.prop for scan in scans[1:])
        and any(_varies(scan.prop[name]) for scan in scans)
    ]
    ranked = [name for name in shared if _key(name) in _QUALITY]
    if ranked:
        best = min(ranked, key=lambda name: _QUALITY.index(_key(name)))
        shared.remove(best)
        shared.insert(0, best)
    return shared


def _varies(values: NDArray[Any]) -> bool:
    first = values.flat[0]
    return bool((values != first).any()) and not bool(np.isnan(values).all())


def _stack(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.stack(arrays)


def _instead_of_quality(scans: Sequence[Scan]) -> tuple[NDArray[Any], str]:
    """An image for maps without any property: brightness of the patterns, or what was indexed."""
    if all(scan.patterns is not None for scan in scans):
        images = [_pattern_intensity(scan) for scan in scans]
        return _stack([image for image, _ in images]), images[0][1]
    return _stack([scan.is_indexed for scan in scans]), "indexed"


def _pattern_intensity(scan: Scan) -> tuple[NDArray[np.float32], str]:
    """Mean intensity of each pattern; of every n-th in a large file, so that opening is quick."""
    patterns = scan.patterns
    assert patterns is not None
    every = max(1, int(np.ceil(np.sqrt(patterns.nbytes / _PATTERN_BYTES))))
    means = patterns[::every, ::every].mean(axis=(2, 3), dtype=np.float32).compute()
    rows, columns = scan.shape
    image = means.repeat(every, axis=0).repeat(every, axis=1)[:rows, :columns]
    name = "pattern intensity" + (f" (every {every}th)" if every > 1 else "")
    return np.ascontiguousarray(image), name


def _ipf(scans: Sequence[Scan]) -> NDArray[Any] | None:
    """IPF-Z colours; NaN for phases whose symmetry the file does not tell, None when all are."""
    from napari.utils.notifications import show_warning

    from napari_ebsdml.maps.ipf import ipf_colors

    known = [_with_symmetry(scan) for scan in scans]
    lost = sorted({name for _, names in known for name in names})
    if lost:
        show_warning(
            f"{scans[0].name}: the file does not tell the symmetry of {', '.join(lost)}; "
            "its pixels have no IPF colours."
        )
    if not any(scan.is_indexed.any() for scan, _ in known):
        return None
    return _stack([ipf_colors(scan) for scan, _ in known])


def _with_symmetry(scan: Scan) -> tuple[Scan, list[str]]:
    """The scan without the phases that have no point group, and the names of those."""
    unknown = {n: phase.name for n, phase in scan.phases if n >= 0 and phase.point_group is None}
    lost = np.isin(scan.phase_id, list(unknown))
    if not lost.any():
        return scan, []
    names = [unknown[int(n)] for n in np.unique(scan.phase_id[lost])]
    rest = dataclasses.replace(
        scan,
        phase_id=np.where(lost, NOT_INDEXED, scan.phase_id),
        quaternions=np.where(lost[..., np.newaxis], 0.0, scan.quaternions),
    )
    return rest, names


def phase_labels(
    scan: Scan | Sequence[Scan],
) -> tuple[NDArray[np.int32], list[LabelClass]]:
    """Phases as labels: position of the phase in ``scan.phases`` plus 1, 0 where not indexed.

    Of several scans the phases of all are listed, in the order in which they first appear.

    Returns
    -------
    labels : (rows, columns), of a sequence of scans (scans, rows, columns)
    classes
        Names and colours, label 0 ("not indexed") included.
    """
    scans = (scan,) if isinstance(scan, Scan) else tuple(scan)
    classes = [LabelClass(0, "not indexed", "transparent")]
    known: dict[tuple[Any, ...], int] = {}
    images = []
    for one in scans:
        lookup = np.zeros(max([*one.phases.ids, 0]) + 2, dtype=np.int32)
        for number, phase in one.phases:
            if number < 0:
                continue
            # Two phases of one map stay two, even when a header gives them the same name.
            key = _identity(phase) if len(scans) > 1 else (number,)
            if key not in known:
                known[key] = len(known) + 1
                classes.append(LabelClass(known[key], phase.name, phase.color_rgb))
            lookup[number + 1] = known[key]
        images.append(lookup[one.phase_id + 1])
    return _stack(images), classes


def _identity(phase: Phase) -> tuple[Any, ...]:
    group = phase.space_group.number if phase.space_group else None
    point_group = phase.point_group.name if phase.point_group is not None else None
    return phase.name, group, point_group
