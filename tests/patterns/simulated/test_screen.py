from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml.patterns.simulated.screen import Screen, circle, expose
from napari_ebsdml.patterns.simulated.synthetic import Reality, folded_batch, random_quaternions
from tests.patterns.band_crystals import CAMERA, project

PLAIN = Screen(
    contrast=(0.1, 0.1), background_width=(1e3, 1e3), background_offset=0.0, vignetting=(0, 0),
    gamma=(1, 1), saturation=(0, 0), gain=(0, 0), dust=(0, 0), bits=16,
)  # fmt: skip
"""Nothing but the bands."""
QUIET = (1e-3, 1e-3)


def change(**what):
    return Screen(**{**PLAIN.__dict__, **what})


@pytest.fixture(scope="module")
def clean(library):
    q = random_quaternions(np.random.default_rng(0), 6)
    return project(library, [0, 1, 10, 11, 20, 21], q)


def relative(screen, clean, noise=QUIET, seed=1, **more):
    """Counts as parts of their mean."""
    counts = expose(clean, np.random.default_rng(seed), noise, screen=screen, **more).astype(float)
    return counts / counts.mean(axis=(1, 2), keepdims=True)


def test_a_plain_screen_shows_the_bands(clean):
    shown = relative(PLAIN, clean)
    for one, other in zip(shown, clean, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999
    assert shown.std(axis=(1, 2)) == pytest.approx(np.full(6, 0.1), rel=0.02)


def test_the_same_seed_gives_the_same_counts(clean):
    one, two, three = (expose(clean, np.random.default_rng(seed), (0.3, 0.9)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert (one != three).mean() > 0.5
    assert one.dtype == np.uint8


@pytest.mark.parametrize("binning", [1, 2])
def test_noise_is_poisson_and_of_the_size_asked_for(binning):
    flat = np.zeros((40, 24, 24), np.float32)
    # Without bands the dose is still fixed by the contrast: noise 0.5 of 10 % is 5 % of the mean.
    shown = relative(PLAIN, flat, (0.5, 0.5), binning=binning)
    assert shown.std() == pytest.approx(0.05, rel=0.03)
    # Half the light, half the electrons: the noise grows with the root.
    dark = change(background_width=(0.8, 0.8))
    images = relative(dark, np.zeros((400, 24, 24), np.float32), (0.5, 0.5))
    mean, spread = images.mean(axis=0), images.std(axis=0)
    slope = np.polyfit(np.log(mean.ravel()), np.log(spread.ravel()), 1)[0]
    assert slope == pytest.approx(0.5, abs=0.05)


def test_background_and_vignetting_darken_the_corners():
    flat = np.zeros((3, 40, 40), np.float32)
    for what in ({"background_width": (1.0, 1.0)}, {"vignetting": (0.3, 0.3)}):
        shown = relative(change(**what), flat)
        assert (shown[:, 20, 20] > 1.1 * shown[:, 0, 0]).all()
    # exp(-(1 + 1) / 2) and 1 - 0.3 in the corner, the middle 1.
    corner = relative(change(vignetting=(0.3, 0.3)), flat)
    assert (corner[:, 0, 0] / corner[:, 20, 20]) == pytest.approx(np.full(3, 0.7), rel=0.01)
    moved = relative(change(background_width=(0.7, 0.7), background_offset=0.4), flat)
    brightest = {int(one.argmax()) for one in moved}
    assert len(brightest) == 3


def test_blur_binning_gamma_and_saturation(clean):
    sharp = np.abs(np.diff(relative(PLAIN, clean), axis=2)).mean()
    soft = np.abs(np.diff(relative(PLAIN, clean, blur=1.5), axis=2)).mean()
    assert soft < 0.7 * sharp
    binned = expose(clean, np.random.default_rng(0), QUIET, screen=PLAIN, binning=2)
    assert binned.shape == (6, 30, 30)
    half = clean.reshape(6, 30, 2, 30, 2).mean(axis=(2, 4))
    for one, other in zip(binned, half, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.998
    plain, bent = (
        expose(clean, np.random.default_rng(0), QUIET, screen=change(gamma=(g, g))).astype(float)
        for g in (1, 2)
    )
    np.testing.assert_allclose(bent / 65535, (plain / 65535) ** 2, atol=0.01)
    over = expose(clean, np.random.default_rng(0), QUIET, screen=change(saturation=(0.1, 0.1)))
    assert (over == 65535).mean() == pytest.approx(0.1, abs=0.01)


def test_gain_and_dust_stay_where_they_are():
    flat = np.zeros((30, 32, 32), np.float32)
    for what in ({"gain": (0.05, 0.05)}, {"dust": (3, 3)}):
        shown = relative(change(**what), flat, (0.2, 0.2), same=True)
        plain = relative(PLAIN, flat, (0.2, 0.2), same=True)
        # Fixed from exposure to exposure: it survives the mean, in which noise fades.
        assert shown.mean(axis=0).std() > 3 * plain.mean(axis=0).std()
    specks = relative(change(dust=(3, 3)), flat, same=True).mean(axis=0)
    assert specks.min() < 0.95
    assert (specks < 0.95).mean() < 0.1


def test_a_circle_touches_the_sides():
    inside = circle((40, 60))
    assert inside[20, 0]
    assert inside[0, 30]
    assert not inside[0, 0]
    assert inside.mean() == pytest.approx(np.pi / 4, abs=0.01)


def test_overlapping_binned_and_masked_patterns_are_made(library):
    reality = Reality((32,), (0.3, 0.3), 0, 0, 0, 0.4, binning=(2,), circular=1.0)
    which = np.zeros(12, int)
    known, overlap, again = (
        folded_batch(library.masters, which, 3, reality, kind=kind)
        for kind in ("known", "overlap", "overlap")
    )
    np.testing.assert_array_equal(overlap.sums, again.sums)
    # Outside the circle no pixel is folded.
    assert known.weights.sum() / len(which) == pytest.approx(circle((32, 32)).sum(), rel=0.01)
    assert np.median(overlap.agreement) < np.median(known.agreement)
    assert CAMERA.shape == (60, 60)
