"""The time convention: golden sigmas, inverses, keyed times."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limbeck.contracts.generated import TimeConfig
from limbeck.data.randomness import normal
from limbeck.objectives.flow import (
    checked_grid,
    data_from_velocity,
    draw_time,
    even_grid,
    interpolate,
    noise_from_velocity,
    sd3_sigmas,
    shift_time,
    time_probability,
    time_quantile,
    unshift_time,
    velocity_from_data,
    velocity_target,
)

GOLDEN_SIGMAS = {
    4: [1.0, 0.85769, 0.60215, 0.00893, 0],
    8: [1.0, 0.94754, 0.88279, 0.80084, 0.69379, 0.54805, 0.33797, 0.00893, 0],
}
"""training.md B.3: diffusers' FlowMatchEulerDiscreteScheduler at shift 3."""


@pytest.mark.parametrize("steps", GOLDEN_SIGMAS)
def test_sd3_sigmas_are_the_golden_ones(steps: int) -> None:
    assert sd3_sigmas(steps) == pytest.approx(GOLDEN_SIGMAS[steps], abs=6e-6)


def test_sd3_sigmas_at_28_steps_end_where_the_scheduler_ends() -> None:
    sigmas = sd3_sigmas(28)
    assert len(sigmas) == 29 and sigmas[0] == 1 and sigmas[-1] == 0
    assert sigmas[-2] == pytest.approx(0.00893, abs=6e-6)


@pytest.mark.parametrize("steps", [4, 8, 28])
def test_sd3_sigmas_equal_the_scheduler(steps: int) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(steps)
    assert sd3_sigmas(steps) == pytest.approx(scheduler.sigmas.tolist(), abs=1e-6)


@given(t=st.floats(0.01, 0.99), seed=st.integers(0, 1000))
def test_velocity_gives_back_data_and_noise(t: float, seed: int) -> None:
    x0 = normal(seed, "x0", range(2), (3, 4, 4))
    noise = normal(seed, "noise", range(2), (3, 4, 4))
    t_B = torch.full((2,), t)
    x_t, v = interpolate(x0, noise, t_B), velocity_target(x0, noise)
    torch.testing.assert_close(data_from_velocity(x_t, v, t_B), x0, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(noise_from_velocity(x_t, v, t_B), noise, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(velocity_from_data(x_t, x0, t_B), v, atol=1e-3, rtol=1e-3)


def test_time_runs_from_data_to_noise() -> None:
    x0, noise = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    assert interpolate(x0, noise, torch.zeros(1)).item() == 0
    assert interpolate(x0, noise, torch.ones(1)).item() == 1


@given(t=st.floats(0, 1), shift=st.floats(0.2, 8))
def test_shift_has_its_inverse_and_keeps_the_ends(t: float, shift: float) -> None:
    time = torch.tensor(t, dtype=torch.float64)
    assert unshift_time(shift_time(time, shift), shift).item() == pytest.approx(t, abs=1e-9)
    assert shift_time(torch.tensor([0.0, 1.0]), shift).tolist() == pytest.approx([0, 1])


def test_quantiles_and_probabilities_are_inverse() -> None:
    time = TimeConfig(shift=3, mean=0.2, std=0.8)
    probability = torch.linspace(0.05, 0.95, 19)
    torch.testing.assert_close(
        time_probability(time, time_quantile(time, probability)), probability, atol=1e-4, rtol=0
    )


def test_drawn_times_fall_evenly_into_bins_of_equal_probability() -> None:
    time = TimeConfig(shift=3, mean=-0.5, std=1.2)
    t_B = draw_time(time, 5, "t", range(4000))
    share = torch.histc(time_probability(time, t_B), bins=8, min=0, max=1) / 4000
    assert (share - 1 / 8).abs().max() < 0.025


def test_a_time_belongs_to_its_position() -> None:
    time = TimeConfig()
    whole = draw_time(time, 1, "t", range(10))
    assert torch.equal(draw_time(time, 1, "t", range(4, 7)), whole[4:7])
    assert not torch.equal(draw_time(time, 2, "t", range(10)), whole)


def test_grids() -> None:
    assert even_grid(4) == [1, 0.75, 0.5, 0.25]
    assert even_grid(4, 3.0) == pytest.approx([1, 0.9, 0.75, 0.5])
    assert checked_grid([1, 0.5]) == [1.0, 0.5]
    for wrong in ([], [0.5, 0.5], [0.5, 0.7], [1.2], [0.5, 0.0]):
        with pytest.raises(ValueError, match="falls strictly"):
            checked_grid(wrong)
