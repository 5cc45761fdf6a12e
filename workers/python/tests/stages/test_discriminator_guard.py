import pytest
import torch
from torch import nn

from limbeck.stages.discriminator_guard import DiscriminatorGuard, DiscriminatorWon, StudentCollapsed
from limbeck.training.ema import Ema

HEALTHY, WON = torch.tensor(0.6), torch.tensor(1.0)


def guarded(**changes: object) -> tuple[nn.Linear, Ema, DiscriminatorGuard]:
    student = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(student.weight)
    ema = Ema(student, 0.5)
    settings = {"steps": 100, "stop_accuracy": 0.9, "stop_window_share": 0.1, "check_every": 2, **changes}
    return student, ema, DiscriminatorGuard(student, ema, **settings)


def walk(
    student: nn.Linear, ema: Ema, guard: DiscriminatorGuard, first: int, accuracies: list[torch.Tensor]
) -> None:
    """The weight counts the steps, so that a restored state says where it is from."""
    for step, accuracy in enumerate(accuracies, start=first):
        with torch.no_grad():
            student.weight.fill_(step + 1)
        ema.update(student, step)
        guard.observe(step, accuracy)


def test_a_healthy_discriminator_never_stops_the_stage() -> None:
    student, ema, guard = guarded()
    walk(student, ema, guard, 0, [HEALTHY] * 100)
    assert guard.kept_step > 0


def test_the_window_is_a_share_of_the_stage_and_must_be_held_without_a_break() -> None:
    student, ema, guard = guarded()
    assert guard.window == 10
    burst = [WON] * 18 + [torch.tensor(0.0)] * 4  # smoothing: about 15 steps until 0.9 is passed
    walk(student, ema, guard, 0, burst * 4)
    with pytest.raises(DiscriminatorWon, match=r"above 0\.9 for 1\d steps"):
        walk(student, ema, guard, 88, [WON] * 60)


def test_the_last_healthy_state_comes_back_with_its_average() -> None:
    student, ema, guard = guarded()
    walk(student, ema, guard, 0, [HEALTHY] * 20)
    kept = guard.kept_step
    average = {name: value.clone() for name, value in ema.weights.items()}
    assert kept == 20
    with pytest.raises(DiscriminatorWon):
        walk(student, ema, guard, 20, [WON] * 80)
    restored = guard.restore()
    assert student.weight.item() == restored >= kept
    if restored == kept:
        assert torch.equal(ema.weights["weight"], average["weight"])
    assert guard.unhealthy_steps >= guard.window


def test_without_a_healthy_state_there_is_nothing_to_restore() -> None:
    student, ema, guard = guarded(stop_accuracy=0.1)
    with pytest.raises(DiscriminatorWon):
        walk(student, ema, guard, 0, [WON] * 100)
    assert guard.restore() == 0


def test_a_resumed_guard_stops_at_the_same_step() -> None:
    accuracies = [HEALTHY] * 25 + [WON] * 70

    def stopped_at(interrupted_at: int | None) -> tuple[int, float]:
        student, ema, guard = guarded()
        for step, accuracy in enumerate(accuracies):
            if step == interrupted_at:
                tensors = {name: value.clone() for name, value in guard.state_tensors().items()}
                averaged = dict(ema.weights)
                student, ema, guard = guarded()
                guard.load_state_tensors(tensors)
                ema.load(averaged)
            try:
                walk(student, ema, guard, step, [accuracy])
            except DiscriminatorWon:
                guard.restore()
                return step, student.weight.item()
        raise AssertionError("the guard never fired")

    assert stopped_at(None) == stopped_at(30) == stopped_at(37)


def test_images_that_become_alike_stop_the_stage_at_the_last_state_where_they_were_not() -> None:
    student, ema, guard = guarded()
    walk(student, ema, guard, 0, [HEALTHY] * 5)
    guard.observe_spread(5, 0.9, lowest=0.5)
    walk(student, ema, guard, 5, [HEALTHY] * 2)
    with pytest.raises(StudentCollapsed, match=r"spread is 0\.400 after step 7, it may fall to 0\.500"):
        guard.observe_spread(7, 0.4, lowest=0.5)
    assert guard.restore() == 5 and student.weight.item() == 5


def test_a_state_in_which_the_discriminator_leads_is_not_kept() -> None:
    student, ema, guard = guarded()
    walk(student, ema, guard, 0, [HEALTHY] * 4 + [WON] * 17)
    kept = guard.kept_step
    guard.observe_spread(21, 0.9, lowest=0.5)
    assert guard.kept_step == kept < 21
