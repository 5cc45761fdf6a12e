"""The Neural Engine's layout: the same numbers in torch, and a file that stays in it."""

from pathlib import Path

import pytest
import torch
from export.conftest import with_random_parameters
from torch import Tensor

from limbeck.contracts.generated import UnetConfig, UnetStage
from limbeck.export.channels_first import ChannelNorm
from limbeck.export.convert import convert
from limbeck.export.mil_program import read_program
from limbeck.export.modules import ChannelsFirstStep, UnetStep
from limbeck.export.verify import difference, verify
from limbeck.models.unet import EfficientUNet, ResBlock


def build(**changes: object) -> UnetStep:
    config = UnetConfig(
        **{
            "latent_channels": 4,
            "latent_size": 8,
            "context_width": 12,
            "head_width": 8,
            "time_width": 16,
            "time_frequencies": 8,
            "norm_groups": 4,
            "middle_transformer_blocks": 1,
            "stages": [
                UnetStage(
                    channels=channels,
                    heads=heads,
                    down_blocks=1,
                    up_blocks=2,
                    transformer_blocks=1,
                    self_attention=own,
                )
                for channels, heads, own in ((8, 1, False), (16, 4, True))
            ],
            **changes,
        }
    )
    return with_random_parameters(UnetStep(EfficientUNet(config)), seed=3)


def inputs(step: UnetStep) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(4)
    text = torch.randn(1, 5, 12, generator=draw)
    text[:, 3:] = 0  # positions that are not used: rows of zeros reach the norm of the keys
    return step.host_inputs(torch.randn(1, 4, 8, 8, generator=draw), torch.tensor([0.7]), text)


@pytest.mark.parametrize(
    "changes",
    [{}, {"attention": "mha"}, {"qk_norm": "none"}, {"rope": False}, {"attention": "mha", "rope": False}],
)
def test_the_velocity_is_the_unets(changes: dict[str, object]) -> None:
    step = build(**changes)
    given = inputs(step)
    before = {name: value.clone() for name, value in step.state_dict().items()}
    expected = step(**given)
    found = ChannelsFirstStep(step)(**given)
    assert difference(found, expected).psnr_db > 110
    assert torch.equal(step(**given), expected)  # the trained network is left as it was
    assert all(torch.equal(value, before[name]) for name, value in step.state_dict().items())


def test_weights_are_shared() -> None:
    step = build()
    stored = {value.data_ptr() for value in step.parameters()}
    assert {value.data_ptr() for value in ChannelsFirstStep(step).parameters()} == stored


def test_the_norm_does_not_overflow_half_precision() -> None:
    norm = torch.nn.LayerNorm(16, eps=1e-6)
    x = 3000 * torch.randn(1, 16, 1, 6, generator=torch.Generator().manual_seed(1))
    expected = norm(x[:, :, 0].transpose(1, 2)).transpose(1, 2)[:, :, None]
    found = ChannelNorm(norm).half()(x.half())
    assert found.isfinite().all()
    assert difference(found, expected).psnr_db > 45


def test_the_file_has_no_linear_layer_and_no_layout_swapped_inside(tmp_path: Path) -> None:
    step = build()
    given = inputs(step)
    written = ChannelsFirstStep(step).eval()
    path = tmp_path / "unet.mlpackage"
    convert(written.requires_grad_(False), given, ["velocity"], path)
    report = verify(path, step, [given], worst_ops=5, converted=written)
    assert report.psnr_db > 55
    assert report.worst_ops is not None and report.worst_ops[0].against == "torch"
    census = read_program(path).operation_census()
    # Linear layers are left for the time alone, which is a vector: two of its own, one in each ResBlock.
    blocks = sum(isinstance(module, ResBlock) for module in step.modules())
    assert census["linear"] == 2 + blocks
    plain = tmp_path / "plain.mlpackage"
    convert(step.requires_grad_(False), given, ["velocity"], plain)
    other = read_program(plain).operation_census()
    assert other["linear"] > 20
    print(census, other, report.psnr_db)
    assert census.get("transpose", 0) < other["transpose"]
