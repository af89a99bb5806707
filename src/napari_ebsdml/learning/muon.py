"""Muon: momentum whose matrices are made orthogonal, with AdamW for all that is no matrix.

For small convolutional networks it needs several times fewer steps than AdamW alone
(K. Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; arXiv:2502.16982).
`torch.optim.Muon` takes matrices only, so it cannot hold the kernels of convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Quintic Newton-Schulz iteration; brings singular values near 1, which is all it takes."""
_TURNS = 5


def orthogonalise(matrix: Tensor) -> Tensor:
    """Matrix of the same singular vectors with singular values of about 1 (0.7 to 1.2)."""
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_TURNS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for kernels and matrices, AdamW for the rest.

    Parameters
    ----------
    matrices
        Hidden layers' parameters of two or more dimensions; all but the first are flattened.
    others
        Everything else: biases, norms, the layer that gives the output.
    lr
        Learning rate of the AdamW part; that of the matrices is `factor` times as large.
    weight_decay
        Decoupled weight decay of both.
    factor, momentum, betas, eps
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[Tensor],
        lr: float,
        weight_decay: float = 0.0,
        factor: float = 20.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        groups = [
            {"params": list(matrices), "matrices": True},
            {"params": list(others), "matrices": False},
        ]
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "factor": factor, "momentum": momentum,
            "betas": betas, "eps": eps,
        }  # fmt: skip
        super().__init__([group for group in groups if group["params"]], defaults)

    @classmethod
    def of(cls, network: nn.Module, lr: float, weight_decay: float = 0.0) -> Muon:
        """Optimiser of a network; its attribute `readout` names layers that AdamW trains."""
        readout = tuple(f"{name}." for name in getattr(network, "readout", ()))
        matrices: list[Tensor] = []
        others: list[Tensor] = []
        for name, parameter in network.named_parameters():
            hidden = parameter.ndim >= 2 and not name.startswith(readout)
            (matrices if hidden else others).append(parameter)
        return cls(matrices, others, lr, weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step along the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if group["matrices"]:
                    self._matrix_step(parameter, group)
                else:
                    self._adam_step(parameter, group)
        return loss

    def _matrix_step(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        rate = group["lr"] * group["factor"]
        mean = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
        update = parameter.grad.lerp(mean, group["momentum"]).flatten(1)  # type: ignore[union-attr]
        # A tall matrix gets longer steps, so that its outputs move as far as those of a wide one.
        shape = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
        parameter.mul_(1 - rate * group["weight_decay"])
        parameter.add_(orthogonalise(update).view_as(parameter), alpha=-rate * shape)

    def _adam_step(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["count"] = torch.zeros(())
            state["mean"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        gradient = parameter.grad
        assert gradient is not None
        first, second = group["betas"]
        state["count"] += 1
        count = float(state["count"])
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].lerp_(gradient.square(), 1 - second)
        size = (state["square"] / (1 - second**count)).sqrt_().add_(group["eps"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.addcdiv_(state["mean"], size, value=-group["lr"] / (1 - first**count))
