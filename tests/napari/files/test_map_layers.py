"""What a scan looks like as layers."""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from orix.crystal_map import Phase, PhaseList

from napari_ebsdml import Scan
from napari_ebsdml._napari.files.map_layers import (
    add_column,
    can_stack,
    columns,
    map_layers,
    phase_labels,
    stack_layers,
)
from napari_ebsdml.maps.ipf import ipf_colors

MakeScan = Callable[..., Scan]


def _shown(layers: list[tuple[object, dict, str]]) -> list[tuple[str, str, bool]]:
    return [(o["name"], kind, o.get("visible", True)) for _, o, kind in layers]


def test_order_names_and_visibility(make_scan: MakeScan) -> None:
    scan = make_scan()
    layers = map_layers(scan)
    assert _shown(layers) == [
        ("BC · steel", "image", True),
        ("IPF-Z · steel", "image", True),
        ("phase · steel", "labels", False),
    ]
    assert all(o["metadata"]["ebsdml"]["scan"] is scan for _, o, _ in layers)
    # The properties are the scan's own arrays, not copies.
    assert layers[0][0] is scan.prop["BC"]


def test_further_columns_wait_until_asked_for(make_scan: MakeScan) -> None:
    scan = make_scan()
    # Columns that the vendor leaves empty are not offered.
    rest = {"unknown": np.full(scan.shape, 4e29), "nothing": np.full(scan.shape, np.nan)}
    scan = make_scan(prop={**scan.prop, **rest})
    assert len(map_layers(scan)) == 3
    assert columns([scan]) == ["MAD"]
    viewer = ViewerModel()
    for data, options, kind in map_layers(scan):
        getattr(viewer, f"add_{kind}")(data, **options)
    layer = add_column(viewer, [scan], "MAD")
    assert layer.name == "MAD [°] · steel"
    assert add_column(viewer, [scan], "MAD") is layer


def test_columns_of_a_stack_are_volumes(make_scan: MakeScan) -> None:
    scans = [make_scan(), make_scan(seed=1)]
    viewer = ViewerModel()
    for data, options, kind in stack_layers(scans):
        getattr(viewer, f"add_{kind}")(data, **options)
    layer = add_column(viewer, scans, "MAD")
    assert layer.data.shape == (2, *scans[0].shape)
    np.testing.assert_array_equal(layer.data[1], scans[1].prop["MAD"])


def test_ipf_layer_shows_the_colors_of_the_package(make_scan: MakeScan) -> None:
    scan = make_scan()
    data = map_layers(scan)[1][0]
    expected = ipf_colors(scan)
    seen = scan.is_indexed
    np.testing.assert_allclose(data[seen][:, :3] / 255, expected[seen], atol=0.51 / 255)
    assert (data[seen][:, 3] == 255).all()
    assert not data[~seen].any()


def test_phase_without_symmetry_does_not_cost_the_others_their_colors(
    make_scan: MakeScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari.utils import notifications

    said: list[str] = []
    monkeypatch.setattr(notifications, "show_warning", said.append)
    phases = PhaseList({1: Phase(name="Known", space_group=225), 2: Phase(name="Mystery")})
    scan = make_scan(phases=phases)
    colors = map_layers(scan)[1][0]
    assert colors[1, 0, 3] == 255
    assert not colors[1, -1].any()
    assert len(said) == 1
    assert "symmetry of Mystery" in said[0]


def test_labels_are_positions_of_phases_plus_one(make_scan: MakeScan) -> None:
    phases = PhaseList(
        {
            0: Phase(name="A", point_group="m-3m"),
            7: Phase(name="B", point_group="m-3m"),
            9: Phase(name="C", point_group="m-3m"),
        }
    )
    phase_id = np.array([[-1, 0, 7], [9, 9, -1]])
    quaternions = np.zeros((2, 3, 4))
    quaternions[phase_id >= 0] = (1, 0, 0, 0)
    scan = make_scan((2, 3), quaternions=quaternions, phase_id=phase_id, phases=phases)
    labels, classes = phase_labels(scan)
    assert labels.tolist() == [[0, 1, 2], [3, 3, 0]]
    assert [(c.label, c.name) for c in classes] == [
        (0, "not indexed"), (1, "A"), (2, "B"), (3, "C"),
    ]  # fmt: skip


def test_not_indexed_entry_of_orix_takes_no_label(make_scan: MakeScan) -> None:
    phases = PhaseList({3: Phase(name="A", point_group="m-3m")})
    phases.add_not_indexed()
    phase_id = np.array([[-1, 3, 3]])
    quaternions = np.zeros((1, 3, 4))
    quaternions[0, 1:, 0] = 1
    scan = make_scan((1, 3), quaternions=quaternions, phase_id=phase_id, phases=phases)
    labels, classes = phase_labels(scan)
    assert labels.tolist() == [[0, 1, 1]]
    assert [c.name for c in classes] == ["not indexed", "A"]


def test_map_without_orientations_shows_its_patterns(make_scan: MakeScan) -> None:
    patterns = da.arange(6 * 8 * 4, dtype=np.uint8).reshape(6, 8, 2, 2)
    scan = make_scan(
        quaternions=np.zeros((6, 8, 4)),
        phase_id=np.full((6, 8), -1),
        phases=PhaseList(),
        prop={},
        patterns=patterns,
    )
    ((data, options, kind),) = map_layers(scan)
    assert (options["name"], kind) == ("pattern intensity · steel", "image")
    np.testing.assert_allclose(data, patterns.compute().mean(axis=(2, 3)))


def test_large_patterns_are_sampled(make_scan: MakeScan, monkeypatch) -> None:
    from napari_ebsdml._napari.files import map_layers as module

    patterns = da.arange(6 * 8 * 4, dtype=np.uint8).reshape(6, 8, 2, 2)
    monkeypatch.setattr(module, "_PATTERN_BYTES", patterns.nbytes // 4)
    scan = make_scan(
        quaternions=np.zeros((6, 8, 4)), phase_id=np.full((6, 8), -1), prop={}, patterns=patterns
    )
    ((data, options, _),) = map_layers(scan)
    assert "every 2" in options["name"]
    means = patterns.compute().mean(axis=(2, 3))
    np.testing.assert_allclose(data[::2, ::2], means[::2, ::2])
    np.testing.assert_allclose(data[1::2, 1::2], means[::2, ::2])


def test_stack_numbers_phases_alike_in_all_sections(make_scan: MakeScan) -> None:
    first = make_scan()
    phases = PhaseList(
        {
            1: Phase(name="Ferrite", space_group=229),
            2: Phase(name="Austenite", space_group=225),
        }
    )
    swapped = make_scan(phases=phases)
    labels, classes = phase_labels((first, swapped))
    assert [c.name for c in classes] == ["not indexed", "Austenite", "Ferrite"]
    assert labels[0, 1, 0] == 1
    assert labels[1, 1, 0] == 2
    layers = stack_layers((first, swapped))
    assert [o["name"] for _, o, _ in layers] == [
        f"{what} · steel … steel" for what in ("BC", "IPF-Z", "phase")
    ]
    assert all(o["scale"] == (0.5, 0.5, 0.25) for _, o, _ in layers)
    assert all(o["axis_labels"] == ("z", "y", "x") for _, o, _ in layers)


def test_only_maps_of_one_size_and_step_stack(make_scan: MakeScan) -> None:
    assert can_stack([make_scan(), make_scan()])
    assert not can_stack([make_scan()])
    assert not can_stack([make_scan(), make_scan((6, 9))])
    assert not can_stack([make_scan(), make_scan(step=(0.5, 0.3))])
