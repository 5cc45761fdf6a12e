"""6-bit palettes of one package: this project's fit beside coremltools' k-means, in one run.

    PYTHONPATH=workers/python/src python tests/benchmarks/palettes/bench.py [--bits 6] [--repeats 3]

The same UNet (random weights), the same groups of 16 channels, the same weights kept in fp16, one process and
one thread. Seconds are those of the whole call, reading and writing the package included.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from limbeck.contracts.generated import UnetConfig
from limbeck.export.convert import convert
from limbeck.export.mil_program import read_program
from limbeck.export.modules import UnetStep
from limbeck.export.palettes import GROUP, Weight, find_weights, palettize
from limbeck.export.save import save_package
from limbeck.export.toolkit import load_coremltools, no_progress_bars
from limbeck.export.verify import verify
from limbeck.models.presets import load_preset
from limbeck.models.unet import EfficientUNet
from limbeck.training.seeding import seeded_build


def small_unet() -> tuple[UnetStep, dict[str, torch.Tensor]]:
    config = load_preset("tiny-unet").model
    assert isinstance(config, UnetConfig)
    stages = [
        stage.model_copy(update={"channels": 4 * stage.channels})
        for stage in config.stages
    ]
    config = config.model_copy(update={"stages": stages})
    step = (
        UnetStep(seeded_build(0, lambda: EfficientUNet(config)))
        .eval()
        .requires_grad_(False)
    )
    generator = torch.Generator().manual_seed(1)
    edge = config.latent_size
    x = torch.randn(1, config.latent_channels, edge, edge, generator=generator)
    text = torch.randn(1, 6, config.context_width, generator=generator)
    return step, step.host_inputs(x, torch.tensor([0.6]), text)


def theirs(source: Path, target: Path, weights: list[Weight], bits: int) -> None:
    coremltools = load_coremltools()
    optimize = coremltools.optimize.coreml
    config = optimize.OptimizationConfig()
    for weight in weights:
        size = weight.group(GROUP)
        config.set_op_name(
            weight.name,
            optimize.OpPalettizerConfig(
                mode="kmeans",
                nbits=bits,
                granularity="per_tensor"
                if size == weight.shape[0]
                else "per_grouped_channel",
                group_size=size,
                channel_axis=0,
                weight_threshold=0,
            ),
        )
    with no_progress_bars():
        model = coremltools.models.MLModel(str(source), skip_model_load=True)
        save_package(optimize.palettize_weights(model, config), target)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--bits", type=int, choices=[4, 6, 8], default=6)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    step, inputs = small_unet()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = folder / "fp16.mlpackage"
        convert(step, inputs, ["velocity"], source)
        weights = [
            weight for weight in find_weights(read_program(source)) if not weight.kept
        ]
        plan = {weight.name: arguments.bits for weight in weights}
        print(
            f"{sum(p.numel() for p in step.parameters()):,} parameters, {len(weights)} weights of"
            f" {sum(weight.elements for weight in weights):,} in palettes of {arguments.bits} bits"
        )
        ways: dict[str, Callable[[Path], object]] = {
            "this project": lambda target: palettize(source, target, plan),
            "coremltools": lambda target: theirs(
                source, target, weights, arguments.bits
            ),
        }
        medians: dict[str, float] = {}
        for name, write in ways.items():
            seconds: list[float] = []
            for repeat in range(arguments.repeats):
                target = folder / f"{name.replace(' ', '-')}-{repeat}.mlpackage"
                started = time.perf_counter()
                write(target)
                seconds.append(time.perf_counter() - started)
            psnr = verify(target, step, [inputs], precision="fp32").psnr_db
            medians[name] = statistics.median(seconds)
            print(
                f"{name}: median {medians[name]:.1f} s [{min(seconds):.1f}, {max(seconds):.1f}],"
                f" {psnr:.2f} dB against torch"
            )
        print(
            f"coremltools over this project: {medians['coremltools'] / medians['this project']:.1f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
