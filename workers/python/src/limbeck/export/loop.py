"""The whole way on the phone, run here: the sampling loop with both packages beside the loop with torch.

Each loop goes its own way from the same noise, so errors of a step feed the next one, as on a device.
Shapes: x_BCHW latents (B 1), image_BCHW in about [-1, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from limbeck.export.mil_interpreter import MilProgram, Precision
from limbeck.export.modules import DecoderStep, UnetStep
from limbeck.export.verify import Difference, difference, finite
from limbeck.objectives.flow import checked_grid


@dataclass(frozen=True, kw_only=True)
class LoopParity:
    """One grid; the worst over the samples. `by_step` are the latents after each step."""

    steps: int
    grid: list[float]
    samples: int
    by_step: list[Difference]
    image: Difference

    def as_json(self) -> dict[str, Any]:
        return finite(asdict(self))


@torch.no_grad()
def compare_loops(
    unet: MilProgram,
    decoder: MilProgram,
    step: UnetStep,
    decode: DecoderStep,
    starts: Sequence[tuple[Tensor, Tensor]],
    grid: Sequence[float],
    precision: Precision = "fp16_storage",
) -> LoopParity:
    """Samples every start on the grid, interpreted and eager.

    Args:
        starts: (noise [1, C, H, W], text [1, N, D]) of each sample.
        grid: step times from noise towards data, without the closing 0.
    """
    times = [*checked_grid(grid), 0.0]
    latents: list[list[Difference]] = [[] for _ in times[:-1]]
    images: list[Difference] = []
    for noise, text in starts:
        found = eager = noise * times[0]
        for place, (t, following) in enumerate(pairwise(times)):
            # The host keeps the latent in float32 and steps there; what it feeds is rounded by the program.
            t_B = torch.tensor([t])
            found = found + (following - t) * _only(unet.run(step.host_inputs(found, t_B, text), precision))
            eager = eager + (following - t) * step(**step.host_inputs(eager, t_B, text))
            latents[place].append(difference(found, eager))
        images.append(difference(_only(decoder.run({"latent": found}, precision)), decode(eager)))
    return LoopParity(
        steps=len(times) - 1,
        grid=times[:-1],
        samples=len(starts),
        by_step=[_worst(of_step) for of_step in latents],
        image=_worst(images),
    )


def _only(outputs: Mapping[str, Tensor]) -> Tensor:
    (value,) = outputs.values()
    return value


def _worst(differences: Sequence[Difference]) -> Difference:
    return min(differences, key=lambda one: one.psnr_db)
