"""Regional compilation: the blocks that a network repeats are compiled, what is between them is not.

A block of SD3.5-Large is compiled once for its 38 copies instead of the whole net once, which takes
minutes. Only `forward` is compiled: hooks (feature taps, FSDP2's gathering) stay outside, so that a tap
that is new at every step compiles nothing again.
"""

import shutil
from collections.abc import Iterable

import torch
from torch import nn
from torch.utils._triton import has_triton

VARIANTS = 64
"""Shapes and modes that one block's code may be compiled for: each width of a UNet, with gradients and
without, training batch and held-out chunk. The compiler's own limit of 8 is made for one module."""


def compile_blocks(blocks: Iterable[nn.Module], backend: str = "inductor") -> None:
    """Compiles the forward of each block at its first use, for the shapes of that use.

    A block that cannot be compiled whole raises at its first use instead of running in pieces.
    """
    torch._dynamo.config.recompile_limit = VARIANTS  # pyright: ignore[reportAttributeAccessIssue]
    for block in blocks:
        block.forward = torch.compile(block.forward, fullgraph=True, dynamic=False, backend=backend)


def lacking_compiler(device: torch.device) -> str | None:
    """What this machine lacks to compile for `device`; None where nothing is missing."""
    if device.type == "cuda":
        return None if has_triton() else "triton"
    return None if shutil.which("g++") or shutil.which("clang++") else "a C++ compiler (g++ or clang++)"
