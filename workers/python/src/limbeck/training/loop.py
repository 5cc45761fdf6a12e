"""The training loop of every trained stage.

A stage gives one function, `step_fn(step)`, which computes losses, calls `learner.update(loss, step)`
for whatever it trains and returns what to show. The loop owns everything else: resume, progress,
validation, checkpoints, the stop signal, the refusal of non-finite losses.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from limbeck.contracts.context import StageContext, StageFailure, StopRequested
from limbeck.contracts.generated import OptimizerConfig, TrainingConfig
from limbeck.models.tensors import Tensors
from limbeck.training.checkpoint import Checkpoint, CheckpointWriter, Stateful, copied
from limbeck.training.distributed import any_rank, rank, sum_gradients, summed, world
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
        self._accumulating = False
        self.ema_updates_before = 0
        """Updates that the averages saw in an earlier leg: only a young average may forget fast."""

    def update(self, loss: torch.Tensor, step: int) -> torch.Tensor:
        """Optimizer step number `step` (0-based) on one loss; the norm of its gradient before clipping.

        In a process group every process gives the mean over its own rows, equally many.
        """
        self.accumulate(loss, 1 / world())
        return self.apply(step)

    def accumulate(self, loss: torch.Tensor, share: float = 1.0) -> None:
        """Backward of a part of the batch. `share` is its part of the samples of the step, over all
        processes; the shares of a step add up to 1."""
        if not self._accumulating:
            self.optimizer.zero_grad()
            self._accumulating = True
        (loss * share if share != 1 else loss).backward()

    def apply(self, step: int) -> torch.Tensor:
        """Sum over processes, clip, optimizer step number `step` (0-based), EMA of what was accumulated.
        Returns the norm before clipping."""
        self._accumulating = False
        sum_gradients(self.parameters)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip)
        self.optimizer.step(self.learning_rate(step))
        for key, ema in self.ema.items():
            ema.update(self.modules[key], self.ema_updates_before + step)
        return norm.detach()

    def learning_rate(self, step: int) -> float:
        return learning_rate(self.config, step, self.total_steps)

    def state(self) -> dict[str, Tensors]:
        """Everything that a checkpoint keeps, as it is now, by file name."""
        files = {f"{key}.safetensors": dict(module.state_dict()) for key, module in self.modules.items()}
        files |= {f"{key}.ema.safetensors": ema.weights for key, ema in self.ema.items()}
        files["optimizer.safetensors"] = self.optimizer.state_tensors()
        return {f"{self.name}/{file}": tensors for file, tensors in files.items()}

    def load_state(self, files: Mapping[str, Tensors]) -> None:
        for key, module in self.modules.items():
            module.load_state_dict(files[f"{self.name}/{key}.safetensors"])
        for key, ema in self.ema.items():
            ema.load(files[f"{self.name}/{key}.ema.safetensors"])
        self.optimizer.load_state_tensors(files[f"{self.name}/optimizer.safetensors"])


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

    A step whose loss or gradient is not finite is undone up to `training.rollbacks` times in the stage:
    the state goes back to the last checkpoint and the steps since are repeated, bit for bit, without
    that one. The control plane never sees the repetition: it is neither logged nor validated again.

    Args:
        step_fn: does step `step` (0-based) and calls `learner.update`, or `accumulate` and `apply`.
        state: further state by file name, saved and restored with the learners.
        validate_fn: called with the number of finished steps every `validate_every` and at the end.

    Raises:
        StageFailure: non_finite, with the step and the keys of its samples.
        StopRequested: after the checkpoint that SIGTERM asked for.
    """
    kept = _State(learners, dict(state or {}))
    start, skipped = 0, ()
    if ctx.resume is not None:
        start, skipped = kept.restore(Checkpoint.read(ctx.resume, kept.names()))
        print(f"resumed from step {start}", flush=True)
    if start > training.steps:
        raise StageFailure(
            "bad_input", f"the checkpoint stands at step {start}, the stage ends at {training.steps}"
        )
    if start == training.steps and validate_fn:
        # A longer run of constant rate, cut here: nothing to train, everything to report.
        validate_fn(start)
    meter = _Meter(training.batch_size)
    recent = _Recent()
    good = kept.checkpoint(start, skipped) if training.rollbacks else None
    shown = step = start
    with CheckpointWriter(ctx) as writer:
        while step < training.steps:
            if step not in skipped:
                output = step_fn(step)
                meter.add(output)
                recent.add(step, output)
            done = step + 1
            last = done == training.steps
            stop = any_rank(ctx.stop_requested())
            save = (done % training.checkpoint_every == 0 or stop) and not last
            log = done % training.log_every == 0 or last
            if recent.on_cpu or log or save:
                bad = recent.first_non_finite()
                if bad is not None:
                    _report(bad, training, learners)
                    if good is None or len(skipped) >= training.rollbacks:
                        raise StageFailure("non_finite", bad.sentence(len(skipped)))
                    step, earlier = kept.restore(good)
                    skipped = (*earlier, *(s for s in skipped if s not in earlier), bad.step)
                    meter.clear()
                    continue
            if log and done > shown:
                _log(ctx, training, learners, meter, done)
            elif log:
                meter.read()
            if validate_fn and (done % training.validate_every == 0 or last) and done > shown:
                validate_fn(done)
                meter.skip_time()
            if save:
                checkpoint = kept.checkpoint(done, skipped)
                good = checkpoint if training.rollbacks else None
                if rank() == 0:
                    writer.submit(checkpoint)
                meter.skip_time()
            if stop and not last:
                writer.wait()
                # Nobody leaves before it is written: a launcher ends the others when one process is gone.
                any_rank(False)
                raise StopRequested(f"stopped after step {done}")
            shown = max(shown, done)
            step = done
    for number in skipped:
        ctx.warn(f"step {number} was skipped: its loss or gradient was not finite")
    return meter.last_loss


