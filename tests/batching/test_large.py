"""Maps in bands: everything equals what the map gives as a whole."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml.batching import large
from napari_ebsdml.batching.large.gnd import mean_of_bands
from napari_ebsdml.batching.large.grains import grain_extents, map_measures, rows_of_grains
from napari_ebsdml.batching.large.maps import labelled
from napari_ebsdml.batching.large.store import LargeMap
from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.scan import ORIENTATION_NOISE, Scan
from napari_ebsdml.segmentation import ForestSegmenter
from napari_ebsdml.segmentation.inputs.channels import (
    COMPUTED_CHANNELS,
    GRAIN_THRESHOLD,
    compute_channels,
    grain_rings,
)
from napari_ebsdml.segmentation.settings import UNetSettings

BAND = 1500


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Two phases, grains across every seam, a tenth not indexed, and a last band of few rows."""
    one = ebsdml.samples.dual_phase_steel((131, 90), 0.4, seed=3).scan
    rng = np.random.default_rng(0)
    ids = np.where(np.arange(90) < 30, 2, 1)[None, :].repeat(131, axis=0)
    old = one.phases[1]
    other = Phase("austenite", space_group=225, structure=old.structure.copy())
    scan = ebsdml.Scan(
        quaternions=one.quaternions, phase_id=ids, phases=PhaseList({1: old, 2: other}),
        step=one.step, prop=one.prop,
    )  # fmt: skip
    return scan.without(rng.random(scan.shape) < 0.1)


@pytest.fixture
def held(scan: Scan, tmp_path: Path) -> LargeMap:
    made = LargeMap.of(scan, tmp_path / "held", BAND)
    assert len(made.bands()) == 9
    return made


def test_maps_and_grains_equal_those_of_the_whole(scan: Scan, held: LargeMap) -> None:
    np.testing.assert_array_equal(held.scan.quaternions, scan.quaternions)
    np.testing.assert_array_equal(large.kam(held, 3, 5.0), ebsdml.kam(scan, 3, 5.0))
    for low, fewest in ((3.0, 1), (3.0, 6), (60.0, 1)):
        np.testing.assert_array_equal(
            large.segment_grains(held, low, fewest), ebsdml.segment_grains(scan, low, fewest)
        )
    np.testing.assert_array_equal(large.boundary_map(held), ebsdml.maps.boundary_map(scan))
    np.testing.assert_array_equal(large.ipf_colors(held), ebsdml.ipf_colors(scan))
    np.testing.assert_array_equal(
        large.misorientation_map(held), ebsdml.maps.misorientation_map(scan)
    )


def test_gnd_and_its_noise_equal_those_of_the_whole(scan: Scan, held: LargeMap) -> None:
    want = ebsdml.gnd_density(scan, keep_per_system=False, min_pixels=3)
    told: list[float] = []
    found = large.gnd_density(held, min_pixels=3, progress=told.append)
    for name in ("total", "energy", "misfit", "curvature", "curvature_gain", "noise_floor"):
        np.testing.assert_allclose(getattr(found, name), getattr(want, name), rtol=1e-6)
    for name in ("copied", "above_noise", "grains"):
        np.testing.assert_array_equal(getattr(found, name), getattr(want, name))
    assert found.orientation_noise == pytest.approx(want.orientation_noise, rel=1e-9)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    mean, low, high, raw = mean_of_bands(held, found)
    whole = want.average()
    assert raw == pytest.approx(whole.raw_mean, rel=1e-9)
    assert whole.interval[0] <= mean <= whole.interval[1]
    assert high - low > 0.8 * (whole.interval[1] - whole.interval[0])
    with pytest.raises(InputError, match="without denoising"):
        large.gnd_density(held, denoise=True)


