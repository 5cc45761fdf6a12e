"""Multi-level knowledge distillation with timestep-aware scaling (paper.md section 4).

Inputs: features, base (a UNet denoiser), snapshot (the teacher). Output: a denoiser tree with raw and
EMA weights; the projector apart in projector.safetensors.

The teacher runs without guidance, at the student's (x_t, t), with its own encoders' text for the same
caption; where nothing is left of the student's text it gets the unconditional zeros too, while a single
dropped encoder of the student's is no business of the teacher's. Draws have the purposes of `pretrain`,
so a control with the same seed sees the same samples, times and noise.

Below the size that the teacher was made for it is asked only where its own score there decides: with
teacher_gate `refuse`, its held-out loss must not exceed the base's in most bins of t.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import DistillSpec, StageResult, TrainingConfig, UnetConfig
from limbeck.data.features import FeatureBatch, FeatureSet, drop_text
from limbeck.data.randomness import normal, shuffled
from limbeck.models.projector import FeatureProjector, feature_loss
from limbeck.models.sd3 import FrozenTeacher
from limbeck.models.store import DenoiserCard, Trained, UnetDenoiser, save_denoiser
from limbeck.models.tensors import save_tensors
from limbeck.objectives.flow import draw_time, interpolate, velocity_target
from limbeck.objectives.scaling import Breakdown, LossScaling, probability_edges
from limbeck.stages.denoisers import (
    below_native,
    check_student,
    check_teacher,
    open_student,
    open_teacher,
    open_teacher_text,
)
from limbeck.stages.pretrain import held_out_count
from limbeck.training.batches import micro_batches
from limbeck.training.distributed import device, gathered, world
from limbeck.training.loop import Learner, StepOutput, train
from limbeck.training.precision import compute_precision, prepared
from limbeck.training.seeding import seeded_build
from limbeck.training.statistics import BinMeans, HeldOutVelocity


def mean_square(error_BCHW: Tensor) -> Tensor:
    """Per-sample mean over everything but the batch [B], in float32."""
    return error_BCHW.float().square().flatten(1).mean(1)


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Student, projector and teacher, and the losses of a batch at (x_t, t)."""

    student: UnetDenoiser
    projector: FeatureProjector | None
    teacher: FrozenTeacher
    output: bool
    training: TrainingConfig

    def losses(
        self, x_t: Tensor, t_B: Tensor, target: Tensor, own: FeatureBatch, theirs: FeatureBatch
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """(task [B], distillation terms by name [B], the student's last features): losses raw, unscaled.

        All terms meet in the features: gradients there say which of them leads.
        """
        last = self.teacher.config.layers - 1
        answer, tokens_BTD = None, None
        with torch.no_grad():
            if self.output and self.projector is not None:
                answer, features = self.teacher.forward_with_features(
                    x_t, t_B, theirs.text_BND, theirs.pooled_BP, [last]
                )
                tokens_BTD = features[last]
            elif self.output:
                answer = self.teacher.velocity(x_t, t_B, theirs.text_BND, theirs.pooled_BP)
            elif self.projector is not None:
                tokens_BTD = self.teacher.features(x_t, t_B, theirs.text_BND, theirs.pooled_BP, [last])[last]
        # The input's memory format spreads through the net; one thread is faster with channels last.
        with compute_precision(self.training, x_t.device):
            velocity, features_BCHW = self.student.unet.forward_with_features(
                x_t.contiguous(memory_format=torch.channels_last), t_B, own.text_BND
            )
            projected_BTD = self.projector(features_BCHW) if self.projector is not None else None
        velocity = velocity.float()
        terms: dict[str, Tensor] = {}
        if answer is not None:
            terms["output"] = mean_square(velocity - answer)
        if projected_BTD is not None and tokens_BTD is not None:
            terms["feature"] = feature_loss(projected_BTD, tokens_BTD)
        return mean_square(velocity - target), terms, features_BCHW


def run(ctx: StageContext) -> StageResult:
    spec: DistillSpec = ctx.spec
    training, seed = spec.training, spec.training.seed
    base = open_student(ctx, "base")
    on = device()
    teacher = open_teacher(ctx, spec.teacher_component, spec)
    own_features = FeatureSet.load(ctx.input("features"), base.card.text)
    teacher_features = open_teacher_text(ctx, spec)
    config = _checked(base.card)
    check_student(base, own_features)
    check_teacher(teacher, teacher_features, smaller=True)
    if below_native(teacher, teacher_features) and spec.teacher_gate != "refuse":
        size, made_for = teacher_features.latent_shape[-1], teacher.config.latent_size
        raise StageFailure(
            "bad_config",
            f"the teacher was made for latents of {made_for} x {made_for} and is asked at {size} x {size}:"
            f" its own score there must decide, set teacher_gate to 'refuse' (it is '{spec.teacher_gate}')",
        )
    assert isinstance(base.denoiser, UnetDenoiser)

    student = base.denoiser
    prepared(student, training, on)
    projector = (
        seeded_build(
            seed,
            lambda: FeatureProjector(
                config.stages[0].channels,
                teacher.config.heads * teacher.config.head_width,
                teacher.config.patch,
            ),
        ).to(on)
        if spec.feature_weight > 0
        else None
    )
    modules = {"student": student} if projector is None else {"student": student, "projector": projector}
    learner = Learner("student", modules, training.optimizer, training.steps, training.ema_decay)
    distillation = Distillation(
        student=student,
        projector=projector,
        teacher=teacher,
        output=spec.output_weight > 0,
        training=training,
    )
    scaling = LossScaling(
        spec.scaling,
        {"output": spec.output_weight, "feature": spec.feature_weight},
        probability_edges(spec.time, spec.scaling.bins),
        spec.time.shift,
    )

    held_out = held_out_count(len(own_features))
    count = len(own_features) - held_out
    validation = _Validation(distillation, own_features, teacher_features, count, held_out)
    _teacher_gate(spec, ctx, validation)
    by_t = _TrainingStatistics(scaling)
    whole = training.micro_batch in (0, training.batch_size)

    def step(step: int) -> StepOutput:
        scalars: dict[str, Tensor] = {}
        seen: list[tuple[Tensor, Tensor, dict[str, Tensor]]] = []
        keys: list[int] = []
        for positions, share in micro_batches(training, step):
            chosen = shuffled(seed, "order", positions, count)
            own, gone_B = drop_text(own_features.batch(chosen), own_features.text_parts, training, positions)
            own, theirs = own.to(on), teacher_features.batch(chosen).without_captions(gone_B).to(on)
            t_B = draw_time(spec.time, seed, "t", positions).to(on)
            noise = normal(seed, "noise", positions, own_features.latent_shape).to(on)
            x_t = interpolate(own.latent_BCHW, noise, t_B)
            target = velocity_target(own.latent_BCHW, noise)
            task_B, terms, features_BCHW = distillation.losses(x_t, t_B, target, own, theirs)
            everyones = gathered(t_B), gathered(task_B), {k: gathered(v) for k, v in terms.items()}
            if whole or scaling.fresh:
                scaling.observe(*everyones)
            seen.append(everyones)
            parts = scaling.combine(t_B, task_B, terms)
            shown = _scalars(task_B, terms, parts)
            if (step + 1) % training.log_every == 0:
                shown |= _gradients(task_B, terms, parts, features_BCHW)
            learner.accumulate(parts.total, share)
            by_t.add(t_B, task_B, terms, parts)
            for name, value in shown.items():
                scalars[name] = scalars.get(name, 0.0) + value * (share * world())
            keys += chosen.tolist()
        if not whole:
            # The means move once a step, by all of its samples: the ratios of a step's parts are equal.
            scaling.observe(*_joined(seen))
        norm = learner.apply(step)
        loss = scalars.pop("loss")
        return StepOutput(loss=loss, scalars={"gradient_norm": norm, **scalars}, keys=keys)

    final: dict[str, float] = {}

    def validate(done: int) -> None:
        with learner.ema["student"].applied(student):
            if projector is None:
                measured = validation.measure()
            else:
                with learner.ema["projector"].applied(projector):
                    measured = validation.measure()
        for name, values in measured.items():
            ctx.log_array(done, f"validation/{name}_by_t", values)
            final[f"validation_{name}"] = sum(values) / len(values)
        ctx.log_array(done, "validation/teacher_task_by_t", validation.teacher_by_t)
        pairs = zip(validation.teacher_by_t, measured["task"], strict=True)
        worse = [float(theirs > own) for theirs, own in pairs]
        ctx.log_array(done, "validation/teacher_worse_by_t", worse)
        ctx.log_scalars(done, {name.replace("_", "/", 1): value for name, value in final.items()})
        for name, values in by_t.read().items():
            ctx.log_array(done, name, values)

    train(
        ctx=ctx,
        training=training,
        learners=[learner],
        step_fn=step,
        state={"scaling": scaling},
        validate_fn=validate,
    )
    card = base.card.model_copy(
        update={"time": spec.time, "trained": Trained(stage="distill", steps=training.steps)}
    )
    save_denoiser(ctx.output, card, raw=dict(student.state_dict()), ema=learner.ema["student"].weights)
    if projector is not None:
        save_tensors(ctx.output / "projector.safetensors", learner.ema["projector"].weights)
    teacher_task = sum(validation.teacher_by_t) / len(validation.teacher_by_t)
    parameters = sum(p.numel() for p in student.parameters())
    return StageResult(
        metrics={**final, "validation_teacher_task": teacher_task, "parameters": float(parameters)}
    )


def _checked(card: DenoiserCard) -> UnetConfig:
    if not isinstance(card.config, UnetConfig):
        raise StageFailure(
            "bad_input", f"distill trains a UNet; the base is of architecture '{card.config.architecture}'"
        )
    if card.trained.few_step:
        raise StageFailure("bad_input", "the base was taken to few steps; distill needs a base that was not")
    return card.config


def _scalars(task_B: Tensor, terms: dict[str, Tensor], parts: Breakdown) -> dict[str, Tensor]:
    """Raw terms: the total of S() equals the task loss by construction and says nothing about KD."""
    scalars = {"loss": parts.total.detach(), "loss/task": task_B.detach().mean()}
    for name, term_B in terms.items():
        scalars[f"loss/{name}_kd"] = term_B.detach().mean()
        if name in parts.ratio:
            scalars[f"scaling/ratio_{name}"] = parts.ratio[name].mean()
            scalars[f"scaling/clamped_{name}"] = parts.clamped[name]
    return scalars


def _gradients(
    task_B: Tensor, terms: dict[str, Tensor], parts: Breakdown, features_BCHW: Tensor
) -> dict[str, Tensor]:
    """Norm of the gradient of each weighted term at the student's last features, where all terms meet."""
    weighted = {"task": parts.task_weight_B * task_B}
    weighted |= {name: parts.weight[name] * terms[name] for name in parts.weight}
    return {
        f"gradient/{name}": torch.autograd.grad(loss_B.mean(), features_BCHW, retain_graph=True)[0].norm()
        for name, loss_B in weighted.items()
    }


def _joined(
    parts: list[tuple[Tensor, Tensor, dict[str, Tensor]]],
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """(t, task losses, terms) of all parts of a step, in order."""
    times, tasks, terms = zip(*parts, strict=True)
    return (
        torch.cat(times),
        torch.cat(tasks),
        {name: torch.cat([found[name] for found in terms]) for name in terms[0]},
    )


class _TrainingStatistics:
    """What S() did in the training batches, by even bins of t."""

    def __init__(self, scaling: LossScaling) -> None:
        names = ["training/task_by_t", "scaling/weight_task_by_t", "gradient/task_by_t"]
        for term in scaling.weights:
            names += [f"training/{term}_kd_by_t", f"scaling/ratio_{term}_by_t", f"scaling/weight_{term}_by_t"]
        if "output" in scaling.weights:
            names.append("gradient/output_by_t")
        self.means = {name: BinMeans() for name in names}

    @torch.no_grad()
    def add(self, t_B: Tensor, task_B: Tensor, terms: dict[str, Tensor], parts: Breakdown) -> None:
        self.means["training/task_by_t"].add(t_B, task_B)
        self.means["scaling/weight_task_by_t"].add(t_B, parts.task_weight_B)
        # RMS of dL/dv of a weighted mean square, up to 2 over the number of elements: w sqrt(L).
        self.means["gradient/task_by_t"].add(t_B, parts.task_weight_B * task_B.sqrt())
        for name, term_B in terms.items():
            self.means[f"training/{name}_kd_by_t"].add(t_B, term_B)
            self.means[f"scaling/ratio_{name}_by_t"].add(t_B, parts.ratio[name])
            self.means[f"scaling/weight_{name}_by_t"].add(t_B, parts.weight[name])
            if name == "output":
                self.means["gradient/output_by_t"].add(t_B, parts.weight[name] * term_B.sqrt())

    def read(self) -> dict[str, list[float | None]]:
        return {name: means.read() for name, means in self.means.items()}


class _Validation:
    """Losses by t on held-out samples, the same at every reading and for student and teacher."""

    def __init__(
        self, distillation: Distillation, own: FeatureSet, theirs: FeatureSet, first: int, count: int
    ) -> None:
        self.distillation = distillation
        per_bin, on = distillation.training.validate_per_bin, device()

        def held_out(features: FeatureSet) -> HeldOutVelocity:
            return HeldOutVelocity(
                lambda rows: features.batch([first + i for i in rows]), count, per_bin=per_bin, device=on
            )

        self.own, self.theirs = held_out(own), held_out(theirs)
        self.teacher_by_t = self.theirs.error_by_t(self.theirs.velocities(distillation.teacher.velocity))

    @torch.no_grad()
    def measure(self) -> dict[str, list[float]]:
        """task, output_kd, feature_kd -> mean by t-bin."""
        found: dict[str, list[Tensor]] = {}
        for start in range(0, len(self.own.t_B), self.own.chunk):
            rows = slice(start, start + self.own.chunk)
            task_B, terms, _ = self.distillation.losses(
                self.own.x_t[rows],
                self.own.t_B[rows],
                self.own.target[rows],
                _rows(self.own, rows),
                _rows(self.theirs, rows),
            )
            for name, values in {"task": task_B, **{f"{term}_kd": v for term, v in terms.items()}}.items():
                found.setdefault(name, []).append(values)
        # Sample i stands in bin i % bins (HeldOutVelocity).
        return {name: torch.cat(v).reshape(-1, self.own.bins).mean(0).tolist() for name, v in found.items()}

    def student_by_t(self) -> list[float]:
        return self.own.error_by_t(self.own.velocities(self.distillation.student))


def _rows(held_out: HeldOutVelocity, rows: slice) -> FeatureBatch:
    batch = held_out.batch
    return FeatureBatch(
        latent_BCHW=batch.latent_BCHW[rows], text_BND=batch.text_BND[rows], pooled_BP=batch.pooled_BP[rows]
    )


def _teacher_gate(spec: DistillSpec, ctx: StageContext, validation: _Validation) -> None:
    """Judges the teacher against the initial base, before the first step.

    A teacher whose velocity fits held-out data worse than the student's own pulls it back. Also on a
    resume: the verdict belongs to the result, and the base is the same.

    Raises:
        StageFailure: teacher_gate, in mode `refuse`, when it is worse in most bins of t.
    """
    base_by_t = validation.student_by_t()
    bins = validation.own.bins
    worse = [i for i in range(bins) if validation.teacher_by_t[i] > base_by_t[i]]
    ctx.log_array(0, "validation/task_by_t", base_by_t)
    ctx.log_array(0, "validation/teacher_task_by_t", validation.teacher_by_t)
    if not worse:
        return
    named = ", ".join(f"{i / bins:.2f}-{(i + 1) / bins:.2f}" for i in worse)
    message = (
        f"the teacher's held-out loss is above the base student's in {len(worse)} of {bins} bins of t:"
        f" {named}"
    )
    if spec.teacher_gate == "refuse" and len(worse) > bins / 2:
        raise StageFailure("teacher_gate", message)
    ctx.warn(message)
