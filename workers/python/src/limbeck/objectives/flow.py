"""The one time convention of the project, and every conversion from it.

t = 0 is data, t = 1 is noise; x_t = (1 - t) x_0 + t e; the network predicts v = e - x_0 (rectified
flow, SD3). A model's own timestep input is 1000 t (training.md B.3); that factor is applied inside
the model wrappers and nowhere else.

Shapes: B samples, ... any trailing dimensions; t_B is float32 in [0, 1].
"""

from collections.abc import Sequence
from itertools import pairwise

import torch

from limbeck.contracts.generated import TimeConfig
from limbeck.data.randomness import Positions, normal


def expand_time(t_B: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """[B] -> [B, 1, ..., 1] to broadcast over `like`."""
    return t_B.reshape(-1, *([1] * (like.ndim - 1)))


def interpolate(x0: torch.Tensor, noise: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
    """x_t on the straight path from data to noise."""
    t = expand_time(t_B, x0)
    return (1 - t) * x0 + t * noise


def velocity_target(x0: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """v = dx_t/dt."""
    return noise - x0


def data_from_velocity(x_t: torch.Tensor, v: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
    """x_0 = x_t - t v."""
    return x_t - expand_time(t_B, x_t) * v


def noise_from_velocity(x_t: torch.Tensor, v: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
    """e = x_t + (1 - t) v."""
    return x_t + (1 - expand_time(t_B, x_t)) * v


def velocity_from_data(x_t: torch.Tensor, x0: torch.Tensor, t_B: torch.Tensor) -> torch.Tensor:
    """v = (x_t - x_0) / t; undefined at t = 0, where the caller must not ask."""
    return (x_t - x0) / expand_time(t_B, x_t)


def shift_time(t: torch.Tensor, shift: float) -> torch.Tensor:
    """t' = s t / (1 + (s - 1) t): more noise for larger latents (SD3 eq. 23)."""
    return shift * t / (1 + (shift - 1) * t)


def unshift_time(t: torch.Tensor, shift: float) -> torch.Tensor:
    """Inverse of shift_time."""
    return t / (shift - (shift - 1) * t)


def draw_time(time: TimeConfig, seed: int, purpose: str, positions: Positions) -> torch.Tensor:
    """t_B from the training density: logit-normal(mean, std), then shifted."""
    z = normal(seed, purpose, positions)
    return shift_time(torch.sigmoid(time.mean + time.std * z), time.shift)


def time_quantile(time: TimeConfig, probability: torch.Tensor) -> torch.Tensor:
    """t below which the training density holds `probability`; edges of equal-probability bins."""
    z = torch.special.ndtri(probability.double())
    return shift_time(torch.sigmoid(time.mean + time.std * z), time.shift).float()


def time_probability(time: TimeConfig, t_B: torch.Tensor) -> torch.Tensor:
    """Cumulative probability of the training density at t; inverse of time_quantile."""
    logit = torch.logit(unshift_time(t_B.double(), time.shift))
    return torch.special.ndtr((logit - time.mean) / time.std).float()


def even_grid(steps: int, shift: float = 1.0) -> list[float]:
    """Step times from 1 towards 0, even in t and then shifted, without the closing 0."""
    if steps < 1:
        raise ValueError(f"a grid needs at least one step, got {steps}")
    even = torch.linspace(1, 0, steps + 1, dtype=torch.float64)[:-1]
    return [float(t) for t in shift_time(even, shift)]


def checked_grid(grid: Sequence[float]) -> list[float]:
    """An explicit grid: times in (0, 1], strictly falling, without the closing 0."""
    times = [float(t) for t in grid]
    if not times or not all(0 < t <= 1 for t in times) or any(b >= a for a, b in pairwise(times)):
        raise ValueError(f"a grid falls strictly from at most 1 and stays above 0, got {times}")
    return times


def sd3_sigmas(steps: int, shift: float = 3.0, train_steps: int = 1000) -> list[float]:
    """Sigmas of diffusers' FlowMatchEulerDiscreteScheduler, closing 0 included (training.md B.3).

    The scheduler shifts its table, spaces timesteps evenly between the *shifted* ends and shifts
    again; reproduced because SD3.5-Turbo was made for these values.
    """
    if steps < 1:
        raise ValueError(f"a schedule needs at least one step, got {steps}")
    table = shift_time(torch.tensor([1.0, 1.0 / train_steps], dtype=torch.float64), shift)
    even = torch.linspace(float(table[0]), float(table[1]), steps, dtype=torch.float64)
    return [float(s) for s in shift_time(even, shift)] + [0.0]
