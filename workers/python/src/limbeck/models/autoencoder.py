"""The autoencoder: diffusers' AutoencoderKL without quant convolutions, as SD3 has it (training.md B.2).

Training latents are (z - shift) * scale, decoding takes z / scale + shift. SD3's own VAE has 16
channels, shift 0.0609 and scale 1.5305; a tiny one gets its two numbers from `measure_latents`.

Shapes: x_BCHW image in [-1, 1]; z_BCHW latent, edge H / 2^(resolutions - 1).
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import nn

from limbeck.contracts.generated import AutoencoderConfig
from limbeck.models.loading import load_component


def build_autoencoder(config: AutoencoderConfig) -> AutoencoderKL:
    """A fresh AutoencoderKL; its shift is 0 and scale 1 until measured."""
    resolutions = len(config.channels)
    # A dict, because diffusers annotates tuples of one entry.
    arguments: dict[str, Any] = dict(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * resolutions,
        up_block_types=("UpDecoderBlock2D",) * resolutions,
        block_out_channels=tuple(config.channels),
        layers_per_block=config.layers_per_block,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
        shift_factor=0.0,
        scaling_factor=1.0,
    )
    return AutoencoderKL(**arguments)


class FrozenAutoencoder(nn.Module):
    """Encodes to and decodes from training latents; never trained."""

    vae: Any  # an AutoencoderKL, whose annotations fit neither its arguments nor what it returns

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae.eval().requires_grad_(False)
        self.shift = float(self.vae.config.shift_factor or 0.0)
        self.scale = float(self.vae.config.scaling_factor)

    @classmethod
    def load(cls, snapshot: Path) -> "FrozenAutoencoder":
        """From `vae/` of a snapshot folder; half-precision files compute in fp32.

        Raises:
            FileNotFoundError: there is none.
            ValueError: tensors are missing, unknown or of another shape; names them.
        """
        folder = snapshot / "vae"
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"a snapshot needs vae/config.json; not found under {snapshot}")
        vae = load_component(AutoencoderKL, folder, torch.float32)
        assert isinstance(vae, AutoencoderKL)
        return cls(vae)

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config.latent_channels)

    @property
    def factor(self) -> int:
        """Image pixels per latent pixel along an edge."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @torch.no_grad()
    def encode(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Mean of the posterior as training latent (no sampling: extraction has no hidden draw)."""
        return (self.vae.encode(x_BCHW).latent_dist.mean - self.shift) * self.scale

    @torch.no_grad()
    def decode(self, z_BCHW: torch.Tensor) -> torch.Tensor:
        """Image in [-1, 1], clamped."""
        return self.vae.decode(z_BCHW / self.scale + self.shift).sample.clamp(-1, 1)


def measure_latents(z_BCHW: torch.Tensor) -> tuple[float, float]:
    """(shift, scale) that give the latents mean 0 and variance 1 over all channels and pixels."""
    return float(z_BCHW.mean()), 1.0 / float(z_BCHW.std())


def to_unit(images_BHWC: torch.Tensor) -> torch.Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in [-1, 1]."""
    return images_BHWC.permute(0, 3, 1, 2).float().div(127.5).sub(1)


def to_bytes(x_BCHW: torch.Tensor) -> torch.Tensor:
    """float in [-1, 1] -> uint8 [B, H, W, 3]."""
    return x_BCHW.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def psnr(x: torch.Tensor, y: torch.Tensor) -> float:
    """dB of two images in [-1, 1] (peak-to-peak 2), over the whole batch."""
    return float(10 * torch.log10(4 / torch.mean((x - y).double() ** 2)))
