"""Keyed draws: what a sample gets depends on (seed, purpose, position) and on nothing else."""

import numpy as np
import pytest
import torch

from limbeck.data.randomness import batch_positions, generator_at, normal, shuffled, uniform

GOLDEN_NORMALS = [-0.3512759804725647, -0.12251899391412735, 1.1799975633621216, 0.5637576580047607]
GOLDEN_UNIFORM = 0.10587048530578613


def test_golden_numbers() -> None:
    """Another numpy that draws other numbers would silently change every run's meaning."""
    assert normal(0, "noise", [0, 1], (2,)).flatten().tolist() == GOLDEN_NORMALS
    assert uniform(3, "caption dropout", [7]).item() == GOLDEN_UNIFORM


def test_a_draw_does_not_depend_on_its_batch() -> None:
    whole = normal(1, "noise", range(100, 108), (4, 3, 3))
    assert torch.equal(normal(1, "noise", [103], (4, 3, 3))[0], whole[3])
    assert torch.equal(normal(1, "noise", [107, 100], (4, 3, 3)), whole[[7, 0]])


def test_seed_and_purpose_and_position_all_matter() -> None:
    base = normal(1, "noise", [5], (16,))
    for other in (normal(2, "noise", [5], (16,)), normal(1, "t", [5], (16,)), normal(1, "noise", [6], (16,))):
        assert (base - other).abs().min() > 0


def test_neighbouring_positions_are_independent() -> None:
    values = normal(0, "noise", range(2000), (8,))
    correlation = torch.corrcoef(torch.stack([values[:-1].flatten(), values[1:].flatten()]))[0, 1]
    assert abs(correlation) < 0.03
    assert values.mean().abs() < 0.03 and (values.std() - 1).abs() < 0.03


def test_uniforms_fill_the_unit_interval() -> None:
    values = uniform(0, "u", range(5000))
    assert values.min() >= 0 and values.max() < 1
    assert (torch.histc(values, bins=10, min=0, max=1) - 500).abs().max() < 100


def test_nothing_touches_the_global_generators() -> None:
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    normal(0, "noise", range(8), (2,))
    shuffled(0, "order", range(8), 5)
    assert torch.equal(torch.rand(3), expected)


def test_every_epoch_visits_each_sample_once_in_a_new_order() -> None:
    first, second = shuffled(0, "order", range(50), 50), shuffled(0, "order", range(50, 100), 50)
    assert sorted(first) == sorted(second) == list(range(50))
    assert not np.array_equal(first, second)
    # A batch across the end of an epoch is the concatenation of both.
    assert np.array_equal(shuffled(0, "order", range(45, 55), 50), np.concatenate([first[45:], second[:5]]))


def test_positions_of_steps_are_contiguous() -> None:
    assert np.array_equal(np.concatenate([batch_positions(s, 3) for s in range(3)]), np.arange(9))


def test_a_negative_position_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        generator_at(0, "noise", -1)
