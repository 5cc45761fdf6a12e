"""S(): traps 1 to 6 of paper.md section 9 are tests here."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.contracts.generated import ScalingConfig, TimeConfig
from limbeck.objectives.flow import draw_time
from limbeck.objectives.scaling import LossScaling, grid_edges, probability_edges, task_weight

TIME = TimeConfig()
EDGES = probability_edges(TIME, 8)


def losses(count: int = 64, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    t_B = draw_time(TIME, seed, "test t", range(count))
    task_B = 0.1 + torch.rand(count, generator=generator)
    terms = {
        "output": 0.01 + 0.1 * torch.rand(count, generator=generator),
        "feature": 1 + torch.rand(count, generator=generator),
    }
    return t_B, task_B, terms


def scaled(weights: dict[str, float], **config: object) -> LossScaling:
    return LossScaling(ScalingConfig(**config), weights, EDGES)


# --- a_t -----------------------------------------------------------------------------------------


def test_reading_a_is_symmetric_one_in_the_middle_and_zero_at_the_ends() -> None:
    t = torch.linspace(0, 1, 41, dtype=torch.float64)
    a = task_weight(t, "A")
    torch.testing.assert_close(a, a.flip(0))
    assert float(a[20]) == pytest.approx(1.0)
    assert float(a[0]) == float(a[-1]) == 0.0
    assert float(a.max()) == pytest.approx(1.0)
    for time, expected in ((0.25, 0.73), (0.1, 0.25), (0.01, 0.00)):
        assert float(task_weight(torch.tensor([time]), "A")) == pytest.approx(expected, abs=0.006)


def test_reading_b_never_falls_below_one_half_inside() -> None:
    for time, expected in ((0.5, 0.95), (0.25, 0.88), (0.1, 0.65), (0.01, 0.50)):
        assert float(task_weight(torch.tensor([time]), "B")) == pytest.approx(expected, abs=0.006)
    assert task_weight(torch.tensor([0.0, 1.0]), "B").tolist() == [0.0, 0.0]


def test_the_monotone_reading_is_refused() -> None:
    with pytest.raises(ValueError, match="A or B"):
        task_weight(torch.tensor([0.5]), "C")


def test_the_curve_moves_with_the_time_shift() -> None:
    assert float(task_weight(torch.tensor([0.75]), "A", shift=3.0)) == pytest.approx(1.0)


@given(st.floats(0, 1, width=32))
def test_a_is_a_share_for_every_t(time: float) -> None:
    for curve in ("A", "B"):
        assert 0.0 <= float(task_weight(torch.tensor([time]), curve)) <= 1.0


# --- bins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", [TimeConfig(), TimeConfig(shift=3.0), TimeConfig(mean=0.8, std=0.7)])
def test_bins_are_equally_probable_under_the_training_density(time: TimeConfig) -> None:
    scaling = LossScaling(ScalingConfig(bins=16), {"output": 1.0}, probability_edges(time, 16))
    t_B = draw_time(time, 0, "bins", range(8000))
    share = torch.bincount(scaling.bin_of(t_B), minlength=16) / 8000
    # Standard error of a share of 1/16 over 8000 draws is 0.0027.
    assert float((share - 1 / 16).abs().max()) < 4 * 0.0027


def test_every_time_has_a_bin() -> None:
    scaling = scaled({"output": 1.0})
    assert scaling.bin_of(torch.tensor([0.0, 1.0])).tolist() == [0, 7]


def test_grid_times_have_a_bin_each() -> None:
    times = [1.0, 0.875, 0.75, 0.5, 0.25]
    scaling = LossScaling(ScalingConfig(), {"output": 1.0}, grid_edges(times))
    assert scaling.bin_of(torch.tensor(times)).tolist() == [4, 3, 2, 1, 0]


# --- value and gradient --------------------------------------------------------------------------


def test_the_value_of_s_is_the_task_loss() -> None:
    """Exactly so with the ratio per sample: the total says nothing about KD (trap 2)."""
    t_B, task_B, terms = losses()
    one = scaled({"output": 1.0}, ratio="per_sample").combine(t_B, task_B, terms)
    torch.testing.assert_close(one.total, task_B.mean(), rtol=1e-6, atol=0)
    both = scaled({"output": 1.0, "feature": 1.0}, ratio="per_sample").combine(t_B, task_B, terms)
    torch.testing.assert_close(both.total, 2 * task_B.mean(), rtol=1e-6, atol=0)


def test_the_value_of_s_is_the_task_loss_with_ratios_of_running_means() -> None:
    t_B = torch.tensor([0.1, 0.1, 0.5, 0.5, 0.9, 0.9])
    _, task_B, terms = losses(6)
    scaling = scaled({"output": 1.0}, decay=0.0)
    scaling.observe(t_B, task_B, terms)
    # decay 0: the means are this batch's, and one t per bin makes the identity exact in every bin.
    parts = scaling.combine(t_B, task_B, terms)
    torch.testing.assert_close(parts.total, task_B.mean(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("ratio", ["per_bin", "per_sample"])
@pytest.mark.parametrize("mode", ["timestep", "equal"])
def test_the_gradient_depends_on_the_teacher(mode: str, ratio: str) -> None:
    """Trap 1: an undetached ratio would make the second term the task loss itself."""
    t_B, _, _ = losses(16)

    def gradient(teacher: float) -> torch.Tensor:
        student = torch.linspace(-1, 1, 16).requires_grad_()
        task_B, terms = (student - 0.3).square(), {"output": (student - teacher).square()}
        scaling = scaled({"output": 1.0}, mode=mode, ratio=ratio)
        scaling.observe(t_B, task_B, terms)
        return torch.autograd.grad(scaling.combine(t_B, task_B, terms).total, student)[0]

    assert float((gradient(0.5) - gradient(-2.0)).abs().max()) > 1e-3


def test_an_undetached_ratio_would_lose_the_teacher() -> None:
    """What the detachment is for, shown on the formula itself: this gradient is the task's alone."""
    student = torch.linspace(-1, 1, 16).requires_grad_()
    task_B, kd_B = (student - 0.3).square(), (student - 2.0).square()
    a_B = task_weight(losses(16)[0], "A")
    attached = a_B * task_B + (1 - a_B) * (task_B / kd_B) * kd_B
    ours = scaled({"output": 1.0}, ratio="per_sample").combine(losses(16)[0], task_B, {"output": kd_B})
    task_alone = torch.autograd.grad(task_B.mean(), student, retain_graph=True)[0]
    torch.testing.assert_close(
        torch.autograd.grad(attached.mean(), student, retain_graph=True)[0], task_alone
    )
    assert float((torch.autograd.grad(ours.total, student)[0] - task_alone).abs().max()) > 1e-3