@pytest.mark.parametrize(("noise", "side"), [(None, 1), (0.05, 1), (None, None), (0.05, 2)])
def test_total_density_equals_that_of_the_whole(
    scan: Scan, held: LargeMap, noise: float | None, side: int | None
) -> None:
    how: dict[str, Any] = {"by": "grain", "surface": True, "window": 16, "average_over": side}
    want = ebsdml.total_dislocation_density(scan, noise, **how)
    told: list[float] = []
    found = large.total_dislocation_density(held, noise, **how, progress=told.append)
    assert len(want.windows) > (20 if side == 1 else 5)
    assert found.averaged == want.averaged
    assert want.averaged != {1: 1, 2: 1} or side == 1
    assert len(np.unique(want.windows.phase)) == 2
    np.testing.assert_array_equal(found.segments, want.segments)
    np.testing.assert_array_equal(found.grains, want.grains)
    np.testing.assert_array_equal(found.measurable, want.measurable)
    for name in ("density", "interval"):
        np.testing.assert_allclose(getattr(found, name), getattr(want, name), rtol=1e-5)
    assert found.orientation_noise == pytest.approx(want.orientation_noise, rel=1e-9)
    assert found.limit == pytest.approx(want.limit, rel=1e-9)
    assert found.average().sentence == want.average().sentence
    assert found.table["pixels"] == want.table["pixels"]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_noise_of_maps_that_are_sampled(tmp_path: Path) -> None:
    """Beyond 16384 pixels the noise is measured at places that are drawn: the same ones."""
    scan = ebsdml.samples.dual_phase_steel((150, 131), 0.3, seed=4).scan
    held = LargeMap.of(scan, tmp_path / "held", 4_000)
    want, found = ebsdml.gnd_density(scan, keep_per_system=False), large.gnd_density(held)
    assert found.orientation_noise == pytest.approx(want.orientation_noise, rel=1e-9)
    np.testing.assert_allclose(found.noise_floor, want.noise_floor, rtol=1e-6)


@pytest.mark.parametrize(
    ("channels", "how"),
    [
        (("BC", "KAM"), {"standardise": "this_map"}),
        (("BC", "BC@grain", "KAM@near", "GrainSize", "Relations"), {"not_indexed": "leave_out"}),
        (("BC@far", "GROD", "Local"), {"grain_vote": True}),
    ],
)
def test_segmentation_equals_that_of_the_whole(
    scan: Scan, tmp_path: Path, channels: tuple[str, ...], how: dict[str, object]
) -> None:
    sample = ebsdml.samples.dual_phase_steel((48, 48), 0.5, seed=1)
    model = ebsdml.Segmenter.train(
        [(sample.scan, sample.truth)],
        channels,
        network=UNetSettings(depth=2, filters=4),
        keep="network",
        epochs=1,
        steps=2,
    )
    held = LargeMap.of(scan, tmp_path / "held", 2_000)
    want = model.predict(scan, warn=False, **how)
    found = large.predict(model, held, warn=False, **how)
    np.testing.assert_allclose(found.probability, want.probability, atol=2e-6)
    assert (found.labels != want.labels).mean() < 1e-3
    assert found.warnings == want.warnings
    assert found.fractions()[0].fraction == pytest.approx(want.fractions()[0].fraction, abs=1e-4)
    with pytest.raises(InputError, match="turns must be 1"):
        large.predict(model, held, turns=2)
    with pytest.raises(ModelError, match="as a whole"):
        large.predict(object(), held)  # type: ignore[arg-type]


EVERY = [name for name in COMPUTED_CHANNELS if name != "Quaternions"]


