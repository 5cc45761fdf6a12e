"""Writes the few-step student and its decoder as Core ML packages, and checks the written files.

Inputs: model (a UNet denoiser), decoder, features (latents and texts to compare on); for text_encoder
student_snapshot (the student's CLIPs).
Output: unet.mlpackage, decoder.mlpackage, a package for each palette (unet-6bit.mlpackage, ...), for int8 and
for the mixed plan (unet-mixed.mlpackage); report.json; ios/ (constants, golden pair, guide).

The UNet takes the time as sinusoids computed by the host in float32: inside a half-precision graph
they would be off by up to 0.2 near t = 1 (feasibility.md). Parity is measured on the files themselves,
run by an interpreter, over real latents at every time of the grids that the model was trained on. A package
that is far off or breaks a rule is kept with its report; whether it may be released is the gates' business.
"""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.contracts.context import StageContext, StageFailure, StopRequested
from limbeck.contracts.generated import ExportCoremlSpec, SnapgenTextConfig, StageResult, UnetConfig
from limbeck.data.features import FeatureSet, stored_captions
from limbeck.data.randomness import normal
from limbeck.export.checks import TEXT_PACKAGE, check_program
from limbeck.export.convert import ConversionReport, convert, describe
from limbeck.export.device_cost import cost_report
from limbeck.export.int8 import quantize
from limbeck.export.loop import compare_loops
from limbeck.export.mil_interpreter import load
from limbeck.export.mil_program import read_program
from limbeck.export.modules import ChannelsFirstStep, DecoderStep, UnetStep
from limbeck.export.onnx_check import compare_with_onnx
from limbeck.export.palettes import SMALLEST, WIDTHS, Weight, find_weights, palettize
from limbeck.export.phone import write_phone_folder
from limbeck.export.sensitivity import Plan, Row, measure, plan_under
from limbeck.export.verify import Difference, ParityReport, answers, finite, verify
from limbeck.models.store import LoadedDenoiser, UnetDenoiser, load_denoiser
from limbeck.models.tiny_decoder import load_decoder
from limbeck.models.unet import EfficientUNet
from limbeck.objectives.flow import interpolate
from limbeck.stages.denoisers import check_text

