"""What is refused before gigabytes are uploaded, and what is not."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import distillation as toy
from toys import text as toy_text

from limbeck.models.check_snapshot import WRONG, check, main

COMMITTED = Path(__file__).resolve().parents[4] / "snapshots" / "tiny-sd3"


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return toy_text.write_text_encoders(toy.write_autoencoder(toy.write_snapshot(tmp_path / "snapshot")))


def test_a_whole_snapshot_is_good(snapshot: Path) -> None:
    components, wrong = check(snapshot)
    assert wrong == []
    assert set(components) == {
        "transformer",
        "transformer_turbo",
        "vae",
        "text_encoder",
        "text_encoder_2",
        "text_encoder_3",
        "gemma",
    }


def test_the_committed_teacher_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(COMMITTED)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said["components"]) == {"transformer", "transformer_turbo", "vae"} and said["bytes"] > 1e6


def weights(part: str) -> str:
    return f"{part}/diffusion_pytorch_model.safetensors"


def changed(file: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    held = load_file(file)
    change(held)
    save_file(held, file)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def sharded(snapshot: Path) -> None:
    """An index that promises a shard which is not there, as an interrupted download leaves it."""
    part = snapshot / "text_encoder_3"
    names = list(load_file(part / "model.safetensors"))
    weight_map = {name: "model-00002-of-00002.safetensors" for name in names}
    (part / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


BREAKS: list[tuple[Callable[[Path], object], str]] = [
    (
        lambda s: changed(s / weights("transformer"), lambda t: t.pop("proj_out.bias")),
        "transformer: 1 tensors missing: proj_out.bias",
    ),
    (
        lambda s: changed(s / weights("vae"), lambda t: t.update(extra=torch.zeros(1))),
        "vae: 1 tensors unknown: extra",
    ),
    (
        lambda s: changed(
            s / weights("transformer_turbo"), lambda t: t.update({"proj_out.bias": torch.zeros(3)})
        ),
        "transformer_turbo: 1 tensors of another shape: proj_out.bias",
    ),
    (lambda s: cut(s / weights("vae")), "vae/diffusion_pytorch_model.safetensors cannot be read"),
    (lambda s: (s / "vae" / "config.json").unlink(), "vae lacks config.json"),
    (lambda s: (s / "text_encoder" / "pytorch_model.bin").write_bytes(b""), "pytorch_model.bin is a pickle"),
    (lambda s: (s / "notes").symlink_to("/etc/hostname"), "notes is a link out of the folder"),
    (
        lambda s: (s / weights("transformer")).unlink(),
        "transformer has no *.safetensors with a tensor in it",
    ),
    (
        lambda s: (s / "linked").symlink_to(s / "vae", target_is_directory=True),
        "linked is a link to no file",
    ),
    (lambda s: (s / "torn").symlink_to(s / "absent"), "torn is a link to no file"),
    (lambda s: (s / "vae" / "config.json").write_text("{"), "vae/config.json cannot be used"),
    (
        lambda s: (s / "vae" / "x.safetensors.index.json").write_text("[]"),
        "vae/x.safetensors.index.json is no index of weights",
    ),
    (sharded, "text_encoder_3/model.safetensors.index.json promises"),
    (
        lambda s: (s / "vae" / "config.json").write_text('{"_class_name": "AutoencoderTiny"}'),
        "vae/config.json is of a AutoencoderTiny, expected AutoencoderKL",
    ),
]


@pytest.mark.parametrize(("damage", "message"), BREAKS)
def test_what_is_wrong_is_named(snapshot: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(snapshot)
    _, wrong = check(snapshot)
    assert len(wrong) == 1 and message in wrong[0]


def test_everything_that_is_wrong_is_told_at_once(snapshot: Path) -> None:
    cut(snapshot / weights("vae"))
    (snapshot / "transformer" / "config.json").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "limbeck.models.check_snapshot", str(snapshot)],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src"), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == WRONG and done.stdout == "" and len(done.stderr.splitlines()) == 2


def test_of_a_thousand_lines_the_first_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(50):
        (tmp_path / f"{number:02d}.bin").touch()
    assert main([str(tmp_path)]) == WRONG
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21 and lines[-1] == "and 30 more"


def test_a_folder_without_components_is_no_snapshot(tmp_path: Path) -> None:
    assert "holds no component" in check(tmp_path)[1][0]
    assert "is no folder" in check(tmp_path / "absent")[1][0]
