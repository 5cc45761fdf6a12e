"""Flow-Euler sampling: from noise at t = 1 to data at t = 0 along a grid of step times.

The starting noise is keyed by what is asked for (prompt text and repeat index), never by rank, batch
or order, so that the same protocol gives the same pictures on any number of workers.

Shapes: x_BCHW latents; text_BND token states; pooled_BP.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from limbeck.data.randomness import normal
from limbeck.models.store import Denoiser
from limbeck.objectives.flow import checked_grid


def starting_noise(
    prompts: Sequence[tuple[str, int]], seed: int, latent_shape: tuple[int, int, int]
) -> Tensor:
    """x_T [B, *latent_shape] of (prompt text, repeat index) pairs."""
    return torch.cat([normal(seed, f"x_T {text}", [repeat], latent_shape) for text, repeat in prompts])


@torch.no_grad()
def sample(
    denoiser: Denoiser,
    noise_BCHW: Tensor,
    text_BND: Tensor,
    pooled_BP: Tensor,
    *,
    grid: Sequence[float],
    guidance_scale: float = 1.0,
) -> Tensor:
    """Latents at t = 0.

    Args:
        grid: step times from noise towards data, strictly falling, without the closing 0.
        guidance_scale: 1 takes one forward a step; above, v = v_0 + s (v_text - v_0) with zeros as the
            text of v_0, in one forward of twice the batch.
    """
    times = [*checked_grid(grid), 0.0]
    x = noise_BCHW if times[0] == 1 else noise_BCHW * times[0]
    guided = guidance_scale != 1.0
    if guided:
        text_BND = torch.cat([text_BND, torch.zeros_like(text_BND)])
        pooled_BP = torch.cat([pooled_BP, torch.zeros_like(pooled_BP)])
    for t, following in pairwise(times):
        x_in = torch.cat([x, x]) if guided else x
        v = denoiser(x_in, x_in.new_full((len(x_in),), t), text_BND, pooled_BP)
        if guided:
            with_text, without = v.chunk(2)
            v = without + guidance_scale * (with_text - without)
        x = x + (following - t) * v
    return x
