"""The synthetic dual-phase steel: its truth, its crystallography, and how hard it is to segment."""

from __future__ import annotations

import numpy as np
import pytest
from orix.quaternion import Orientation
from orix.quaternion.symmetry import Oh
from scipy import ndimage

from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.misorientation import kam
from napari_ebsdml.samples import (
    FERRITE,
    MARTENSITE,
    MORPHOLOGIES,
    VARIANTS,
    DualPhaseSample,
    dual_phase_steel,
)
from napari_ebsdml.samples._rotations import KS_VARIANTS

SHAPE = (420, 560)


@pytest.fixture(scope="module")
def sample() -> DualPhaseSample:
    return dual_phase_steel(SHAPE, VARIANTS["T2"], seed=5)


def best_threshold(values, truth) -> float:
    return max(((values > t) == (truth == FERRITE)).mean() for t in np.unique(values))


def test_scan_is_one_bcc_phase_with_the_usual_properties(sample):
    scan = sample.scan
    assert scan.shape == SHAPE
    assert scan.step == (0.1, 0.1)
    assert scan.phases[1].space_group.number == 229
    assert scan.phases[1].structure.lattice.a == pytest.approx(2.866)
    assert set(np.unique(scan.phase_id)) == {-1, 1}
    assert list(scan.prop) == ["BC", "BS", "MAD", "Bands", "Error"]
    assert scan.get("BC").dtype == np.uint8
    missing = ~scan.is_indexed
    assert (scan.quaternions[missing] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(scan.quaternions[~missing], axis=-1), 1, atol=1e-9)
    for name in ("MAD", "Bands"):
        assert (scan.get(name)[missing] == 0).all()
        assert (scan.get(name)[~missing] > 0).all()


def test_about_a_tenth_is_not_indexed_and_most_of_it_is_martensite(sample):
    missing = ~sample.scan.is_indexed
    assert 0.06 < missing.mean() < 0.16
    assert (sample.truth[missing] == MARTENSITE).mean() > 0.9


def test_truth_is_complete_and_consistent(sample):
    ferrite = sample.truth == FERRITE
    assert set(np.unique(sample.truth)) == {FERRITE, MARTENSITE}
    for name in ("packet", "block", "variant"):
        np.testing.assert_array_equal(getattr(sample, name) == 0, ferrite, err_msg=name)
    np.testing.assert_array_equal(sample.ferrite_grain > 0, ferrite)
    np.testing.assert_array_equal(sample.morphology <= 3, ferrite)
    assert set(np.unique(sample.morphology)) == set(MORPHOLOGIES) - {6}
    assert sample.prior_austenite.min() == 1
    assert sample.variant.max() <= 24
    # A block is of one variant, one packet and one austenite grain.
    pixels = sample.block > 0
    for name in ("variant", "packet", "prior_austenite"):
        values = getattr(sample, name)[pixels].astype(int)
        low = ndimage.minimum(values, sample.block[pixels], np.arange(1, sample.block.max() + 1))
        high = ndimage.maximum(values, sample.block[pixels], np.arange(1, sample.block.max() + 1))
        np.testing.assert_array_equal(low, high, err_msg=name)


@pytest.mark.parametrize("fraction", [0.0, 0.03, *VARIANTS.values(), 0.97, 1.0])
def test_martensite_fraction_is_met(fraction):
    truth = dual_phase_steel((90, 110), fraction, seed=2).truth
    assert (truth == MARTENSITE).mean() == pytest.approx(fraction, abs=1e-3)


@pytest.mark.parametrize("shape", [(2, 2), (3, 150), (64, 64), (65, 31)])
@pytest.mark.parametrize("step", [0.05, 1.0])
def test_any_shape_and_step(shape, step):
    result = dual_phase_steel(shape, 0.5, seed=1, step=step)
    assert all(array.shape == shape for array in result[1:])
    assert (result.truth == FERRITE).sum() == round(0.5 * shape[0] * shape[1])
    assert result.scan.step == (step, step)


def test_one_austenite_grain_over_the_whole_map():
    result = dual_phase_steel((60, 60), 0.5, seed=3, austenite_grain_size=400.0)
    assert (result.truth == FERRITE).mean() == pytest.approx(0.5)


