"""The export stage on a random few-step UNet: both packages are written, run and compared."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("coremltools", reason="coremltools has wheels for Linux x86_64 and macOS arm64 only")

from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import TimeConfig, TinyDecoderConfig, UnetConfig, UnetStage
from limbeck.data.features import KIND, add_features
from limbeck.data.shards import ShardWriter
from limbeck.models.store import DenoiserCard, Trained, UnetDenoiser, save_denoiser
from limbeck.models.tiny_decoder import DecoderCard, TinyDecoder, save_decoder
from limbeck.models.unet import EfficientUNet
from limbeck.stages.export_coreml import run
from limbeck.training.seeding import seeded_build

TEXT = {"encoder": "words", "vocabulary": "shapes-v1", "width": 16, "tokens": 6, "seed": 3}


def denoiser(folder: Path, grids: dict[str, list[float]] | None) -> Path:
    config = UnetConfig(
        architecture="unet",
        latent_channels=4,
        latent_size=8,
        context_width=16,
        stages=[
            UnetStage(
                channels=8, heads=1, down_blocks=1, up_blocks=2, transformer_blocks=1, self_attention=low
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


def features(folder: Path) -> Path:
    rng = np.random.default_rng(4)
    with ShardWriter(folder, 8, {"kind": KIND}) as writer:
        for number in range(3):
            text = rng.standard_normal((6, 16)).astype(np.float16)
            # Captions are padded with zeros: rows that a norm must survive in half precision.
            text[3:] = 0
            arrays = {
                "latent": rng.standard_normal((4, 8, 8)).astype(np.float16),
                "student_text": text,
                "student_pooled": rng.standard_normal(16).astype(np.float16),
            }
            add_features(writer, f"{number:06d}", arrays, b"{}")
    return folder


def context(folder: Path, grids: dict[str, list[float]] | None) -> StageContext:
    spec = parse_stage_spec({"kind": "export_coreml", "student_text": TEXT, "parity_samples": 2})
    inputs = {
        "model": denoiser(folder / "model", grids),
        "decoder": decoder(folder / "decoder"),
        "features": features(folder / "features"),
    }
    return StageContext(folder, spec, inputs)


def test_both_packages_agree_with_torch_at_every_time_of_the_grid(tmp_path: Path) -> None:
    result = run(context(tmp_path, {"2": [1.0, 0.5]}))
    # The interpreter rounds every value to half precision, as the file says.
    assert result.metrics["unet_psnr_db"] > 50 and result.metrics["decoder_psnr_db"] > 50
    report = json.loads((tmp_path / "output" / "report.json").read_text())
    assert report["times"] == [1.0, 0.5]
    assert len(report["unet"]["parity"]["per_case"]) == 2 * 2
    for name in ("unet", "decoder"):
        assert (tmp_path / "output" / f"{name}.mlpackage" / "Manifest.json").is_file()
        assert report[name]["conversion"]["package_bytes"] == result.metrics[f"{name}_bytes"]


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
