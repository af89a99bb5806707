"""Statistics of windows, the posterior, its calibration, and the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi, norm

from napari_ebsdml.dislocations.structures.copies import random_shifts, with_copies
from napari_ebsdml.dislocations.structures.generate import BETWEEN, KINDS
from napari_ebsdml.dislocations.structures.measurement import (
    Errors,
    add_errors,
    random_map,
)
from napari_ebsdml.dislocations.structures.store import read_stored
from napari_ebsdml.dislocations.total.average import pooled
from napari_ebsdml.dislocations.total.examples import Examples, make_examples, measured_noise
from napari_ebsdml.dislocations.total.left_out import LeftOut, calibrate
from napari_ebsdml.dislocations.total.model import TotalDensityModel
from napari_ebsdml.dislocations.total.posterior import Posterior
from napari_ebsdml.dislocations.total.segments import FEWEST_PIXELS, cut_grains
from napari_ebsdml.dislocations.total.statistics import LEVELS, NAMES, NOISE_COLUMN, features
from napari_ebsdml.dislocations.total.sums import LAGS, SUMS, window_sums
from napari_ebsdml.dislocations.total.train import Recipe, train
from napari_ebsdml.dislocations.total.windows import Windows
from napari_ebsdml.errors import ModelError


def row(
    rotation: np.ndarray, noise: float = 1.0, mask: np.ndarray | None = None
) -> dict[str, float]:
    sums = np.zeros((1, SUMS))
    segments = np.zeros(rotation.shape[:2], dtype=np.int64)
    if mask is not None:
        segments[~mask] = -1
    window_sums(rotation, segments, np.zeros(1, dtype=np.int64), 0, len(rotation), sums)
    values = features(sums, np.array([noise]), np.array([False]), np.array([False]))[0]
    assert np.isfinite(values).all()
    return dict(zip(NAMES, values, strict=True))


def test_white_noise_has_the_structure_function_that_it_must_have() -> None:
    noise = np.random.default_rng(0).standard_normal((60, 60, 3))
    found = row(noise)
    for lag in LAGS:
        assert found[f"log D({lag})"] == pytest.approx(np.log10(6), abs=0.03)
        assert found[f"along({lag})"] == pytest.approx(1 / 3, abs=0.02)
    assert found["log second(1)"] == pytest.approx(np.log10(18), abs=0.03)
    assert abs(found["D(1) / noise"]) < 0.3
    assert found["log noise"] == 0
    assert NAMES[NOISE_COLUMN] == "log noise"
    # Lengths of differences of three normal numbers: chi with three degrees, sqrt(2) as wide.
    middle = np.log10(np.sqrt(2) * chi.ppf(0.5, 3))
    assert found["log median of first 1"] == pytest.approx(middle, abs=0.02)
    for level in LEVELS:
        if level != 0.5:
            expected = np.log10(np.sqrt(2) * chi.ppf(level, 3)) - middle
            assert found[f"{100 * level:g} % of first 1"] == pytest.approx(expected, abs=0.03)
    assert abs(found["lengths go together(5)"]) < 0.05
    assert found["third axis(1)"] == pytest.approx(1 / 3, abs=0.03)


def test_a_wall_turns_about_one_axis_and_its_lengths_go_together() -> None:
    turn = np.zeros((40, 40, 3))
    turn[..., 1] = 5.0 * (np.arange(40) > 20) * np.ones((40, 1))
    found = row(turn + 1e-3 * np.random.default_rng(0).standard_normal(turn.shape), 1e-3)
    assert found["second axis(1)"] < 1e-4
    assert found["rows(1)"] == pytest.approx(0.5, abs=1e-3)
    assert found["peakedness(1)"] > 1


def test_a_bent_crystal_has_the_slope_that_it_has() -> None:
    y, x = np.mgrid[:30, :20]
    bend = np.stack((0.3 * x, 0.4 * y, 0 * x), axis=-1)
    found = row(bend, 1e-3)
    assert found["log slope"] == pytest.approx(np.log10(0.25), abs=1e-6)
    assert found["log residual"] < -9
    assert found["log D(4)"] == pytest.approx(np.log10((1.2**2 + 1.6**2) / 2), abs=0.05)
    assert found["log second(1)"] < -9


def test_copied_pixels_do_not_count() -> None:
    random = np.random.default_rng(1)
    noise = random.standard_normal((60, 60, 3))
    cleaned = add_errors(np.zeros((60, 60, 3)), Errors(1.0, cleaned=0.2), random)
    found = row(cleaned)
    assert found["log D(1)"] == pytest.approx(row(noise)["log D(1)"], abs=0.04)
    assert found["identical neighbours"] > 0.05


def test_a_window_does_not_look_across_its_edge() -> None:
    noise = np.random.default_rng(2).standard_normal((40, 40, 3))
    noise[:, 20:] += 1000
    mask = np.zeros((40, 40), dtype=bool)
    mask[:, :20] = True
    assert row(noise, mask=mask)["log D(1)"] < 1


def test_errors_have_their_size(structures: list[Path]) -> None:
    random = np.random.default_rng(3)
    for errors in (Errors(2.0), Errors(2.0, correlation=0.3)):
        noisy = add_errors(np.zeros((80, 80, 3)), errors, random)
        assert noisy.std() == pytest.approx(2.0, rel=0.03)
    stored = next(read_stored(structures[0]))
    whole = random_map(stored, random, Errors(5.0), stride=1, scale_up=False)
    # As the product measures it: of a map, not of one window.
    assert measured_noise(whole) == pytest.approx(5.0, rel=0.1)
    window = whole.window(random, (24, 24), ragged=False)
    assert window.rotation.shape == (24, 24, 3)
    assert window.lines > 0
    assert 0 <= window.polarised <= 1


def test_quantiles_of_a_mixture() -> None:
    one = Posterior(np.array([[1.0]]), np.array([[2.0]]), np.array([[0.5]]))
    assert one.quantile(0.95)[0] == pytest.approx(norm.ppf(0.95, 2.0, 0.5), abs=1e-4)
    two = Posterior(np.array([[0.5, 0.5]]), np.array([[-1.0, 1.0]]), np.full((1, 2), 0.1))
    assert two.quantile(0.25)[0] == pytest.approx(-1.0, abs=1e-3)
    assert two.average[0] == pytest.approx(0)
    assert two.deviation[0] == pytest.approx(np.sqrt(1.01))


def windows(centres: np.ndarray, half: float) -> Windows:
    n = len(centres)
    ones = np.ones(n, dtype=np.int64)
    return Windows(
        0 * ones, ones, 1000 * ones, centres, centres - half, centres + half,
        np.full((n, 5), 0.5), np.full(n, 1e12), np.ones(n, dtype=bool), np.full(n, 14.0),
    )  # fmt: skip


def test_windows_pool_until_what_their_errors_share() -> None:
    random = np.random.default_rng(4)
    half, shared = 0.5, 0.4
    sigma = half / 1.645
    inside, widths = [], []
    for _ in range(300):
        common = np.sqrt(shared) * sigma * random.standard_normal()
        own = np.sqrt(1 - shared) * sigma * random.standard_normal(16)
        _, low, high = pooled(windows(14.5 + common + own, half), shared)
        inside.append(low <= 14.5 <= high)
        widths.append(high - low)
    assert 0.84 < np.mean(inside) < 0.97
    # Sixteen windows: not a quarter of one's width, but the shared part of it and little more.
    assert np.mean(widths) / (2 * half) == pytest.approx(np.sqrt(0.4 + 0.6 / 16), abs=0.08)
    # Half of the windows ten times denser: the mean is 5.5 times the lower.
    centre, _, _ = pooled(windows(np.repeat([14.0, 15.0], 40), 0.1), 0.1)
    assert centre == pytest.approx(np.log10(5.5e14), abs=0.15)


def test_classes_together_are_held_as_often_as_they_should() -> None:
    random = np.random.default_rng(5)

    def left(bias: float, n: int = 400) -> LeftOut:
        true = random.uniform(0.1, 0.4, n).astype(np.float32)
        inputs = np.zeros((n, len(NAMES)), dtype=np.float32)
        inputs[:, NOISE_COLUMN] = -1.5
        zeros = np.zeros(n, dtype=np.float32)
        examples = Examples(
            inputs, true, zeros, zeros + 0.03, zeros > 1, np.zeros((n, 10), dtype=bool),
            np.arange(n),
        )  # fmt: skip
        centre = true + bias + 0.1 * random.standard_normal(n)
        ones = np.ones((n, 1))
        return LeftOut(examples, Posterior(ones, centre[:, None].astype(np.float64), 0.05 * ones))

    classes = {name: left(bias) for name, bias in (("a", 0.0), ("b", 0.0), ("c", 0.3))}
    calibration = calibrate(classes)
    for one in classes.values():
        _, low, high = calibration.interval(one.posterior, np.full(400, 10**-1.5))
        assert np.mean((low <= one.examples.lines) & (one.examples.lines <= high)) > 0.86


def test_copies_add_fields_and_lines(structures: list[Path]) -> None:
    stored = next(read_stored(structures[0]))
    part = stored.sections[0][0]
    here, far = np.zeros(2, dtype=np.int64), np.array([3, -5])
    pair = with_copies(stored, [(1, here), (-1, far)]).sections[0][0]
    np.testing.assert_allclose(
        pair.rotation, part.rotation - np.roll(part.rotation, (3, -5), (0, 1)), atol=1e-6
    )
    assert pair.density.mean() == pytest.approx(2 * part.density.mean(), rel=1e-4)
    assert np.abs(pair.slope).max() == 0
    # Lines of either sense cancel: nothing is left of the mean Nye tensor.
    assert np.abs(pair.nye.mean(axis=(2, 3))).max() < 1e-6 + 1e-4 * np.abs(part.nye).max()
    three = with_copies(stored, [(1, here), (1, far), (1, 2 * far)]).sections[1][2]
    np.testing.assert_allclose(three.slope, 3 * stored.sections[1][2].slope)
    random = np.random.default_rng(0)
    drawn = [random_shifts(random) for _ in range(200)]
    assert {len(shifts) for shifts in drawn} == {2, 3, 4, 5}
    assert all(np.array_equal(shifts[0][1], here) for shifts in drawn)


def test_windows_with_copies_are_of_no_class_alone(structures: list[Path]) -> None:
    plain = make_examples(structures, 1, 3)
    both = make_examples(structures, 1, 3, copies=2)
    more = both.kinds[:, list(KINDS).index(BETWEEN)]
    assert len(both) > len(plain)
    for kind in KINDS:
        if kind != BETWEEN:
            assert both.of(kind).sum() == plain.of(kind).sum()
            assert not (more & both.of(kind)).any()


def test_grains_are_cut_evenly() -> None:
    grains = np.ones((70, 100), dtype=np.int64)
    grains[:, 90:] = 2
    grains[:4, :4] = 3
    cut = cut_grains(grains, 32)
    segments, owner, pixels = cut.segments(grains), cut.owner, cut.pixels
    assert pixels.min() >= FEWEST_PIXELS
    assert set(owner) == {1, 2}
    assert (segments[:4, :4] == -1).all()
    np.testing.assert_array_equal(np.bincount(segments[segments >= 0]), pixels)
    assert pixels[owner == 1].max() < 1.4 * pixels[owner == 1].min()
    nothing = np.zeros((20, 20), dtype=np.int64)
    cut = cut_grains(nothing, 32)
    assert (cut.segments(nothing) == -1).all()
    assert len(cut) == 0


@pytest.mark.long
def test_training_learns_writes_and_goes_on(structures: list[Path], tmp_path: Path) -> None:
    recipe = Recipe(((32, 25),), 0, maps=4, visits=30_000, networks=1, width=24, seed=2)
    work = tmp_path / "work"
    (work / "structures").mkdir(parents=True)
    for path in structures:
        (work / "structures" / path.name).write_bytes(path.read_bytes())
    output = tmp_path / "own.safetensors"
    model = train(output, recipe, work)
    examples = make_examples(structures, 4, 2)
    posterior, polarised = model.predict(examples.inputs)
    clear = examples.strength > 2
    error = (posterior.quantile(0.5) - examples.lines)[clear]
    assert np.sqrt(np.mean(error**2)) < 0.75 * examples.lines[clear].std()
    assert (np.diff(polarised, axis=1) >= 0).all()
    loaded = TotalDensityModel.load(output)
    np.testing.assert_allclose(loaded.predict(examples.inputs)[0].mean, posterior.mean, rtol=1e-5)
    np.testing.assert_allclose(loaded.calibration.up, model.calibration.up)
    # Networks are kept: the second time nothing is trained anew, and the model is the same.
    said: list[str] = []
    again = train(output, recipe, work, lambda what, done: said.append(what))
    assert not any(text.startswith("network") for text in said)
    np.testing.assert_array_equal(again.networks[0][0][0], model.networks[0][0][0])
    with pytest.raises(ModelError, match="no such file"):
        TotalDensityModel.load(tmp_path / "none.safetensors")
