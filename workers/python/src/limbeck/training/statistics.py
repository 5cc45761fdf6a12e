"""Statistics over t: held-out error on a fixed stratified batch, and per-bin training means.

Nothing here waits for the device inside a step: training sums are added with index_add_ and read
once per log interval.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from limbeck.data.features import FeatureBatch
from limbeck.data.randomness import normal, uniform
from limbeck.objectives.flow import interpolate, velocity_target
from limbeck.training.distributed import summed

VelocityFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

LATENT_EDGE = 32
"""Of 256 px: up to there 64 held-out latents are one forward."""

BINS = 20
"""Even bins in t for what the dashboard shows."""


def held_out_chunk(edge: int, reference: int) -> int:
    """Held-out samples a forward: 64 up to maps of `reference` pixels on an edge, fewer of larger ones, so
    that what a forward takes of the memory stays the same."""
    return max(1, min(64, 64 * reference**2 // edge**2))


def even_bin(t_B: Tensor, bins: int = BINS) -> Tensor:
    """Index of each t among `bins` even bins of [0, 1]."""
    return (t_B * bins).long().clamp(0, bins - 1)


class BinMeans:
    """Means of per-sample values by t-bin since the last reading, kept on the device."""

    def __init__(self, bins: int = BINS) -> None:
        self.sums = torch.zeros(bins)
        self.counts = torch.zeros(bins)

    def add(self, t_B: Tensor, value_B: Tensor) -> None:
        index = even_bin(t_B, len(self.sums))
        self.sums, self.counts = self.sums.to(index.device), self.counts.to(index.device)
        self.sums.index_add_(0, index, value_B.detach().float())
        self.counts.index_add_(0, index, torch.ones_like(value_B, dtype=torch.float32))

    def read(self) -> list[float | None]:
        """Mean per bin over all processes, None where no sample fell; starts again from zero."""
        sums, counts = summed(self.sums).tolist(), summed(self.counts).tolist()
        means = [s / n if n else None for s, n in zip(sums, counts, strict=True)]
        self.sums.zero_()
        self.counts.zero_()
        return means


class HeldOutVelocity:
    """Velocity error of a denoiser on held-out samples, the same (x_0, e, t) at every reading.

    Every bin of t gets `per_bin` samples at keyed times inside it, so that the ends, which a
    logit-normal density rarely visits, are seen as clearly as the middle. Every process of a group
    measures all of it: nothing waits for a reduction, and a sharded teacher is asked by all.
    """

    def __init__(
        self,
        load: Callable[[list[int]], FeatureBatch],
        count: int,
        *,
        per_bin: int = 16,
        bins: int = BINS,
        device: torch.device | str = "cpu",
    ) -> None:
        if count < 1:
            raise ValueError("no held-out samples to validate on")
        total = bins * per_bin
        self.bins = bins
        self.batch = load([i % count for i in range(total)]).to(torch.device(device))
        self.chunk = held_out_chunk(self.batch.latent_BCHW.shape[-1], LATENT_EDGE)
        """Samples a forward."""
        place = torch.arange(total)
        self.t_B = ((place % bins) + uniform(0, "held-out t", range(total))) / bins
        self.t_B = self.t_B.to(device)
        self.noise = normal(0, "held-out noise", range(total), tuple(self.batch.latent_BCHW.shape[1:]))
        self.noise = self.noise.to(device)
        self.x_t = interpolate(self.batch.latent_BCHW, self.noise, self.t_B)
        self.target = velocity_target(self.batch.latent_BCHW, self.noise)

    @torch.no_grad()
    def velocities(self, denoiser: VelocityFunction) -> Tensor:
        """Predictions on the held-out batch [bins * per_bin, C, H, W]."""
        chunk = self.chunk
        rows = [slice(i, i + chunk) for i in range(0, len(self.t_B), chunk)]
        parts = [
            denoiser(self.x_t[r], self.t_B[r], self.batch.text_BND[r], self.batch.pooled_BP[r]) for r in rows
        ]
        return torch.cat(parts)

    def error_by_t(self, velocity_BCHW: Tensor) -> list[float]:
        """Mean squared error against data velocity in each bin of t."""
        return self.distance_by_t(velocity_BCHW, self.target)

    def distance_by_t(self, a_BCHW: Tensor, b_BCHW: Tensor) -> list[float]:
        """Mean squared distance of two predictions (student and teacher, say) in each bin of t."""
        error_B = (a_BCHW - b_BCHW).float().square().flatten(1).mean(1)
        # Sample i stands in bin i % bins.
        return error_B.reshape(-1, self.bins).mean(0).tolist()
