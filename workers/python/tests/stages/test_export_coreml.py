"""The export stage on a random few-step UNet: both packages are written, run and compared."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toys.text import write_text_encoders

pytest.importorskip("coremltools", reason="coremltools has wheels for Linux x86_64 and macOS arm64 only")

from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import (
    StageResult,
    TimeConfig,
    TinyDecoderConfig,
    UnetConfig,
    UnetStage,
    WordTextConfig,
)
from limbeck.data.features import KIND, add_features
from limbeck.data.shards import ShardWriter
from limbeck.export.__main__ import main as check_export
from limbeck.export.mil_interpreter import load
from limbeck.export.phone import read_tensor
from limbeck.models.store import DenoiserCard, Trained, UnetDenoiser, save_denoiser
from limbeck.models.text import WordTextEncoder
from limbeck.models.tiny_decoder import DecoderCard, TinyDecoder, save_decoder
from limbeck.models.unet import EfficientUNet
from limbeck.stages.export_coreml import run
from limbeck.training.seeding import seeded_build

TEXT = {"encoder": "words", "vocabulary": "shapes-v1", "width": 16, "tokens": 6, "seed": 3}


def denoiser(folder: Path, grids: dict[str, list[float]] | None, width: int = 16) -> Path:
    config = UnetConfig(
        architecture="unet",
        latent_channels=4,
        latent_size=8,
        context_width=width,
        stages=[
            UnetStage(
                channels=48, heads=1, down_blocks=1, up_blocks=2, transformer_blocks=1, self_attention=low
            )
            for low in (False, True)
        ],
        middle_transformer_blocks=1,
        head_width=8,
        time_width=16,
        time_frequencies=8,
        norm_groups=4,
    )
    model = UnetDenoiser(seeded_build(1, lambda: EfficientUNet(config)))
    trained = Trained(stage="distill_steps", steps=1, grids=grids, few_step=grids is not None)
    weights = dict(model.state_dict())
    card = DenoiserCard(config=config, text="student", time=TimeConfig(), trained=trained)
    save_denoiser(folder, card, raw=weights, ema=weights)
    return folder


def decoder(folder: Path) -> Path:
    config = TinyDecoderConfig(latent_channels=4, widths=[8, 8], blocks=[1, 1], norm_groups=4)
    weights = dict(seeded_build(2, lambda: TinyDecoder(config)).state_dict())
    save_decoder(folder, DecoderCard(config=config, steps=1), raw=weights, ema=weights)
    return folder


def features(folder: Path, tokens: int = 6, width: int = 16) -> Path:
    rng = np.random.default_rng(4)
    with ShardWriter(folder, 8, {"kind": KIND}) as writer:
        for number in range(3):
            text = rng.standard_normal((tokens, width)).astype(np.float16)
            # Captions are padded with zeros: rows that a norm must survive in half precision.
            text[3:] = 0
            arrays = {
                "latent": rng.standard_normal((4, 8, 8)).astype(np.float16),
                "student_text": text,
                "student_pooled": rng.standard_normal(16).astype(np.float16),
            }
            add_features(writer, f"{number:06d}", arrays, b'{"prompt": "a red circle"}')
    return folder


def context(folder: Path, grids: dict[str, list[float]] | None, **more: object) -> StageContext:
    spec = parse_stage_spec({"kind": "export_coreml", "student_text": TEXT, "parity_samples": 2} | more)
    inputs = {
        "model": denoiser(folder / "model", grids),
        "decoder": decoder(folder / "decoder"),
        "features": features(folder / "features"),
    }
    return StageContext(folder, spec, inputs)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StageResult]:
    """Everything that the stage can write, once."""
    folder = tmp_path_factory.mktemp("export")
    asked = context(
        folder, {"2": [1.0, 0.5]}, palettes=[6], int8=True, weight_budget_bytes=300_000, sensitivity_cases=1
    )
    return folder / "output", run(asked)


def test_packages_agree_with_torch_at_every_time_of_the_grid(exported: tuple[Path, StageResult]) -> None:
    output, result = exported
    # The interpreter rounds every value to half precision, as the file says.
    assert result.metrics["unet_psnr_db"] > 50 and result.metrics["decoder_psnr_db"] > 50
    assert 25 < result.metrics["unet_6bit_psnr_db"] < result.metrics["unet_psnr_db"]
    assert result.metrics["unet_6bit_psnr_db"] < result.metrics["unet_int8_psnr_db"]
    assert result.metrics["onnx_psnr_db"] > 100
    report = json.loads((output / "report.json").read_text())
    assert report["times"] == [1.0, 0.5] and report["minimum_target"] == "iOS18"
    assert set(report["packages"]) == {"unet", "decoder", "unet-6bit", "unet-int8", "unet-mixed"}
    for name, package in report["packages"].items():
        assert (output / f"{name}.mlpackage" / "Manifest.json").is_file()
        key = name.replace("-", "_")
        assert package["conversion"]["package_bytes"] == result.metrics[f"{key}_bytes"]
        assert package["parity"]["psnr_db"] == result.metrics[f"{key}_psnr_db"]
        assert package["findings"] == []
        assert package["cost"]["macs"] == result.metrics[f"{key}_macs"] > 0
        assert {one["label"] for one in package["cost"]["latency"]} == {
            "estimate, good to a factor of about two"
        }
        assert len(package["parity"]["worst_ops"]) == 10
    assert result.metrics["findings"] == 0
    assert len(report["packages"]["unet"]["parity"]["per_case"]) == 2 * 2


def test_the_loop_is_run_with_each_unet(exported: tuple[Path, StageResult]) -> None:
    output, result = exported
    loops = json.loads((output / "report.json").read_text())["loops"]
    assert set(loops) == {"unet", "unet-6bit", "unet-int8", "unet-mixed"}
    (fp16,) = loops["unet"]
    assert fp16["grid"] == [1.0, 0.5] and len(fp16["by_step"]) == 2
    assert result.metrics["loop_psnr_db"] == fp16["image"]["psnr_db"] >= 45
    assert result.metrics["loop_6bit_psnr_db"] < result.metrics["loop_psnr_db"]


def test_the_mixed_plan_keeps_the_budget_and_says_why(exported: tuple[Path, StageResult]) -> None:
    output, result = exported
    notes = json.loads((output / "report.json").read_text())["packages"]["unet-mixed"]["palettes"]
    assert result.metrics["unet_mixed_weight_bytes"] == notes["predicted"]["weight_bytes"] <= 300_000
    assert notes["bits"] == notes["predicted"]["bits"]
    assert {row["weight"] for row in notes["sensitivity"]} >= set(notes["bits"])
    assert set(notes["kept"].values()) >= {"first layer", "last layer", "fewer than 2048 elements"}


def test_a_host_that_follows_the_guide_gets_the_golden_output(exported: tuple[Path, StageResult]) -> None:
    """As a phone would: text and time embedding from the folder's own constants, not from this package."""
    output, _ = exported
    phone = output / "ios"
    table = json.loads((phone / "text.json").read_text())
    words = np.fromfile(phone / table["words"], "<f4").reshape(-1, table["width"])
    positions = np.fromfile(phone / table["positions"], "<f4").reshape(-1, table["width"])
    text = np.zeros((table["tokens"], table["width"]), np.float32)
    for place, word in enumerate(["red", "circle"]):
        text[place] = words[table["vocabulary"][word]] + positions[place]
    encoder = WordTextEncoder(WordTextConfig.model_validate(TEXT))
    assert np.array_equal(text, encoder.encode(["red circle"])[0][0].numpy())

    scheduler = json.loads((phone / "scheduler.json").read_text())
    half = scheduler["time_embedding"]["width"] // 2
    phase = 1.0 * scheduler["time_embedding"]["scale"] * np.exp(-np.log(10000) * np.arange(half) / half)
    golden = json.loads((phone / "golden.json").read_text())["unet"]
    embedding = read_tensor(phone, golden["inputs"]["time_embedding"])
    assert np.allclose(embedding[0], np.concatenate([np.cos(phase), np.sin(phase)]), atol=1e-4)
    assert scheduler["packages"]["unet"]["inputs"]["latent"] == {"dtype": "fp16", "shape": [1, 4, 8, 8]}

    inputs = {name: torch.tensor(read_tensor(phone, entry)) for name, entry in golden["inputs"].items()}
    found = load(output / "unet.mlpackage").run(inputs, "fp16_storage")["velocity"].numpy()
    assert np.array_equal(found, read_tensor(phone, golden["from_file"]))
    assert "{" not in (phone / "GUIDE.md").read_text()


