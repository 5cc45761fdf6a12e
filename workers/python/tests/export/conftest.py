"""Packages converted once for all tests of this folder: a conversion takes seconds, a run milliseconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from limbeck.contracts.generated import TinyDecoderConfig, UnetConfig, UnetStage
from limbeck.export.convert import ConversionReport, convert
from limbeck.export.modules import DecoderStep, UnetStep
from limbeck.models.tiny_decoder import TinyDecoder
from limbeck.models.unet import EfficientUNet

pytest.importorskip("coremltools", reason="coremltools has no wheel for this platform", exc_type=ImportError)


@dataclass(frozen=True)
class Converted:
    module: nn.Module
    inputs: list[dict[str, Tensor]]
    path: Path
    report: ConversionReport


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def with_random_parameters(module: nn.Module, seed: int) -> nn.Module:
    """Parameters as a trained net's: no gain of one and no bias of zero for the converter to fold away."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
            else:
                parameter.copy_((1 if name.endswith("weight") else 0) + 0.2 * noise)
    return module.eval()


@pytest.fixture(scope="session")
def unet() -> UnetStep:
    """The smallest net with every kind of block: both samplers, self- and cross-attention, skips."""
    config = UnetConfig(
        latent_channels=4,
        latent_size=8,
        context_width=12,
        head_width=8,
        time_width=16,
        time_frequencies=8,
        norm_groups=4,
        middle_transformer_blocks=0,
        stages=[
            UnetStage(
                channels=8, heads=1, down_blocks=1, up_blocks=2, transformer_blocks=0, self_attention=False
            ),
            UnetStage(
                channels=16, heads=4, down_blocks=1, up_blocks=2, transformer_blocks=1, self_attention=True
            ),
        ],
    )
    return with_random_parameters(UnetStep(EfficientUNet(config)), seed=1)


@pytest.fixture(scope="session")
def unet_inputs(unet: UnetStep) -> list[dict[str, Tensor]]:
    """Cases along the sampling interval, the noise-only end included."""
    generator = torch.Generator().manual_seed(2)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return [
        unet.host_inputs(normal(1, 4, 8, 8), torch.tensor([t]), normal(1, 5, 12)) for t in (1.0, 0.6, 0.03)
    ]


@pytest.fixture(scope="session")
def fp32_unet(
    unet: UnetStep, unet_inputs: list[dict[str, Tensor]], tmp_path_factory: pytest.TempPathFactory
) -> Converted:
    path = tmp_path_factory.mktemp("fp32") / "unet.mlpackage"
    report = convert(unet, unet_inputs[0], ["velocity"], path, precision="fp32")
    return Converted(unet, unet_inputs, path, report)


@pytest.fixture(scope="session")
def fp16_unet(
    unet: UnetStep, unet_inputs: list[dict[str, Tensor]], tmp_path_factory: pytest.TempPathFactory
) -> Converted:
    path = tmp_path_factory.mktemp("fp16") / "unet.mlpackage"
    report = convert(unet, unet_inputs[0], ["velocity"], path, metadata={"limbeck.checkpoint": "sha256:00"})
    return Converted(unet, unet_inputs, path, report)


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    config = TinyDecoderConfig(latent_channels=4, widths=[16, 8], blocks=[1, 1], norm_groups=4)
    module = with_random_parameters(DecoderStep(TinyDecoder(config)), seed=6)
    inputs = [{"latent": torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(7))}]
    path = tmp_path_factory.mktemp("decoder") / "decoder.mlpackage"
    report = convert(module, inputs[0], ["image"], path)
    return Converted(module, inputs, path, report)


@pytest.fixture(scope="session")
def decoder_8(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """A decoder for the latents of `fp16_unet`."""
    config = TinyDecoderConfig(latent_channels=4, widths=[8, 8], blocks=[1, 1], norm_groups=4)
    module = with_random_parameters(DecoderStep(TinyDecoder(config)), seed=8)
    inputs = [{"latent": torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(7))}]
    path = tmp_path_factory.mktemp("decoder_8") / "decoder.mlpackage"
    report = convert(module, inputs[0], ["image"], path)
    return Converted(module, inputs, path, report)
