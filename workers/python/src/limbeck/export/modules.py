"""The graphs that ship, as modules whose inputs a host can prepare.

Shape legend: B batch (1 in a package), C channels, H W latent edges, F sinusoidal features, N text
tokens, D text width.
"""

import torch
from torch import Tensor, nn

from limbeck.export.channels_first import channels_first
from limbeck.models.tiny_decoder import TinyDecoder
from limbeck.models.unet import EfficientUNet


class UnetStep(nn.Module):
    """One evaluation of the velocity, from a time embedding that the host computed.

    The sinusoids stay outside: in an fp16 graph they are off by up to 0.2 near t = 1
    (feasibility.md), because the phase 1000 t has a spacing of 0.5 there.
    """

    def __init__(self, unet: EfficientUNet) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, latent: Tensor, time_embedding: Tensor, text: Tensor) -> Tensor:
        """[B, C, H, W], [B, F], [B, N, D] -> velocity [B, C, H, W]."""
        return self.unet.forward_from_embedding(latent, time_embedding, text)

    def host_inputs(self, latent_BCHW: Tensor, t_B: Tensor, text_BND: Tensor) -> dict[str, Tensor]:
        """What a host feeds for time t_B [B] in [0, 1]: the embedding computed in float32."""
        with torch.no_grad():
            return {
                "latent": latent_BCHW,
                "time_embedding": self.unet.time_features(t_B),
                "text": text_BND,
            }


class ChannelsFirstStep(nn.Module):
    """`UnetStep` in the Neural Engine's layout, with the same inputs and output: what is converted."""

    def __init__(self, step: UnetStep) -> None:
        super().__init__()
        self.unet = channels_first(step.unet)

    def forward(self, latent: Tensor, time_embedding: Tensor, text: Tensor) -> Tensor:
        """[B, C, H, W], [B, F], [B, N, D] -> velocity [B, C, H, W]."""
        text_BD1N = text.transpose(1, 2)[:, :, None]
        return self.unet.forward_from_embedding(latent, time_embedding, text_BD1N)


class DecoderStep(nn.Module):
    """The decoder under the input name that the package shows."""

    def __init__(self, decoder: TinyDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, latent: Tensor) -> Tensor:
        """Training latent [B, C, H, W] -> image [B, 3, H f, W f], not clamped (about [-1, 1])."""
        return self.decoder(latent)
