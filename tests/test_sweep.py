"""Every function on every odd map: a result, or one error of the package."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffpy.structure import Lattice, Structure
from orix.crystal_map import Phase, PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml import EbsdmlError, Scan, dislocations, io, maps, patterns, segmentation
from napari_ebsdml.io import from_xmap
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.segmentation import truth
from napari_ebsdml.segmentation.settings import TrainingSettings, UNetSettings
from tests.dislocations.test_hexagonal import hexagonal_scan

pytestmark = pytest.mark.filterwarnings("ignore")


def phase(name: str, space_group: int, a: float = 3.0) -> Phase:
    lattice = Lattice(a, a, a, 90, 90, 90)
    return Phase(name, space_group=space_group, structure=Structure(lattice=lattice))


IRON = phase("iron", 229, 2.866)
NEAR = (12, 14)


def made(shape: tuple[int, int], spread: float = 3.0, **changes: Any) -> Scan:
    """Orientations about one, so far apart that a map of them has boundaries, or nearer."""
    rng = np.random.default_rng(0)
    q = np.array([0.9, 0.1, 0.2, 0.3]) + rng.normal(0, spread, (*shape, 4))
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    phase_id = changes.pop("phase_id", np.zeros(shape, int))
    fields: dict[str, Any] = {
        "quaternions": np.where((phase_id >= 0)[..., None], q, 0.0), "phase_id": phase_id,
        "phases": PhaseList({0: IRON}), "step": (0.5, 0.5),
        "prop": {"BC": rng.integers(0, 255, shape), "MAD": rng.random(shape)},
    }  # fmt: skip
    return Scan(**(fields | changes))


def at(shape: tuple[int, int], value: int, other: int) -> np.ndarray:
    """`value` everywhere, `other` at one pixel."""
    out = np.full(shape, value)
    out[shape[0] // 2, shape[1] // 2] = other
    return out


THING = phase("thing", 100)
OF_MANY = np.arange(400).reshape(20, 20) % 300
TWO = PhaseList({0: IRON, 1: phase("austenite", 225, 3.6)})
MANY = PhaseList({k: Phase(f"phase {k}", space_group=1 + k % 230) for k in range(300)})
MAPS: dict[str, Callable[[], Scan]] = {
    "one row": lambda: made((1, 30)),
    "one column": lambda: made((30, 1)),
    "one pixel": lambda: made((1, 1)),
    "two pixels": lambda: made((1, 2)),
    "two rows": lambda: made((2, 15)),
    "no indexed pixel": lambda: made((8, 9), phase_id=np.full((8, 9), -1)),
    "one indexed pixel": lambda: made((8, 9), phase_id=at((8, 9), -1, 0)),
    "one orientation": lambda: made(NEAR, 0.0),
    "no boundary": lambda: made(NEAR, 0.003),
    "one stray pixel": lambda: made(NEAR, 0.003, phases=TWO, phase_id=at(NEAR, 0, 1)),
    "no symmetry": lambda: made(NEAR, 0.003, phases=PhaseList({0: Phase("thing")})),
    "P1": lambda: made(NEAR, 0.003, phases=PhaseList({0: Phase("thing", space_group=1)})),
    "no slip systems": lambda: made(NEAR, 0.003, phases=PhaseList({0: THING})),
    "no phase": lambda: made(NEAR, phases=PhaseList({}), phase_id=np.full(NEAR, -1)),
    "300 phases": lambda: made((20, 20), phases=MANY, phase_id=OF_MANY),
    "hexagonal": lambda: hexagonal_scan(lambda x, y: np.stack([0 * x, 0 * x, 0.02 * x], -1), 8, 9),
    "no property": lambda: made(NEAR, 0.003, prop={}),
    "properties without numbers": lambda: made(NEAR, 0.003, prop={"BC": np.full(NEAR, np.nan)}),
}


@cache
def odd_map(title: str) -> Scan:
    """One of `MAPS`, made once: scans are frozen."""
    return MAPS[title]()


@lru_cache(maxsize=1)
def classifier() -> Any:
    return ebsdml.SpaceGroupClassifier.load("default")


@lru_cache(maxsize=1)
def ready() -> Any:
    return ebsdml.Segmenter.ready("twins")


def there_and_back(scan: Scan, path: Path) -> None:
    ebsdml.write(path, scan)
    assert ebsdml.read(path).shape == scan.shape


def segmented(scan: Scan, **channels: Any) -> Any:
    labels = (np.arange(scan.phase_id.size) % 3).reshape(scan.shape)
    network = UNetSettings(depth=1, filters=2, most_filters=2)
    settings = TrainingSettings(network=network, epochs=1, steps=1)
    return ebsdml.Segmenter.train([(scan, labels)], settings=settings, **channels).predict(scan)


def of_grains(name: str) -> Callable[[Scan, Path], Any]:
    return lambda scan, _: getattr(ebsdml, name)(scan, ebsdml.segment_grains(scan))


FUNCTIONS: dict[str, Callable[[Scan, Path], Any]] = {
    "repr": lambda scan, _: repr(scan),
    "xmap": lambda scan, _: from_xmap(scan.xmap),
    "crop": lambda scan, _: scan.crop(slice(0, 1)).crop(slice(None), slice(0, 1)),
    "with_property": lambda scan, _: scan.with_property("new", np.zeros(scan.shape)),
    "without": lambda scan, _: scan.without(np.ones(scan.shape, bool)),
    "kam of third neighbours": lambda scan, _: ebsdml.kam(scan, order=3),
    "large grains": lambda scan, _: ebsdml.segment_grains(scan, min_pixels=5),
    **{
        name: of_grains(name)
        for name in ("grain_table", "gos", "grod", "homogenise", "grain_mean_orientation")
    },
    "compute_maps": lambda scan, _: maps.compute_maps(
        scan, MapSettings(**{f.name: True for f in fields(MapSettings) if f.type == "bool"})
    ),
    "ipf_key": lambda scan, _: [ebsdml.ipf_key(phase, 32) for _, phase in scan.phases],
    "laue_class": lambda scan, _: [maps.laue_class(phase) for _, phase in scan.phases],
    "laue_operators": lambda scan, _: [maps.laue_operators(phase) for _, phase in scan.phases],
    "misorientation_profile": lambda scan, _: maps.misorientation_profile(
        scan, (0, 0), (scan.shape[0] - 1, scan.shape[1] - 1)
    ),
    "poles": lambda scan, _: [maps.poles(scan, int(n), (1, 0, 0)) for n in scan.phases.ids],
    "inverse_poles": lambda scan, _: [
        maps.inverse_pole_density(maps.inverse_poles(scan, int(n))[0], scan.phases[int(n)])
        for n in scan.phases.ids
    ],
    "pixels_along": lambda scan, _: [
        maps.pixels_along(scan, int(n), (0.1, 0.05)) for n in scan.phases.ids
    ],
    "connect_grains": lambda scan, _: maps.connect_grains([scan, scan]),
    "kam_of_volume": lambda scan, _: maps.kam_of_volume([scan, scan]),
    "volume_of": lambda scan, _: maps.volume_of([scan, scan]),
    "figure": lambda scan, folder: ebsdml.figure(scan, "IPF-Z", folder / "a.png"),
    "report": lambda scan, folder: ebsdml.report(
        scan, folder / "a.html", settings=ebsdml.figures.FigureSettings(width=40, dpi=50)
    ),
    "mean GND density": lambda scan, _: ebsdml.gnd_density(scan).average(),
    "article_density": lambda scan, _: ebsdml.article_density(ebsdml.gnd_density(scan)),
    "mean total density": lambda scan, _: ebsdml.total_dislocation_density(scan).average(),
    **{
        suffix: lambda scan, folder, suffix=suffix: there_and_back(scan, folder / f"a.{suffix}")
        for suffix in ("ang", "ctf", "h5")
    },
    "predict_scan": lambda scan, _: classifier().predict_scan(scan),
    "refine_orientations": lambda scan, _: patterns.refine_orientations(scan, classifier()),
    "Segmenter of BC": lambda scan, _: segmented(scan, channels=("BC",)),
    "Segmenter": lambda scan, _: segmented(scan),
    "ready model": lambda scan, _: ready().predict(scan),
    "explain": lambda scan, _: segmentation.explain(ready(), scan),
    "refined_truth": lambda scan, _: truth.refined_truth(scan, np.ones(scan.shape, int)),
    "closed_grains": lambda scan, _: truth.closed_grains(scan),
    "compute_channels": lambda scan, _: segmentation.compute_channels(scan, ("BC", "KAM")),
    "default_channels": lambda scan, _: segmentation.default_channels(scan),
}  # fmt: skip

NOT_OF_MAPS = {
    "read": "test_odd_arguments.py", "read_all": "test_odd_arguments.py", "write": "ang, ctf, h5",
    "from_xmap": "xmap", "scan_names": "of a file", "format_of": "of a file",
    "formats": "of nothing", "sniff": "of a file",
    "predict_planes": "of an array", "stress_increment": "of numbers",
    "taylor_stress": "of numbers", "lattice_curvature": "of an array",
    "fit_slip_systems": "of an array", "nye_tensor": "of an array",
    "denoise_orientations": "of an array", "orientation_noise": "of an array",
    "for_lattice": "of a phase", "for_phase": "of a phase", "from_families": "of a table",
    "disorientation_angle": "of arrays", "disorientation_vector": "of arrays",
    "evaluate": "of labels", "with_property": "with_property",
    "add_files": "of files", "add_to_library": "of files", "read_cif": "of a file",
    "fold_patterns": "of arrays", "refine_geometry": "of arrays", "two_phase_map": "makes one",
    "laue_group": "of patterns", "batch": "of files", "read_model": "of a file",
    "crystal_directions": "of a phase", "pole_density": "of arrays",
    "inverse_pole_density": "inverse_poles",
    "tail_density": "of results",
    "save_session": "of a viewer", "open_session": "of a file",
    "phase_fractions": "of results", "vote_in_volume": "of results", "write_report": "of results",
}  # fmt: skip
"""Public functions that take no map, and what they take or where they are tried."""

NEEDS_PATTERNS = {
    "find_phases", "improve_orientations", "predict_scan", "refine_orientations", "refine_scan",
    "virtual_backscatter", "virtual_backscatter_grid",
}  # fmt: skip
"""Functions that can only refuse these maps, which have no patterns."""


def public_functions() -> dict[str, Callable[..., Any]]:
    """Every function that the stubs name."""
    found = {}
    for package in (ebsdml, maps, dislocations, segmentation, patterns, io):
        for name in package.__all__:
            thing = getattr(package, name)
            if inspect.isfunction(thing):
                found[name] = thing
    return found


def takes_only_a_map(function: Callable[..., Any]) -> bool:
    first, *others = inspect.signature(function).parameters.values()
    return first.name == "scan" and all(
        p.default is not p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in others
    )


for _name, _function in public_functions().items():
    if _name not in FUNCTIONS and _name not in NOT_OF_MAPS and takes_only_a_map(_function):
        FUNCTIONS[_name] = lambda scan, _, function=_function: function(scan)


def test_no_public_function_is_left_out() -> None:
    left_out = sorted(set(public_functions()) - set(FUNCTIONS) - set(NOT_OF_MAPS))
    assert left_out == [], (
        "The sweep does not know how these are called. Add each to FUNCTIONS of "
        "tests/test_sweep.py with a call for a map, or to NOT_OF_MAPS when it takes none."
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_result_or_one_error(name: str, tmp_path: Path) -> None:
    raw: list[str] = []
    results = 0
    for title in MAPS:
        try:
            FUNCTIONS[name](odd_map(title), tmp_path)
            results += 1
        except EbsdmlError:
            continue
        except Exception as error:
            raw.append(f"{title}: {type(error).__name__}: {error}")
    assert raw == []
    assert (results > 0) is (name not in NEEDS_PATTERNS)


def test_keys_of_odd_symmetries() -> None:
    for symmetry in (None, Phase("thing"), "P1", 3, "text", Phase("thing", space_group=1)):
        try:
            ebsdml.ipf_key(symmetry, 32)
        except EbsdmlError:
            continue


def test_a_stray_pixel_costs_only_itself() -> None:
    """The densities of the other phase are those without it."""
    alone = ebsdml.gnd_density(made(NEAR, 0.003)).total
    stray = ebsdml.gnd_density(odd_map("one stray pixel")).total
    row, column = NEAR[0] // 2, NEAR[1] // 2
    far = np.ones(NEAR, bool)
    far[row - 2 : row + 3, column - 2 : column + 3] = False
    np.testing.assert_allclose(stray[far], alone[far])
    assert np.isfinite(stray[far]).any()


def test_a_phase_without_slip_systems_leaves_its_pixels_open() -> None:
    phases = PhaseList({0: IRON, 1: THING})
    phase_id = np.zeros(NEAR, int)
    phase_id[:, 7:] = 1
    scan = made(NEAR, 0.003, phases=phases, phase_id=phase_id)
    gnd = ebsdml.gnd_density(scan)
    assert np.isnan(gnd.total[:, 7:]).all()
    assert np.isfinite(gnd.total[:, :6]).any()
    assert any("thing" in note for note in gnd.notes)
    assert np.isfinite(ebsdml.kam(scan)).all()
    assert (ebsdml.segment_grains(scan) > 0).all()