def test_seed_decides():
    first, again, other = (dual_phase_steel((64, 80), 0.5, seed=s) for s in (7, 7, 8))
    for a, b in zip(first[1:], again[1:], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first.scan.quaternions, again.scan.quaternions)
    for name in first.scan.prop:
        np.testing.assert_array_equal(first.scan.get(name), again.scan.get(name))
    assert (first.truth != other.truth).mean() > 0.2


def test_kam_is_that_of_the_steel(sample):
    values = kam(sample.scan, order=1, threshold=3.0)
    indexed = sample.scan.is_indexed
    assert 0.14 < values[indexed & (sample.truth == FERRITE)].mean() < 0.25
    assert 0.40 < values[indexed & (sample.truth == MARTENSITE)].mean() < 0.62


@pytest.mark.parametrize("name", ["BC", "BS"])
def test_quality_separates_the_phases_but_not_trivially(sample, name):
    quality = sample.scan.get(name)
    by_pixel = best_threshold(quality, sample.truth)
    grains = segment_grains(sample.scan, threshold=3.0)
    mean = ndimage.mean(quality, grains, np.arange(grains.max() + 1))
    mean[0] = 0  # not indexed: martensite, as in the paper
    by_grain = best_threshold(np.round(mean[grains]), sample.truth)
    assert 0.84 < by_pixel < 0.94
    assert 0.92 < by_grain < 0.985
    assert by_grain > by_pixel + 0.01


def test_the_known_causes_of_error_are_there(sample):
    bc, kind = sample.scan.get("BC").astype(float), sample.morphology
    mean = {k: bc[kind == k].mean() for k in MORPHOLOGIES if k != 6}
    border = (mean[1] + mean[4]) / 2
    # Coarse auto-tempered martensite looks like ferrite, small ferrite grains like martensite.
    assert mean[5] > border
    assert mean[3] < mean[1] - 0.4 * (mean[1] - mean[4])
    values = kam(sample.scan)
    assert values[kind == 5].mean() < 0.7 * values[kind == 4].mean()


def test_blocks_of_one_austenite_grain_are_ks_variants(sample):
    """Misorientations of measured blocks are those of their variants in the truth."""
    blocks = np.bincount(sample.block.ravel())
    chosen = np.argsort(blocks[1:])[::-1][:150] + 1
    indexed = sample.scan.is_indexed
    pixel = []
    for b in chosen:
        inside = np.argwhere((sample.block == b) & indexed)
        pixel.append(inside[len(inside) // 2])
    q = np.array([sample.scan.quaternions[tuple(p)] for p in pixel])
    variant = np.array([sample.variant[tuple(p)] for p in pixel])
    parent = np.array([sample.prior_austenite[tuple(p)] for p in pixel])
    ideal = Orientation(KS_VARIANTS, symmetry=Oh)
    errors = []
    for i in range(len(chosen)):
        for j in range(i):
            if parent[i] == parent[j]:
                pair = Orientation(q[[i, j]], symmetry=Oh)
                a = pair[0].angle_with(pair[1]).item()
                b = ideal[variant[i] - 1].angle_with(ideal[variant[j] - 1]).item()
                errors.append(np.rad2deg(abs(a - b)))
    assert len(errors) > 100
    assert np.median(errors) < 3.0
    assert np.quantile(errors, 0.9) < 8.0


def test_ferrite_grows_with_the_ferrite_fraction_where_it_started():
    little, much = (dual_phase_steel((120, 150), f, seed=4).truth for f in (0.8, 0.5))
    inside = (little == FERRITE) & (much == FERRITE)
    assert inside.sum() > 0.7 * (little == FERRITE).sum()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"shape": (1, 64)}, "shape"),
        ({"shape": 64}, "shape"),
        ({"shape": (64.5, 64)}, "shape"),
        ({"shape": (64, 64, 3)}, "shape"),
        ({"martensite_fraction": 1.2}, "martensite_fraction"),
        ({"martensite_fraction": float("nan")}, "martensite_fraction"),
        ({"martensite_fraction": "T1"}, "martensite_fraction"),
        ({"step": 0}, "step"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"austenite_grain_size": 0.0}, "austenite_grain_size"),
        ({"widmanstaetten_share": 2}, "widmanstaetten_share"),
    ],
)
def test_bad_arguments_are_named(arguments, word):
    with pytest.raises(InputError, match=word):
        dual_phase_steel(**{"shape": (16, 16), **arguments})
