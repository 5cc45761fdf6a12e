"""The training loop of every trained stage.

A stage gives one function, `step_fn(step)`, which computes losses, calls `learner.update(loss, step)`
for whatever it trains and returns what to show. The loop owns everything else: resume, progress,
validation, checkpoints, the stop signal, the refusal of non-finite losses.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import nn

from limbeck.contracts.context import StageContext, StageFailure, StopRequested
from limbeck.contracts.generated import OptimizerConfig, TrainingConfig
from limbeck.models.tensors import load_tensors, save_tensors
from limbeck.training.checkpoint import Stateful, load_numbers, save_numbers
from limbeck.training.ema import Ema
from limbeck.training.optimizers import NamedOptimizer, named_parameters
from limbeck.training.schedule import learning_rate


@dataclass(kw_only=True)
class StepOutput:
    """What a step shows. Tensors are detached scalars, read only when they are logged."""

    loss: torch.Tensor
    scalars: dict[str, torch.Tensor | float] = field(default_factory=dict)
    keys: Sequence[object] = ()  # samples of the batch, named when the loss is not finite


class Learner:
    """Modules trained by one loss: their optimizer, schedule, EMA and state.

    Args:
        name: folder of its state in a checkpoint.
        modules: trained together, e.g. {"student": ..., "projector": ...}.
        config: optimizer and schedule.
        total_steps: updates in the whole stage; the schedule's end.
        ema_decay: of the average kept for each module; None keeps none.
    """

    def __init__(
        self,
        name: str,
        modules: Mapping[str, nn.Module],
        config: OptimizerConfig,
        total_steps: int,
        ema_decay: float | None = None,
    ) -> None:
        self.name = name
        self.modules = dict(modules)
        self.config = config
        self.total_steps = total_steps
        self.optimizer = NamedOptimizer(config, named_parameters(self.modules.items()))
        self.parameters = list(self.optimizer.named.values())
        self.ema = (
            {key: Ema(m, ema_decay) for key, m in self.modules.items()} if ema_decay is not None else {}
        )
        self.ema_updates_before = 0
        """Updates that the averages saw in an earlier leg: only a young average may forget fast."""

    def update(self, loss: torch.Tensor, step: int) -> torch.Tensor:
        """Backward, clip, optimizer step number `step` (0-based), EMA. Returns the norm before clipping."""
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip)
        self.optimizer.step(self.learning_rate(step))
        for key, ema in self.ema.items():
            ema.update(self.modules[key], self.ema_updates_before + step)
        return norm.detach()

    def learning_rate(self, step: int) -> float:
        return learning_rate(self.config, step, self.total_steps)

    def save(self, folder: Path) -> None:
        for key, module in self.modules.items():
            save_tensors(folder / self.name / f"{key}.safetensors", dict(module.state_dict()))
        for key, ema in self.ema.items():
            save_tensors(folder / self.name / f"{key}.ema.safetensors", ema.weights)
        save_tensors(folder / self.name / "optimizer.safetensors", self.optimizer.state_tensors())

    def load(self, folder: Path) -> None:
        for key, module in self.modules.items():
            module.load_state_dict(load_tensors(folder / self.name / f"{key}.safetensors"))
        for key, ema in self.ema.items():
            ema.load(load_tensors(folder / self.name / f"{key}.ema.safetensors"))
        self.optimizer.load_state_tensors(load_tensors(folder / self.name / "optimizer.safetensors"))


def train(
    *,
    ctx: StageContext,
    training: TrainingConfig,
    learners: Sequence[Learner],
    step_fn: Callable[[int], StepOutput],
    state: Mapping[str, Stateful] | None = None,
    validate_fn: Callable[[int], None] | None = None,
) -> float | None:
    """Runs steps [resumed, training.steps); the mean loss since the last log line, None without a step.

    Args:
        step_fn: does step `step` (0-based) and calls `learner.update`.
        state: further state by file name, saved and restored with the learners.
        validate_fn: called with the number of finished steps every `validate_every` and at the end.

    Raises:
        StageFailure: non_finite, with the step and the keys of its samples.
        StopRequested: after the checkpoint that SIGTERM asked for.
    """
    state = dict(state or {})
    start = _resume(ctx, learners, state)
    if start > training.steps:
        raise StageFailure(
            "bad_input", f"the checkpoint stands at step {start}, the stage ends at {training.steps}"
        )
    if start == training.steps and validate_fn:
        # A longer run of constant rate, cut here: nothing to train, everything to report.
        validate_fn(start)
    meter = _Meter(training.batch_size)
    for step in range(start, training.steps):
        output = step_fn(step)
        meter.add(output)
        done = step + 1
        last = done == training.steps
        if output.loss.device.type == "cpu" or done % training.log_every == 0 or last:
            _refuse_non_finite(output, step)
        if done % training.log_every == 0 or last:
            _log(ctx, training, learners, meter, done)
        if validate_fn and (done % training.validate_every == 0 or last):
            validate_fn(done)
            meter.skip_time()
        stop = ctx.stop_requested()
        if (done % training.checkpoint_every == 0 or stop) and not last:
            ctx.save_checkpoint(done, partial(_save, done=done, learners=learners, state=state))
            meter.skip_time()
        if stop and not last:
            raise StopRequested(f"stopped after step {done}")
    return meter.last_loss


def _save(folder: Path, done: int, learners: Sequence[Learner], state: Mapping[str, Stateful]) -> None:
    for learner in learners:
        learner.save(folder)
    for name, part in state.items():
        save_tensors(folder / f"{name}.safetensors", part.state_tensors())
    save_numbers(folder / "position.json", {"step": done})


def _resume(ctx: StageContext, learners: Sequence[Learner], state: Mapping[str, Stateful]) -> int:
    if ctx.resume is None:
        return 0
    for learner in learners:
        learner.load(ctx.resume)
    for name, part in state.items():
        part.load_state_tensors(load_tensors(ctx.resume / f"{name}.safetensors"))
    step = int(load_numbers(ctx.resume / "position.json")["step"])
    print(f"resumed from step {step}", flush=True)
    return step


def _refuse_non_finite(output: StepOutput, step: int) -> None:
    value = float(output.loss)
    if not math.isfinite(value):
        keys = ", ".join(str(key) for key in list(output.keys)[:8])
        raise StageFailure(
            "non_finite", f"the loss became {value} at step {step}; samples of the batch: {keys}"
        )


def _log(
    ctx: StageContext, training: TrainingConfig, learners: Sequence[Learner], meter: "_Meter", done: int
) -> None:
    scalars, rate = meter.read()
    for learner in learners:
        scalars[f"learning_rate/{learner.name}"] = learner.learning_rate(done - 1)
    scalars["rate/images_per_second"] = rate
    ctx.log_scalars(done, scalars)
    ctx.progress(done, training.steps, rate, scalars["loss"])
    print(f"step {done}/{training.steps} loss {scalars['loss']:.4f} {rate:.0f} images/s", flush=True)


class _Meter:
    """Means of what steps showed since the last reading; on the device, so that adding never waits."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.last_loss: float | None = None
        self._clear()

    def _clear(self) -> None:
        self.sums: dict[str, torch.Tensor | float] = {}
        self.counts: dict[str, int] = {}
        self.steps = 0
        self.paused = 0.0
        self.began = self.touched = time.monotonic()

    def add(self, output: StepOutput) -> None:
        for name, value in {"loss": output.loss.detach(), **output.scalars}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        self.steps += 1
        self.touched = time.monotonic()

    def skip_time(self) -> None:
        """Validation and checkpoints do not count as training time."""
        now = time.monotonic()
        self.paused += now - self.touched
        self.touched = now

    def read(self) -> tuple[dict[str, float], float]:
        seconds = max(time.monotonic() - self.began - self.paused, 1e-9)
        rate = self.steps * self.batch_size / seconds
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.last_loss = means["loss"]
        self._clear()
        return means, rate
