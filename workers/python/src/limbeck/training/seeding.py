"""Seeded initialisation without touching the global generator."""

from collections.abc import Callable
from typing import TypeVar

import torch

Built = TypeVar("Built")


def seeded_build(seed: int, build: Callable[[], Built]) -> Built:
    """Builds a module whose initialisation depends on `seed` alone.

    torch's initialisers read the global CPU generator; it is forked, seeded and put back, so that
    nothing outside sees the draw.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()
