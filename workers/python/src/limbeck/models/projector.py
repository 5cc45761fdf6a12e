"""phi: student features on the teacher's token grid, for feature KD (paper.md section 4, L_feat).

Trained beside the student and thrown away with the stage: the deployed model holds none of it.

Shapes: features_BCHW the student's last stage; tokens [B, T, D] with T = (H / patch)(W / patch)
teacher tokens in row order and D the teacher's width.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class FeatureProjector(nn.Module):
    """conv3x3 with the teacher's patch as stride, SiLU, conv1x1 to the teacher's width."""

    def __init__(self, channels: int, teacher_width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.conv1 = nn.Conv2d(channels, channels, 3, stride=patch, padding=1)
        self.act = nn.SiLU()
        self.conv2 = nn.Conv2d(channels, teacher_width, 1)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, T, D].

        Raises:
            ValueError: edges that the teacher's patch does not divide.
        """
        height, width = features_BCHW.shape[-2:]
        if height % self.patch or width % self.patch:
            raise ValueError(
                f"features of {height}x{width} do not divide into the teacher's patches of {self.patch}"
            )
        return self.conv2(self.act(self.conv1(features_BCHW))).flatten(2).transpose(1, 2)


def feature_target(tokens_BTD: Tensor) -> Tensor:
    """Teacher tokens after a LayerNorm without affine.

    A residual stream grows over the blocks and a few of its channels dominate; unnormalised, the
    mean squared error would be those channels' alone.
    """
    return F.layer_norm(tokens_BTD.float(), tokens_BTD.shape[-1:])


def feature_loss(projected_BTD: Tensor, tokens_BTD: Tensor) -> Tensor:
    """Per-sample mean squared error [B] of phi(f_S) against the normalised teacher tokens."""
    return (projected_BTD.float() - feature_target(tokens_BTD)).square().flatten(1).mean(1)
