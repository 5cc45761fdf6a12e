"""How a step is computed, which no stage decides for itself: parts of a batch, precision, recomputed
activations, steps that are taken back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toys import distillation as toy
from toys.kill import weights
from toys.metrics import arrays, lines, scalars

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import TrainingConfig
from limbeck.models.sd3 import FrozenTeacher
from limbeck.models.store import UnetDenoiser
from limbeck.models.unet import EfficientUNet, Unit
from limbeck.stages import distill, distill_steps, pretrain
from limbeck.training.precision import prepared

torch.set_num_threads(1)

GRID = [1.0, 0.75, 0.5, 0.25]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return toy.write_inputs(tmp_path_factory.mktemp("options"), GRID)


def kd(**training: object) -> dict[str, object]:
    return {"kind": "distill", "time": {}, "training": toy.training(6, **training), "scaling": {}}


def plain(**training: object) -> dict[str, object]:
    return {
        "kind": "pretrain",
        "model": toy.STUDENT.model_dump(),
        "text": "student",
        "time": {},
        "training": toy.training(6, **training),
    }


def ladd(**training: object) -> dict[str, object]:
    return {
        "kind": "distill_steps",
        "time": {},
        "grids": {"4": GRID},
        "training": toy.training(6, **training),
        "scaling": {},
        "ladd": {"taps": [0, 1], "head_channels": 8, "head_optimizer": toy.optimizer()},
    }


def distance(one: StageContext, other: StageContext) -> float:
    a, b = (load_file(ctx.output / "raw.safetensors") for ctx in (one, other))
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def test_a_batch_in_parts_is_the_same_batch(tmp_path: Path, inputs: dict[str, Path]) -> None:
    whole, parts = (toy.context(tmp_path / str(size), plain(micro_batch=size), inputs) for size in (0, 2))
    pretrain.run(whole)
    pretrain.run(parts)
    assert 0 < distance(parts, whole) < 5e-5  # another order of summation, and nothing else
    assert scalars(parts.workdir, "loss") == pytest.approx(scalars(whole.workdir, "loss"), rel=1e-5)


def test_parts_of_a_distillation_step_share_their_ratios(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """With parts S() takes the means before the step. In mode `none` there is no ratio: no difference."""
    unscaled = {"mode": "none"}
    runs = {
        (size, mode): toy.context(tmp_path / f"{size}{mode}", {**kd(micro_batch=size), **more}, inputs)
        for size in (0, 2)
        for mode, more in (("none", {"scaling": unscaled}), ("timestep", {}))
    }
    for ctx in runs.values():
        distill.run(ctx)
    assert distance(runs[2, "none"], runs[0, "none"]) < 5e-5
    # The raw terms of the first step know no ratio yet, and agree; the weights part from then on.
    for name in ("loss/task", "loss/output_kd", "loss/feature_kd"):
        firsts = [scalars(runs[size, "timestep"].workdir, name)[0] for size in (0, 2)]
        assert firsts[0] == pytest.approx(firsts[1], rel=1e-5), name
    assert distance(runs[2, "timestep"], runs[0, "timestep"]) > 5e-5


def test_parts_and_a_stop_between_them_resume_bit_for_bit(tmp_path: Path, inputs: dict[str, Path]) -> None:
    whole = toy.context(tmp_path / "whole", kd(micro_batch=2), inputs)
    distill.run(whole)
    rest = toy.context(tmp_path / "rest", kd(micro_batch=2), inputs, whole.checkpoints / "000000004")
    distill.run(rest)
    assert weights(rest.output) == weights(whole.output)


@pytest.mark.parametrize(
    ("stage", "spec", "message"),
    [
        (pretrain, plain(micro_batch=3), "micro_batch 3 does not divide batch_size 4"),
        (distill_steps, ladd(micro_batch=2), "distill_steps takes a batch in one forward: micro_batch is 2"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    tmp_path: Path, inputs: dict[str, Path], stage: object, spec: dict[str, object], message: str
) -> None:
    with pytest.raises(StageFailure, match=message) as caught:
        stage.run(toy.context(tmp_path, spec, inputs))  # type: ignore[attr-defined]
    assert caught.value.reason == "bad_config"


@pytest.mark.parametrize(
    ("stage", "spec"), [(pretrain, plain), (distill, kd), (distill_steps, ladd)], ids=["task", "kd", "ladd"]
)
def test_recomputed_activations_change_no_bit(
    tmp_path: Path, inputs: dict[str, Path], stage: object, spec: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    compute = Unit.compute

    def counted(self: Unit, *args: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += torch.is_grad_enabled()
        return compute(self, *args)

    monkeypatch.setattr(Unit, "compute", counted)
    outputs, counts = [], []
    for recompute in (False, True):
        calls = 0
        ctx = toy.context(tmp_path / str(recompute), spec(activation_checkpointing=recompute), inputs)  # type: ignore[operator]
        stage.run(ctx)  # type: ignore[attr-defined]
        outputs.append(weights(ctx.output))
        counts.append(calls)
    assert outputs[0] == outputs[1]
    assert counts[1] == 2 * counts[0]  # each unit once forward, once more in the backward pass


def test_bf16_trains_in_bf16_and_keeps_float32_weights(tmp_path: Path, inputs: dict[str, Path]) -> None:
    for stage, spec in ((pretrain, plain), (distill, kd), (distill_steps, ladd)):
        full, half = (
            toy.context(tmp_path / stage.__name__ / name, spec(precision=name), inputs)
            for name in ("fp32", "bf16")
        )
        stage.run(full)
        stage.run(half)
        stored = load_file(half.output / "raw.safetensors")
        assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
        # Eight bits of mantissa: near, and not the same.
        assert 0 < distance(half, full) < 0.02, stage.__name__
        losses = [scalars(ctx.workdir, "loss")[0] for ctx in (half, full)]
        assert losses[0] == pytest.approx(losses[1], rel=0.05), stage.__name__


def test_norms_and_losses_stay_in_float32_under_bf16(tmp_path: Path, inputs: dict[str, Path]) -> None:
    seen: dict[type, set[torch.dtype]] = {}
    classes = (torch.nn.GroupNorm, torch.nn.LayerNorm, torch.nn.RMSNorm, torch.nn.Conv2d, torch.nn.Linear)
    originals = {kind: kind.forward for kind in classes}

    def watched(kind: type):
        def forward(self: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
            out = originals[kind](self, x)
            if torch.is_grad_enabled():
                seen.setdefault(kind, set()).add(out.dtype)
            return out

        return forward

    with pytest.MonkeyPatch.context() as patch:
        for kind in classes:
            patch.setattr(kind, "forward", watched(kind))
        pretrain.run(toy.context(tmp_path, plain(precision="bf16"), inputs))
    assert seen[torch.nn.Conv2d] == seen[torch.nn.Linear] == {torch.bfloat16}
    for norm in classes[:3]:
        assert seen[norm] == {torch.float32}, norm


def test_a_teacher_in_bf16_answers_in_float32(tmp_path: Path, inputs: dict[str, Path]) -> None:
    full = FrozenTeacher.load(inputs["snapshot"])
    half = FrozenTeacher.load(inputs["snapshot"], dtype=torch.bfloat16)
    x = torch.randn(2, *toy.LATENT, generator=torch.Generator().manual_seed(1))
    rest = (
        torch.tensor([0.2, 0.9]),
        torch.ones(2, toy.TOKENS, toy.TEACHER_WIDTH),
        torch.ones(2, toy.TEACHER_WIDTH),
    )
    answers = [teacher.forward_with_features(x, *rest, [1]) for teacher in (full, half)]
    (velocity, _), (rounded, rounded_features) = answers
    assert rounded.dtype == rounded_features[1].dtype == torch.float32
    error = (rounded - velocity).square().mean().sqrt() / velocity.square().mean().sqrt()
    assert 1e-4 < error < 0.05
    outputs = []
    for precision in ("fp32", "bf16"):
        ctx = toy.context(tmp_path / precision, {**kd(), "teacher_precision": precision}, inputs)
        distill.run(ctx)
        outputs.append(ctx)
    assert 0 < distance(*outputs) < 0.02


def poisoned(folder: Path, places: tuple[int, ...]) -> Path:
    """Features of which some samples are not finite, as after a bad conversion."""
    return toy.write_features(folder, broken=places)


def test_steps_that_are_not_finite_are_taken_back_and_named(tmp_path: Path) -> None:
    features = poisoned(tmp_path / "features", (3, 17))
    spec = plain(rollbacks=20, checkpoint_every=3) | {}
    spec["training"] = {**toy.training(20), "rollbacks": 20, "checkpoint_every": 3}
    ctx = toy.context(tmp_path / "work", spec, {"features": features})
    pretrain.run(ctx)
    skipped = [warning for warning in ctx.warnings if "was skipped" in warning]
    assert 2 <= len(skipped) <= 8
    assert all(torch.isfinite(t).all() for t in load_file(ctx.output / "raw.safetensors").values())
    # The repetition is not logged again: one line a step.
    steps = [line["step"] for line in lines(ctx.workdir) if "loss" in line.get("scalars", {})]
    assert steps == sorted(set(steps))
    assert len(arrays(ctx.workdir, "validation/task_by_t")) == 1

    resumed = toy.context(tmp_path / "resumed", spec, {"features": features}, ctx.checkpoints / "000000012")
    pretrain.run(resumed)
    assert weights(resumed.output) == weights(ctx.output)
    assert resumed.warnings == ctx.warnings


def test_rollbacks_are_bounded(tmp_path: Path) -> None:
    features = poisoned(tmp_path / "features", tuple(range(0, 36, 6)))
    spec = plain()
    spec["training"] = {**toy.training(20), "rollbacks": 2}
    with pytest.raises(
        StageFailure, match=r"not|nan.*after 2 skipped steps; samples of the batch: "
    ) as caught:
        pretrain.run(toy.context(tmp_path / "work", spec, {"features": features}))
    assert caught.value.reason == "non_finite"


def test_a_gradient_that_is_not_finite_counts_too(
    tmp_path: Path, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overflow in the backward pass alone: the loss is fine, the weights would not be."""
    apply = pretrain.Learner.apply

    def overflow(self: pretrain.Learner, step: int) -> torch.Tensor:
        if step == 3:
            self.parameters[0].grad.view(-1)[0] = np.inf
        return apply(self, step)

    monkeypatch.setattr(pretrain.Learner, "apply", overflow)
    ctx = toy.context(tmp_path / "kept", plain(rollbacks=1), inputs)
    pretrain.run(ctx)
    assert ctx.warnings == ["step 3 was skipped: its loss or gradient was not finite"]
    with pytest.raises(StageFailure, match=r"the gradient norm became .* at step 3"):
        pretrain.run(toy.context(tmp_path / "failed", plain(), inputs))


