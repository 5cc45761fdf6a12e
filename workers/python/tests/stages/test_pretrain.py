"""`pretrain` as a stage: it learns, resumes bit for bit after kill -9, carries legs on, names bad input."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import distillation as toy
from toys.kill import run_and_kill, weights
from toys.metrics import arrays, scalars

from limbeck.contracts.context import StageFailure, StopRequested
from limbeck.data.features import KIND, add_features
from limbeck.data.randomness import normal
from limbeck.data.shards import ShardWriter
from limbeck.models.store import load_card
from limbeck.models.unet import EfficientUNet
from limbeck.stages import pretrain

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"features": toy.write_features(tmp_path_factory.mktemp("pretrain") / "features")}


def spec(steps: int = 4, **changes: object) -> dict[str, object]:
    return {
        "kind": "pretrain",
        "model": toy.TEACHER.model_dump(),
        "text": "teacher",
        "time": {},
        "training": toy.training(steps),
        **changes,
    }


UNET = {"model": toy.STUDENT.model_dump(), "text": "student"}


@pytest.mark.parametrize("changes", [{}, UNET], ids=["sd3", "unet"])
def test_the_held_out_error_falls(tmp_path: Path, changes: dict[str, object]) -> None:
    """On data that have something to learn: one pattern, not the white noise of the other toys."""
    pattern = normal(3, "pattern", [0], toy.LATENT)[0].numpy().astype(np.float16)
    features = _write(tmp_path / "features", [pattern] * 24)
    training = toy.training(
        24, validate_every=8, optimizer=toy.optimizer(1e-2), checkpoint_every=100, ema_decay=0.5
    )
    ctx = toy.context(tmp_path / "work", spec(training=training, **changes), {"features": features})
    result = pretrain.run(ctx)
    errors = [sum(values) / len(values) for values in arrays(ctx.workdir, "validation/task_by_t")]
    assert len(errors) == 3 and errors[-1] < 0.9 * errors[0]
    assert result.metrics["validation_task"] == pytest.approx(errors[-1])
    assert len(scalars(ctx.workdir, "rate/images_per_second")) == 24


def test_the_tree_says_what_it_is(tmp_path: Path, inputs: dict[str, Path]) -> None:
    ctx = toy.context(tmp_path, spec(), inputs)
    pretrain.run(ctx)
    card = load_card(ctx.output)
    assert card.config == toy.TEACHER and card.text == "teacher"
    assert (card.trained.stage, card.trained.steps, card.trained.few_step) == ("pretrain", 4, False)
    assert {path.name for path in ctx.output.iterdir()} == {
        "config.json",
        "raw.safetensors",
        "ema.safetensors",
        "optimizer.safetensors",
    }


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_killed_and_resumed_gives_the_same_bits(tmp_path: Path, inputs: dict[str, Path], kind: str) -> None:
    seed = random.SystemRandom().randrange(10_000)
    step = random.Random(seed).randrange(3, 12)
    print(f"seed {seed}: killed after step {step}")
    # Thirty-odd samples in batches of four: the run crosses the ends of epochs.
    job = spec(training=toy.training(20, optimizer={**toy.optimizer(), "kind": kind}))
    whole = toy.context(tmp_path / "whole", job, inputs)
    pretrain.run(whole)
    checkpoint = run_and_kill(tmp_path / "killed", job, inputs, after_step=step)
    assert 2 <= int(checkpoint.name) < 20
    resumed = toy.context(tmp_path / "resumed", job, inputs, checkpoint)
    pretrain.run(resumed)
    assert weights(resumed.output) == weights(whole.output)


def test_a_stop_writes_a_checkpoint_at_once(tmp_path: Path, inputs: dict[str, Path]) -> None:
    job = spec(training=toy.training(9, checkpoint_every=100))
    stopped = toy.context(tmp_path / "stopped", job, inputs)
    stopped.request_stop()
    with pytest.raises(StopRequested):
        pretrain.run(stopped)
    checkpoint = tmp_path / "stopped" / "checkpoints" / "000000001"
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    assert manifest["step"] == 1 and "denoiser/model.ema.safetensors" in manifest["files"]
    resumed, whole = (
        toy.context(tmp_path / "resumed", job, inputs, checkpoint),
        toy.context(tmp_path / "w", job, inputs),
    )
    pretrain.run(resumed)
    pretrain.run(whole)
    assert weights(resumed.output) == weights(whole.output)


def test_a_checkpoint_of_the_last_step_finishes_without_training(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    """A constant-rate leg may be cut short afterwards: fewer steps, from the checkpoint at just that step."""
    constant = {**toy.optimizer(), "decay_share": 0}
    long = toy.context(tmp_path / "long", spec(training=toy.training(6, optimizer=constant)), inputs)
    pretrain.run(long)
    short = spec(training=toy.training(4, optimizer=constant))
    cut = toy.context(tmp_path / "cut", short, inputs, long.checkpoints / "000000004")
    result = pretrain.run(cut)
    whole = toy.context(tmp_path / "whole", short, inputs)
    pretrain.run(whole)
    assert weights(cut.output) == weights(whole.output)
    assert all(value == value for value in result.metrics.values())


def test_a_second_leg_carries_the_optimizer_and_the_average(tmp_path: Path, inputs: dict[str, Path]) -> None:
    first = toy.context(tmp_path / "first", spec(), inputs)
    pretrain.run(first)
    outputs = []
    for carry in (True, False):
        leg = spec(training=toy.training(2, seed=1), carry_optimizer=carry)
        ctx = toy.context(tmp_path / f"carry-{carry}", leg, {**inputs, "initial": first.output})
        pretrain.run(ctx)
        assert load_card(ctx.output).trained.steps == 6
        outputs.append(weights(ctx.output)["raw.safetensors"])
    assert outputs[0] != outputs[1]


def test_training_grows_from_one_resolution_to_the_next(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """256 -> 512 -> 1024 px: the weights carry over whole, only the rotary tables are rebuilt."""
    small = toy.STUDENT.model_copy(update={"latent_size": 4})
    initial = toy.write_student(tmp_path / "small", small)
    ctx = toy.context(tmp_path / "work", spec(1, **UNET), {**inputs, "initial": initial})
    pretrain.run(ctx)
    card = load_card(ctx.output)
    assert card.config == toy.STUDENT and card.trained.steps == 6
    before, after = (weights(folder)["raw.safetensors"] for folder in (initial, ctx.output))
    assert len(before) == len(after) and before != after


def test_held_out_samples_a_bin_are_as_many_as_the_recipe_says(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    """Counted where they are computed: forwards of the model without a graph."""
    seen: list[int] = []
    forward = EfficientUNet.forward

    def counted(self: torch.nn.Module, x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if not torch.is_grad_enabled():
            seen.append(len(x))
        return forward(self, x, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EfficientUNet, "forward", counted)
        training = toy.training(1, validate_per_bin=3)
        pretrain.run(toy.context(tmp_path, spec(training=training, **UNET), inputs))
    assert sum(seen) == 20 * 3


def test_bad_initial_denoisers_are_refused(tmp_path: Path, inputs: dict[str, Path]) -> None:
    cases = {
        "another configuration": (toy.write_student(tmp_path / "unet"), {}),
        "few steps": (toy.write_student(tmp_path / "few", toy.TEACHER, few_step=True), {}),
        "optimizer.safetensors": (
            toy.write_student(tmp_path / "bare", toy.TEACHER),
            {"carry_optimizer": True},
        ),
        "lacks config.json": (inputs["features"], {}),
    }
    for message, (initial, changes) in cases.items():
        ctx = toy.context(tmp_path / message, spec(**changes), {**inputs, "initial": initial})
        with pytest.raises(StageFailure, match=message) as caught:
            pretrain.run(ctx)
        assert caught.value.reason == "bad_input"


def test_features_of_another_size_are_refused(tmp_path: Path, inputs: dict[str, Path]) -> None:
    for change, message in (({"latent_size": 16}, "latents of"), ({"joint_width": 8}, "tokens of")):
        model = {**toy.TEACHER.model_dump(), **change}
        with pytest.raises(StageFailure, match=message) as caught:
            pretrain.run(toy.context(tmp_path / message, spec(model=model), inputs))
        assert caught.value.reason == "bad_input"


def test_a_loss_that_is_not_finite_names_step_and_samples(tmp_path: Path) -> None:
    latents = [np.full(toy.LATENT, np.nan if place == 5 else 0.5, np.float16) for place in range(12)]
    features = _write(tmp_path / "features", latents)
    ctx = toy.context(tmp_path / "work", spec(50), {"features": features})
    with pytest.raises(StageFailure, match=r"at step \d+; samples of the batch: .*toy-0005") as caught:
        pretrain.run(ctx)
    assert caught.value.reason == "non_finite"


def _write(folder: Path, latents: list[np.ndarray]) -> Path:
    """Features of these latents under one and the same text."""
    with ShardWriter(folder, 100, {"kind": KIND, "teacher_samples": None}) as writer:
        for place, latent in enumerate(latents):
            arrays = {"latent": latent}
            for role, width in (("student", toy.STUDENT_WIDTH), ("teacher", toy.TEACHER_WIDTH)):
                arrays[f"{role}_text"] = np.ones((toy.TOKENS, width), np.float16)
                arrays[f"{role}_pooled"] = np.ones(width, np.float16)
            add_features(writer, f"toy-{place:04d}", arrays, b"{}")
    return folder
