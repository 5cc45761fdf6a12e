"""Toy inputs of the distillation stages, made by the code that makes real ones: 8x8 latents of two
channels, a two-block SD3 teacher, a UNet of a few thousand parameters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageContext
from limbeck.contracts.generated import (
    AutoencoderConfig,
    Sd3Config,
    TimeConfig,
    UnetConfig,
    UnetStage,
)
from limbeck.data.features import KIND, add_features
from limbeck.data.randomness import normal
from limbeck.data.shards import ShardWriter
from limbeck.models.autoencoder import build_autoencoder
from limbeck.models.store import DenoiserCard, Trained, build_denoiser, save_denoiser, write_component
from limbeck.training.seeding import seeded_build

SAMPLES = 40
TOKENS = 6
STUDENT_WIDTH = 12
TEACHER_WIDTH = 16
LATENT = (2, 8, 8)

TEACHER = Sd3Config(
    architecture="sd3",
    layers=2,
    heads=2,
    head_width=8,
    patch=2,
    latent_channels=LATENT[0],
    latent_size=LATENT[1],
    joint_width=TEACHER_WIDTH,
    pooled_width=TEACHER_WIDTH,
)
STUDENT = UnetConfig(
    architecture="unet",
    latent_channels=LATENT[0],
    latent_size=LATENT[1],
    context_width=STUDENT_WIDTH,
    stages=[
        UnetStage(
            channels=8, heads=1, down_blocks=1, up_blocks=2, transformer_blocks=1, self_attention=False
        ),
        UnetStage(
            channels=12, heads=2, down_blocks=1, up_blocks=2, transformer_blocks=1, self_attention=True
        ),
    ],
    middle_transformer_blocks=1,
    head_width=4,
    time_width=16,
    time_frequencies=16,
    norm_groups=4,
)
TIME = TimeConfig()


def write_features(
    folder: Path,
    *,
    samples: int = SAMPLES,
    teacher_samples: int = 0,
    keys: Sequence[str] | None = None,
    text_seed: int = 1,
    offset: float = 0.0,
    broken: Sequence[int] = (),
) -> Path:
    """A feature tree of random latents (around `offset`) and texts; the first `teacher_samples` also
    hold a sample, the latents at the places `broken` are NaN."""
    places = range(samples)
    columns = {
        "latent": offset + normal(1, "toy latent", places, LATENT),
        "student_text": normal(text_seed, "toy student text", places, (TOKENS, STUDENT_WIDTH)),
        "student_pooled": normal(text_seed, "toy student pooled", places, (STUDENT_WIDTH,)),
        "teacher_text": normal(text_seed, "toy teacher text", places, (TOKENS, TEACHER_WIDTH)),
        "teacher_pooled": normal(text_seed, "toy teacher pooled", places, (TEACHER_WIDTH,)),
    }
    columns["latent"][list(broken)] = float("nan")
    ends = normal(1, "toy sample", places, LATENT)
    attributes = {"kind": KIND, "teacher_samples": {"seed": 4} if teacher_samples else None}
    with ShardWriter(folder, 1000, attributes) as writer:
        for place in places:
            arrays = {name: values[place].numpy().astype(np.float16) for name, values in columns.items()}
            if place < teacher_samples:
                arrays |= {
                    "sample": ends[place].numpy().astype(np.float16),
                    "noise_position": np.array([place]),
                }
            add_features(writer, keys[place] if keys else f"toy-{place:04d}", arrays, b"{}")
    return folder


def write_student(folder: Path, config: UnetConfig | Sd3Config = STUDENT, **trained: object) -> Path:
    denoiser = seeded_build(3, lambda: build_denoiser(config))
    weights = dict(denoiser.state_dict())
    card = DenoiserCard(
        config=config,
        text="student" if isinstance(config, UnetConfig) else "teacher",
        time=TIME,
        trained=Trained(**{"stage": "pretrain", "steps": 5, **trained}),
    )
    save_denoiser(folder, card, raw=weights, ema=weights)
    return folder


def write_snapshot(
    folder: Path,
    *,
    few_step_grid: list[float] | None = None,
    noise: float = 0.1,
    config: Sd3Config = TEACHER,
) -> Path:
    """transformer and transformer_turbo with different weights; only the second may be few-step."""
    folder.mkdir(parents=True)
    for seed, component, grid in ((5, "transformer", None), (6, "transformer_turbo", few_step_grid)):
        denoiser = seeded_build(seed, lambda: build_denoiser(config))
        with torch.no_grad():
            # adaLN-zero would make every prediction 0; a trained teacher's are not.
            for index, parameter in enumerate(denoiser.parameters()):
                parameter.add_(noise * normal(seed, "toy teacher", [index], tuple(parameter.shape))[0])
        write_component(folder, component, denoiser, grid=grid)
    return folder


def write_inputs(root: Path, few_step_grid: list[float]) -> dict[str, Path]:
    """What every distillation stage reads, by the names of its inputs."""
    student = write_student(root / "student")
    return {
        "features": write_features(root / "features"),
        "base": student,
        "student": student,
        "snapshot": write_snapshot(root / "snapshot", few_step_grid=few_step_grid),
    }


def write_autoencoder(snapshot: Path) -> Path:
    """vae/ of a snapshot: 16-pixel images to the toy latents."""
    config = AutoencoderConfig(channels=[8, 8], latent_channels=LATENT[0], norm_groups=4)
    vae = seeded_build(7, lambda: build_autoencoder(config))
    vae.save_pretrained(snapshot / "vae")
    return snapshot


def optimizer(rate: float = 1e-3) -> dict[str, Any]:
    return {"kind": "adamw", "learning_rate": rate, "warmup_steps": 2}


def training(steps: int, **changes: object) -> dict[str, Any]:
    return {
        "steps": steps,
        "batch_size": 4,
        "optimizer": optimizer(),
        "log_every": 1,
        "validate_every": 50,
        "checkpoint_every": 2,
        **changes,
    }


def context(
    workdir: Path, spec: dict[str, Any], inputs: dict[str, Path], resume: Path | None = None
) -> StageContext:
    return StageContext(workdir, parse_stage_spec(spec), inputs, resume)
