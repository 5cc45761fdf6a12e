"""Tiny decoder: latent -> image, 1,377,603 parameters in SnapGen's size (paper.md section 2).

No attention, one norm and one activation a block, separable convolutions, few blocks where the
resolution is high, and channels are reduced *before* each upsampling, so that every upsample
convolution runs at the thinner width (in the reverse order it would cost four times as much).

Shape legend: B batch, C latent channels, h w latent edges; the image is [B, 3, h f, w f] with
f = 2^(resolutions - 1), in [-1, 1] after training (not clamped: clamping belongs to the reader).

A decoder tree: config.json (DecoderCard), ema.safetensors, raw.safetensors.
"""

from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from limbeck.contracts.generated import TinyDecoderConfig
from limbeck.models.tensors import Tensors, load_tensors, save_tensors

NORM_EPS = 1e-6


class DecoderBlock(nn.Module):
    """dw3x3, pw1x1; dw3x3, GN, act, pw1x1; + shortcut. One norm and one activation in all."""

    def __init__(self, inner: int, outer: int, norm_groups: int, act: nn.Module) -> None:
        super().__init__()
        self.depthwise1 = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.pointwise1 = nn.Conv2d(inner, outer, 1, bias=False)
        self.depthwise2 = nn.Conv2d(outer, outer, 3, padding=1, groups=outer)
        self.norm = nn.GroupNorm(norm_groups, outer, eps=NORM_EPS)
        self.act = act
        self.pointwise2 = nn.Conv2d(outer, outer, 1, bias=False)
        self.shortcut = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        hidden = self.pointwise1(self.depthwise1(x_BCHW))
        hidden = self.pointwise2(self.act(self.norm(self.depthwise2(hidden))))
        return hidden + self.shortcut(x_BCHW)


class TinyDecoder(nn.Module):
    """conv3x3 in; per resolution: blocks, of which the first gives the next width already, then upsample."""

    def __init__(self, config: TinyDecoderConfig) -> None:
        super().__init__()
        if len(config.widths) != len(config.blocks):
            raise ValueError(
                f"widths has {len(config.widths)} resolutions and blocks {len(config.blocks)};"
                " they must be equally many"
            )
        for width in config.widths:
            if width % config.norm_groups:
                raise ValueError(
                    f"widths holds {width}, which is no multiple of norm_groups {config.norm_groups}"
                )
        self.config = config
        widths = config.widths
        self.conv_in = nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)
        self.stages = nn.ModuleList()
        self.upsamplers = nn.ModuleList()
        for index, blocks in enumerate(config.blocks):
            following = widths[min(index + 1, len(widths) - 1)]
            self.stages.append(
                nn.Sequential(
                    *(
                        DecoderBlock(
                            widths[index] if block == 0 else following,
                            following,
                            config.norm_groups,
                            self._activation(),
                        )
                        for block in range(blocks)
                    )
                )
            )
            if index + 1 < len(widths):
                self.upsamplers.append(nn.Conv2d(following, following, 3, padding=1))
        self.norm_out = nn.GroupNorm(config.norm_groups, widths[-1], eps=NORM_EPS)
        self.act_out = self._activation()
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def _activation(self) -> nn.Module:
        return nn.SiLU() if self.config.activation == "silu" else nn.Hardswish()

    @property
    def factor(self) -> int:
        """Image pixels per latent pixel along an edge."""
        return 2 ** len(self.upsamplers)

    def forward(self, z_BCHW: Tensor) -> Tensor:
        """Training latent [B, C, h, w] (scaled and shifted) -> image [B, 3, h f, w f]."""
        x_BCHW = self.conv_in(z_BCHW)
        for index, stage in enumerate(self.stages):
            x_BCHW = stage(x_BCHW)
            if index < len(self.upsamplers):
                x_BCHW = self.upsamplers[index](F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest"))
        return self.conv_out(self.act_out(self.norm_out(x_BCHW)))


class DecoderCard(BaseModel):
    """config.json of a decoder tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    config: TinyDecoderConfig
    steps: int


def save_decoder(folder: Path, card: DecoderCard, *, raw: Tensors, ema: Tensors) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(card.model_dump_json(indent=1))
    save_tensors(folder / "raw.safetensors", raw)
    save_tensors(folder / "ema.safetensors", ema)


def load_decoder(folder: Path, weights: Literal["ema", "raw"] = "ema") -> TinyDecoder:
    """A decoder with its EMA weights, frozen.

    Raises:
        FileNotFoundError: the folder is no decoder tree.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"not a decoder: {folder.name} lacks config.json")
    decoder = TinyDecoder(DecoderCard.model_validate_json(path.read_text()).config)
    decoder.load_state_dict(load_tensors(folder / f"{weights}.safetensors"))
    return decoder.eval().requires_grad_(False)
