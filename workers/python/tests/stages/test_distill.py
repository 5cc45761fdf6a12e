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
from limbeck.stages import distill

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("distill")
    return {
        "features": toy.write_features(root / "features"),
        "base": toy.write_student(root / "base"),
        "snapshot": toy.write_snapshot(root / "snapshot"),
    }


def spec(steps: int = 4, **changes: object) -> dict[str, object]:
    return {"kind": "distill", "time": {}, "training": toy.training(steps), "scaling": {}, **changes}


def test_writes_a_denoiser_with_the_projector_apart(tmp_path: Path, inputs: dict[str, Path]) -> None:
    ctx = toy.context(tmp_path, spec(), inputs)
    result = distill.run(ctx)
    card = json.loads((ctx.output / "config.json").read_text())
    assert card["trained"] == {"stage": "distill", "steps": 4, "grids": None, "few_step": False}
    parameters = sum(p.numel() for p in load_file(ctx.output / "ema.safetensors").values())
    assert result.metrics["parameters"] == parameters
    # Trap 13: phi is neither saved with the student nor counted.
    assert not any("projector" in name for name in load_file(ctx.output / "raw.safetensors"))
    assert (ctx.output / "projector.safetensors").is_file()
    assert result.metrics["validation_output_kd"] > 0 and result.metrics["validation_feature_kd"] > 0


def test_logs_every_term_raw_and_by_time(tmp_path: Path, inputs: dict[str, Path]) -> None:
    distill.run(toy.context(tmp_path, spec(), inputs))
    for name in ("loss/task", "loss/output_kd", "loss/feature_kd", "gradient_norm", "scaling/ratio_output"):
        assert len(scalars(tmp_path, name)) == 4, name
    for name in (
        "validation/task_by_t",
        "validation/output_kd_by_t",
        "validation/feature_kd_by_t",
        "validation/teacher_task_by_t",
        "training/task_by_t",
        "scaling/ratio_output_by_t",
        "scaling/weight_task_by_t",
        "scaling/weight_output_by_t",
        "gradient/task_by_t",
    ):
        assert len(arrays(tmp_path, name)[-1]) == 20, name
    # Held-out samples are stratified in t: no bin is empty.
    assert None not in arrays(tmp_path, "validation/task_by_t")[-1]


def test_the_gradient_is_split_by_term_where_it_is_logged(tmp_path: Path, inputs: dict[str, Path]) -> None:
    often, seldom = (
        toy.context(tmp_path / str(every), spec(training=toy.training(4, log_every=every)), inputs)
        for every in (1, 4)
    )
    distill.run(often)
    distill.run(seldom)
    for term in ("task", "output", "feature"):
        norms = scalars(often.workdir, f"gradient/{term}")
        assert len(norms) == 4 and min(norms) > 0
        # A mean over the steps between two log lines would be of one step's value: it is the last one's.
        assert scalars(seldom.workdir, f"gradient/{term}") == pytest.approx(norms[-1:])
    # Looking changes nothing.
    assert weights(often.output) == weights(seldom.output)