Case = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A module with the inputs that its packages are compared on."""

    module: nn.Module
    """As it was trained: the reference."""
    cases: list[Case]
    output: str
    converted: nn.Module | None = None
    """The form of it that is written; None: itself."""

    @cached_property
    def references(self) -> list[list[Tensor]]:
        """What the module answers to each case: once for all packages made from it."""
        return [answers(self.module, case) for case in self.cases]

    @torch.no_grad()
    def golden(self, path: Path) -> tuple[Case, Tensor, Tensor]:
        """The first case, what the module answers, and what the file at `path` does."""
        inputs = self.cases[0]
        return inputs, self.references[0][0], load(path).run(inputs, "fp16_storage")[self.output]


class Exporter:
    """What is written so far, and what is known of it."""

    def __init__(self, ctx: StageContext, spec: ExportCoremlSpec) -> None:
        self.ctx, self.spec = ctx, spec
        self.report: dict[str, object] = {"minimum_target": spec.minimum_target, "packages": {}}
        self.metrics: dict[str, float] = {}

    def write(self, name: str, part: Part) -> Path:
        """Converts and judges a module."""
        path = self.ctx.output / f"{name}.mlpackage"
        written = convert(
            (part.converted or part.module).requires_grad_(False),
            part.cases[0],
            [part.output],
            path,
            minimum_target=self.spec.minimum_target,
            precision=self.spec.precision,
            metadata={"author": "Limbeck", "description": f"{name} of a few-step student"},
        )
        self.judge(name, path, part, written)
        self.metrics[f"{name}_parameters"] = float(sum(p.numel() for p in part.module.parameters()))
        return path

    def measured(self, metric: str, value: float) -> None:
        """A figure that may be no number (an overflow makes PSNR minus infinity): it is left out then, and
        what was not measured passes no gate."""
        if math.isfinite(value):
            self.metrics[metric] = value
        else:
            self.ctx.warn(f"{metric} is {value}: left out, so that no gate on it passes; report.json has why")

    def judge(self, name: str, path: Path, part: Part, written: ConversionReport, **more: object) -> None:
        """Compares a written package with its module and notes everything about it."""
        if self.ctx.stop_requested():
            # Minutes at most, and a pure function of the inputs: another attempt starts over.
            raise StopRequested
        parity: ParityReport = verify(
            path,
            part.module,
            part.cases,
            worst_ops=self.spec.worst_operations,
            converted=part.converted,
            references=part.references,
        )
        program = read_program(path)
        findings = check_program(program, self.spec.minimum_target, text=name == TEXT_PACKAGE)
        cost = cost_report(program)
        for finding in findings:
            self.ctx.warn(f"{path.name}: {finding.operation or finding.rule}: {finding.message}")
        print(f"{path.name}: {parity.psnr_db:.1f} dB, {written.package_bytes} bytes", flush=True)
        packages = self.report["packages"]
        assert isinstance(packages, dict)
        packages[name] = {
            "conversion": asdict(written),
            "parity": parity.as_json(),
            "findings": [finding.as_json() for finding in findings],
            "cost": cost,
            **more,
        }
        key = name.replace("-", "_")
        self.measured(f"{key}_psnr_db", parity.psnr_db)
        self.measured(f"{key}_max_abs_error", parity.max_abs_error)
        self.metrics[f"{key}_bytes"] = float(written.package_bytes)
        self.metrics[f"{key}_macs"] = float(cost["macs"])
        self.metrics[f"{key}_activation_peak_bytes"] = float(cost["activation_peak_bytes"])
        self.metrics["findings"] = self.metrics.get("findings", 0.0) + len(findings)


def run(ctx: StageContext) -> StageResult:
    spec: ExportCoremlSpec = ctx.spec
    model = load_denoiser(ctx.input("model"))
    unet, grids = _few_step_unet(model)
    features = FeatureSet.load(ctx.input("features"), "student")
    check_text(model, features)
    places = list(range(len(features) - min(spec.parity_samples, len(features)), len(features)))
    step = UnetStep(unet).eval()
    decode = DecoderStep(load_decoder(ctx.input("decoder"))).eval()
    times = sorted({time for grid in grids.values() for time in grid}, reverse=True)

    # A pure function of the inputs: an attempt that was killed starts over.
    shutil.rmtree(ctx.output)
    ctx.output.mkdir()
    export = Exporter(ctx, spec)
    steps = _Steps(
        ctx, 4 + len(spec.palettes) + 2 * (spec.weight_budget_bytes > 0) + spec.int8 + spec.text_encoder
    )
    unet_part = Part(
        module=step,
        cases=unet_cases(step, features, places, times),
        output="velocity",
        converted=ChannelsFirstStep(step).eval() if spec.layout == "channels_first" else None,
    )
    latents = [{"latent": features.batch([place]).latent_BCHW} for place in places]
    decoder_part = Part(module=decode, cases=latents, output="image")
    source = export.write("unet", unet_part)
    steps.done()
    decoder_path = export.write("decoder", decoder_part)
    steps.done()
    golden: dict[str, tuple[Case, Tensor, Tensor]] = {}
    tokenizers: list[Path] = []
    if spec.text_encoder:
        text_part, tokenizers = _text(ctx, spec, places)
        golden[TEXT_PACKAGE] = text_part.golden(export.write(TEXT_PACKAGE, text_part))
        steps.done()

    _palettes(export, steps, source, unet_part)
    if spec.int8:
        _int8(export, steps, source, unet_part)
    _loops(export, step, decode, features, grids)
    steps.done()
    if spec.onnx:
        worst = min((compare_with_onnx(p.module, p.cases) for p in (unet_part, decoder_part)), key=_psnr)
        export.report["onnx"] = finite(asdict(worst))
        export.measured("onnx_psnr_db", worst.psnr_db)
    steps.done()

    golden |= {"unet": unet_part.golden(source), "decoder": decoder_part.golden(decoder_path)}
    write_phone_folder(
        ctx.output / "ios",
        unet=read_program(source),
        decoder=read_program(decoder_path),
        grids=grids,
        frequencies=unet.config.time_frequencies,
        text=spec.student_text,
        golden=golden,
        tokenizers=tokenizers,
    )
    export.report["times"] = times
    export.metrics["package_bytes"] = export.metrics["unet_bytes"] + export.metrics["decoder_bytes"]
    (ctx.output / "report.json").write_text(json.dumps(export.report, indent=1))
    return StageResult(metrics=export.metrics)


def _text(ctx: StageContext, spec: ExportCoremlSpec, places: Sequence[int]) -> tuple[Part, list[Path]]:
    """The text encoders on captions of the features, and the folders of their tokenizers."""
    if not isinstance(spec.student_text, SnapgenTextConfig):
        raise StageFailure(
            "bad_config",
            "text_encoder: the words' encoder is a table, whole in ios/text.json; packages are for CLIP",
        )
    from limbeck.export.text_modules import INPUTS, ClipText, text_graph
    from limbeck.models.text_encoders import CLIP_TOKENS, SnapgenTextEncoder

    try:
        encoder = SnapgenTextEncoder(spec.student_text, ctx.input("student_snapshot"))
        module = ClipText(encoder).eval()
    except (FileNotFoundError, ValueError) as error:
        raise StageFailure("bad_input", f"text_encoder: {error}") from error
    captions = stored_captions(ctx.input("features"), places)
    cases: list[Case] = []
    for caption in captions:
        found = [one.ids([caption], CLIP_TOKENS)[0] for one in encoder.clip_encoders]
        cases.append(dict(zip(INPUTS, (ids.int() for ids in found), strict=False)))
    part = Part(module=module, cases=cases, output="text", converted=text_graph(module))
    return part, [one.folders[1] for one in encoder.clip_encoders]


def _psnr(one: Difference) -> float:
    return one.psnr_db


class _Steps:
    """Progress in hundredths of a package, so that long fits do not look stalled."""

    def __init__(self, ctx: StageContext, total: int) -> None:
        self.ctx, self.total, self.count = ctx, total, 0
        self.part(0, 1)

    def part(self, done: int, of: int) -> None:
        self.ctx.progress(100 * self.count + 100 * done // of, 100 * self.total, None, None)

    def done(self) -> None:
        self.count += 1
        self.part(0, 1)


def _palettes(export: Exporter, steps: _Steps, source: Path, part: Part) -> None:
    """A package for each width, and one for the mixed plan under the budget."""
    spec, ctx = export.spec, export.ctx
    if not spec.palettes and not spec.weight_budget_bytes:
        return
    # Palettes in groups of channels came with iOS18.
    group = spec.palette_group if spec.minimum_target == "iOS18" else 0
    weights = find_weights(read_program(source))
    open_names = [weight.name for weight in weights if not weight.kept]
    if not open_names:
        ctx.warn(f"palettes: none of {len(weights)} weights has {SMALLEST} elements; the packages hold fp16")

    def build(name: str, plan: Mapping[str, int], **more: object) -> None:
        path = ctx.output / f"{name}.mlpackage"
        cache = ctx.workdir / "palettes"
        program = palettize(
            source, path, plan, group=group, workers=spec.workers, cache=cache, progress=steps.part
        )
        kept = {weight.name: weight.kept or "the plan" for weight in weights if weight.name not in plan}
        whole = [w.name for w in weights if w.name in plan and group and w.group(group) != group]
        notes = {"bits": dict(plan), "kept": kept, "one_palette": whole, **more}
        export.judge(name, path, part, describe(path, program, seconds=0), palettes=notes)
        steps.done()

    for bits in spec.palettes:
        build(f"unet-{bits}bit", dict.fromkeys(open_names, bits))
    if spec.weight_budget_bytes:
        rows, plan = _mixed(export, steps, source, weights, part.cases, group)
        table = [finite(asdict(row)) for row in rows]
        build("unet-mixed", plan.bits, predicted=plan.as_json(), sensitivity=table)
        export.metrics["unet_mixed_weight_bytes"] = float(plan.weight_bytes)


def _int8(export: Exporter, steps: _Steps, source: Path, part: Part) -> None:
    path = export.ctx.output / "unet-int8.mlpackage"
    program, kept = quantize(source, path)
    export.judge("unet-int8", path, part, describe(path, program, seconds=0), int8={"kept": kept})
    steps.done()


def _mixed(
    export: Exporter,
    steps: _Steps,
    source: Path,
    weights: Sequence[Weight],
    cases: list[Case],
    group: int,
) -> tuple[list[Row], Plan]:
    spec = export.spec
    # Spread over samples and times: neighbouring cases are one sample at neighbouring times.
    chosen = cases[:: max(1, len(cases) // spec.sensitivity_cases)][: spec.sensitivity_cases]
    rows = measure(load(source), weights, chosen, WIDTHS, group=group, progress=steps.part)
    steps.done()
    try:
        return rows, plan_under(spec.weight_budget_bytes, weights, rows)
    except ValueError as error:
        raise StageFailure("bad_config", f"weight_budget_bytes: {error}") from error


def _loops(
    export: Exporter,
    step: UnetStep,
    decode: DecoderStep,
    features: FeatureSet,
    grids: Mapping[str, Sequence[float]],
) -> None:
    """The sampling loop with every UNet package and the decoder, on every grid."""
    samples = min(export.spec.loop_samples, len(features))
    if not samples:
        return
    places = range(len(features) - samples, len(features))
    starts = [
        (normal(0, "export loop", [place], features.latent_shape), features.batch([place]).text_BND)
        for place in places
    ]
    decoder = load(export.ctx.output / "decoder.mlpackage")
    loops: dict[str, object] = {}
    packages = export.report["packages"]
    assert isinstance(packages, dict)
    for name in [name for name in packages if name.startswith("unet")]:
        unet = load(export.ctx.output / f"{name}.mlpackage")
        found = [compare_loops(unet, decoder, step, decode, starts, grid) for grid in grids.values()]
        loops[name] = [one.as_json() for one in found]
        key = name.replace("unet", "loop", 1).replace("-", "_")
        export.measured(f"{key}_psnr_db", min(one.image.psnr_db for one in found))
    export.report["loops"] = loops


def _few_step_unet(model: LoadedDenoiser) -> tuple[EfficientUNet, dict[str, list[float]]]:
    """The UNet, and the step times of its grids by number of steps."""
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
    return model.denoiser.unet.eval(), grids


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
