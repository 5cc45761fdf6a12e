"""What a distillation step costs, and what SnapGen's networks cost beside the ones they replace.

    PYTHONPATH=workers/python/src python tests/benchmarks/kd-step/bench.py [--json FILE] [--repeats N]

1. A step of multi-level distillation against the sum of its parts measured alone: the teacher's forward
   with its features; the student's forward, all losses against stored answers, backward and update. The
   tiny recipe's student, the committed teacher, the stage's own code. Above 1 is what putting them
   together costs.
2. The 379M UNet against SDXL's as diffusers builds it: one forward on the same 32 x 32 latent and 77 tokens.
3. The tiny decoder against SD3's: the same 32 x 32 latent to 256 x 256 pixels.

Sides alternate in one process on one thread; medians, and the quartiles of the ratio of neighbours.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from limbeck.contracts.generated import (
    OptimizerConfig,
    ScalingConfig,
    TimeConfig,
    TrainingConfig,
)
from limbeck.data.features import FeatureBatch
from limbeck.data.randomness import normal
from limbeck.models.cost import build
from limbeck.models.presets import load_preset, measured_at
from limbeck.models.projector import FeatureProjector, feature_loss
from limbeck.models.sd3 import FrozenTeacher
from limbeck.models.store import UnetDenoiser
from limbeck.models.tiny_decoder import TinyDecoder
from limbeck.models.unet import EfficientUNet
from limbeck.objectives.scaling import LossScaling, probability_edges
from limbeck.stages.distill import Distillation, mean_square
from limbeck.training.loop import Learner

ROOT = Path(__file__).resolve().parents[3]
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--repeats", type=int, default=20, help="of each side (20)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    about = {"cpu": cpu(), "threads": 1, "torch": torch.__version__, "dtype": "float32"}
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    figures = {
        "kd_step": kd_step(arguments.repeats),
        "unet": unets(max(3, arguments.repeats // 4)),
        "decoder": decoders(max(3, arguments.repeats // 4)),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps({**about, **figures}, indent=1) + "\n")


def kd_step(repeats: int) -> dict[str, object]:
    teacher = FrozenTeacher.load(ROOT / "snapshots" / "tiny-sd3")
    student = load_preset("tiny-unet").model
    unet = EfficientUNet(student)  # type: ignore[arg-type]
    width, last = (
        teacher.config.heads * teacher.config.head_width,
        teacher.config.layers - 1,
    )
    optimizer = OptimizerConfig(kind="muon", learning_rate=1e-3)
    training = TrainingConfig(steps=10**6, batch_size=BATCH, optimizer=optimizer)
    projector = FeatureProjector(
        student.stages[0].channels, width, teacher.config.patch
    )
    distillation = Distillation(
        student=UnetDenoiser(unet),
        projector=projector,
        teacher=teacher,
        output=True,
        training=training,
    )
    modules = {"student": distillation.student, "projector": projector}
    learner = Learner("student", modules, optimizer, training.steps, training.ema_decay)
    time_config = TimeConfig()
    scaling = LossScaling(
        ScalingConfig(),
        {"output": 1.0, "feature": 1.0},
        probability_edges(time_config, 32),
        1.0,
    )
    shape = (
        teacher.config.latent_channels,
        teacher.config.latent_size,
        teacher.config.latent_size,
    )
    x, target = (normal(0, name, range(BATCH), shape) for name in ("x", "target"))
    t = torch.linspace(0.02, 0.98, BATCH)
    own = batch(x, 6, student.context_width, student.context_width)
    theirs = batch(x, 6, teacher.config.joint_width, teacher.config.pooled_width)
    answer, features = teacher.forward_with_features(
        x, t, theirs.text_BND, theirs.pooled_BP, [last]
    )
    count = 0

    def update(task, terms) -> None:
        nonlocal count
        scaling.observe(t, task, terms)
        learner.update(scaling.combine(t, task, terms).total, count)
        count += 1

    def whole() -> None:
        task, terms, _ = distillation.losses(x, t, target, own, theirs)
        update(task, terms)

    def teacher_alone() -> None:
        with torch.no_grad():
            teacher.forward_with_features(
                x, t, theirs.text_BND, theirs.pooled_BP, [last]
            )

    def student_alone() -> None:
        velocity, inner = unet.forward_with_features(
            x.contiguous(memory_format=torch.channels_last), t, own.text_BND
        )
        terms = {
            "output": mean_square(velocity - answer),
            "feature": feature_loss(projector(inner), features[last]),
        }
        update(mean_square(velocity - target), terms)

    times = alternate([whole, teacher_alone, student_alone], repeats)
    ratios = [a / (b + c) for a, b, c in zip(*times, strict=True)]
    return report(
        f"distillation step, batch {BATCH}, against the sum of its parts (goal at most 1.05)",
        {"step": times[0], "teacher": times[1], "student": times[2]},
        ratios,
    )


def unets(repeats: int) -> dict[str, object]:
    presets = [
        measured_at(load_preset(name), latent_size=32, text_tokens=77)
        for name in ("snapgen-1024", "sdxl")
    ]
    built = [build(preset) for preset in presets]
    sizes = [parameters(model) for model, _ in built]
    times = alternate([forward for _, forward in built], repeats)
    print(
        f"UNets of {sizes[0]:,} and {sizes[1]:,} parameters ({sizes[1] / sizes[0]:.1f} x fewer)"
    )
    ratios = [theirs / ours for ours, theirs in zip(*times, strict=True)]
    return report(
        "SDXL's UNet over ours, latent 32 x 32",
        {"ours": times[0], "sdxl": times[1]},
        ratios,
    )


def decoders(repeats: int) -> dict[str, object]:
    config = load_preset("tiny-decoder").model
    ours = TinyDecoder(config)  # type: ignore[arg-type]
    theirs = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,  # type: ignore[arg-type]
        up_block_types=("UpDecoderBlock2D",) * 4,  # type: ignore[arg-type]
        block_out_channels=(128, 256, 512, 512),  # type: ignore[arg-type]
        layers_per_block=2,
        latent_channels=16,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).decoder
    z = normal(0, "z", [0], (16, 32, 32))
    times = alternate([lambda: ours(z), lambda: theirs(z)], repeats)
    sizes = parameters(ours), parameters(theirs)
    print(
        f"decoders of {sizes[0]:,} and {sizes[1]:,} parameters ({sizes[1] / sizes[0]:.1f} x fewer)"
    )
    ratios = [b / a for a, b in zip(*times, strict=True)]
    return report(
        "SD3's decoder over ours, to 256 px",
        {"ours": times[0], "sd3": times[1]},
        ratios,
    ) | {"parameters": sizes}


def batch(latent: torch.Tensor, tokens: int, width: int, pooled: int) -> FeatureBatch:
    rows = range(len(latent))
    return FeatureBatch(
        latent_BCHW=latent,
        text_BND=normal(0, "text", rows, (tokens, width)),
        pooled_BP=normal(0, "pooled", rows, (pooled,)),
    )


def alternate(sides: list[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Seconds of each side, taken in turns after one unmeasured round. Inference modules run without a
    graph: a side that trains switches gradients on by itself."""
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(repeats + 1):
        for side, found in zip(sides, times, strict=True):
            needs_gradient = side.__name__ in ("whole", "student_alone")
            with torch.set_grad_enabled(needs_gradient):
                started = time.perf_counter()
                side()
                seconds = time.perf_counter() - started
            if turn:
                found.append(seconds)
    return times


def report(
    name: str, times: dict[str, list[float]], ratios: list[float]
) -> dict[str, object]:
    low, middle, high = statistics.quantiles(ratios, n=4)
    medians = {side: statistics.median(seconds) for side, seconds in times.items()}
    shown = ", ".join(
        f"{side} {1000 * seconds:.0f} ms" for side, seconds in medians.items()
    )
    print(
        f"{name}: {middle:.3f} [{low:.3f}, {high:.3f}] ({shown}; {len(ratios)} repeats)",
        flush=True,
    )
    return {
        "ratio": middle,
        "quartiles": [low, high],
        "median_seconds": medians,
        "repeats": len(ratios),
    }


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