def test_the_total_is_about_twice_the_task_loss_by_construction(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    distill.run(toy.context(tmp_path, spec(scaling={"ratio": "per_sample"}), inputs))
    for total, task in zip(scalars(tmp_path, "loss"), scalars(tmp_path, "loss/task"), strict=True):
        assert total == pytest.approx(2 * task, rel=1e-5)


def test_the_student_comes_closer_to_its_teacher(tmp_path: Path, inputs: dict[str, Path]) -> None:
    brief = toy.training(
        24, validate_every=6, optimizer=toy.optimizer(1e-2), checkpoint_every=100, ema_decay=0.5
    )
    heavy = {"output_weight": 20.0, "feature_weight": 20.0}  # the toy's data are noise; the teacher must lead
    distill.run(toy.context(tmp_path, spec(training=brief, **heavy), inputs))
    gaps = [sum(values) for values in arrays(tmp_path, "validation/output_kd_by_t")]
    features = [sum(values) for values in arrays(tmp_path, "validation/feature_kd_by_t")]
    assert gaps[-1] < 0.9 * gaps[0] and features[-1] < features[0]


def test_the_result_depends_on_the_teacher(tmp_path: Path, inputs: dict[str, Path]) -> None:
    other = {**inputs, "snapshot": tmp_path / "other"}
    toy.write_snapshot(other["snapshot"])
    # The other snapshot's base is the first one's turbo: another teacher of the same shape.
    (other["snapshot"] / "transformer").rename(other["snapshot"] / "kept")
    (other["snapshot"] / "transformer_turbo").rename(other["snapshot"] / "transformer")
    outputs = []
    for name, chosen in (("one", inputs), ("two", other)):
        ctx = toy.context(tmp_path / name, spec(feature_weight=0), chosen)
        distill.run(ctx)
        outputs.append(weights(ctx.output)["raw.safetensors"])
    assert outputs[0] != outputs[1]


@pytest.mark.parametrize(("output", "feature"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_a_term_of_weight_zero_is_neither_computed_nor_logged(
    tmp_path: Path, inputs: dict[str, Path], output: float, feature: float
) -> None:
    ctx = toy.context(tmp_path, spec(2, output_weight=output, feature_weight=feature), inputs)
    distill.run(ctx)
    assert bool(scalars(tmp_path, "loss/output_kd")) == (output > 0)
    assert bool(scalars(tmp_path, "loss/feature_kd")) == (feature > 0)
    assert (ctx.output / "projector.safetensors").exists() == (feature > 0)


def test_a_dropped_caption_is_dropped_for_the_teacher_too(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """With every caption dropped neither side's text can matter."""
    always = toy.training(2, caption_dropout=1.0)
    outputs = []
    for name, features in (("one", inputs["features"]), ("two", _with_other_texts(tmp_path))):
        ctx = toy.context(tmp_path / name, spec(training=always), {**inputs, "features": features})
        distill.run(ctx)
        outputs.append(weights(ctx.output))
    assert outputs[0] == outputs[1]


def _with_other_texts(tmp_path: Path) -> Path:
    return toy.write_features(tmp_path / "features", text_seed=99)


def test_below_the_teachers_size_its_own_score_decides(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """The paper distils at 1024 px alone; smaller latents are taken, where the gate may refuse them."""
    larger = toy.TEACHER.model_copy(update={"latent_size": 16})
    snapshots = {
        noise: toy.write_snapshot(tmp_path / str(noise), noise=noise, config=larger) for noise in (0.02, 1.0)
    }
    ungated = toy.context(tmp_path / "ungated", spec(), {**inputs, "snapshot": snapshots[0.02]})
    with pytest.raises(StageFailure, match="made for latents of 16 x 16 and is asked at 8 x 8") as failure:
        distill.run(ungated)
    assert failure.value.reason == "bad_config"
    bad = toy.context(tmp_path / "bad", spec(teacher_gate="refuse"), {**inputs, "snapshot": snapshots[1.0]})
    with pytest.raises(StageFailure, match="held-out loss is above") as failure:
        distill.run(bad)
    assert failure.value.reason == "teacher_gate"
    good = toy.context(
        tmp_path / "good", spec(teacher_gate="refuse"), {**inputs, "snapshot": snapshots[0.02]}
    )
    result = distill.run(good)
    assert result.metrics["validation_feature_kd"] > 0

    smaller = toy.TEACHER.model_copy(update={"latent_size": 4})
    snapshot = toy.write_snapshot(tmp_path / "smaller", config=smaller)
    with pytest.raises(StageFailure, match=r"the teacher works on latents of \(2, 4, 4\)"):
        distill.run(toy.context(tmp_path / "small", spec(), {**inputs, "snapshot": snapshot}))


def test_a_teacher_worse_than_the_base_is_refused_naming_the_bins(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    # The toy base predicts nearly 0, whose loss is about 2; this teacher's random answers are worse.
    worse = {**inputs, "snapshot": toy.write_snapshot(tmp_path / "worse", noise=1.0)}
    with pytest.raises(
        StageFailure, match=r"held-out loss is above .* of 20 bins of t: 0\.00-0\.05"
    ) as failure:
        distill.run(toy.context(tmp_path / "refuse", spec(teacher_gate="refuse"), worse))
    assert failure.value.reason == "teacher_gate"
    warned = toy.context(tmp_path / "warn", spec(), worse)
    distill.run(warned)
    assert any("held-out loss is above" in warning for warning in warned.warnings)
    # The same judgement goes on at every validation, where the dashboard marks it.
    (marks,) = arrays(tmp_path / "warn", "validation/teacher_worse_by_t")
    teacher, own = (
        arrays(tmp_path / "warn", f"validation/{name}_by_t")[-1] for name in ("teacher_task", "task")
    )
    assert marks == [float(theirs > mine) for theirs, mine in zip(teacher, own, strict=True)]
    assert sum(marks) > 10


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"base": "missing"}, "needs the input 'base'"),
        ({"snapshot": "missing"}, "needs the input 'snapshot'"),
        ({"base": "sd3"}, "distill trains a UNet"),
        ({"base": "few_step"}, "taken to few steps"),
        ({"base": "other_latent"}, "the student works on latents"),
        ({"base": "empty"}, "input 'base': not a denoiser"),
        ({"snapshot": "empty"}, "input 'snapshot': .*lacks transformer/config.json"),
    ],
)
def test_inputs_that_do_not_fit_are_named(
    tmp_path: Path, inputs: dict[str, Path], changed: dict[str, str], message: str
) -> None:
    given = dict(inputs)
    for name, kind in changed.items():
        folder = tmp_path / kind
        if kind == "missing":
            del given[name]
            continue
        if kind == "sd3":
            toy.write_student(folder, toy.TEACHER)
        elif kind == "few_step":
            toy.write_student(folder, few_step=True, grids={"2": [1.0, 0.5]})
        elif kind == "other_latent":
            toy.write_student(folder, toy.STUDENT.model_copy(update={"latent_channels": 3}))
        else:
            folder.mkdir()
        given[name] = folder
    with pytest.raises(StageFailure, match=message) as failure:
        distill.run(toy.context(tmp_path / "run", spec(), given))
    assert failure.value.reason == "bad_input"


def test_killed_at_a_random_step_and_resumed_gives_the_same_bits(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    step = random.SystemRandom().randint(3, 12)
    print(f"killed after step {step}")
    undisturbed = toy.context(
        tmp_path / "whole", spec(training=toy.training(40, checkpoint_every=100)), inputs
    )
    distill.run(undisturbed)
    job = spec(training=toy.training(40, checkpoint_every=3))
    checkpoint = run_and_kill(tmp_path / "killed", job, inputs, step)
    resumed = toy.context(tmp_path / "resumed", job, inputs, resume=checkpoint)
    distill.run(resumed)
    assert weights(resumed.output) == weights(undisturbed.output)
    assert weights(undisturbed.output).keys() == {
        "raw.safetensors",
        "ema.safetensors",
        "projector.safetensors",
    }
