"""The control at equal compute has the steps that its FLOPs allow, fixed in the recipe and not by a clock."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from limbeck.models.projector import FeatureProjector
from limbeck.models.sd3 import config_of
from limbeck.models.store import UnetDenoiser, build_denoiser, parse_denoiser_config
from limbeck.models.unet import EfficientUNet

ROOT = Path(__file__).parents[4]


def flops(run: Callable[[], None]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def test_the_control_has_the_compute_of_the_distillation() -> None:
    stages = {
        stage["name"]: stage["spec"]
        for stage in json.loads((ROOT / "recipes/tiny-study.json").read_text())["stages"]
    }
    student = build_denoiser(parse_denoiser_config(stages["pretrain"]["model"]))
    assert isinstance(student, UnetDenoiser) and isinstance(student.unet, EfficientUNet)
    teacher = build_denoiser(parse_denoiser_config(teacher_config()))
    width = config_of(teacher.transformer)
    projector = FeatureProjector(
        student.unet.config.stages[0].channels, width.heads * width.head_width, width.patch
    )
    x, t, text, pooled = (
        torch.zeros(1, 4, 16, 16),
        torch.full((1,), 0.5),
        torch.zeros(1, 6, 64),
        torch.zeros(1, 64),
    )

    def task() -> None:
        student(x, t, text, pooled).sum().backward()

    def distillation() -> None:
        velocity, features = student.unet.forward_with_features(x, t, text)
        (velocity.sum() + projector(features).sum()).backward()
        with torch.no_grad():
            teacher.forward_with_features(x, t, text, pooled, [width.layers - 1])

    ratio = flops(distillation) / flops(task)
    allowed = stages["distill"]["training"]["steps"] * ratio
    assert abs(stages["control"]["training"]["steps"] - allowed) < 1
    assert stages["control_steps"]["training"]["steps"] == stages["distill"]["training"]["steps"]


def teacher_config() -> object:
    """Of the committed teacher, as its recipe trains it."""
    recipe = json.loads((ROOT / "recipes/tiny-teacher.json").read_text())
    return next(stage["spec"]["model"] for stage in recipe["stages"] if stage["name"] == "leg1")