@pytest.mark.parametrize("bands", [1_500, 3_000])
def test_every_channel_in_bands_is_that_of_the_whole(
    scan: Scan, tmp_path: Path, bands: int
) -> None:
    sample = ebsdml.samples.dual_phase_steel((48, 48), 0.5, seed=1)
    channels = [*EVERY, *(f"{name}@far" for name in EVERY), "Quality@grain", "BC"]
    model = ebsdml.Segmenter.train([(sample.scan, sample.truth)], channels, epochs=0, seed=0)
    assert model.network is None
    held = LargeMap.of(scan, tmp_path / "held", bands)
    want, found = model.predict(scan, warn=False), large.predict(model, held, warn=False)
    np.testing.assert_allclose(found.probability, want.probability, atol=2e-5)
    # The probabilities would hide what the discriminant gives little weight: the planes as well.
    whole = compute_channels(scan, channels)
    grains = labelled(held, GRAIN_THRESHOLD, 1)
    extents = grain_extents(held, grains, None)
    measures = map_measures(held, grains, extents, {}, None)
    for band in held.bands():
        near = slice(max(0, band.write.start - 40), min(131, band.write.stop + 40))
        rows = rows_of_grains(held, grains, extents, near, grain_rings(channels))
        part = compute_channels(held.band(rows), channels, measures=measures)
        keep = slice(band.write.start - rows.start, band.write.stop - rows.start)
        for number, plane in enumerate(whole.planes):
            np.testing.assert_allclose(
                part.values[number, keep], whole.values[number, band.write], rtol=1e-4, atol=1e-4,
                err_msg=plane.name,
            )  # fmt: skip


def test_forests_and_ready_models_in_bands(scan: Scan, tmp_path: Path) -> None:
    sample = ebsdml.samples.dual_phase_steel((48, 48), 0.5, seed=1)
    forest = ForestSegmenter.train([(sample.scan, sample.truth)], ("BC", "KAM"), trees=10)
    held = LargeMap.of(scan, tmp_path / "held", 2_000)
    for model in (forest, ebsdml.Segmenter.ready("twins")):
        want = model.predict(scan, warn=False, grain_vote=True)
        found = large.predict(model, held, warn=False, grain_vote=True)
        # A pixel whose feature is a threshold but for rounding may fall on either side.
        close = np.isclose(found.probability, want.probability, atol=1e-5).all(axis=-1)
        assert close.mean() > 0.999
        assert (found.labels != want.labels).mean() < 1e-3
        assert found.warnings == want.warnings
    with pytest.raises(InputError, match="forest"):
        large.predict(forest, held, standardise="this_map")


def test_noise_that_an_improved_map_tells_is_used(scan: Scan, tmp_path: Path) -> None:
    told = np.full(scan.shape, 0.11)
    better = ebsdml.segmentation.with_property(scan, ORIENTATION_NOISE, told)
    held = LargeMap.of(better, tmp_path / "held", BAND)
    want, found = ebsdml.gnd_density(better, keep_per_system=False), large.gnd_density(held)
    assert found.orientation_noise == pytest.approx(want.orientation_noise, rel=1e-9)
    assert list(found.orientation_noise.values()) == pytest.approx([0.11, 0.11])
    np.testing.assert_allclose(found.noise_floor, want.noise_floor, rtol=1e-6)


def test_a_large_map_is_small_to_send(held: LargeMap) -> None:
    before = len(pickle.dumps(held))
    assert held.scan.shape == held.shape  # mapped, and kept
    assert len(pickle.dumps(held)) == before < 50_000
    again = pickle.loads(pickle.dumps(held))
    np.testing.assert_array_equal(again.scan.phase_id, held.scan.phase_id)


