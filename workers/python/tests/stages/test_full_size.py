"""SnapGen's own student through the stage that distils the toys: nothing but the configuration differs.

One step at 256 px (latents of 32 x 32) with a small SD3 teacher, on the CPU. What it takes is reported
by the stage itself.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from toys import distillation as toy
from toys.kill import run_to_the_end
from toys.metrics import scalars

from limbeck.contracts.generated import Sd3Config, UnetConfig
from limbeck.data.features import KIND, add_features
from limbeck.data.randomness import normal
from limbeck.data.shards import ShardWriter
from limbeck.models.presets import load_preset
from limbeck.models.sd3 import build_sd3
from limbeck.models.store import write_component
from limbeck.training.seeding import seeded_build

LATENT = (16, 32, 32)
TOKENS = 16
"""Text positions; 333 in the paper's size."""

TEACHER = Sd3Config(
    architecture="sd3",
    layers=2,
    heads=2,
    head_width=64,
    patch=2,
    latent_channels=LATENT[0],
    latent_size=LATENT[1],
    joint_width=64,
    pooled_width=64,
)


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Path]:
    """Six gigabytes that pytest would keep for three more runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


NEEDED = 15e9
"""Bytes: the stage's peak, and this process, which writes the base."""


def available() -> float:
    """Bytes that can be had without swapping; on systems that do not tell, enough."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return NEEDED
    (line,) = [line for line in info.read_text().splitlines() if line.startswith("MemAvailable")]
    return 1024 * float(line.split()[1])


@pytest.mark.skipif(available() < NEEDED, reason=f"needs {NEEDED / 1e9:.0f} GB of memory that is free")
def test_the_379m_student_takes_a_step(roomy: Path) -> None:
    snapgen = load_preset("snapgen-1024").model
    assert isinstance(snapgen, UnetConfig)
    student = snapgen.model_copy(update={"latent_size": LATENT[1]})
    teacher = seeded_build(5, lambda: build_sd3(TEACHER))
    write_component(roomy / "snapshot", "transformer", teacher)
    inputs = {
        "features": _features(roomy / "features", student.context_width),
        "base": toy.write_student(roomy / "base", student),
        "snapshot": roomy / "snapshot",
    }
    training = toy.training(1, batch_size=1, validate_per_bin=1)
    spec = {"kind": "distill", "time": {}, "training": training, "scaling": {}}
    output = run_to_the_end(roomy / "work", spec, inputs, None)

    metrics = json.loads((roomy / "work" / "result.json").read_text())["metrics"]
    assert metrics["parameters"] == 379_167_632
    for name in ("loss", "loss/output_kd", "loss/feature_kd", "gradient_norm"):
        (value,) = scalars(roomy / "work", name)
        assert np.isfinite(value) and value > 0, name
    assert (output / "ema.safetensors").stat().st_size > 4 * 379_167_632
    # Weights, their average, gradients and AdamW's two moments are 5 x 1.52 GB; what is above is
    # activations, the teacher and torch.
    peak = metrics["peak_memory_bytes"]
    assert 5 * 4 * 379_167_632 < peak < 12e9
    print(f"peak memory {peak / 1e9:.2f} GB")


def _features(folder: Path, student_width: int) -> Path:
    places = range(4)
    columns = {
        "latent": normal(1, "latent", places, LATENT),
        "student_text": normal(1, "student text", places, (TOKENS, student_width)),
        "student_pooled": normal(1, "student pooled", places, (student_width,)),
        "teacher_text": normal(1, "teacher text", places, (TOKENS, TEACHER.joint_width)),
        "teacher_pooled": normal(1, "teacher pooled", places, (TEACHER.pooled_width,)),
    }
    with ShardWriter(folder, 100, {"kind": KIND, "teacher_samples": None}) as writer:
        for place in places:
            arrays = {name: values[place].numpy().astype(np.float16) for name, values in columns.items()}
            add_features(writer, f"sample-{place}", arrays, b"{}")
    return folder