def test_the_gradient_is_the_stated_mixture_of_task_and_distillation() -> None:
    t_B, _, _ = losses(16)
    student = torch.linspace(-1, 1, 16).requires_grad_()
    task_B, kd_B = (student - 0.3).square(), (student - 2.0).square()
    scaling = scaled({"output": 3.0})
    scaling.observe(t_B, task_B, {"output": kd_B})
    parts = scaling.combine(t_B, task_B, {"output": kd_B})
    a_B = task_weight(t_B, "A")
    expected = (
        a_B * 2 * (student - 0.3) + 3.0 * (1 - a_B) * parts.ratio["output"] * 2 * (student - 2.0)
    ) / 16
    torch.testing.assert_close(torch.autograd.grad(parts.total, student)[0], expected.detach())
    torch.testing.assert_close(parts.weight["output"], 3.0 * (1 - a_B) * parts.ratio["output"])


def test_the_task_loss_counts_once_in_every_s() -> None:
    """Trap 5: with two distillation terms data weigh 2 a_t."""
    t_B, task_B, terms = losses()
    both = scaled({"output": 1.0, "feature": 1.0}).combine(t_B, task_B, terms)
    torch.testing.assert_close(both.task_weight_B, 2 * task_weight(t_B, "A"))


def test_no_term_means_the_plain_task_loss() -> None:
    t_B, task_B, terms = losses()
    parts = scaled({"output": 0.0, "feature": 0.0}).combine(t_B, task_B, terms)
    assert torch.equal(parts.total, task_B.mean()) and parts.weight == {}


@pytest.mark.parametrize("mode", ["timestep", "equal", "global", "none"])
def test_a_term_of_weight_zero_is_left_out(mode: str) -> None:
    t_B, task_B, terms = losses()
    totals = []
    for output_loss in (terms["output"], terms["output"] * 50):
        scaling = scaled({"output": 0.0, "feature": 1.0}, mode=mode)
        given_terms = {**terms, "output": output_loss}
        scaling.observe(t_B, task_B, given_terms)
        totals.append(scaling.combine(t_B, task_B, given_terms).total)
    assert torch.equal(*totals)


def test_mode_equal_brings_each_term_to_the_task_loss_and_keeps_the_task_whole() -> None:
    t_B = torch.tensor([0.1, 0.5, 0.9])
    task_B, terms = torch.tensor([4.0, 1.0, 2.0]), {"output": torch.tensor([1.0, 2.0, 8.0])}
    scaling = scaled({"output": 1.0}, mode="equal", decay=0.0)
    scaling.observe(t_B, task_B, terms)
    parts = scaling.combine(t_B, task_B, terms)
    assert parts.task_weight_B.tolist() == [1.0, 1.0, 1.0]
    assert parts.ratio["output"].tolist() == pytest.approx([4.0, 0.5, 0.25])
    assert float(parts.total) == pytest.approx(2 * float(task_B.mean()))


def test_mode_global_has_one_ratio_for_all_times() -> None:
    t_B, task_B, terms = losses()
    scaling = scaled({"output": 1.0}, mode="global")
    scaling.observe(t_B, task_B, terms)
    parts = scaling.combine(t_B, task_B, terms)
    assert len(parts.ratio["output"].unique()) == 1
    assert float(parts.ratio["output"][0]) == pytest.approx(
        float(task_B.mean() / terms["output"].mean()), rel=1e-5
    )