def test_work_that_is_done_again_gives_the_same(scan: Scan, held: LargeMap) -> None:
    """A band whose worker is lost after it wrote is done a second time."""

    class Twice:
        """Of a client: what `over_bands` uses, here."""

        def nthreads(self) -> dict[str, int]:
            return {"here": 2}

        def submit(self, work: Any, *arguments: Any, **_: Any) -> Any:
            given = [one.result() if isinstance(one, Future) else one for one in arguments]
            work(*given)
            made: Future[Any] = Future()
            made.set_result(work(*given))
            return made

        def as_current(self) -> Any:
            return nullcontext()

        def cancel(self, futures: Any) -> None:
            assert not futures

    twice: Any = Twice()
    wait_here = pytest.MonkeyPatch()
    wait_here.setattr("distributed.wait", lambda futures, **_: (list(futures), []))
    with wait_here.context():
        np.testing.assert_array_equal(
            large.segment_grains(held, 3.0, 6, client=twice), ebsdml.segment_grains(scan, 3.0, 6)
        )
        rho = large.total_dislocation_density(held, window=16, surface=True, client=twice)
        gnd = large.gnd_density(held, client=twice)
        forest = ebsdml.Segmenter.ready("twins")
        found = large.predict(forest, held, warn=False, grain_vote=True, client=twice)
    wait_here.undo()
    want = ebsdml.total_dislocation_density(scan, window=16, surface=True)
    np.testing.assert_allclose(rho.density, want.density, rtol=1e-5)
    np.testing.assert_allclose(
        gnd.total, ebsdml.gnd_density(scan, keep_per_system=False).total, rtol=1e-6
    )
    whole = forest.predict(scan, warn=False, grain_vote=True)
    assert (found.labels != whole.labels).mean() < 1e-3


@pytest.mark.parametrize("ending", ["ctf", "ang"])
def test_text_files_are_read_in_bands(scan: Scan, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"map.{ending}"
    ebsdml.write(path, scan)
    want = ebsdml.read(path)
    held = large.read_large(path, tmp_path / "held", pixels=BAND)
    assert (tmp_path / "held" / "quaternions.npy").exists()
    found = held.scan
    np.testing.assert_array_equal(found.quaternions, want.quaternions)
    np.testing.assert_array_equal(found.phase_id, want.phase_id)
    assert found.step == want.step
    assert list(found.prop) == list(want.prop)
    for name, values in want.prop.items():
        np.testing.assert_array_equal(found.prop[name], values)
    assert found.source.header == want.source.header
    assert found.source.path == path
    # A file that is cut off says what it says when it is read as a whole.
    text = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(text[:-100]))
    cut = large.read_large(path, tmp_path / "cut", pixels=BAND).scan
    assert cut.source.warnings == ebsdml.read(path).source.warnings != ()


def test_a_batch_in_bands_gives_what_it_gives_without(scan: Scan, tmp_path: Path) -> None:
    ebsdml.write(tmp_path / "map.ctf", scan)
    steps = ["maps", "gnd"]
    for name, band in (("whole", 0), ("bands", BAND)):
        done = ebsdml.batch(tmp_path / "map.ctf", steps, tmp_path / name, band=band)
        assert not done.failed, done.failed
    for name in ("map.npz", "map-gnd.npz"):
        with np.load(tmp_path / "whole" / name) as want, np.load(tmp_path / "bands" / name) as got:
            assert set(want) == set(got)
            for key in set(want) - {"provenance"}:
                np.testing.assert_allclose(got[key], want[key], rtol=1e-5, err_msg=key)
    for name in ("grains.csv",):
        assert (tmp_path / "whole" / name).read_text() == (tmp_path / "bands" / name).read_text()
    # Nothing of the bands is left.
    assert not list((tmp_path / "bands").glob(".bands*"))
    assert json.loads((tmp_path / "bands" / "run.json").read_text())["state"] == "finished"
    with pytest.raises(InputError, match="band must be"):
        ebsdml.batch(tmp_path / "map.ctf", steps, tmp_path / "x", band=10)


def test_one_row_and_nothing_indexed(scan: Scan, tmp_path: Path) -> None:
    row = LargeMap.of(scan.crop(slice(0, 1)), tmp_path / "row", BAND)
    np.testing.assert_array_equal(large.kam(row), ebsdml.kam(scan.crop(slice(0, 1))))
    with pytest.raises(InputError, match="2 x 2"):
        large.gnd_density(row)
    nothing = LargeMap.of(scan.without(np.ones(scan.shape, bool)), tmp_path / "none", BAND)
    assert not large.segment_grains(nothing).any()
    with pytest.raises(ebsdml.MissingDataError, match="no orientations"):
        large.gnd_density(nothing)
