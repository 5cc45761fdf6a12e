import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toys import distillation as toy
from toys.kill import run_and_kill, weights
from toys.metrics import arrays, scalars

from limbeck.contracts.context import StageFailure
from limbeck.contracts.generated import DistillStepsSpec
from limbeck.data.features import FeatureSet
from limbeck.models.store import load_denoiser
from limbeck.objectives.flow import data_from_velocity, interpolate
from limbeck.stages import distill_steps
from limbeck.stages.few_step_source import Draw, FewStepSource

torch.set_num_threads(1)

GRIDS = {"2": [1.0, 0.5], "4": [1.0, 0.75, 0.5, 0.25]}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("distill_steps")
    return {
        "features": toy.write_features(root / "features", teacher_samples=30),
        "student": toy.write_student(root / "student"),
        "snapshot": toy.write_snapshot(root / "snapshot", few_step_grid=GRIDS["2"]),
    }


def ladd(**changes: object) -> dict[str, object]:
    return {"taps": [0, 1], "head_channels": 8, "head_optimizer": toy.optimizer(1e-2), **changes}


def spec(steps: int = 3, **changes: object) -> dict[str, object]:
    return {
        "kind": "distill_steps",
        "time": {},
        "grids": GRIDS,
        "training": toy.training(steps),
        "scaling": {},
        "ladd": ladd(),
        **changes,
    }


def test_writes_a_few_step_denoiser_with_its_grids(tmp_path: Path, inputs: dict[str, Path]) -> None:
    ctx = toy.context(tmp_path, spec(), inputs)
    distill_steps.run(ctx)
    trained = json.loads((ctx.output / "config.json").read_text())["trained"]
    assert trained == {"stage": "distill_steps", "steps": 3, "grids": GRIDS, "few_step": True}
    assert weights(ctx.output).keys() == {"raw.safetensors", "ema.safetensors"}


def test_logs_the_discriminators_health_and_both_gradients(tmp_path: Path, inputs: dict[str, Path]) -> None:
    distill_steps.run(toy.context(tmp_path, spec(), inputs))
    assert scalars(tmp_path, "loss/discriminator")[0] == 2.0  # undecided heads: hinge is 1 on each side
    for name in (
        "discriminator/accuracy_real",
        "discriminator/accuracy_fake",
        "discriminator/logit_real_tap0",
        "discriminator/logit_fake_tap1",
        "discriminator/r1",
        "loss/adversarial",
        "loss/task",
        "loss/output_kd",
    ):
        assert len(scalars(tmp_path, name)) == 3, name
    assert all(value > 0 for value in scalars(tmp_path, "gradient/adversarial"))
    assert all(value > 0 for value in scalars(tmp_path, "gradient/reconstruction"))
    assert sum(arrays(tmp_path, "discriminator/histogram_fake_tap1")[-1]) == pytest.approx(1.0)
    # One value for each distinct time of the grids.
    assert len(arrays(tmp_path, "validation/task_by_grid_time")[-1]) == 4


def test_the_student_follows_the_discriminator(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """Same draws, with the adversarial term and without: it must reach the student's weights."""
    outputs = []
    for name, weight in (("with", 0.5), ("without", 0.0)):
        ctx = toy.context(tmp_path / name, spec(ladd=ladd(weight=weight)), inputs)
        distill_steps.run(ctx)
        outputs.append(weights(ctx.output)["raw.safetensors"])
    assert outputs[0] != outputs[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"ladd": None},
        {"target": "none"},
        {"target": "teacher_samples"},
        {"target": "teacher_samples", "ladd": None},
        {"real": "teacher_samples"},
        {"ladd": ladd(discriminator_updates=2, loss="softplus", r1_weight=0)},
        {"feature_component": "transformer", "require_few_step": False},
    ],
    ids=["kd-only", "ladd-only", "pairs", "pairs-only", "real-samples", "two-softplus-updates", "own-base"],
)
def test_every_arrangement_trains_the_student(
    tmp_path: Path, inputs: dict[str, Path], changes: dict[str, object]
) -> None:
    # The zero-initialised heads give the student nothing in the first update.
    ctx = toy.context(tmp_path, spec(3, **changes), inputs)
    result = distill_steps.run(ctx)
    before, after = (load_file(f / "raw.safetensors") for f in (inputs["student"], ctx.output))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert result.metrics["validation_task"] > 0


