"""Synthetic martensite and alpha titanium: truth and map agree."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml import samples
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps import disorientation_angle


@pytest.mark.parametrize("make", [samples.martensite, samples.alpha_titanium])
def test_child_is_its_variant_of_the_parent(make) -> None:
    sample = make((80, 100), seed=1, retained=0.1, wrong=0.03, not_indexed=0.05)
    child = sample.variant > 0
    table = sample.relationship.variants.quaternions
    ideal = multiply(table[sample.variant[child] - 1], sample.parent_quaternions[child])
    kind = sample.relationship.child
    angle = disorientation_angle(sample.scan.quaternions[child], ideal, kind)
    assert np.nanmedian(angle) < 4
    assert np.nanmean(angle > 12) == pytest.approx(0.03, abs=0.01)
    assert np.isnan(angle).mean() == pytest.approx(0.05, abs=0.01)
    kept = (sample.variant == 0) & sample.scan.is_indexed
    assert (sample.scan.phase_id[kept] == 2).all()
    assert (sample.variant == 0).mean() == pytest.approx(0.1, abs=0.01)
    again = make((80, 100), seed=1, retained=0.1, wrong=0.03, not_indexed=0.05)
    assert np.array_equal(again.scan.quaternions, sample.scan.quaternions)


def test_arguments() -> None:
    with pytest.raises(InputError, match="bcc"):
        samples.martensite((20, 20), relationship="Burgers")
    with pytest.raises(InputError):
        samples.martensite((20, 20), retained=2)
