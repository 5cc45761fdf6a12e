"""Adversarial step distillation: a student for a few guidance-free steps (paper.md 5; training.md C).

Inputs: features, student (a denoiser), snapshot (where a teacher is asked: the few-step one).
Output: a few-step denoiser whose card records its grids.

A generator update takes x_t at a grid time, jumps to x0 = x_t - t v, and is judged by
    lambda L_adv(re-noised x0) + S(L_task, L_kd to the few-step teacher's velocity at (x_t, t)).
Heads on the frozen teacher's blocks are the only trained part of the discriminator. No caption
dropout and no guidance: the result runs without.

Fake and real of an update share one pass over the student and one over the fakes' features: the
discriminator reads them detached, then the generator reads the same features with the updated heads.
"""

import torch
from torch import Tensor

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import DistillStepsSpec, StageResult, UnetConfig
from limbeck.data.features import FeatureSet
from limbeck.data.randomness import batch_positions
from limbeck.models.sd3 import FrozenTeacher
from limbeck.models.store import DenoiserCard, Trained, save_denoiser
from limbeck.objectives.flow import checked_grid, data_from_velocity
from limbeck.objectives.scaling import LossScaling, grid_edges
from limbeck.stages.adversary import Adversary
from limbeck.stages.denoisers import (
    check_student,
    check_teacher,
    open_student,
    open_teacher,
    open_teacher_text,
)
from limbeck.stages.discriminator_guard import DiscriminatorGuard, DiscriminatorWon
from limbeck.stages.distill import mean_square
from limbeck.stages.few_step_source import Draw, FewStepSource
from limbeck.training.batches import refuse_micro_batches
from limbeck.training.distributed import device, gathered, own_rows
from limbeck.training.loop import Learner, StepOutput, train
from limbeck.training.precision import compute_precision, prepared


def run(ctx: StageContext) -> StageResult:
    spec: DistillStepsSpec = ctx.spec
    training = spec.training
    refuse_micro_batches(training, spec.kind)
    on = device()
    times = _grid_times(spec)
    student = open_student(ctx, "student")
    _check_lineage(spec, student.card)
    own_features = FeatureSet.load(ctx.input("features"), student.card.text)
    check_student(student, own_features)
    teacher, teacher_features = _open_teacher(ctx, spec)
    source = FewStepSource(spec, own_features, teacher_features, times)

    denoiser = prepared(student.denoiser, training, on)
    if training.activation_checkpointing and teacher is not None:
        teacher.checkpoint_activations()
    learner = Learner(
        "student", {"student": denoiser}, training.optimizer, training.steps, training.ema_decay
    )
    scaling = LossScaling(
        spec.scaling,
        {"output": 1.0} if spec.target == "teacher_velocity" else {},
        grid_edges(times),
        spec.time.shift,
    )
    adversary = Adversary(spec, teacher, source.times) if spec.ladd and teacher else None
    guard = (
        DiscriminatorGuard(
            denoiser,
            learner.ema["student"],
            steps=training.steps,
            stop_accuracy=spec.ladd.stop_accuracy,
            stop_window_share=spec.ladd.stop_window_share,
            check_every=training.log_every,
        )
        if spec.ladd
        else None
    )
    channels_last = isinstance(student.card.config, UnetConfig)

    def velocity(draw: Draw) -> Tensor:
        x_t = draw.x_t.contiguous(memory_format=torch.channels_last) if channels_last else draw.x_t
        with compute_precision(training, on):
            predicted = denoiser(x_t, draw.t_B, draw.own.text_BND, draw.own.pooled_BP)
        return predicted.float()

    def step(step: int) -> StepOutput:
        if adversary is not None:
            for update in range(adversary.extra_updates):
                draw = source.draw(adversary.positions(step, update, training.batch_size), step)
                with torch.no_grad():
                    fake = data_from_velocity(draw.x_t, velocity(draw), draw.t_B)
                adversary.train_heads(step, update, draw, adversary.features(draw, fake))
            positions = adversary.positions(step, adversary.extra_updates, training.batch_size)
        else:
            positions = batch_positions(step, training.batch_size)[own_rows(training.batch_size)]
        draw = source.draw(positions, step)
        velocity_BCHW = velocity(draw)
        scalars: dict[str, Tensor | float] = {}

        # Gradients are taken at the velocity, term by term, and go through the student once: the
        # norms by term cost nothing, and the heads' parameters get none of the generator's.
        gradient = torch.zeros_like(velocity_BCHW)
        total = torch.zeros((), device=on)
        if spec.target != "none":
            reconstruction, found = _reconstruction(spec, scaling, teacher, draw, velocity_BCHW)
            gradient = torch.autograd.grad(reconstruction, velocity_BCHW)[0]
            total = total + reconstruction.detach()
            scalars |= found | {"gradient/reconstruction": gradient.norm()}
        if adversary is not None:
            fake = data_from_velocity(draw.x_t, velocity_BCHW, draw.t_B)
            features = adversary.features(draw, fake)
            scalars |= adversary.train_heads(step, adversary.extra_updates, draw, features)
            adversarial = adversary.generator_loss(draw, features)
            pushed = torch.autograd.grad(adversarial, velocity_BCHW)[0]
            gradient = gradient + pushed
            total = total + adversarial.detach()
            scalars |= {"loss/adversarial": adversarial.detach(), "gradient/adversarial": pushed.norm()}
        norm = learner.update((velocity_BCHW * gradient).sum(), step)
        if guard is not None and adversary is not None:
            guard.observe(step, adversary.accuracy)
        return StepOutput(loss=total, scalars={"gradient_norm": norm, **scalars}, keys=draw.keys)

    final: dict[str, float] = {}
    # From pure noise, the last of the times; of the student as it came, also on a resume.
    lowest_spread = 0.0
    if spec.ladd and spec.ladd.stop_spread > 0:
        lowest_spread = spec.ladd.stop_spread * source.measure(velocity, None)["x0_spread"][-1]

    def validate(done: int) -> None:
        with learner.ema["student"].applied(denoiser):
            measured = source.measure(velocity, teacher if spec.target == "teacher_velocity" else None)
        for name, values in measured.items():
            ctx.log_array(done, f"validation/{name}_by_grid_time", values)
            final[f"validation_{name}"] = sum(values) / len(values)
        ctx.log_scalars(done, {name.replace("_", "/", 1): value for name, value in final.items()})
        for name, values in (adversary.histograms() if adversary else {}).items():
            ctx.log_array(done, name, values)
        if guard is not None and lowest_spread > 0:
            guard.observe_spread(done, measured["x0_spread"][-1], lowest_spread)

    learners = [learner] + ([adversary.learner] if adversary else [])
    state = {"scaling": scaling} | ({"guard": guard} if guard else {})
    trained_steps = training.steps
    try:
        train(ctx=ctx, training=training, learners=learners, step_fn=step, state=state, validate_fn=validate)
    except DiscriminatorWon as stop:
        assert guard is not None
        trained_steps = guard.restore()
        if not trained_steps:
            raise StageFailure("discriminator_won", f"{stop}; no healthy state was kept before it") from stop
        ctx.warn(f"{stop}; the output is the healthy state of step {trained_steps}")
        lowest_spread = 0.0
        validate(trained_steps)

    card = student.card.model_copy(
        update={
            "time": spec.time,
            "trained": Trained(
                stage="distill_steps", steps=trained_steps, grids=dict(spec.grids), few_step=True
            ),
        }
    )
    save_denoiser(ctx.output, card, raw=dict(denoiser.state_dict()), ema=learner.ema["student"].weights)
    parameters = sum(p.numel() for p in denoiser.parameters())
    return StageResult(
        metrics={**final, "generator_updates": float(trained_steps), "parameters": float(parameters)},
    )


