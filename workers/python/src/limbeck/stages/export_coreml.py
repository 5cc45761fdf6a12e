"""Writes the few-step student and its decoder as Core ML packages, and checks the written files.

Inputs: model (a UNet denoiser), decoder, features (latents and texts to compare on).
Output: unet.mlpackage, decoder.mlpackage, report.json.

The UNet takes the time as sinusoids computed by the host in float32: inside a half-precision graph
they would be off by up to 0.2 near t = 1 (feasibility.md). Parity is measured on the file itself,
run by an interpreter, over real latents at every time of the grids that the model was trained on.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import ExportCoremlSpec, StageResult, UnetConfig
from limbeck.data.features import FeatureSet
from limbeck.data.randomness import normal
from limbeck.export.convert import ConversionReport, convert
from limbeck.export.modules import DecoderStep, UnetStep
from limbeck.export.verify import ParityReport, verify
from limbeck.models.store import LoadedDenoiser, UnetDenoiser, load_denoiser
from limbeck.models.tiny_decoder import load_decoder
from limbeck.models.unet import EfficientUNet
from limbeck.objectives.flow import interpolate
from limbeck.stages.denoisers import check_text

Case = dict[str, Tensor]


def run(ctx: StageContext) -> StageResult:
    spec: ExportCoremlSpec = ctx.spec
    model = load_denoiser(ctx.input("model"))
    unet, times = _few_step_unet(model)
    features = FeatureSet.load(ctx.input("features"), "student")
    check_text(model, features)
    places = list(range(len(features) - min(spec.parity_samples, len(features)), len(features)))
    step = UnetStep(unet).eval()
    decoder = DecoderStep(load_decoder(ctx.input("decoder"))).eval()

    parts = {
        "unet": (step, unet_cases(step, features, places, times), "velocity"),
        "decoder": (decoder, [{"latent": features.batch([p]).latent_BCHW} for p in places], "image"),
    }
    # A pure function of the inputs: an attempt that was killed starts over.
    shutil.rmtree(ctx.output)
    ctx.output.mkdir()
    report: dict[str, object] = {"times": times}
    metrics: dict[str, float] = {}
    for done, (name, (module, cases, output)) in enumerate(parts.items()):
        ctx.progress(done, len(parts), None, None)
        path = ctx.output / f"{name}.mlpackage"
        conversion, parity = _write(spec, module, cases, output, path)
        print(f"{path.name}: {parity.psnr_db:.1f} dB, {conversion.package_bytes} bytes", flush=True)
        report[name] = {"conversion": asdict(conversion), "parity": parity.as_json()}
        metrics[f"{name}_psnr_db"] = parity.psnr_db
        metrics[f"{name}_max_abs_error"] = parity.max_abs_error
        metrics[f"{name}_bytes"] = float(conversion.package_bytes)
        metrics[f"{name}_parameters"] = float(sum(p.numel() for p in module.parameters()))
    metrics["package_bytes"] = metrics["unet_bytes"] + metrics["decoder_bytes"]
    (ctx.output / "report.json").write_text(json.dumps(report, indent=1))
    return StageResult(metrics=metrics)


def _few_step_unet(model: LoadedDenoiser) -> tuple[EfficientUNet, list[float]]:
    """The UNet, and every step time that it will be asked for."""
    if not isinstance(model.denoiser, UnetDenoiser) or not isinstance(model.card.config, UnetConfig):
        raise StageFailure(
            "bad_input", f"only a UNet is exported; the model is {model.card.config.architecture}"
        )
    grids = model.card.trained.grids
    if not grids:
        raise StageFailure(
            "bad_input",
            "the model has no step grids: parity is measured at the times that it was trained for",
        )
    return model.denoiser.unet.eval(), sorted(
        {time for grid in grids.values() for time in grid}, reverse=True
    )


def unet_cases(step: UnetStep, features: FeatureSet, places: list[int], times: list[float]) -> list[Case]:
    """Inputs of the package for real latents at every step time; noise keyed by place."""
    cases: list[Case] = []
    for place in places:
        batch = features.batch([place])
        noise = normal(0, "export parity", [place], features.latent_shape)
        for time in times:
            t_B = torch.tensor([time])
            x_t = interpolate(batch.latent_BCHW, noise, t_B)
            cases.append(step.host_inputs(x_t, t_B, batch.text_BND))
    return cases


def _write(
    spec: ExportCoremlSpec, module: nn.Module, cases: list[Case], output: str, path: Path
) -> tuple[ConversionReport, ParityReport]:
    conversion = convert(
        module.requires_grad_(False),
        cases[0],
        [output],
        path,
        minimum_target=spec.minimum_target,
        precision=spec.precision,
        metadata={"author": "Limbeck", "description": f"{path.stem} of a few-step student"},
    )
    return conversion, verify(path, module, cases)
