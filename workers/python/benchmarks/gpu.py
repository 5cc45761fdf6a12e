"""Throughput of teacher and student on a GPU: MFU, images per second, memory.

    PYTHONPATH=src python benchmarks/gpu.py [--sizes 256 512 1024] [--batch N] [--json FILE] [--compile]

The teacher is SD3.5-Large in bf16 (random weights, made on the GPU), one forward with 333 text tokens;
the student is SnapGen's 379M UNet, forward, backward and AdamW step under bf16 autocast with float32
weights, as the stages train it. FLOPs are the project's own count of convolutions, linear layers and
attention's products; a training step counts as three forwards. MFU is against the device's dense bf16
peak. Exit status 3: there is no GPU.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from limbeck.contracts.generated import OptimizerConfig, Sd3Config, TrainingConfig, UnetConfig
from limbeck.models.cost import measure
from limbeck.models.presets import Preset, load_preset, measured_at
from limbeck.models.regional import compile_blocks
from limbeck.models.sd3 import Sd3Denoiser, build_transformer
from limbeck.models.store import UnetDenoiser
from limbeck.models.unet import EfficientUNet
from limbeck.training.loop import Learner
from limbeck.training.precision import compute_precision, prepared

NO_GPU = 3
TEXT_TOKENS = 333
WARM_UP = 3

PEAK_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0}
"""Dense bf16 by what the device's name contains, from the makers' data sheets (SXM variants)."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    model: str
    pixels: int
    batch: int
    images_per_second: float
    spread: float
    """Interquartile range over median of the time of a step."""
    tflop_per_image: float
    mfu: float | None
    """None where the device's peak is not known."""
    peak_memory_bytes: int | None
    """None on a CPU."""


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024], help="edges in pixels")
    parser.add_argument("--batch", type=int, default=4, help="images a step (4)")
    parser.add_argument("--repeats", type=int, default=20, help="measured steps (20)")
    parser.add_argument("--peak-tflops", type=float, help="dense bf16 peak of a device that is not listed")
    parser.add_argument("--compile", action="store_true", help="compile the blocks, as compile_blocks does")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    wrong = [size for size in arguments.sizes if size < 64 or size % 32]
    if wrong:
        parser.error(f"--sizes: {wrong[0]} is no multiple of 32 from 64 on")
    if not torch.cuda.is_available():
        print("no GPU: torch sees none here, and there is nothing to measure", file=sys.stderr)
        return NO_GPU
    device = torch.device("cuda")
    name = torch.cuda.get_device_name()
    peak = arguments.peak_tflops or next((p for part, p in PEAK_TFLOPS.items() if part in name), None)
    print(f"{name}, torch {torch.__version__}, dense bf16 peak {peak or 'unknown: give --peak-tflops'}")
    teacher, student = load_preset("sd35-large"), load_preset("snapgen-1024")
    figures = []
    for pixels in arguments.sizes:
        ask = (
            partial(teacher_figure, teacher, compiled=arguments.compile),
            partial(student_figure, student, compiled=arguments.compile),
        )
        for measured in ask:
            torch.cuda.empty_cache()
            figure = measured(pixels, arguments.batch, arguments.repeats, device, peak_tflops=peak)
            print(line(figure), flush=True)
            figures.append(figure)
    if arguments.json:
        about = {"device": name, "torch": torch.__version__, "figures": [asdict(f) for f in figures]}
        arguments.json.write_text(json.dumps(about, indent=1) + "\n")
    return 0


def line(figure: Figure) -> str:
    mfu = "MFU unknown" if figure.mfu is None else f"MFU {100 * figure.mfu:.1f} %"
    memory = "" if figure.peak_memory_bytes is None else f", {figure.peak_memory_bytes / 1e9:.1f} GB"
    return (
        f"{figure.model} {figure.pixels} px, batch {figure.batch}: {figure.images_per_second:.2f} images/s"
        f" (spread {100 * figure.spread:.0f} %), {figure.tflop_per_image:.2f} TFLOP an image, {mfu}{memory}"
    )