def test_an_sd3_base_is_taken_to_few_steps_by_the_same_code(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """tiny-turbo: pairs of the base's own endpoints first, LADD second, on the same grids."""
    base = {**inputs, "student": toy.write_student(tmp_path / "base", toy.TEACHER)}
    first = toy.context(tmp_path / "first", spec(target="teacher_samples", ladd=None), base)
    distill_steps.run(first)
    second = toy.context(
        tmp_path / "second",
        spec(target="teacher_samples", feature_component="transformer", require_few_step=False),
        {**base, "student": first.output},
    )
    distill_steps.run(second)
    card = json.loads((second.output / "config.json").read_text())
    assert card["config"]["architecture"] == "sd3" and card["trained"]["grids"] == GRIDS


def test_training_on_pairs_learns_the_jump_from_the_noise(tmp_path: Path, inputs: dict[str, Path]) -> None:
    job = spec(
        training=toy.training(40, batch_size=8, optimizer=toy.optimizer(1e-2), checkpoint_every=100),
        grids={"1": [1.0]},
        target="teacher_samples",
        ladd=None,
    )
    distill_steps.run(toy.context(tmp_path, job, inputs))
    losses = scalars(tmp_path, "loss/task")
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def source(inputs: dict[str, Path], **changes: object) -> FewStepSource:
    own, theirs = (FeatureSet.load(inputs["features"], role) for role in ("student", "teacher"))
    return FewStepSource(
        DistillStepsSpec.model_validate(spec(**changes)), own, theirs, [1.0, 0.75, 0.5, 0.25]
    )


def test_generator_inputs_lie_on_the_union_of_the_grids_by_position(inputs: dict[str, Path]) -> None:
    drawn = source(inputs)
    whole = drawn.draw(range(400), 0)
    times, counts = whole.t_B.unique(return_counts=True)
    assert times.tolist() == [0.25, 0.5, 0.75, 1.0] and int(counts.min()) > 60
    part = drawn.draw(range(17, 23), 0)
    assert torch.equal(part.x_t, whole.x_t[17:23]) and torch.equal(part.t_B, whole.t_B[17:23])


def test_step_times_are_trained_as_often_as_the_phase_says(inputs: dict[str, Path]) -> None:
    """LADD's schedule above 512 px: the late half first, then mostly the first step (paper.md 5.2)."""
    phases = [
        {"until": 0.25, "weights": [0, 0, 0.5, 0.5]},
        {"until": 0.75, "weights": [0.7, 0.1, 0.1, 0.1]},
    ]
    training = toy.training(100)
    drawn = source(inputs, time_phases=phases, training=training)
    positions = range(2000)

    def shares(step: int) -> list[float]:
        t_B = drawn.draw(positions, step).t_B
        return [float((t_B == time).float().mean()) for time in (1.0, 0.75, 0.5, 0.25)]

    assert shares(0) == shares(24) == pytest.approx([0, 0, 0.5, 0.5], abs=0.04)
    assert shares(0)[:2] == [0, 0]
    assert shares(25) == shares(74) == pytest.approx([0.7, 0.1, 0.1, 0.1], abs=0.04)
    # Behind the last phase every time is as likely as without phases: the same draws.
    plain = source(inputs, training=training).draw(positions, 75)
    assert torch.equal(drawn.draw(positions, 75).t_B, plain.t_B)


def test_the_jump_to_x0_is_compared_with_the_teachers(tmp_path: Path, inputs: dict[str, Path]) -> None:
    result = distill_steps.run(toy.context(tmp_path, spec(), inputs))
    by_time = arrays(tmp_path, "validation/x0_psnr_db_by_grid_time")[-1]
    # A velocity error weighs t in x0: the first step, last in the row, is furthest from the teacher.
    assert len(by_time) == 4 and by_time[0] > by_time[-1]
    assert result.metrics["validation_x0_psnr_db"] == pytest.approx(sum(by_time) / 4)


def test_the_discriminator_may_look_at_the_neighbouring_level(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    outputs = []
    for renoise in ("logit_normal", "next_grid_time"):
        ctx = toy.context(tmp_path / renoise, spec(ladd=ladd(renoise=renoise)), inputs)
        distill_steps.run(ctx)
        outputs.append(weights(ctx.output)["raw.safetensors"])
        assert all(value == value for value in scalars(ctx.workdir, "loss/adversarial"))
    assert outputs[0] != outputs[1]


def test_at_the_first_grid_time_the_input_is_pure_noise(inputs: dict[str, Path]) -> None:
    drawn = source(inputs).draw(range(64), 0)
    first = drawn.t_B == 1.0
    noise = drawn.target + drawn.own.latent_BCHW  # e = v + x0
    torch.testing.assert_close(drawn.x_t[first], noise[first])


def test_pairs_keep_their_noise_together_with_their_sample(inputs: dict[str, Path]) -> None:
    drawn = source(inputs, target="teacher_samples").draw(range(8), 0)
    noise, sample = FeatureSet.load(inputs["features"], "student").teacher_pairs(list(drawn.keys))
    torch.testing.assert_close(drawn.target, noise - sample)
    torch.testing.assert_close(drawn.x_t, interpolate(sample, noise, drawn.t_B))
    torch.testing.assert_close(data_from_velocity(drawn.x_t, drawn.target, drawn.t_B), sample)
    # Real stays data unless asked otherwise.
    assert torch.equal(drawn.real, drawn.own.latent_BCHW)
    both = source(inputs, target="teacher_samples", real="teacher_samples").draw(range(8), 0)
    assert torch.equal(both.real, sample)


def test_captions_are_never_dropped(inputs: dict[str, Path]) -> None:
    drawn = source(inputs).draw(range(64), 0)
    assert bool((drawn.own.text_BND.abs().sum((1, 2)) > 0).all())


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({"grids": {"2": [1.0]}}, "bad_config", "grids.2 holds 1 times"),
        ({"grids": {"2": [0.5, 1.0]}}, "bad_config", "grids.2: a grid falls strictly"),
        ({"grids": {}}, "bad_config", "grids is empty"),
        ({"target": "none", "ladd": None}, "bad_config", "nothing would be trained"),
        ({"ladd": ladd(taps=[0, 7])}, "bad_config", r"taps must be distinct blocks 0\.\.1.*\[0, 7\]"),
        ({"ladd": ladd(taps=[1, 1])}, "bad_config", "taps must be distinct"),
        (
            {"time_phases": [{"until": 0.5, "weights": [1, 1]}]},
            "bad_config",
            r"time_phases.0.weights is \[1.0, 1.0\]; the grids have 4 distinct times",
        ),
        (
            {"time_phases": [{"until": 0.5, "weights": [0, 0, 0, 0]}]},
            "bad_config",
            "one of them at least must be trained",
        ),
        (
            {"time_phases": [{"until": until, "weights": [1, 1, 1, 1]} for until in (0.5, 0.5)]},
            "bad_config",
            "time_phases.1.until is 0.5; it must be above 0.5",
        ),
        ({"feature_component": "transformer"}, "bad_input", "does not mark transformer as a few-step model"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_step(
    tmp_path: Path, inputs: dict[str, Path], changes: dict[str, object], reason: str, message: str
) -> None:
    with pytest.raises(StageFailure, match=message) as failure:
        distill_steps.run(toy.context(tmp_path, spec(**changes), inputs))
    assert failure.value.reason == reason


def test_teacher_samples_that_were_not_extracted_are_named(tmp_path: Path, inputs: dict[str, Path]) -> None:
    bare = {**inputs, "features": toy.write_features(tmp_path / "features")}
    with pytest.raises(StageFailure, match="teacher samples, and the features hold none"):
        distill_steps.run(toy.context(tmp_path / "run", spec(target="teacher_samples"), bare))


def test_a_student_of_other_grids_is_refused(tmp_path: Path, inputs: dict[str, Path]) -> None:
    student = toy.write_student(tmp_path / "student", few_step=True, grids={"1": [1.0]})
    with pytest.raises(StageFailure, match=r"already a few-step model on the grids \{'1': \[1.0\]\}"):
        distill_steps.run(toy.context(tmp_path / "run", spec(), {**inputs, "student": student}))


def winning(**changes: object) -> dict[str, object]:
    """A discriminator that any accuracy above 0 makes a winner, over a window of a quarter of the stage."""
    return ladd(stop_accuracy=0.0, stop_window_share=0.25, **changes)


def test_a_discriminator_that_won_from_the_start_fails_the_stage(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    with pytest.raises(StageFailure, match=r"stayed above 0.0 for 2 steps.*no healthy state") as failure:
        distill_steps.run(toy.context(tmp_path, spec(8, ladd=winning()), inputs))
    assert failure.value.reason == "discriminator_won"


def test_when_the_discriminator_wins_the_last_healthy_state_is_the_output(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    # Data far from 0, hardly any re-noising and a student that stands still: blurred jumps are easy to tell.
    far = {**inputs, "features": toy.write_features(tmp_path / "features", offset=4.0)}
    heads = ladd(stop_accuracy=0.75, stop_window_share=0.1, renoise_mean=-3, r1_weight=0)
    still = toy.training(80, optimizer=toy.optimizer(1e-6), checkpoint_every=100)
    ctx = toy.context(tmp_path / "run", spec(training=still, ladd=heads, target="none"), far)
    result = distill_steps.run(ctx)
    steps = json.loads((ctx.output / "config.json").read_text())["trained"]["steps"]
    assert 0 < steps < 80 and result.metrics["generator_updates"] == steps
    assert any(f"the healthy state of step {steps}" in warning for warning in ctx.warnings)
    assert len(scalars(tmp_path / "run", "loss/discriminator")) > steps


def test_a_student_whose_images_become_alike_is_stopped(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """The toy base predicts nothing: its jumps are the noise itself, as spread as can be. Training on noise
    can only bring them together."""
    brisk = toy.training(
        40, optimizer=toy.optimizer(3e-3), validate_every=5, checkpoint_every=100, ema_decay=0.5
    )
    free = toy.context(tmp_path / "free", spec(training=brisk), inputs)
    distill_steps.run(free)
    spread = [values[-1] for values in arrays(free.workdir, "validation/x0_spread_by_grid_time")]
    assert len(spread) == 8 and spread[-1] < spread[0]
    # A limit that is crossed on the way: the state of the validation before is the output.
    limit = (spread[3] + spread[4]) / 2 / spread_at_first(inputs)
    held = toy.context(tmp_path / "held", spec(training=brisk, ladd=ladd(stop_spread=limit)), inputs)
    result = distill_steps.run(held)
    assert result.metrics["generator_updates"] == 20
    assert any("became alike" in w and "healthy state of step 20" in w for w in held.warnings)


def spread_at_first(inputs: dict[str, Path]) -> float:
    """Of the toy base, which predicts x0 = x_t - t v with v about 0: of the noise at t = 1."""
    untouched = load_denoiser(inputs["student"]).denoiser

    def velocity(draw: Draw) -> torch.Tensor:
        return untouched(draw.x_t, draw.t_B, draw.own.text_BND, draw.own.pooled_BP)

    return source(inputs).measure(velocity, None)["x0_spread"][-1]


@pytest.mark.parametrize("discriminator_updates", [1, 2])
def test_killed_at_a_random_step_and_resumed_gives_the_same_bits(
    tmp_path: Path, inputs: dict[str, Path], discriminator_updates: int
) -> None:
    step = random.SystemRandom().randint(3, 12)
    print(f"killed after step {step}")
    heads = ladd(discriminator_updates=discriminator_updates)
    undisturbed = toy.context(
        tmp_path / "whole", spec(training=toy.training(40, checkpoint_every=100), ladd=heads), inputs
    )
    distill_steps.run(undisturbed)
    job = spec(training=toy.training(40, checkpoint_every=3), ladd=heads)
    checkpoint = run_and_kill(tmp_path / "killed", job, inputs, step)
    held = {path.relative_to(checkpoint).as_posix() for path in checkpoint.rglob("*.safetensors")}
    assert {"student/student.safetensors", "discriminator/heads.safetensors", "guard.safetensors"} <= held
    assert {
        "student/optimizer.safetensors",
        "discriminator/optimizer.safetensors",
        "scaling.safetensors",
    } <= held
    resumed = toy.context(tmp_path / "resumed", job, inputs, resume=checkpoint)
    distill_steps.run(resumed)
    assert weights(resumed.output) == weights(undisturbed.output)
