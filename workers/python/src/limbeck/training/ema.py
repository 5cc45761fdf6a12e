"""Exponential moving average of weights; evaluation, export and child stages read it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Ema:
    """fp32 average of a module's parameters with decay min(d, (1 + n) / (10 + n)) at update n.

    The young average follows the weights closely, so that a short run's EMA is not its
    initialisation. Buffers are constants in this project's models and are read from the module.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"EMA decay must lie in [0, 1), got {decay}")
        self.decay = decay
        self.weights = {name: p.detach().clone().float() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, updates: int) -> None:
        """Moves towards the module's weights after its update number `updates` (0-based)."""
        keep = min(self.decay, (1 + updates) / (10 + updates))
        weights = [p.detach().float() for _, p in module.named_parameters()]
        torch._foreach_lerp_(list(self.weights.values()), weights, 1 - keep)

    @torch.no_grad()
    def load(self, weights: dict[str, torch.Tensor]) -> None:
        if weights.keys() != self.weights.keys():
            odd = sorted(weights.keys() ^ self.weights.keys())[:3]
            raise ValueError(f"EMA weights do not fit the module; first differing names: {odd}")
        for name, value in weights.items():
            self.weights[name].copy_(value)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """The module computes with the average inside the block and gets its own weights back after it."""
        parameters = dict(module.named_parameters())
        own = {name: p.detach().clone() for name, p in parameters.items()}
        try:
            with torch.no_grad():
                for name, p in parameters.items():
                    p.copy_(self.weights[name])
            yield
        finally:
            with torch.no_grad():
                for name, p in parameters.items():
                    p.copy_(own[name])