def test_mode_none_is_the_plain_sum() -> None:
    t_B, task_B, terms = losses()
    parts = scaled({"output": 2.0, "feature": 1.0}, mode="none").combine(t_B, task_B, terms)
    expected = (task_B + 2 * terms["output"] + terms["feature"]).mean()
    torch.testing.assert_close(parts.total, expected)


def test_ratio_per_sample_is_refused_where_it_has_no_meaning() -> None:
    with pytest.raises(ValueError, match="per_sample has no meaning in mode global"):
        scaled({"output": 1.0}, mode="global", ratio="per_sample")


# --- running means -------------------------------------------------------------------------------


def test_ratios_are_per_bin_of_t_and_not_a_batch_mean() -> None:
    """Trap 4: one factor for the whole batch would lose the effect that is claimed."""
    t_B = torch.tensor([0.05, 0.95]).repeat(32)
    task_B = torch.ones(64)
    terms = {"output": torch.tensor([1.0, 0.03]).repeat(32)}
    scaling = scaled({"output": 1.0})
    for _ in range(40):
        scaling.observe(t_B, task_B, terms)
    ratio = scaling.combine(t_B, task_B, terms).ratio["output"]
    assert float(ratio[0]) == pytest.approx(1.0, rel=0.02)
    assert float(ratio[1]) == pytest.approx(1 / 0.03, rel=0.05)


def test_means_start_from_the_first_batch() -> None:
    t_B, task_B, terms = losses()
    scaling = scaled({"output": 1.0})
    scaling.observe(t_B[:1], task_B[:1], {"output": terms["output"][:1]})
    expected = float(task_B[0] / terms["output"][0])
    # A bin that no sample has visited yet uses the first batch's overall mean.
    every_bin = torch.tensor([0.01, 0.3, 0.5, 0.7, 0.99])
    ratio = scaling.combine(every_bin, torch.ones(5), {"output": torch.ones(5)}).ratio["output"]
    assert ratio.tolist() == pytest.approx([expected] * 5, rel=1e-5)


def test_a_bin_without_samples_keeps_its_mean() -> None:
    scaling = scaled({"output": 1.0})
    scaling.observe(torch.tensor([0.1, 0.9]), torch.tensor([1.0, 2.0]), {"output": torch.tensor([1.0, 1.0])})
    before = scaling.means.clone()
    scaling.observe(torch.tensor([0.1]), torch.tensor([9.0]), {"output": torch.tensor([1.0])})
    low, high = scaling.bin_of(torch.tensor([0.1, 0.9])).tolist()
    assert torch.equal(scaling.means[:, high], before[:, high])
    assert float(scaling.means[0, low]) > float(before[0, low])


def test_the_ratio_is_clamped_and_the_hits_are_counted() -> None:
    t_B = torch.full((4,), 0.5)
    scaling = scaled({"output": 1.0}, ratio="per_sample", ratio_limits=(0.5, 2.0))
    parts = scaling.combine(
        t_B, torch.tensor([1.0, 1.0, 1.0, 1.0]), {"output": torch.tensor([1e-9, 1.0, 10.0, 0.8])}
    )
    assert parts.ratio["output"].tolist() == pytest.approx([2.0, 1.0, 0.5, 1.25])
    assert float(parts.clamped["output"]) == 0.5


@settings(max_examples=30)
@given(
    st.lists(st.floats(2.0**-20, 2.0**20, width=32), min_size=4, max_size=4),
    st.sampled_from(["timestep", "equal", "global"]),
)
def test_any_positive_losses_give_a_finite_total_within_the_limits(values: list[float], mode: str) -> None:
    t_B, kd_B = torch.tensor([0.0, 0.2, 0.8, 1.0]), torch.tensor(values)
    scaling = scaled({"output": 1.0}, mode=mode)
    scaling.observe(t_B, torch.ones(4), {"output": kd_B})
    parts = scaling.combine(t_B, torch.ones(4), {"output": kd_B})
    assert torch.isfinite(parts.total)
    assert float(parts.ratio["output"].min()) >= 0.0099 and float(parts.ratio["output"].max()) <= 100.1


def test_state_survives_a_checkpoint_to_the_bit() -> None:
    first, second = (scaled({"output": 1.0, "feature": 1.0}) for _ in range(2))
    for step in range(3):
        first.observe(*losses(seed=step))
    second.load_state_tensors(first.state_tensors())
    for scaling in (first, second):
        scaling.observe(*losses(seed=9))
    assert torch.equal(first.means, second.means) and torch.equal(first.updates, second.updates)


def test_state_of_another_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 8\).*needs \(3, 8\)"):
        scaled({"output": 1.0, "feature": 1.0}).load_state_tensors(scaled({"output": 1.0}).state_tensors())
