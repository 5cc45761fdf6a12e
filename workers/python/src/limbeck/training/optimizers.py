"""Optimizers from their configuration, and their state as named tensors.

`muon` gives the 2-D weights of the repeated blocks to torch's Muon and everything else (embeddings,
norms, biases, convolutions, the output layer) to AdamW at the same rate: the arrangement that was
worth a factor of two in score at equal time (training.md K).
"""

from collections.abc import Iterable

import torch
from torch import nn

from limbeck.contracts.generated import OptimizerConfig

NamedParameters = dict[str, nn.Parameter]


def split_for_muon(named: NamedParameters) -> tuple[NamedParameters, NamedParameters]:
    """(matrices of blocks, the rest). A block's parameter has `blocks` in its path."""
    matrices = {name: p for name, p in named.items() if p.ndim == 2 and "blocks" in name}
    return matrices, {name: p for name, p in named.items() if name not in matrices}


class NamedOptimizer:
    """One or two torch optimizers over named parameters, stepped together at one rate.

    State is kept by parameter name, not by position, so that it survives a change of order and can
    be carried to the next leg of a long training.
    """

    def __init__(self, config: OptimizerConfig, named: NamedParameters) -> None:
        self.config = config
        self.named = {name: p for name, p in named.items() if p.requires_grad}
        if not self.named:
            raise ValueError("nothing to optimise: no parameter requires a gradient")
        matrices, rest = split_for_muon(self.named) if config.kind == "muon" else ({}, self.named)
        first, second = config.betas
        self.parts: list[tuple[NamedParameters, torch.optim.Optimizer]] = []
        if matrices:
            muon = torch.optim.Muon(
                list(matrices.values()),
                lr=config.learning_rate,
                weight_decay=config.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            self.parts.append((matrices, muon))
        if rest:
            adamw = torch.optim.AdamW(
                list(rest.values()),
                lr=config.learning_rate,
                betas=(first, second),
                weight_decay=config.weight_decay,
            )
            self.parts.append((rest, adamw))

    def step(self, learning_rate: float) -> None:
        for _, optimizer in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()

    def zero_grad(self) -> None:
        for _, optimizer in self.parts:
            optimizer.zero_grad(set_to_none=True)

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """`<parameter>|<slot>` -> tensor; slots are exp_avg, exp_avg_sq, step, momentum_buffer."""
        tensors: dict[str, torch.Tensor] = {}
        for named, optimizer in self.parts:
            for name, parameter in named.items():
                for slot, value in optimizer.state.get(parameter, {}).items():
                    tensors[f"{name}|{slot}"] = torch.as_tensor(value).detach().clone().contiguous()
        return tensors

    def load_state_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        by_parameter: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            name, _, slot = key.rpartition("|")
            by_parameter.setdefault(name, {})[slot] = value
        unknown = sorted(by_parameter.keys() - self.named.keys())
        if unknown:
            raise ValueError(f"optimizer state names parameters that the model lacks: {unknown[:3]}")
        for named, optimizer in self.parts:
            for name, parameter in named.items():
                slots = by_parameter.get(name, {})
                optimizer.state[parameter] = {slot: _placed(slot, v, parameter) for slot, v in slots.items()}


def _placed(slot: str, value: torch.Tensor, parameter: nn.Parameter) -> torch.Tensor:
    # AdamW keeps its step count on the CPU; the moments live with the parameter.
    return value.clone() if slot == "step" else value.to(parameter.device, copy=True)


def named_parameters(modules: Iterable[tuple[str, nn.Module]]) -> NamedParameters:
    """Parameters of several modules under `<module>.<parameter>`."""
    return {f"{prefix}.{name}": p for prefix, module in modules for name, p in module.named_parameters()}
