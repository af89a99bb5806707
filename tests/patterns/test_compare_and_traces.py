from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.answers.compare import (
    DIFFERENT,
    MAY_BE,
    NOT_ASKED,
    ONE_UNKNOWN,
    SAME,
    UNKNOWN,
    agreement,
    answers_of,
    cross_table,
    right_share,
)
from napari_ebsdml.patterns.answers.result import no_answers
from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.bands import band_traces, plane_family
from napari_ebsdml.patterns.frame.geometry import to_kikuchipy
from napari_ebsdml.patterns.frame.triangle import FINE
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions
from tests.patterns.band_crystals import CAMERA, bands


def result(groups, others=None, known=None):
    made = no_answers((len(groups),), (221, 225, 229))
    made.space_group[:] = groups
    made.is_known[:] = (np.array(groups) > 0) if known is None else known
    for n, other in enumerate(others or ()):
        made.ambiguous_with[n] = other
    return made


def test_planes_of_a_family():
    assert [len(plane_family(hkl)) for hkl in ((1, 0, 0), (1, 1, 0), (1, 1, 1), (3, 2, 1))] == [
        3, 6, 4, 24,
    ]  # fmt: skip


@pytest.mark.parametrize("hkl", [(1, 1, 1), (1, 0, 0)])
def test_traces_lie_on_the_bands(hkl):
    """Against projected patterns of a crystal that has bands of this family alone."""
    rng = np.random.default_rng(4)
    q = random_quaternions(rng, 5)
    turns = np.ascontiguousarray(to_matrix(to_kikuchipy(q)) @ CAMERA.to_sample)
    images = np.empty((5, *CAMERA.shape), np.float32)
    master = bands(3.6, {hkl: 1.0})[None]
    _kernels.project(master, np.zeros(5, int), turns, CAMERA.bounds, FINE, images)
    for one, image in zip(q, images, strict=True):
        lines = band_traces(hkl, one, CAMERA)
        assert len(lines)
        along = np.linspace(0.02, 0.98, 60)[:, None]
        for start, end in lines:
            at = start + (end - start) * along
            assert (np.abs(at - 0.5).max(axis=1) <= 0.5 + 1e-9).all()
            row, column = np.clip((at * CAMERA.shape).astype(int), 0, 59).T
            # Bright on the line everywhere: brighter than nine tenths of a pattern's mean level.
            assert image[row, column].min() > image.mean() + 0.3 * image.std()
        ends = lines.reshape(-1, 2)
        assert (np.minimum(np.abs(ends), np.abs(ends - 1)).min(axis=1) < 1e-9).all()


def test_answers_become_kinds():
    made = result([221, 225, 225, 229, 0, 229], [(225,), (221,), (), (), (), ()])
    made.is_known[5] = False
    answers = answers_of(made)
    shown = [answers.kinds[n] for n in answers.number]
    assert shown == [(221, 225), (221, 225), (225,), (229,), (NOT_ASKED,), (UNKNOWN,)]
    assert answers.count().sum() == 6
    plain = answers_of(made, ambiguous=False)
    assert [plain.kinds[n] for n in plain.number[:4]] == [(221,), (225,), (225,), (229,)]


def test_two_models_side_by_side():
    one = answers_of(result([221, 225, 225, 229, 0], [(225,)]))
    two = result([221, 225, 229, 229, 229])
    two.is_known[3] = False
    two = answers_of(two)
    assert cross_table(one, two) == {
        ((221, 225), (221,)): 1,
        ((225,), (225,)): 1,
        ((225,), (229,)): 1,
        ((229,), (UNKNOWN,)): 1,
    }
    np.testing.assert_array_equal(agreement(one, two), [MAY_BE, SAME, DIFFERENT, ONE_UNKNOWN, 0])
    with pytest.raises(InputError, match="not of one map"):
        cross_table(one, answers_of(result([221])))


def test_share_of_right_answers():
    answers = answers_of(result([221, 225, 225, 229, 0], [(225,)]))
    right, compatible = right_share(answers, np.array([225, 225, 225, 225, 225]))
    assert (right, compatible) == (0.5, 0.75)
    assert np.isnan(right_share(answers, np.zeros(5, int))).all()


def test_many_answers_are_sorted_quickly():
    rng = np.random.default_rng(0)
    made = result(rng.choice([221, 225, 229], 200_000))
    for n in range(0, 200_000, 2):
        made.ambiguous_with[n] = (225,) if made.space_group[n] == 221 else ()
    answers = answers_of(made)
    assert answers.count()[answers.kinds.index((221, 225))] == (made.space_group[::2] == 221).sum()
