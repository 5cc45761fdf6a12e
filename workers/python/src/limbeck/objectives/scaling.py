"""S(): timestep-aware scaling of task and distillation losses, and its alternatives (paper.md section 4).

    S(L_task, L_kd) = E_t [ a_t L_task + (1 - a_t) r(t) L_kd ],   r(t) = |L_task^t| / |L_kd^t|, detached
    L_MD = sum over distillation terms k of S(L_task, w_k L_k)

The ratio must be detached: left in the graph, r L_kd *is* L_task and the teacher disappears from value
and gradient alike. Detached, the value of S still equals the task loss, so the raw terms are what to
watch. r(t) is by default the ratio of running means per bin of t (a ratio per sample turns the
distillation term into a logarithmic loss that gives up on the worst samples; training.md J.3). A
weight w_k multiplies the scaled term, since inside the ratio it would cancel.

The task loss stands in every S, so in mode `timestep` data weigh (number of terms) x a_t. No mode
weighs by the density of t: t is drawn from it already.

Shapes: B samples, K bins. Losses come and go per sample [B] (means over C, H, W).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.contracts.generated import ScalingConfig, TimeConfig
from limbeck.objectives.flow import time_quantile, unshift_time

EPSILON = 1e-8


def task_weight(t_B: Tensor, curve: str, shift: float = 1.0) -> Tensor:
    """a_t: the share of the data term, large in the middle, 0 at both ends where the teacher leads.

    From the standard logit-normal density rho, taken before the time shift so that the curve moves
    with the training density. Reading A: rho over its maximum (4 / sqrt(2 pi) at t = .5). Reading B:
    the normal CDF of rho. rho is 0/0 at the ends; a(0) = a(1) = 0 by definition.

    Raises:
        ValueError: another reading; the logit-normal's own CDF is monotone and contradicts the paper.
    """
    t = unshift_time(t_B.double(), shift)
    inside = (t > 0) & (t < 1)
    u = torch.where(inside, t, 0.5)
    density = torch.exp(-0.5 * torch.logit(u).square()) / (math.sqrt(2 * math.pi) * u * (1 - u))
    if curve == "A":
        weight = density * (math.sqrt(2 * math.pi) / 4)
    elif curve == "B":
        weight = torch.special.ndtr(density)
    else:
        raise ValueError(f"weight_curve must be A or B, got {curve!r}")
    return torch.where(inside, weight, 0.0).to(t_B.dtype)


def probability_edges(time: TimeConfig, bins: int) -> Tensor:
    """Inner edges [bins - 1] of bins of equal probability under the training density, shift included."""
    return time_quantile(time, torch.arange(1, bins) / bins)


def grid_edges(times: Sequence[float]) -> Tensor:
    """Inner edges between the distinct step times of few-step training: one bin a time."""
    distinct = torch.tensor(sorted(set(times)), dtype=torch.float64)
    return ((distinct[1:] + distinct[:-1]) / 2).float()


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """What S() made of a batch. Everything but `total` is detached; per-sample unless said otherwise."""

    total: Tensor  # scalar, with gradient
    ratio: dict[str, Tensor]  # r(t) after the clamp, by term
    task_weight_B: Tensor  # effective weight of the data term
    weight: dict[str, Tensor]  # effective weight of each distillation term: w_k (1 - a_t) r
    clamped: dict[str, Tensor]  # scalar: share of the samples whose ratio hit a limit


class LossScaling:
    """The running means behind r(t), and the combination of per-sample losses.

    `observe` is called once per optimizer step, with the losses of the whole global batch; `combine`
    is pure. Means start from the first batch's overall means, and a bin's n-th update keeps
    min(decay, (1 + n) / (10 + n)) of it, so that young bins find their own level quickly.

    Args:
        weights: distillation terms by name with their w_k; a weight of 0 leaves the term out.
        edges: ascending inner edges of the bins of t (`probability_edges`, `grid_edges`).
        shift: time shift of the resolution.
    """

    def __init__(
        self, config: ScalingConfig, weights: Mapping[str, float], edges: Tensor, shift: float = 1.0
    ) -> None:
        if config.ratio == "per_sample" and config.mode in ("global", "none"):
            raise ValueError(f"scaling: ratio per_sample has no meaning in mode {config.mode}; use per_bin")
        low, high = config.ratio_limits
        if low > high:
            raise ValueError(
                f"scaling.ratio_limits are [{low}, {high}]; the first must not exceed the second"
            )
        self.config = config
        self.weights = {name: weight for name, weight in weights.items() if weight > 0}
        self.edges = edges
        self.shift = shift
        self.names = ["task", *self.weights]
        bins = len(edges) + 1 if config.mode != "global" else 1
        # Row 0 the task loss, then the terms in order; updates 0 means "nothing seen yet".
        self.means = torch.zeros(len(self.names), bins, dtype=torch.float64)
        self.updates = torch.zeros(bins, dtype=torch.float64)
        self.fresh = True
        """No loss was observed yet, and the ratios mean nothing. Known without asking the device."""

    @property
    def bins(self) -> int:
        return self.means.shape[1]

    def bin_of(self, t_B: Tensor) -> Tensor:
        """Bin of each t [B], int64; an edge belongs to the bin above it."""
        if self.config.mode == "global":
            return torch.zeros_like(t_B, dtype=torch.long)
        return torch.bucketize(t_B, self.edges.to(t_B.device), right=True)

    @torch.no_grad()
    def observe(self, t_B: Tensor, task_B: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Moves the running means towards this batch's means per bin. No value leaves the device."""
        self.fresh = False
        losses = torch.stack([task_B, *(terms[name] for name in self.weights)]).detach().double()
        self._to(losses.device)
        index = self.bin_of(t_B)
        counts = torch.zeros_like(self.updates).index_add_(0, index, torch.ones_like(losses[0]))
        sums = torch.zeros_like(self.means).index_add_(1, index, losses)
        fresh = (self.updates.sum() == 0).double()
        means = fresh * losses.mean(dim=1, keepdim=True) + (1 - fresh) * self.means
        keep = torch.clamp((1 + self.updates) / (10 + self.updates), max=self.config.decay)
        seen = counts > 0
        moved = keep * means + (1 - keep) * sums / counts.clamp(min=1)
        self.means = torch.where(seen, moved, means)
        self.updates = self.updates + seen.double()

    def ratio(self, name: str, t_B: Tensor, task_B: Tensor, term_B: Tensor) -> Tensor:
        """r(t) per sample before the clamp, detached."""
        if self.config.mode == "none":
            return torch.ones_like(task_B)
        if self.config.ratio == "per_sample":
            return task_B.detach() / (term_B.detach() + EPSILON)
        self._to(t_B.device)
        row = self.means[self.names.index(name)]
        return (self.means[0] / (row + EPSILON))[self.bin_of(t_B)].to(task_B.dtype)

    def combine(self, t_B: Tensor, task_B: Tensor, terms: Mapping[str, Tensor]) -> Breakdown:
        """The loss of a batch from its per-sample losses."""
        if not self.weights:
            return Breakdown(
                total=task_B.mean(), ratio={}, task_weight_B=torch.ones_like(task_B), weight={}, clamped={}
            )
        low, high = self.config.ratio_limits
        timestep = self.config.mode == "timestep"
        a_B = task_weight(t_B, self.config.weight_curve, self.shift) if timestep else torch.ones_like(t_B)
        data_B = a_B * len(self.weights) if timestep else a_B
        total_B = data_B * task_B
        ratios, weights, clamped = {}, {}, {}
        for name, weight in self.weights.items():
            free_B = self.ratio(name, t_B, task_B, terms[name])
            ratio_B = free_B if self.config.mode == "none" else free_B.clamp(low, high)
            weight_B = weight * ((1 - a_B) if timestep else 1.0) * ratio_B
            total_B = total_B + weight_B * terms[name]
            ratios[name], weights[name] = ratio_B, weight_B
            clamped[name] = (free_B != ratio_B).float().mean()
        return Breakdown(
            total=total_B.mean(), ratio=ratios, task_weight_B=data_B, weight=weights, clamped=clamped
        )

    def ratio_by_bin(self, name: str) -> list[float | None]:
        """Clamped ratio of the running means in each of the scaling bins; None before the first update."""
        low, high = self.config.ratio_limits
        row = (self.means[0] / (self.means[self.names.index(name)] + EPSILON)).clamp(low, high)
        return [float(r) if n else None for r, n in zip(row.tolist(), self.updates.tolist(), strict=True)]

    def state_tensors(self) -> dict[str, Tensor]:
        return {"means": self.means.clone(), "updates": self.updates.clone()}

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        if tensors["means"].shape != self.means.shape:
            raise ValueError(
                f"scaling state has shape {tuple(tensors['means'].shape)},"
                f" this stage needs {tuple(self.means.shape)}"
            )
        self.means, self.updates = tensors["means"].clone(), tensors["updates"].clone()
        self.fresh = not bool(self.updates.any())

    def _to(self, device: torch.device) -> None:
        self.means, self.updates = self.means.to(device), self.updates.to(device)
