"""LPIPS: the learned perceptual distance of two images, for training the tiny decoder (VGG16 variant).

Five blocks of VGG16, each taken behind its last ReLU; features normalised over channels, squared
difference weighted by one learned number a channel, mean over pixels, sum over blocks (Zhang et al.,
arXiv 1801.03924, eq. 1, version 0.1 of the published weights).

A snapshot folder `lpips/`: config.json {"widths": [[64, 64], ...]}, lpips.safetensors with
`blocks.<b>.<c>.weight|bias` and `weights.<b>` [C]. Published weights become one by

    python -m limbeck.models.lpips VGG16.pth LPIPS_VGG.pth FOLDER

from torchvision's vgg16 state (`features.<n>.weight|bias`) and the linear layers of the lpips package
(`lin<b>.model.1.weight`); both are read without running code.

Shapes: images [B, 3, H, W] in [-1, 1], H and W at least 16.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from limbeck.models.tensors import Tensors, load_tensors, save_tensors

VGG16 = [[64, 64], [128, 128], [256, 256, 256], [512, 512, 512], [512, 512, 512]]
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation as seen from [-1, 1], as the published weights expect them."""
EPSILON = 1e-10


class Lpips(nn.Module):
    """Frozen; gradients flow to the images."""

    shift: Tensor
    scale: Tensor

    def __init__(self, widths: list[list[int]] = VGG16) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(SHIFT)[None, :, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[None, :, None, None], persistent=False)
        self.blocks = nn.ModuleList()
        inner = 3
        for block in widths:
            convolutions = nn.ModuleList()
            for width in block:
                convolutions.append(nn.Conv2d(inner, width, 3, padding=1))
                inner = width
            self.blocks.append(convolutions)
        self.weights = nn.ParameterList(torch.ones(block[-1]) / block[-1] for block in widths)
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, snapshot: Path) -> "Lpips":
        """From `lpips/` of a snapshot.

        Raises:
            FileNotFoundError: it is not there.
            ValueError: a file cannot be read; tensors are missing, unknown or of another shape; a channel's
                weight is negative.
        """
        folder = snapshot / "lpips"
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"snapshot {snapshot.name} lacks lpips/config.json")
        try:
            distance = cls(json.loads((folder / "config.json").read_text())["widths"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"lpips/config.json does not hold the widths of blocks: {error!r}") from error
        try:
            distance.load_state_dict(load_tensors(folder / "lpips.safetensors"))
        except (RuntimeError, SafetensorError) as error:
            raise ValueError(f"lpips/lpips.safetensors: {error}") from error
        if any(bool((weight < 0).any()) for weight in distance.weights):
            raise ValueError("lpips/lpips.safetensors: a negative weight would reward a difference")
        return distance

    def features(self, x_BCHW: Tensor) -> list[Tensor]:
        """Unit vectors over channels, by block."""
        x_BCHW = (x_BCHW - self.shift) / self.scale
        found = []
        for number, block in enumerate(self.blocks):
            assert isinstance(block, nn.ModuleList)
            if number:
                x_BCHW = F.max_pool2d(x_BCHW, 2)
            for convolution in block:
                x_BCHW = F.relu(convolution(x_BCHW))
            norm = x_BCHW.square().sum(1, keepdim=True).sqrt()
            found.append(x_BCHW / (norm + EPSILON))
        return found

    def forward(self, x_BCHW: Tensor, reference_BCHW: Tensor) -> Tensor:
        """Distance of each image from its reference [B]; the reference gets no gradient."""
        with torch.no_grad():
            references = self.features(reference_BCHW)
        total = torch.zeros(len(x_BCHW), device=x_BCHW.device)
        for mine, theirs, weight in zip(self.features(x_BCHW), references, self.weights, strict=True):
            total = total + ((mine - theirs).square() * weight[:, None, None]).sum(1).mean((1, 2))
        return total


def converted(vgg: Mapping[str, Tensor], linear: Mapping[str, Tensor]) -> Tensors:
    """Published weights under this module's names.

    Raises:
        KeyError: a tensor that is needed is not there; names it.
    """
    # torchvision numbers convolutions, ReLUs and poolings through.
    numbers, place = list[list[int]](), 0
    for block in VGG16:
        numbers.append([place + 2 * index for index in range(len(block))])
        place += 2 * len(block) + 1
    tensors: Tensors = {}
    for b, block in enumerate(numbers):
        for c, number in enumerate(block):
            for kind in ("weight", "bias"):
                tensors[f"blocks.{b}.{c}.{kind}"] = vgg[f"features.{number}.{kind}"]
        tensors[f"weights.{b}"] = linear[f"lin{b}.model.1.weight"].reshape(-1)
    return tensors


def save_lpips(snapshot: Path, tensors: Tensors, widths: list[list[int]] = VGG16) -> None:
    folder = snapshot / "lpips"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"widths": widths}))
    save_tensors(folder / "lpips.safetensors", tensors)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m limbeck.models.lpips VGG16.pth LPIPS_VGG.pth FOLDER")
    states = [torch.load(path, map_location="cpu", weights_only=True) for path in sys.argv[1:3]]
    save_lpips(Path(sys.argv[3]), converted(*states))
