"""Data parallelism: what a process of a group does for its share of a batch (torchrun sets the group up).

Every process holds the whole learner and works on its rows of each batch; gradients are summed after
the backward pass. torch's DDP is not used: it wants one forward() of one wrapped module, while a
distillation takes losses at a student's inner features, at its velocity and at a projector; what is
lost is the overlap of reduction and backward.

Without a group every function is the identity, so that a stage is written once. A stage that ignores
the group computes the whole batch everywhere and still gets the right weights.
"""

import os
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

GROUP_TIMEOUT = timedelta(minutes=30)
"""Longest wait of a collective: the slowest rank may be writing a checkpoint or validating."""


def start_group() -> None:
    """Joins the process group that torchrun's environment describes; nothing to do without one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # Flags and statistics travel as CPU tensors, gradients where they lie.
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(device())
        dist.init_process_group(backend, timeout=GROUP_TIMEOUT)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def device() -> torch.device:
    """Where this process computes: its own GPU where there is one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def own_rows(count: int) -> slice:
    """This rank's block of `count` rows, so that gathering in rank order restores the batch.

    Raises:
        ValueError: `count` is no multiple of the number of processes.
    """
    if count % world():
        raise ValueError(f"{count} samples do not divide over {world()} processes")
    share = count // world()
    return slice(rank() * share, (rank() + 1) * share)


@torch.no_grad()
def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Adds up each parameter's gradient over the group, in one reduction a dtype."""
    if world() == 1:
        return
    by_dtype: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        # A term may leave a parameter untouched in this process's rows and touch it in another's.
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        by_dtype.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in by_dtype.values():
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def gathered(rows: Tensor) -> Tensor:
    """The rows of all ranks in rank order, on every rank; detached. Ranks hold equally many."""
    rows = rows.detach()
    if world() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(world())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


@torch.no_grad()
def summed(value: Tensor) -> Tensor:
    """Sum over ranks, detached."""
    value = value.detach().clone()
    if world() > 1:
        dist.all_reduce(value)
    return value


def any_rank(flag: bool) -> bool:
    """True everywhere when it is true anywhere (a stop signal); no process goes on before all have asked."""
    if world() == 1:
        return flag
    value = torch.tensor(float(flag))
    dist.all_reduce(value)
    return bool(value > 0)