class _State:
    """All state of a training, taken and put back together."""

    def __init__(self, learners: Sequence[Learner], parts: Mapping[str, Stateful]) -> None:
        self.learners, self.parts = learners, parts

    def _files(self) -> dict[str, Tensors]:
        files: dict[str, Tensors] = {}
        for learner in self.learners:
            files |= learner.state()
        return files | {f"{name}.safetensors": part.state_tensors() for name, part in self.parts.items()}

    def names(self) -> list[str]:
        return list(self._files())

    def checkpoint(self, step: int, skipped: tuple[int, ...]) -> Checkpoint:
        files = {name: copied(tensors) for name, tensors in self._files().items()}
        return Checkpoint(step=step, skipped=skipped, files=files)

    def restore(self, checkpoint: Checkpoint) -> tuple[int, tuple[int, ...]]:
        """Finished steps and skipped steps of the checkpoint, whose state now holds again."""
        for learner in self.learners:
            learner.load_state(checkpoint.files)
        for name, part in self.parts.items():
            part.load_state_tensors(checkpoint.files[f"{name}.safetensors"])
        return checkpoint.step, checkpoint.skipped


@dataclass(frozen=True, kw_only=True)
class _NonFinite:
    step: int
    loss: float
    gradient_norm: float
    output: StepOutput

    def sentence(self, skipped: int) -> str:
        keys = ", ".join(str(key) for key in list(self.output.keys)[:8])
        what = "loss" if not math.isfinite(self.loss) else "gradient norm"
        value = self.loss if what == "loss" else self.gradient_norm
        before = f", after {skipped} skipped steps" if skipped else ""
        return f"the {what} became {value} at step {self.step}{before}; samples of the batch: {keys}"


class _Recent:
    """Losses and gradient norms since the last look, on the device: looking is what waits for it."""

    def __init__(self) -> None:
        self.outputs: list[tuple[int, StepOutput]] = []

    def add(self, step: int, output: StepOutput) -> None:
        self.outputs.append((step, output))

    @property
    def on_cpu(self) -> bool:
        return bool(self.outputs) and self.outputs[-1][1].loss.device.type == "cpu"

    def first_non_finite(self) -> _NonFinite | None:
        """The earliest step whose loss or gradient is not finite in any process; forgets the others."""
        outputs, self.outputs = self.outputs, []
        if not outputs:
            return None
        rows = [
            torch.stack([o.loss.detach(), torch.as_tensor(o.scalars.get("gradient_norm", 0.0)).to(o.loss)])
            for _, o in outputs
        ]
        # A sum over processes is not finite where one of them is not.
        for (step, output), (loss, norm) in zip(outputs, summed(torch.stack(rows)).tolist(), strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                return _NonFinite(step=step, loss=loss, gradient_norm=norm, output=output)
        return None


def _report(bad: _NonFinite, training: TrainingConfig, learners: Sequence[Learner]) -> None:
    """What is needed to repeat the step alone, as one line of the log."""
    content = {
        "step": bad.step,
        "seed": training.seed,
        "samples": [str(key) for key in bad.output.keys],
        "scalars": {name: str(float(value)) for name, value in bad.output.scalars.items()},
        "learning_rates": {learner.name: learner.learning_rate(bad.step) for learner in learners},
    }
    print(f"not finite: {json.dumps(content)}", flush=True)


def _log(
    ctx: StageContext, training: TrainingConfig, learners: Sequence[Learner], meter: "_Meter", done: int
) -> None:
    scalars, rate = meter.read()
    for learner in learners:
        scalars[f"learning_rate/{learner.name}"] = learner.learning_rate(done - 1)
    scalars["rate/images_per_second"] = rate
    ctx.log_scalars(done, scalars)
    loss = scalars.get("loss")
    ctx.progress(done, training.steps, rate, loss)
    shown = "skipped" if loss is None else f"loss {loss:.4f}"
    print(f"step {done}/{training.steps} {shown} {rate:.0f} images/s", flush=True)


class _Meter:
    """Means of what steps showed since the last reading; on the device, so that adding never waits."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.last_loss: float | None = None
        self.clear()

    def clear(self) -> None:
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
        names = list(self.sums)
        totals = [torch.as_tensor(self.sums[name], dtype=torch.float32, device="cpu") for name in names]
        # Each process saw its own rows.
        means = [float(total) / world() for total in summed(torch.stack(totals))] if names else []
        means = {name: mean / self.counts[name] for name, mean in zip(names, means, strict=True)}
        self.last_loss = means.get("loss", self.last_loss)
        self.clear()
        return means, rate