def _reconstruction(
    spec: DistillStepsSpec, scaling: LossScaling, teacher: FrozenTeacher | None, draw: Draw, velocity: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """S(L_task, L_kd) at the grid time, and its raw terms. With coupled pairs the task itself is the
    teacher's: its velocity target leads from the pair's noise to the pair's sample."""
    task_B = mean_square(velocity - draw.target)
    terms: dict[str, Tensor] = {}
    if spec.target == "teacher_velocity":
        assert teacher is not None
        with torch.no_grad():
            answer = teacher.velocity(draw.x_t, draw.t_B, draw.theirs.text_BND, draw.theirs.pooled_BP)
        terms["output"] = mean_square(velocity - answer)
    scaling.observe(gathered(draw.t_B), gathered(task_B), {k: gathered(v) for k, v in terms.items()})
    parts = scaling.combine(draw.t_B, task_B, terms)
    scalars = {"loss/task": task_B.detach().mean()}
    for name, term_B in terms.items():
        scalars[f"loss/{name}_kd"] = term_B.detach().mean()
        scalars[f"scaling/ratio_{name}"] = parts.ratio[name].mean()
        scalars[f"scaling/clamped_{name}"] = parts.clamped[name]
    return parts.total, scalars


def _grid_times(spec: DistillStepsSpec) -> list[float]:
    """Distinct times of all grids, falling."""
    for steps, grid in spec.grids.items():
        try:
            checked_grid(grid)
        except ValueError as error:
            raise StageFailure("bad_config", f"grids.{steps}: {error}") from error
        if len(grid) != int(steps):
            raise StageFailure(
                "bad_config", f"grids.{steps} holds {len(grid)} times; a grid of {steps} steps has {steps}"
            )
    if not spec.grids:
        raise StageFailure("bad_config", "grids is empty; at least one grid is trained")
    if spec.target == "none" and spec.ladd is None:
        raise StageFailure("bad_config", "target is none and ladd is null: nothing would be trained")
    return sorted({float(t) for grid in spec.grids.values() for t in grid}, reverse=True)


def _check_lineage(spec: DistillStepsSpec, card: DenoiserCard) -> None:
    if card.trained.few_step and card.trained.grids != dict(spec.grids):
        raise StageFailure(
            "bad_input",
            f"the student is already a few-step model on the grids {card.trained.grids};"
            f" it can be trained further on those alone, the stage asks for {dict(spec.grids)}",
        )


def _open_teacher(ctx: StageContext, spec: DistillStepsSpec) -> tuple[FrozenTeacher | None, FeatureSet]:
    """The few-step teacher where one is needed, and the text it reads."""
    features = open_teacher_text(ctx, spec)
    if spec.ladd is None and spec.target != "teacher_velocity":
        return None, features
    teacher = open_teacher(ctx, spec.feature_component, spec)
    check_teacher(teacher, features)
    if spec.require_few_step and not teacher.few_step:
        raise StageFailure(
            "bad_input",
            f"the snapshot does not mark {spec.feature_component} as a few-step model (limbeck.json);"
            " its velocities do not lead to an image in few steps",
        )
    return teacher, features
