"""Discriminator heads of LADD: one small 2D network per tapped teacher block (paper.md 5.2, 5.3).

Conditioned on the noise level and the pooled text through FiLM, as LADD has it (2D convolutions, so
that any aspect ratio works). No spectral norm and no batch statistics: R1 is the regulariser, and a
head's verdict on a sample does not depend on its neighbours in the batch.

Shape legend: B batch, T = h w teacher tokens, D teacher width, P pooled text width, C head channels.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.models.unet import time_features

TIME_FREQUENCIES = 64
NORM_EPS = 1e-6
SLOPE = 0.2
"""Of the leaky ReLU, the discriminators' habit since StyleGAN."""


class LaddHead(nn.Module):
    """Token states of one block -> one logit per token."""

    def __init__(self, teacher_width: int, channels: int, groups: int) -> None:
        super().__init__()
        self.project = nn.Linear(teacher_width, channels)
        self.film = nn.Linear(channels, 2 * channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.GroupNorm(groups, channels, eps=NORM_EPS)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels, eps=NORM_EPS)
        self.logit = nn.Conv2d(channels, 1, 1)
        # Starts undecided: all logits 0, hinge loss exactly 2.
        for parameter in self.logit.parameters():
            nn.init.zeros_(parameter)

    def forward(self, tokens_BTD: Tensor, condition_BC: Tensor, height: int, width: int) -> Tensor:
        """[B, T, D] under the condition [B, C] -> logits [B, h, w]."""
        batch = tokens_BTD.shape[0]
        hidden = self.project(tokens_BTD).transpose(1, 2).reshape(batch, -1, height, width)
        scale, shift = self.film(condition_BC)[:, :, None, None].chunk(2, dim=1)
        hidden = hidden * (1 + scale) + shift
        hidden = F.leaky_relu(self.norm1(self.conv1(hidden)), SLOPE)
        hidden = F.leaky_relu(self.norm2(self.conv2(hidden)), SLOPE)
        return self.logit(hidden)[:, 0]


class LaddHeads(nn.Module):
    """All heads with their shared condition network.

    Args:
        taps: blocks of the feature network, one head each.
        teacher_width: D.
        pooled_width: P.
        channels: C; SD3.5 256.
    """

    def __init__(self, taps: Sequence[int], teacher_width: int, pooled_width: int, channels: int) -> None:
        super().__init__()
        if len(set(taps)) != len(taps):
            raise ValueError(f"taps must differ from one another, got {list(taps)}")
        groups = next(count for count in (8, 4, 2, 1) if channels % count == 0)
        self.taps = list(taps)
        self.condition = nn.Sequential(
            nn.Linear(TIME_FREQUENCIES + pooled_width, channels),
            nn.SiLU(),
            nn.Linear(channels, channels),
            nn.SiLU(),
        )
        self.heads = nn.ModuleDict({str(tap): LaddHead(teacher_width, channels, groups) for tap in taps})

    def forward(
        self, inputs: Mapping[int, Tensor], t_B: Tensor, pooled_BP: Tensor, size: tuple[int, int]
    ) -> dict[int, Tensor]:
        """Logits [B, h, w] by tap.

        Args:
            inputs: by tap, [B, T, D] from `head_inputs`.
            t_B: the noise level of what the teacher saw.
            size: (h, w) of the token grid.
        """
        condition_BC = self.condition(torch.cat([time_features(t_B, TIME_FREQUENCIES), pooled_BP], dim=1))
        return {tap: self.heads[str(tap)](inputs[tap], condition_BC, *size) for tap in self.taps}


def head_inputs(features: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Features as the heads take them: float32, normalised per token without affine, so that learning
    rate and R1 mean the same at the first and at the last block of any teacher."""
    return {tap: F.layer_norm(f.float(), f.shape[-1:], eps=NORM_EPS) for tap, f in features.items()}
