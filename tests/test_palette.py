"""Colours that people with other sight tell apart, too."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_ebsdml import _palette

# Machado, Oliveira, Fernandes 2009 (doi:10.1109/TVCG.2009.113), severity 1, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
}  # fmt: skip
SETS = {
    "classes": _palette.CLASS_COLORS,
    "labels": _palette.LABEL_COLORS,
    "right and wrong": (_palette.RIGHT, _palette.WRONG),
    "same and different": (_palette.SAME, _palette.DIFFERENT),
    "curves on dark": _palette.CURVES[0],
    "curves on light": _palette.CURVES[1],
    "answers": (_palette.SAME, _palette.BETWEEN, _palette.DIFFERENT, _palette.NO_ANSWER),
    "differs, on classes": (_palette.DIFFERS_ON_CLASSES, *_palette.CLASS_COLORS[:4]),
    "space groups": (*_palette.SPACE_GROUP_COLORS.values(), _palette.UNKNOWN),
    "measured and bound": (_palette.MEASURED, _palette.BOUND),
    "boundaries on black": tuple(_palette.BOUNDARIES_ON_DARK.values()),
    "boundaries": tuple(_palette.BOUNDARY_COLORS.values()),
}


def seen(color: str, sight: NDArray[np.float64]) -> NDArray[np.float64]:
    """A colour as CIE-LAB, as somebody sees it."""
    srgb = np.array([int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    other = np.clip(sight @ linear, 0, 1)
    back = np.where(other <= 0.0031308, 12.92 * other, 1.055 * other ** (1 / 2.4) - 0.055)
    return rgb2lab(back[np.newaxis, np.newaxis])[0, 0]


def least(colors: tuple[str, ...], sight: NDArray[np.float64]) -> float:
    lab = [seen(color, sight) for color in colors]
    return min(float(deltaE_ciede2000(lab[a], lab[b])) for a in range(len(lab)) for b in range(a))


def test_the_measure_tells_red_from_green_as_measured_before() -> None:
    pair = ("#2ca02c", "#ff2d2d")
    assert least(pair, SIGHT["normal"]) > 70
    assert least(pair, SIGHT["deuteranope"]) == pytest.approx(6, abs=1)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("name", SETS)
def test_colors_of_a_set_differ_for_everybody(name: str, sight: str) -> None:
    assert least(SETS[name], SIGHT[sight]) >= 20


@pytest.mark.parametrize("sight", SIGHT)
def test_sets_of_space_groups_are_not_taken_for_one(sight: str) -> None:
    every = (*SETS["space groups"], *_palette.SPACE_GROUP_SETS.values())
    assert least(every, SIGHT[sight]) >= 18
