"""The GPU benchmark: what it says without a GPU, and that its measuring is right where one can look."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toys import distillation as toy

from limbeck.models.cost import measure
from limbeck.models.presets import Preset, load_preset, measured_at

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"
spec = importlib.util.spec_from_file_location("gpu_benchmark", FILE)
assert spec and spec.loader
gpu = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = gpu
spec.loader.exec_module(gpu)

torch.set_num_threads(1)
CPU = torch.device("cpu")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(FILE), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_without_a_gpu_it_says_so() -> None:
    done = run()
    assert done.returncode == gpu.NO_GPU and "no GPU" in done.stderr and not done.stdout


def test_a_size_that_no_latent_has_is_refused() -> None:
    done = run("--sizes", "300")
    assert done.returncode == 2 and "--sizes: 300 is no multiple of 32" in done.stderr


@pytest.mark.parametrize(
    ("measured", "model", "forwards"),
    [("teacher_figure", toy.TEACHER, 1), ("student_figure", toy.STUDENT, 3)],
)
def test_images_per_second_times_flop_is_the_utilisation(measured: str, model: object, forwards: int) -> None:
    preset = Preset(summary="toy", model=model, text_tokens=6)  # type: ignore[arg-type]
    found = getattr(gpu, measured)(preset, 64, 2, 4, CPU, peak_tflops=0.5)
    assert found.images_per_second > 0 and found.spread >= 0 and found.peak_memory_bytes is None
    cost = measure(measured_at(preset, latent_size=8, text_tokens=gpu.TEXT_TOKENS))
    assert found.tflop_per_image == pytest.approx(forwards * 2 * cost.macs / 1e12)
    assert found.mfu == pytest.approx(found.images_per_second * found.tflop_per_image / 0.5)
    assert "images/s" in gpu.line(found)


def test_the_teachers_work_is_the_known_one() -> None:
    """3.27, 7.97 and 31.1 TFLOP at 256, 512 and 1024 px (training.md B.6)."""
    for pixels, known in ((256, 3.27), (512, 7.97), (1024, 31.1)):
        preset = measured_at(load_preset("sd35-large"), latent_size=pixels // 8, text_tokens=gpu.TEXT_TOKENS)
        assert 2 * measure(preset).macs / 1e12 == pytest.approx(known, rel=0.02)
