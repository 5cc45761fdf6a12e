"""The child process: exit codes, files, signals; and the local runner over it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toys import distillation as toy
from toys.metrics import lines

from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageContext, StageFailure
from limbeck.stages.__main__ import classified, main
from limbeck.stages.local import LocalRun, newest_checkpoint, prune_checkpoints
from limbeck.stages.registry import ENTRIES, stage_function

RENDER = {"kind": "render_dataset", "source": "shapes", "samples": 3, "resolution": 16}


def write_job(workdir: Path, spec: object, **more: object) -> Path:
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "spec.json").write_text(json.dumps({"stage": "local", "epoch": 1, "spec": spec, **more}))
    return workdir


def test_a_finished_stage_writes_its_result_last(tmp_path: Path) -> None:
    assert main(["", str(write_job(tmp_path, RENDER))]) == 0
    assert json.loads((tmp_path / "result.json").read_text())["metrics"]["samples"] == 3
    assert not (tmp_path / "failure.json").exists()


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({**RENDER, "samples": 0}, "bad_config", "samples"),
        ({**RENDER, "colour": "red"}, "bad_config", "colour"),
        ({"kind": "unheard"}, "bad_config", "unheard"),
        ({"kind": "gates"}, "bad_config", "gates"),
        ({"kind": "extract_features", "student_text": {"encoder": "words", "vocabulary": "shapes-v1",
          "width": 4, "tokens": 6, "seed": 0}}, "bad_input", "needs the input 'snapshot'"),
    ],
)  # fmt: skip
def test_known_failures_have_a_reason_and_a_sentence(
    tmp_path: Path, spec: dict[str, object], reason: str, message: str
) -> None:
    assert main(["", str(write_job(tmp_path, spec))]) == 2
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert failure["reason"] == reason and message in failure["message"]
    assert not (tmp_path / "result.json").exists()


def test_a_job_that_is_no_job(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{")
    assert main(["", str(tmp_path)]) == 2
    assert json.loads((tmp_path / "failure.json").read_text())["reason"] == "bad_config"


def test_errors_of_the_machine_are_classified() -> None:
    disk = classified(OSError(28, "No space left on device", "shard-000001.tar"))
    assert disk is not None and disk.reason == "disk_full" and "shard-000001.tar" in disk.message
    memory = classified(MemoryError("1 GB"))
    assert memory is not None and memory.reason == "out_of_memory"
    assert classified(ZeroDivisionError()) is None


def test_sigterm_leaves_a_checkpoint_and_exit_75(tmp_path: Path) -> None:
    features = toy.write_features(tmp_path / "features")
    spec = {"kind": "pretrain", "model": toy.TEACHER.model_dump(), "text": "teacher", "time": {},
            "training": toy.training(100_000, checkpoint_every=100_000)}  # fmt: skip
    workdir = write_job(tmp_path / "work", spec, inputs={"features": str(features)})
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "limbeck.stages", str(workdir)]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:  # the first logged step is the signal
        if line.startswith("step "):
            child.send_signal(signal.SIGTERM)
            break
    child.stdout.read()
    assert child.wait(timeout=60) == 75
    checkpoint = newest_checkpoint(workdir)
    assert checkpoint is not None and int(checkpoint.name) >= 1
    assert not (workdir / "result.json").exists() and not (workdir / "failure.json").exists()


def test_every_registered_stage_exists() -> None:
    for kind in ENTRIES:
        if kind != "export_coreml":  # its converter is an optional extra
            assert callable(stage_function(kind)), kind


def test_starting_a_stage_child_imports_no_torch_before_the_stage() -> None:
    code = "import sys, limbeck.stages.__main__; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def context(tmp_path: Path) -> StageContext:
    return StageContext(tmp_path, parse_stage_spec(RENDER))


def test_values_that_are_not_finite_are_kept(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    ctx.log_scalars(3, {"a": float("nan"), "b": float("-inf"), "c": 1.5})
    ctx.log_array(3, "by_t", [1.0, None, float("nan"), float("inf")])
    first, second = lines(tmp_path)
    assert first["scalars"] == {"a": "NaN", "b": "-Infinity", "c": 1.5} and first["step"] == 3
    assert second["arrays"]["by_t"] == [1.0, None, None, "Infinity"]


def test_a_checkpoint_exists_complete_or_not_at_all(tmp_path: Path) -> None:
    ctx = context(tmp_path)

    def dies(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ctx.save_checkpoint(4, dies)
    assert newest_checkpoint(tmp_path) is None
    folder = ctx.save_checkpoint(4, lambda f: (f / "whole").write_text("y") and None)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (
        manifest["step"] == 4 and manifest["files"]["whole"]["size"] == 1 and "half" not in manifest["files"]
    )
    assert newest_checkpoint(tmp_path) == folder


def test_old_checkpoints_are_pruned(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    for step in (1, 2, 30, 4):
        ctx.save_checkpoint(step, lambda f: (f / "w").write_text("y") and None)
    prune_checkpoints(tmp_path)
    assert sorted(p.name for p in ctx.checkpoints.iterdir()) == ["000000004", "000000030"]


def test_missing_inputs_are_named(tmp_path: Path) -> None:
    ctx = StageContext(tmp_path, parse_stage_spec(RENDER), {"features": tmp_path / "gone"})
    with pytest.raises(StageFailure, match="needs the input 'dataset'; given: features"):
        ctx.input("dataset")
    with pytest.raises(StageFailure, match="not a folder"):
        ctx.input("features")


def test_a_recipe_runs_its_stages_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    text = {"encoder": "words", "vocabulary": "shapes-v1", "width": 16, "tokens": 6, "seed": 1}
    autoencoder = {"channels": [8, 8], "latent_channels": 2, "norm_groups": 4}
    training = {**toy.training(2), "batch_size": 2}
    stages = [
        {"name": "render", "spec": RENDER, "inputs": {}},
        {"name": "vae", "inputs": {"dataset": "stage:render"},
         "spec": {"kind": "pretrain_autoencoder", "autoencoder": autoencoder, "text": text,
                  "training": training}},
        {"name": "snapshot", "assemble": {"base": "stage:vae"}},
    ]  # fmt: skip
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"name": "toy", "stages": stages}))
    local = LocalRun(recipe, tmp_path / "work")
    assert local.run("render") == 0
    assert not (tmp_path / "work" / "vae").exists()
    finished = (tmp_path / "work" / "render" / "result.json").stat().st_mtime_ns
    assert local.run(None) == 0
    assert (tmp_path / "work" / "snapshot" / "output" / "text" / "config.json").is_file()
    assert (tmp_path / "work" / "render" / "result.json").stat().st_mtime_ns == finished
    with pytest.raises(SystemExit, match="no stage 'other'"):
        local.run("other")


def test_assets_of_a_recipe_are_folders(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    recipe = tmp_path / "recipes" / "recipe.json"
    vae = toy.write_autoencoder(tmp_path / "elsewhere")
    stages = [{"name": name, "assemble": {"base": f"asset:{name}"}} for name in ("given", "beside")]
    recipe.write_text(json.dumps({"name": "toy", "stages": stages}))
    toy.write_autoencoder(tmp_path / "snapshots" / "beside")
    assert LocalRun(recipe, tmp_path / "work", {"given": vae}).run(None) == 0
    for name in ("given", "beside"):
        assert (tmp_path / "work" / name / "output" / "vae" / "config.json").is_file()
