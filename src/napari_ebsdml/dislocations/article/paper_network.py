"""The network and the loss of the article, as its Table A1 and equation 3 state them.

Source: Zhang and Ngan, doi:10.1016/j.ijplas.2018.11.008. No model that is shipped uses them: they
are what `benchmarks/dislocation_table.py` compares with.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ebsdml.errors import InputError


class _Layer(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int, padding: int = 0) -> None:
        conv = nn.Conv2d(inputs, outputs, size, padding=padding)
        nn.init.xavier_normal_(conv.weight)
        nn.init.constant_(conv.bias, 0.1)  # type: ignore[arg-type]
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class TableA1Network(nn.Module):
    """Network of Table A1: 343,434 parameters, one 7 x 7 crop -> number of lines and density.

    The input is normalised by a batch normalisation of its own, which makes the article's
    number of parameters come out exactly.

    Parameters
    ----------
    classes
        Numbers of lines told apart, N = 1..`classes`; the article has 5.
    """

    readout = ("output",)
    """Layers that the optimiser must not treat as hidden ones."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(3)
        self.branch_1 = nn.Sequential(_Layer(3, 25, 3, 1), _Layer(25, 25, 1))
        self.branch_2 = nn.Sequential(_Layer(3, 10, 1), _Layer(10, 25, 3, 1))
        self.branch_3 = nn.Sequential(_Layer(3, 25, 1), nn.MaxPool2d(3, 1, 1))
        same = [_Layer(75 if w == 30 else w - 5, w, 3, 1) for w in range(30, 70, 5)]
        valid = [_Layer(w - 5, w, 2) for w in range(70, 100, 5)]
        self.trunk = nn.Sequential(*same, *valid)
        self.head = nn.Sequential(
            nn.Dropout(0.5), _Layer(95, 128, 1), nn.Dropout(0.5), nn.Flatten()
        )
        self.output = nn.Linear(128, classes + 1)
        nn.init.xavier_normal_(self.output.weight)
        nn.init.constant_(self.output.bias, 0.1)

    def forward(self, gnd: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of N (n, classes) and density (n,) of GND crops (n, 2, 7, 7)."""
        x = self.normalise(torch.cat([gnd, gnd.norm(dim=1, keepdim=True)], dim=1))
        x = torch.cat([self.branch_1(x), self.branch_2(x), self.branch_3(x)], dim=1)
        x = self.output(self.head(self.trunk(x)))
        return x[:, :-1], functional.relu(x[:, -1])


def paper_loss(
    logits: Tensor,
    density: Tensor,
    count: Tensor,
    total: Tensor,
    ratio: float = 0.5,
    form: Literal["mse", "msle"] = "msle",
) -> dict[str, Tensor]:
    """Loss of equation 3: (1 - ratio) reg + ratio cal.

    The article prints cal without its minus sign; it is the ordinary cross-entropy.

    Parameters
    ----------
    logits, density
        What the network gives.
    count
        True number of lines, from 1.
    total
        True density, in the unit of `density`.
    ratio
        Weight of the classification, 0..1.
    form
        Regression by squared error, or by squared error of log(density + 1).

    Raises
    ------
    InputError
        When ratio or form is none of these.
    """
    if not 0 <= ratio <= 1:
        raise InputError(f"ratio must lie in 0..1, not {ratio}.")
    if form not in ("mse", "msle"):
        raise InputError(f"form must be 'mse' or 'msle', not {form!r}.")
    if form == "msle":
        density, total = torch.log1p(density), torch.log1p(total)
    return {
        "reg": (1 - ratio) * functional.mse_loss(density, total),
        "cal": ratio * functional.cross_entropy(logits, count.long() - 1),
    }