def test_the_folder_can_be_checked_later_without_the_model(
    exported: tuple[Path, StageResult], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(exported[0], tmp_path / "export"))
    assert check_export(["check", str(folder)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sound"] and set(found["golden"]) == {"unet", "decoder"}

    assert check_export(["check", "--target", "iOS17", str(folder)]) == 3
    (finding,) = json.loads(capsys.readouterr().out)["packages"]["decoder"]
    assert "written for iOS18 (CoreML8); asked for is iOS17" in finding["message"]

    weights = folder / "unet-6bit.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0x10
    weights.write_bytes(content)
    shutil.copytree(folder / "decoder.mlpackage", folder / "stray.mlpackage")
    assert check_export(["check", str(folder)]) == 3
    packages = json.loads(capsys.readouterr().out)["packages"]
    assert packages["unet-6bit"][0]["rule"] == "digest"
    assert packages["stray"][0]["message"] == "stands in the folder and not in its report"
    assert packages["unet"] == []

    assert check_export(["check", str(tmp_path)]) == 2
    assert "report.json cannot be read (No such file or directory)" in capsys.readouterr().err


def test_a_budget_that_no_plan_keeps_is_refused(tmp_path: Path) -> None:
    asked = context(
        tmp_path, {"1": [1.0]}, weight_budget_bytes=1, sensitivity_cases=1, worst_operations=0, onnx=False
    )
    with pytest.raises(StageFailure, match=r"weight_budget_bytes: the weights take \d+ bytes") as caught:
        run(asked)
    assert caught.value.reason == "bad_config"


def test_a_package_that_overflows_is_kept_with_its_report_and_passes_no_gate(tmp_path: Path) -> None:
    asked = context(tmp_path, {"1": [1.0]}, loop_samples=1, worst_operations=1, onnx=False)
    card = asked.input("decoder") / "ema.safetensors"
    weights = load_file(card)
    # Sound in float32 and in the file, but beyond what fp16 holds once it is multiplied.
    save_file({name: value * 60 if value.ndim > 1 else value for name, value in weights.items()}, card)
    result = run(asked)
    assert "decoder_psnr_db" not in result.metrics and "loop_psnr_db" not in result.metrics
    assert result.metrics["unet_psnr_db"] > 50
    report = json.loads((tmp_path / "output" / "report.json").read_text())
    assert report["packages"]["decoder"]["parity"]["psnr_db"] == "-Infinity"
    assert report["packages"]["decoder"]["parity"]["worst_ops"][0]["drop_db"] == "Infinity"
    assert (tmp_path / "output" / "decoder.mlpackage").is_dir()
    assert any("decoder_psnr_db is -inf" in warning for warning in asked.warnings)


def test_a_model_without_step_grids_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageFailure, match="no step grids") as caught:
        run(context(tmp_path, None))
    assert caught.value.reason == "bad_input"


def test_text_of_other_encoders_than_the_models_is_refused(tmp_path: Path) -> None:
    ctx = context(tmp_path, {"2": [1.0, 0.5]})
    card = json.loads((ctx.input("model") / "config.json").read_text())
    (ctx.input("model") / "config.json").write_text(json.dumps({**card, "text_digest": "0" * 64}))
    index = ctx.input("features") / "index.json"
    held = json.loads(index.read_text())
    held["attributes"]["student_text"] = {"digest": "1" * 64, "tokens": 6}
    index.write_text(json.dumps(held))
    with pytest.raises(
        StageFailure, match=r"trained on text of the encoders 000.* hold text of 111"
    ) as caught:
        run(ctx)
    assert caught.value.reason == "bad_input"


def test_the_text_encoders_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    text = {"encoder": "snapgen", "clip": "l+g", "width": 20, "gemma_tokens": 0}
    asked = context(tmp_path, {"1": [1.0]}, student_text=text, text_encoder=True, loop_samples=0, onnx=False)
    asked.inputs["student_snapshot"] = write_text_encoders(tmp_path / "snapshot", t5=False, gemma=False)
    asked.inputs["model"] = denoiser(tmp_path / "wide", {"1": [1.0]}, width=20)
    asked.inputs["features"] = features(tmp_path / "wide-features", tokens=77, width=20)
    result = run(asked)
    assert result.metrics["text_psnr_db"] > 50 and result.metrics["findings"] == 0
    ios = tmp_path / "output" / "ios"
    assert (ios / "tokenizer" / "tokenizer.json").is_file() and (ios / "tokenizer_2").is_dir()
    assert "`text.mlpackage` gives it" in (ios / "GUIDE.md").read_text()
    assert set(json.loads((ios / "golden.json").read_text())) == {"text", "unet", "decoder"}
    assert check_export(["check", str(tmp_path / "output")]) == 0


def test_text_that_is_no_package_is_refused_with_the_reason(tmp_path: Path) -> None:
    words = context(tmp_path / "words", {"1": [1.0]}, text_encoder=True)
    with pytest.raises(StageFailure, match=r"the words' encoder is a table, whole in ios/text\.json"):
        run(words)
    text = {"encoder": "snapgen", "clip": "l", "width": 16, "gemma_tokens": 0}
    missing = context(tmp_path / "missing", {"1": [1.0]}, student_text=text, text_encoder=True)
    with pytest.raises(StageFailure, match="needs the input 'student_snapshot'"):
        run(missing)
