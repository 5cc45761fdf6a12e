"""The bootstrap against what theory says of it."""

from __future__ import annotations

import numpy as np
import pytest

from limbeck.evaluation.bootstrap import Stratum, mean_over_strata, percentile_interval, resampled_means


def stratum(correct: list[int], images: int) -> Stratum:
    return Stratum(
        correct_P=np.array(correct, dtype=np.float64),
        images_P=np.full(len(correct), images, dtype=np.float64),
    )


def width(one: Stratum) -> float:
    interval = percentile_interval(resampled_means({"t": one}, seed=1)["t"])
    return interval.high - interval.low


def test_width_is_the_binomial_one() -> None:
    expected = 2 * 1.96 * np.sqrt(0.25 / 400)
    assert width(stratum([0, 1] * 200, 1)) == pytest.approx(expected, rel=0.08)


def test_images_of_one_prompt_stay_together() -> None:
    # Four equal images of a prompt tell as much as one; four independent ones would halve the width.
    assert width(stratum([0, 4] * 200, 4)) == pytest.approx(width(stratum([0, 1] * 200, 1)))


def test_draws_do_not_depend_on_other_strata_and_do_on_the_seed() -> None:
    one, other = stratum([0, 1, 1], 1), stratum([1, 0, 0, 1], 1)
    alone = resampled_means({"one": one}, seed=5)
    both = resampled_means({"other": other, "one": one}, seed=5)
    np.testing.assert_array_equal(alone["one"], both["one"])
    assert not np.array_equal(alone["one"], resampled_means({"one": one}, seed=6)["one"])
    np.testing.assert_allclose(mean_over_strata(both), (both["one"] + both["other"]) / 2)


def test_unequal_prompts_weigh_by_their_images() -> None:
    one = Stratum(correct_P=np.array([1.0, 0.0]), images_P=np.array([1.0, 3.0]))
    assert one.mean == 0.25
    assert set(np.unique(resampled_means({"t": one}, seed=0)["t"])) == {0.0, 0.25, 1.0}


def test_bad_input_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        stratum([], 1)
    with pytest.raises(ValueError, match="at least one image"):
        stratum([0, 1], 0)
    with pytest.raises(ValueError, match="at least 100"):
        resampled_means({"t": stratum([1], 1)}, seed=0, replicates=10)
