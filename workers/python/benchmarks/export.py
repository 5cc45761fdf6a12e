"""Core ML export at full size: seconds, peak memory and PSNR of each package, random weights.

    PYTHONPATH=src python benchmarks/export.py [--preset snapgen-1024] [--latent 128] [--tokens 333]
        [--bits 6] [--workers 2] [--keep FOLDER] [--json FILE]

Each package is checked by the interpreter against the eager module, and converted in a process of its own, so
that a peak is that package's. The weights are random (He initialisation as the model has it): PSNR of trained
weights differs. One thread a process.
"""

import argparse
import json
import multiprocessing
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from limbeck.contracts.generated import UnetConfig
from limbeck.export.convert import convert
from limbeck.export.int8 import quantize
from limbeck.export.mil_program import read_program
from limbeck.export.modules import ChannelsFirstStep, UnetStep
from limbeck.export.palettes import find_weights, palettize
from limbeck.export.verify import answers, verify
from limbeck.models.presets import load_preset
from limbeck.models.unet import EfficientUNet
from limbeck.training.seeding import seeded_build


@dataclass(frozen=True, kw_only=True)
class Row:
    what: str
    seconds: float
    peak_bytes: int
    figures: dict[str, Any]


def case(preset: str, latent: int, tokens: int) -> tuple[UnetStep, dict[str, torch.Tensor]]:
    torch.set_num_threads(1)
    config = load_preset(preset).model
    assert isinstance(config, UnetConfig)
    config = config.model_copy(update={"latent_size": latent})
    step = UnetStep(seeded_build(0, lambda: EfficientUNet(config))).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, config.latent_channels, latent, latent, generator=generator)
    text = torch.randn(1, tokens, config.context_width, generator=generator)
    return step, step.host_inputs(x, torch.tensor([0.6]), text)


def write_fp16(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    step, inputs = case(arguments.preset, arguments.latent, arguments.tokens)
    layout = ChannelsFirstStep(step).eval()
    report = convert(layout, inputs, ["velocity"], folder / "fp16.mlpackage")
    return {
        "parameters": sum(p.numel() for p in step.parameters()),
        "weight_bytes": report.weight_bytes,
        "operations": sum(report.op_counts.values()),
    }


def write_int8(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    quantize(folder / "fp16.mlpackage", folder / "int8.mlpackage")
    return {"package_bytes": size_of(folder / "int8.mlpackage")}


def write_palettes(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    source, target = folder / "fp16.mlpackage", folder / "palettes.mlpackage"
    weights = find_weights(read_program(source))
    plan = {weight.name: arguments.bits for weight in weights if not weight.kept}
    reached: list[float] = []
    started = time.perf_counter()

    def note(done: int, of: int) -> None:
        reached.append(time.perf_counter() - started)
        if done % 50 == 0 or done == of:
            print(f"  palettes of {done} of {of} weights, {reached[-1]:.0f} s", file=sys.stderr, flush=True)

    palettize(source, target, plan, workers=arguments.workers, cache=folder / "cache", progress=note)
    return {"package_bytes": size_of(target), "fit_seconds": reached[-1] if reached else 0.0}


def check(name: str) -> Callable[[argparse.Namespace, Path], dict[str, Any]]:
    return _Check(name)


@dataclass(frozen=True)
class _Check:
    """Picklable: it runs in a process of its own."""

    name: str

    def __call__(self, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
        step, inputs = case(arguments.preset, arguments.latent, arguments.tokens)
        stored = folder / "references.pt"
        if not stored.exists():  # as the stage does it: one forward of the module for all its packages
            torch.save(answers(step, inputs), stored)
        report = verify(
            folder / f"{self.name}.mlpackage",
            step,
            [inputs],
            references=[torch.load(stored, weights_only=True)],
        )
        return {"psnr_db": report.psnr_db, "max_abs_error": report.max_abs_error}


def size_of(package: Path) -> int:
    return sum(file.stat().st_size for file in package.rglob("*") if file.is_file())


def _measured(queue: Any, work: Any, arguments: argparse.Namespace, folder: Path) -> None:
    started = time.perf_counter()
    figures = work(arguments, folder)
    seconds = time.perf_counter() - started
    own, children = (
        resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    # Of the children the largest is known, not their sum.
    queue.put((seconds, own + children * (arguments.workers if children else 0), figures))


def measured(what: str, work: Any, arguments: argparse.Namespace, folder: Path) -> Row:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measured, args=(queue, work, arguments, folder))
    process.start()
    while True:
        try:
            seconds, peak, figures = queue.get(timeout=1)
            break
        except Exception:
            if not process.is_alive():
                raise SystemExit(f"{what} ended with {process.exitcode}") from None
    process.join()
    row = Row(what=what, seconds=seconds, peak_bytes=peak, figures=figures)
    shown = ", ".join(f"{k} {v:.1f}" if isinstance(v, float) else f"{k} {v:,}" for k, v in figures.items())
    print(f"{what}: {seconds:.0f} s, peak {peak / 2**30:.2f} GiB, {shown}", flush=True)
    return row


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--preset", default="snapgen-1024")
    parser.add_argument("--latent", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=333)
    parser.add_argument("--bits", type=int, choices=[4, 6, 8], default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the packages, instead of a temporary one")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            measured(what, work, arguments, folder)
            for what, work in (
                ("convert to fp16", write_fp16),
                ("check fp16", check("fp16")),
                ("int8", write_int8),
                ("check int8", check("int8")),
                (f"{arguments.bits}-bit palettes", write_palettes),
                ("check palettes", check("palettes")),
            )
        ]
    total = sum(row.seconds for row in rows[:4])
    print(f"fp16 and int8, written and checked: {total:.0f} s on {platform.machine()}, one thread a process")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
