"""PatchGAN: does each patch of an image look real? (Isola et al., arXiv 1611.07004; 70 x 70 pixels with
three strided layers.)

Groups instead of batch statistics in the norms: a verdict does not depend on the neighbours in the
batch, so a step gives the same gradients however the batch is cut.

Shapes: images [B, 3, H, W] in [-1, 1] -> logits [B, h, w], above 0 for real.
"""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
GROUPS = 8
NORM_EPS = 1e-6
WIDEST = 8
"""Largest width, in multiples of the first."""


class PatchDiscriminator(nn.Module):
    """
    Args:
        channels: width of the first layer, a multiple of 8; each further one doubles it, up to 8 times.
        layers: strided layers; 3 see patches of 70 pixels, 2 of 34.
    """

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        if channels % GROUPS:
            raise ValueError(f"channels {channels} is no multiple of {GROUPS}")
        widths = [channels * min(2**number, WIDEST) for number in range(layers + 1)]
        self.first = nn.Conv2d(3, widths[0], 4, stride=2, padding=1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inner, outer, 4, stride=2 if number + 1 < layers else 1, padding=1)
            for number, (inner, outer) in enumerate(pairwise(widths))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, outer, eps=NORM_EPS) for outer in widths[1:])
        self.logit = nn.Conv2d(widths[-1], 1, 4, padding=1)
        # Undecided at first: all logits 0, hinge loss exactly 2.
        for parameter in self.logit.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BCHW = F.leaky_relu(self.first(x_BCHW), SLOPE)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x_BCHW = F.leaky_relu(norm(convolution(x_BCHW)), SLOPE)
        return self.logit(x_BCHW)[:, 0]
