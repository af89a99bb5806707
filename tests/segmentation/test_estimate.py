"""How long a training takes, told before it."""

from __future__ import annotations

import math

import pytest

from napari_ebsdml import InputError
from napari_ebsdml.segmentation import TrainingSettings, UNetSettings
from napari_ebsdml.segmentation.learning.estimate import (
    expected_seconds,
    in_words,
    per_pixel,
    rate_from,
    training_work,
)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_multiplications_of_the_network(depth: int) -> None:
    import torch
    from torch import nn

    from napari_ebsdml.segmentation.models.network import UNet

    settings = UNetSettings(depth=depth)
    network, counted, side = UNet(5, 3, settings), 0, 64

    def count(module: nn.Conv2d, inputs: object, output: torch.Tensor) -> None:
        nonlocal counted
        counted += module.weight.numel() * output.shape[-1] * output.shape[-2]

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    network.eval()
    with torch.inference_mode():
        network.one(0, torch.zeros(1, 5, side, side))
    assert per_pixel(settings, 5, 3) == pytest.approx(counted / side**2, rel=0.02)


def test_twice_the_epochs_take_twice_as_long_and_none_no_time() -> None:
    shape = [(100, 120)]
    work = [training_work(shape, 6, 2, TrainingSettings(epochs=n)) for n in (0, 10, 20)]
    assert work[0] == 0
    assert work[2] == pytest.approx(2 * work[1], rel=0.05)
    with pytest.raises(InputError, match="at least one map"):
        training_work([], 6, 2)


def test_a_machine_teaches_its_rate() -> None:
    work = training_work([(100, 120)], 6, 2)
    seconds = expected_seconds(work, 12_000, rate=1e9)
    assert rate_from(work, 12_000, seconds) == pytest.approx(1e9)
    assert math.isnan(rate_from(work, 12_000, 1.0))
    assert expected_seconds(work, 12_000, rate=1e3, limit=60) < 70


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2, "about 5 s"), (22, "about 20 s"), (44, "about 40 s"), (170, "about 3 min"),
     (9000, "about 2.5 h")],
)  # fmt: skip
def test_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
