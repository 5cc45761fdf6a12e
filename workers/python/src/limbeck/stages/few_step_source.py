"""What the generator of few-step training gets: grid times, clean latents, noise, text.

Shapes: B samples; x0, noise, x_t, real [B, C, H, W]; t_B a time of the grids.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.contracts.context import StageFailure
from limbeck.contracts.generated import DistillStepsSpec, TimePhase
from limbeck.data.features import FeatureBatch, FeatureSet
from limbeck.data.randomness import Positions, normal, shuffled, uniform
from limbeck.models.sd3 import FrozenTeacher
from limbeck.objectives.flow import data_from_velocity, interpolate, velocity_target
from limbeck.stages.pretrain import held_out_count
from limbeck.training.distributed import device

MEASURED = 64
"""Held-out samples at each grid time."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Everything random of a batch and what was chosen by it."""

    positions: Positions
    keys: Sequence[int]  # places in the features
    t_B: Tensor
    x_t: Tensor
    target: Tensor  # velocity from noise to clean latent
    real: Tensor  # what the discriminator is shown as real
    own: FeatureBatch
    theirs: FeatureBatch


class FewStepSource:
    """Draws by position.

    With target `teacher_samples` clean latent and noise are a coupled pair, the two ends of one of
    the teacher's trajectories; otherwise a data latent and keyed noise.

    Args:
        own: features with the student's text.
        theirs: the same features with the teacher's text.
        times: distinct times of all grids, falling.
    """

    def __init__(
        self, spec: DistillStepsSpec, own: FeatureSet, theirs: FeatureSet, times: Sequence[float]
    ) -> None:
        self.own, self.theirs = own, theirs
        self.times = torch.tensor(times, dtype=torch.float32)
        self.seed = spec.training.seed
        self.steps = spec.training.steps
        self.phases = _checked_phases(spec, len(times))
        self.paired = spec.target == "teacher_samples"
        self.real_samples = spec.real == "teacher_samples"
        available = own.sample_count if self.paired or self.real_samples else len(own)
        if available == 0:
            raise StageFailure(
                "bad_input",
                "target or real asks for teacher samples, and the features hold none;"
                " extract_features writes them when its teacher_samples is set",
            )
        self.held_out = held_out_count(available)
        self.count = available - self.held_out

    def draw(self, positions: Positions, step: int) -> Draw:
        """A training batch of update `step`: each grid time as often as the phase of the stage says."""
        chosen = shuffled(self.seed, "order", positions, self.count)
        drawn = uniform(self.seed, "grid time", positions)
        phase = next((p for p in self.phases if step < p.until * self.steps), None)
        if phase is None:
            place = (drawn * len(self.times)).long()
        else:
            weights = torch.tensor(phase.weights, dtype=torch.float64)
            edges = (weights.cumsum(0) / weights.sum()).float()
            place = torch.bucketize(drawn, edges, right=True)
        place = place.clamp(max=len(self.times) - 1)
        return self._at(positions, chosen.tolist(), self.times[place], self.seed)

    def _at(self, positions: Positions, chosen: list[int], t_B: Tensor, seed: int) -> Draw:
        on = device()
        own, t_B = self.own.batch(chosen).to(on), t_B.to(on)
        x0, real = own.latent_BCHW, own.latent_BCHW
        noise = normal(seed, "noise", positions, self.own.latent_shape).to(on)
        if self.paired or self.real_samples:
            paired_noise, sample = (end.to(on) for end in self.own.teacher_pairs(chosen))
            real = sample if self.real_samples else real
            x0, noise = (sample, paired_noise) if self.paired else (x0, noise)
        return Draw(
            positions=positions,
            keys=chosen,
            t_B=t_B,
            x_t=interpolate(x0, noise, t_B),
            target=velocity_target(x0, noise),
            real=real,
            own=own,
            theirs=self.theirs.batch(chosen).to(on),
        )

    @torch.no_grad()
    def measure(
        self, velocity: Callable[[Draw], Tensor], teacher: FrozenTeacher | None
    ) -> dict[str, list[float]]:
        """Held-out mean squared errors at each grid time, data end first: of the velocity against the
        data's (or the pair's), and against the teacher's; there also the PSNR of the jump to x0 against the
        teacher's own, in dB of its largest value. And how far the student's x0 differ from sample to sample
        (deviation over samples, mean over elements). The same samples and noise at every reading."""
        rows = range(min(MEASURED, self.held_out))
        chosen = [self.count + row for row in rows]
        names = ["task", "x0_spread", *(["output_kd", "x0_psnr_db"] if teacher else [])]
        found: dict[str, list[float]] = {name: [] for name in names}
        for time in self.times.flip(0):
            draw = self._at(rows, chosen, time.expand(len(rows)), seed=0)
            predicted = velocity(draw)
            found["task"].append(float((predicted - draw.target).square().mean()))
            x0 = data_from_velocity(draw.x_t, predicted, draw.t_B)
            found["x0_spread"].append(float(x0.std(dim=0, correction=0).mean()))
            if teacher is not None:
                answer = teacher.velocity(draw.x_t, draw.t_B, draw.theirs.text_BND, draw.theirs.pooled_BP)
                found["output_kd"].append(float((predicted - answer).square().mean()))
                theirs = data_from_velocity(draw.x_t, answer, draw.t_B)
                error = x0 - theirs
                found["x0_psnr_db"].append(
                    float(20 * (theirs.abs().max() / error.square().mean().sqrt().clamp(min=1e-8)).log10())
                )
        return found


def _checked_phases(spec: DistillStepsSpec, times: int) -> list[TimePhase]:
    """
    Raises:
        StageFailure: bad_config, naming the phase and what is wrong with it.
    """
    before = 0.0
    for number, phase in enumerate(spec.time_phases):
        where = f"time_phases.{number}"
        if phase.until <= before:
            raise StageFailure(
                "bad_config", f"{where}.until is {phase.until}; it must be above {before}, where it begins"
            )
        if len(phase.weights) != times or not sum(phase.weights) > 0:
            raise StageFailure(
                "bad_config",
                f"{where}.weights is {phase.weights}; the grids have {times} distinct times,"
                " and one of them at least must be trained",
            )
        before = phase.until
    return list(spec.time_phases)
