"""The discriminator of LADD: a frozen denoiser's blocks with trained heads (paper.md 5.2).

Shapes: x0_BCHW latents; head inputs by tap [B, T, D]; logits by tap [B, h, w].
"""

import torch
from torch import Tensor

from limbeck.contracts.context import StageFailure
from limbeck.contracts.generated import DistillStepsSpec
from limbeck.data.randomness import Positions, batch_positions
from limbeck.models.ladd_heads import LaddHeads, head_inputs
from limbeck.models.sd3 import FrozenTeacher
from limbeck.objectives.ladd import (
    discriminator_loss,
    draw_renoise_time,
    generator_loss,
    health,
    r1_penalty,
    renoise,
)
from limbeck.stages.few_step_source import Draw
from limbeck.training.distributed import device, own_rows, summed, world
from limbeck.training.loop import Learner
from limbeck.training.seeding import seeded_build

HISTOGRAM = (20, -4.0, 4.0)
"""Bins and range of the logit histograms."""

Taps = dict[int, Tensor]


class Adversary:
    """Heads on the frozen feature network, their learner, and the last batch's health.

    Args:
        times: step times of the generator, falling.

    Raises:
        StageFailure: bad_config, for taps that the teacher does not have.
    """

    def __init__(self, spec: DistillStepsSpec, teacher: FrozenTeacher, times: Tensor) -> None:
        assert spec.ladd is not None
        self.times = times
        self.config, self.teacher = spec.ladd, teacher
        self.seed, self.shift = spec.training.seed, spec.time.shift
        teacher_config = teacher.config
        wrong = [tap for tap in self.config.taps if tap >= teacher_config.layers]
        if wrong or len(set(self.config.taps)) != len(self.config.taps):
            raise StageFailure(
                "bad_config",
                f"ladd.taps must be distinct blocks 0..{teacher_config.layers - 1} of the teacher,"
                f" got {self.config.taps}",
            )
        edge = teacher_config.latent_size // teacher_config.patch
        self.size = (edge, edge)
        width = teacher_config.heads * teacher_config.head_width
        self.heads = seeded_build(
            self.seed,
            lambda: LaddHeads(
                self.config.taps, width, teacher_config.pooled_width, self.config.head_channels
            ),
        ).to(device())
        self.updates = self.config.discriminator_updates
        self.learner = Learner(
            "discriminator",
            {"heads": self.heads},
            self.config.head_optimizer,
            spec.training.steps * self.updates,
        )
        self.accuracy = torch.tensor(0.5)
        self._logits: dict[str, Taps] = {}

    @property
    def extra_updates(self) -> int:
        """Head updates of a step on batches of their own; the last one shares the generator's batch."""
        return self.updates - 1

    def positions(self, step: int, update: int, batch_size: int) -> Positions:
        """This process's positions of the batch of a head update."""
        return batch_positions(step * self.updates + update, batch_size)[own_rows(batch_size)]

    def features(self, draw: Draw, fake_BCHW: Tensor) -> Taps:
        """Head inputs of the re-noised fakes; with graph where the fakes have one."""
        t_B = self._renoise_time(draw)
        return self._taps(draw, fake_BCHW, t_B)

    def _renoise_time(self, draw: Draw) -> Tensor:
        return draw_renoise_time(self.config, self.shift, self.seed, draw.positions, draw.t_B, self.times)

    def _taps(self, draw: Draw, x0: Tensor, t_B: Tensor) -> Taps:
        x_t = renoise(x0, t_B, self.seed, draw.positions)
        return head_inputs(
            self.teacher.features(x_t, t_B, draw.theirs.text_BND, draw.theirs.pooled_BP, self.config.taps)
        )

    def train_heads(self, step: int, update: int, draw: Draw, fake_inputs: Taps) -> dict[str, Tensor]:
        """One update of the heads; returns the discriminator's health before it."""
        t_B = self._renoise_time(draw)
        with torch.no_grad():
            real_inputs = self._taps(draw, draw.real, t_B)
        pooled_BP = draw.theirs.pooled_BP
        penalize = self.config.r1_weight > 0
        real_inputs = {tap: tokens.requires_grad_(penalize) for tap, tokens in real_inputs.items()}
        real = self.heads(real_inputs, t_B, pooled_BP, self.size)
        fake = self.heads({tap: f.detach() for tap, f in fake_inputs.items()}, t_B, pooled_BP, self.size)
        loss = discriminator_loss(self.config.loss, list(real.values()), list(fake.values())).mean()
        scalars = {"loss/discriminator": loss.detach()}
        if penalize:
            penalty = r1_penalty(list(real.values()), list(real_inputs.values())).mean()
            scalars["discriminator/r1"] = penalty.detach()
            loss = loss + 0.5 * self.config.r1_weight * penalty
        scalars["gradient/discriminator"] = self.learner.update(loss, step * self.updates + update)
        scalars |= health(real, fake)
        accuracy = (scalars["discriminator/accuracy_real"] + scalars["discriminator/accuracy_fake"]) / 2
        # Of all processes: they must stop at the same step.
        self.accuracy = summed(accuracy) / world()
        self._logits = {
            side: {tap: x.detach() for tap, x in taps.items()}
            for side, taps in (("real", real), ("fake", fake))
        }
        return scalars

    def generator_loss(self, draw: Draw, fake_inputs: Taps) -> Tensor:
        """Weighted adversarial loss of the generator under the heads as they are now."""
        t_B = self._renoise_time(draw)
        logits = self.heads(fake_inputs, t_B, draw.theirs.pooled_BP, self.size)
        return self.config.weight * generator_loss(self.config.loss, list(logits.values())).mean()

    def histograms(self) -> dict[str, list[float]]:
        """Share of the last batch's logits in each of 20 bins over [-4, 4], outliers in the end bins."""
        bins, low, high = HISTOGRAM
        found = {}
        for side, taps in self._logits.items():
            for tap, logits in taps.items():
                counts = torch.histc(logits.float().clamp(low, high), bins, low, high)
                found[f"discriminator/histogram_{side}_tap{tap}"] = (counts / logits.numel()).tolist()
        return found