def teacher_figure(
    preset: Preset,
    pixels: int,
    batch: int,
    repeats: int,
    device: torch.device,
    *,
    peak_tflops: float | None = None,
    compiled: bool = False,
) -> Figure:
    """One forward of an SD3 transformer; 38 blocks of SD3.5-Large are 16 GB in bf16."""
    config = preset.model
    assert isinstance(config, Sd3Config)
    edge = pixels // 8
    # The position table stays that of the published model: it is cropped to the latent.
    with device:
        torch.set_default_dtype(torch.bfloat16)
        try:
            denoiser = Sd3Denoiser(build_transformer(config)).eval().requires_grad_(False)
        finally:
            torch.set_default_dtype(torch.float32)
    if compiled:
        compile_blocks(denoiser.repeated_blocks())
    half = {"device": device, "dtype": torch.bfloat16}
    inputs = (
        torch.randn(batch, config.latent_channels, edge, edge, **half),
        torch.rand(batch, device=device),
        torch.randn(batch, TEXT_TOKENS, config.joint_width, **half),
        torch.randn(batch, config.pooled_width, **half),
    )

    def step() -> None:
        with torch.no_grad():
            denoiser(*inputs)

    flop = 2 * measure(measured_at(preset, latent_size=edge, text_tokens=TEXT_TOKENS)).macs
    return figure("teacher forward", pixels, batch, flop, repeats, step, device, peak_tflops)


def student_figure(
    preset: Preset,
    pixels: int,
    batch: int,
    repeats: int,
    device: torch.device,
    *,
    peak_tflops: float | None = None,
    compiled: bool = False,
) -> Figure:
    """One training step of the UNet, as the stages do it."""
    edge = pixels // 8
    sized = measured_at(preset, latent_size=edge, text_tokens=TEXT_TOKENS)
    config = sized.model
    assert isinstance(config, UnetConfig)
    optimizer = OptimizerConfig(kind="adamw", learning_rate=1e-4)
    training = TrainingConfig(
        steps=10**6, batch_size=batch, optimizer=optimizer, precision="bf16", compile_blocks=compiled
    )
    with device:
        student: nn.Module = UnetDenoiser(EfficientUNet(config))
    prepared(student, training, device)
    learner = Learner("student", {"student": student}, optimizer, training.steps, training.ema_decay)
    x = torch.randn(batch, config.latent_channels, edge, edge, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    t, text = (
        torch.rand(batch, device=device),
        torch.randn(batch, TEXT_TOKENS, config.context_width, device=device),
    )
    count = 0

    def step() -> None:
        nonlocal count
        with compute_precision(training, device):
            predicted = student(x, t, text)
        learner.update(predicted.float().square().mean(), count)
        count += 1

    flop = 3 * 2 * measure(sized).macs
    return figure("student training step", pixels, batch, flop, repeats, step, device, peak_tflops)


def figure(
    model: str,
    pixels: int,
    batch: int,
    flop_per_image: int,
    repeats: int,
    step: Callable[[], None],
    device: torch.device,
    peak_tflops: float | None,
) -> Figure:
    """Measures `step` after a warm-up, waiting for the device around each."""
    on_gpu = device.type == "cuda"
    for _ in range(WARM_UP):
        step()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(repeats):
        if on_gpu:
            torch.cuda.synchronize()
        started = time.perf_counter()
        step()
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    low, middle, high = statistics.quantiles(seconds, n=4)
    rate = batch / middle
    return Figure(
        model=model,
        pixels=pixels,
        batch=batch,
        images_per_second=rate,
        spread=(high - low) / middle,
        tflop_per_image=flop_per_image / 1e12,
        mfu=None if peak_tflops is None else rate * flop_per_image / 1e12 / peak_tflops,
        peak_memory_bytes=torch.cuda.max_memory_allocated() if on_gpu else None,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