def test_compiled_blocks_train_the_same_up_to_rounding_and_resume_bit_for_bit(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    """A small SD3: its two blocks are compiled in seconds, the toy UNet's in two minutes."""
    small = {"model": toy.TEACHER.model_dump(), "text": "teacher"}
    plain_run, whole = (
        toy.context(tmp_path / str(on), plain(compile_blocks=on) | small, inputs) for on in (False, True)
    )
    pretrain.run(plain_run)
    pretrain.run(whole)
    assert distance(whole, plain_run) < 5e-5
    assert weights(whole.output) != weights(plain_run.output)  # other kernels ran
    spec = plain(compile_blocks=True) | small
    rest = toy.context(tmp_path / "rest", spec, inputs, whole.checkpoints / "000000004")
    pretrain.run(rest)
    assert weights(rest.output) == weights(whole.output)


def test_what_has_no_blocks_or_no_compiler_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    training = TrainingConfig.model_validate(toy.training(1, compile_blocks=True))
    with pytest.raises(StageFailure, match="compile_blocks: a Linear repeats no block"):
        prepared(torch.nn.Linear(1, 1), training, torch.device("cpu"))
    monkeypatch.setenv("PATH", "")
    unet = UnetDenoiser(EfficientUNet(toy.STUDENT))
    with pytest.raises(StageFailure, match=r"this machine lacks a C\+\+ compiler"):
        prepared(unet, training, torch.device("cpu"))
