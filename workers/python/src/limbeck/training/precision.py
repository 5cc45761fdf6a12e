"""bf16 compute with float32 islands: master weights, time, norms, losses, statistics stay float32."""

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from limbeck.contracts.context import StageFailure
from limbeck.contracts.generated import TrainingConfig
from limbeck.models.regional import compile_blocks, lacking_compiler

NORMS = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def compute_precision(training: TrainingConfig, device: torch.device) -> AbstractContextManager[Any]:
    """Around forward passes of a learner; losses are taken outside, on `.float()`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=training.precision == "bf16")


def prepared(module: nn.Module, training: TrainingConfig, device: torch.device) -> nn.Module:
    """The module on its device, with float32 norms where the rest computes in bf16, and recomputing
    activations in the backward pass and compiling its blocks where asked.

    CUDA's autocast runs norms in float32 by itself, the CPU's does not: the hooks make it the same
    everywhere. They are no part of the module that is exported.

    Raises:
        StageFailure: bad_config, activation_checkpointing or compile_blocks for a module that has no
            such switch, or on a machine that lacks the compiler.
    """
    module.to(device)
    if training.precision == "bf16":
        for part in module.modules():
            if isinstance(part, NORMS):
                part.register_forward_pre_hook(_in_float32)
    if training.activation_checkpointing:
        switch = getattr(module, "checkpoint_activations", None)
        if switch is None:
            raise StageFailure(
                "bad_config",
                f"activation_checkpointing: a {type(module).__name__} cannot recompute activations",
            )
        switch()
    if training.compile_blocks:
        if not hasattr(module, "repeated_blocks"):
            raise StageFailure(
                "bad_config", f"compile_blocks: a {type(module).__name__} repeats no block to compile"
            )
        compiled(module, device)
    return module


def compiled(network: Any, device: torch.device) -> None:
    """Compiles the blocks of a network that has `repeated_blocks`, a learner's or a teacher's.

    Raises:
        StageFailure: bad_config, the machine lacks the compiler; says which.
    """
    lacking = lacking_compiler(device)
    if lacking:
        raise StageFailure("bad_config", f"compile_blocks: this machine lacks {lacking}")
    compile_blocks(network.repeated_blocks())


def _in_float32(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.float() if isinstance(value, torch.Tensor) else value for value in inputs)
