"""Frechet distance and KID against closed forms, slow loops and what theory says of them."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import linalg

from limbeck.evaluation.feature_statistics import (
    CHUNK_ROWS,
    DEFINITE_TOLERANCE,
    SYMMETRY_TOLERANCE,
    FeatureStatistics,
    MomentAccumulator,
)
from limbeck.evaluation.frechet import FrechetReport, _at_least_zero, compare, frechet_distance
from limbeck.evaluation.inputs import InputError
from limbeck.evaluation.kernel_distance import TILE, _drawn, kernel_distance, unbiased_mmd2
from limbeck.evaluation.statistics_file import load_statistics, save_statistics


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).normal(size=shape)


def gaussian(mu: Any, sigma: Any, n: int = 1000, **stated: Any) -> FeatureStatistics:
    return FeatureStatistics(
        mu_D=np.asarray(mu, np.float64), sigma_DD=np.asarray(sigma, np.float64), n=n, **stated
    )


def sample(seed: int, n: int, width: int) -> FeatureStatistics:
    """Correlated features with an offset."""
    mixed = normal(seed, n, width) @ normal(seed + 1000, width, width)
    return FeatureStatistics.from_features(mixed + normal(seed + 2000, width))


def trace(statistics: FeatureStatistics) -> float:
    return float(np.trace(statistics.sigma_DD))


# Distance


def test_diagonal_gaussians_have_the_closed_form() -> None:
    one, other = gaussian([0, 1, 2], np.diag([1, 4, 9])), gaussian([1, 1, 0], np.diag([4, 4, 0.25]))
    # means 1 + 0 + 4; standard deviations 1, 2, 3 against 2, 2, 1/2
    assert frechet_distance(one, other) == pytest.approx(5 + 1 + 0 + 6.25, rel=1e-14)


def test_commuting_covariances_have_the_closed_form() -> None:
    basis = np.linalg.qr(normal(0, 6, 6))[0]
    a, b = np.array([1e-6, 0.1, 1, 2, 3, 50]), np.array([1, 0.2, 1e-4, 2, 5, 40])
    found = frechet_distance(
        gaussian(np.zeros(6), basis * a @ basis.T), gaussian(np.zeros(6), basis * b @ basis.T)
    )
    assert found == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-12)


def test_covariances_that_do_not_commute_agree_with_the_matrix_root_of_the_product() -> None:
    one, other = sample(1, 200, 12), sample(2, 300, 12)
    root = linalg.sqrtm(one.sigma_DD @ other.sigma_DD)
    means = ((one.mu_D - other.mu_D) ** 2).sum()
    expected = means + trace(one) + trace(other) - 2 * np.trace(root).real
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("n", "width"), [(500, 64), (40, 64), (2, 64), (30, 1)])
def test_a_set_is_at_zero_from_itself(n: int, width: int) -> None:
    one = sample(3, n, width)
    assert 0 <= frechet_distance(one, one) < 1e-8 * trace(one)


def test_too_few_samples_give_the_distance_of_the_subspaces_they_span() -> None:
    # With centred samples X, Y the last trace is the nuclear norm of X Y^T / sqrt((n - 1) (m - 1)).
    n, m, width = 40, 25, 64
    one, other = sample(4, n, width), sample(5, m, width)
    assert one.features_ND is not None and other.features_ND is not None
    x, y = one.features_ND - one.mu_D, other.features_ND - other.mu_D
    overlap = np.linalg.svd(x @ y.T, compute_uv=False).sum() / np.sqrt((n - 1) * (m - 1))
    means = ((one.mu_D - other.mu_D) ** 2).sum()
    expected = means + (x**2).sum() / (n - 1) + (y**2).sum() / (m - 1) - 2 * overlap
    # The roots of the product's eigenvalues reach 1e-8 of it at best.
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-12)


def test_order_of_the_arguments_does_not_matter_and_a_shift_adds_its_square() -> None:
    one, other = sample(6, 50, 20), sample(7, 15, 20)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one), rel=1e-13)
    moved = replace(one, mu_D=one.mu_D + 3)
    assert frechet_distance(one, moved) == pytest.approx(9 * 20, rel=1e-12)


def test_a_sigma_rounded_to_float32_passes_and_is_at_zero_from_itself() -> None:
    exact = sample(8, 20, 64)
    rounded = gaussian(exact.mu_D, exact.sigma_DD.astype(np.float32), n=20)
    assert np.linalg.eigvalsh(rounded.sigma_DD)[0] < -1e-12  # rounding made it indefinite
    assert frechet_distance(rounded, rounded) < 1e-8 * trace(rounded)


@pytest.mark.parametrize("other", [gaussian([0], [[1]]), gaussian([0, 0, 0], np.eye(3))])
def test_other_widths_are_refused(other: FeatureStatistics) -> None:
    with pytest.raises(ValueError, match=rf"the first has 2, the second {other.mu_D.size}"):
        frechet_distance(gaussian([0, 0], np.eye(2)), other)


def test_a_distance_beyond_float64_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond float64"):
        frechet_distance(gaussian([1e200], [[1]]), gaussian([0], [[1]]))
    with pytest.raises(ValueError, match="largest, inf"):
        frechet_distance(gaussian([0] * 4, np.full((4, 4), 1.7e308)), gaussian([0] * 4, np.eye(4)))


def test_only_rounding_is_taken_for_zero() -> None:
    assert _at_least_zero(0.5, 100) == 0.5
    assert _at_least_zero(-0.99e-6, 100) == 0
    with pytest.raises(ArithmeticError, match=r"-1\.01e-06 at traces of 100"):
        _at_least_zero(-1.01e-6, 100)


# Statistics


def statistics_of(mu: Any, sigma: Any, n: int = 10) -> dict[str, Any]:
    return {"mu_D": np.asarray(mu, np.float64), "sigma_DD": np.asarray(sigma, np.float64), "n": n}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (statistics_of(np.zeros((2, 1)), np.eye(2)), r"mu has shape \(2, 1\); allowed: \[D\]"),
        (statistics_of([], np.zeros((0, 0))), r"mu has shape \(0,\); allowed: \[D\] with D at least 1"),
        (statistics_of([0, 0], np.ones((2, 3))), r"sigma has shape \(2, 3\); allowed: \(2, 2\)"),
        (statistics_of([0, 0], [1, 1]), r"sigma has shape \(2,\); allowed: \(2, 2\)"),
        (statistics_of([0, 0], np.eye(2), n=1), "n is 1; allowed: at least 2"),
        (statistics_of([0, np.nan], np.eye(2)), r"mu is nan at entry 1 \(from 0\)"),
        (statistics_of([0, 0], [[1, 0], [np.inf, 1]]), "sigma is inf at row 1, column 0"),
        (statistics_of([0, 0], np.diag([1, -1e-300])), r"sigma\[1, 1\] is -1e-300; a variance is at least 0"),
        (statistics_of([0, 0], np.zeros((2, 2))), "sigma is singular: 0 everywhere"),
        (
            {**statistics_of([0, 0], np.eye(2)), "features_ND": np.zeros((9, 2))},
            r"features has shape \(9, 2\); allowed: \(10, 2\)",
        ),
    ],
)
def test_statistics_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FeatureStatistics(**fields)


def test_smallest_statistics_that_can_be() -> None:
    assert gaussian([0, 0], np.diag([1, 0]), n=2).factor_DR.shape == (2, 1)


def test_symmetry_is_relative_to_the_largest_entry() -> None:
    def tilted(apart: float) -> FeatureStatistics:
        return gaussian([0, 0], [[1e4, apart * 1e4], [0, 1e4]])

    tilted(0.99 * SYMMETRY_TOLERANCE)
    with pytest.raises(ValueError, match=r"not symmetric: it and its transpose differ by 0\.0101"):
        tilted(1.01 * SYMMETRY_TOLERANCE)


def test_an_eigenvalue_below_zero_is_rounding_or_no_covariance() -> None:
    def with_lowest(relative: float) -> FeatureStatistics:
        # Eigenvalues 2 and 2 * relative along (1, 1) and (1, -1).
        return gaussian([0, 0], [[1 + relative, 1 - relative], [1 - relative, 1 + relative]])

    assert with_lowest(-0.99 * DEFINITE_TOLERANCE).factor_DR.shape == (2, 1)
    with pytest.raises(ValueError, match=r"no covariance: its lowest eigenvalue is -2\.02e-06"):
        _ = with_lowest(-1.01 * DEFINITE_TOLERANCE).factor_DR


def test_rank_deficiency_is_few_samples_or_a_feature_that_says_nothing() -> None:
    assert sample(9, 8, 8).rank_deficient
    assert not sample(9, 9, 8).rank_deficient
    assert gaussian([0, 0], np.diag([1, 0]), n=1000).rank_deficient
    assert gaussian([0, 0], np.eye(2), n=2).rank_deficient  # whatever sigma says: two samples span a line


# Accumulator


def test_moments_are_those_of_numpy_where_one_pass_sums_fail() -> None:
    plain = normal(10, 3000, 16)
    offset = plain + 1e6
    one_pass = (offset.T @ offset - 3000 * np.outer(offset.mean(0), offset.mean(0))) / 2999
    expected = np.cov((offset - 1e6).T)  # the offset has rounded the samples, so of these, not of `plain`
    assert np.abs(one_pass - expected).max() > 1e-4

    moments = MomentAccumulator(16)
    for start in range(0, 3000, 700):
        moments.update(offset[start : start + 700])
    found = moments.statistics()
    assert (found.n, moments.count, found.features_ND) == (3000, 3000, None)
    np.testing.assert_allclose(found.sigma_DD, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.mu_D - 1e6, (offset - 1e6).mean(0), rtol=0, atol=1e-9)


def test_the_mean_is_exact_to_its_last_digits_under_an_offset() -> None:
    offset = normal(13, CHUNK_ROWS, 16) + 1e6
    moments = MomentAccumulator(16)
    moments.update(offset)
    found = moments.statistics().mu_D - 1e6
    assert np.abs(offset.mean(0) - 1e6 - (offset - 1e6).mean(0)).max() > 1e-9  # a sum over the offset
    np.testing.assert_allclose(found, (offset - 1e6).mean(0), rtol=0, atol=3e-10)  # 1e6 has 1.2e-10


@pytest.mark.parametrize("seed", range(8))
def test_neither_splits_nor_their_order_matter(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    samples = normal(seed + 50, 400, 5) * [1, 10, 100, 1, 1e-3] + rng.normal(scale=100, size=5)
    expected = np.cov(samples.T)
    cuts = np.sort(rng.integers(0, 401, size=rng.integers(1, 12)))
    parts = []
    for rows in np.split(samples, cuts):  # some are empty
        parts.append(MomentAccumulator(5))
        parts[-1].update(rows)
    total = MomentAccumulator(5)
    while parts:  # in any order, and as any tree
        part = parts.pop(int(rng.integers(len(parts))))
        if parts and rng.random() < 0.5:
            parts[int(rng.integers(len(parts)))].merge(part)
        else:
            total.merge(part)
    found = total.statistics()
    scale = np.sqrt(np.outer(np.diagonal(expected), np.diagonal(expected)))
    assert found.n == 400
    np.testing.assert_allclose(found.sigma_DD / scale, expected / scale, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.mu_D, samples.mean(0), rtol=1e-12)


def test_a_batch_longer_than_a_chunk_counts_whole_and_one_merged_with_itself_twice() -> None:
    samples = normal(11, CHUNK_ROWS + 1, 3)
    moments = MomentAccumulator(3)
    moments.update(samples)
    np.testing.assert_allclose(moments.statistics().sigma_DD, np.cov(samples.T), rtol=1e-12)
    moments.merge(moments)
    assert moments.count == 2 * len(samples)
    twice = np.concatenate([samples, samples])
    np.testing.assert_allclose(moments.statistics().sigma_DD, np.cov(twice.T), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_features_are_summed_in_float64(dtype: type) -> None:
    samples = (normal(12, 2000, 4) + 30).astype(dtype)
    moments = MomentAccumulator(4)
    moments.update(samples)
    np.testing.assert_allclose(moments.statistics().mu_D, samples.astype(np.float64).mean(0), rtol=1e-14)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((2, 4)), "features has 4 columns; allowed: 3"),
        (np.zeros(3), r"features has shape \(3,\); allowed: \[N, D\]"),
        (np.zeros((2, 0)), r"features has shape \(2, 0\); allowed: \[N, D\] with D at least 1"),
        (np.zeros((2, 3), np.uint8), "features is uint8; allowed: floating"),
        (np.zeros((2, 3), complex), "features is complex128; allowed: floating"),
        (np.array([[0, 0, 0], [0, 0, np.nan]]), r"features is nan at row 1, column 2 \(from 0\)"),
        (np.array([[0, -np.inf, 0]]), "features is -inf at row 0, column 1"),
    ],
)
def test_a_bad_batch_is_refused_and_leaves_no_trace(batch: np.ndarray, message: str) -> None:
    moments = MomentAccumulator(3)
    moments.update(np.eye(3))
    before = moments.statistics()
    with pytest.raises(ValueError, match=message):
        moments.update(batch)
    assert moments.count == 3
    np.testing.assert_array_equal(moments.statistics().sigma_DD, before.sigma_DD)


def test_accumulators_that_cannot_be_used_are_refused() -> None:
    moments = MomentAccumulator(2)
    with pytest.raises(ValueError, match="width is 0; allowed: at least 1"):
        MomentAccumulator(0)
    with pytest.raises(ValueError, match="width 3 cannot join one of width 2"):
        moments.merge(MomentAccumulator(3))
    moments.merge(MomentAccumulator(2))  # nothing and nothing
    with pytest.raises(ValueError, match="features has 0 rows; allowed: at least 2 samples"):
        moments.statistics()
    moments.update(np.ones((1, 2)))
    with pytest.raises(ValueError, match="features has 1 rows; allowed: at least 2 samples"):
        moments.statistics()
    moments.update(np.ones((1, 2)))
    with pytest.raises(ValueError, match="singular"):
        moments.statistics()
    moments.update(np.array([[1e200, 1]]))
    with pytest.raises(ValueError, match="sigma is inf at row 0, column 0"):
        moments.statistics()


# KID


def slow_mmd2(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(one: np.ndarray, other: np.ndarray) -> float:
        return (float(one @ other) / len(one) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


def test_whole_set_mmd_is_the_slow_double_loop() -> None:
    x, y = normal(20, 23, 7), normal(21, 31, 7) + 0.5
    assert unbiased_mmd2(x, y) == pytest.approx(slow_mmd2(x, y), rel=1e-12)
    assert unbiased_mmd2(x[:2], y[:2]) == pytest.approx(slow_mmd2(x[:2], y[:2]), rel=1e-12)


def test_tiles_do_not_show() -> None:
    x, y = normal(22, 2 * TILE + 5, 3), normal(23, TILE + 1, 3)
    kxx, kyy, kxy = ((a @ b.T / 3 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    expected = (kxx.sum() - np.trace(kxx)) / (n * (n - 1)) + (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
    assert unbiased_mmd2(x, y) == pytest.approx(expected - 2 * kxy.mean(), rel=1e-9)


def test_whole_set_mmd_is_invariant_to_row_order() -> None:
    # Whole numbers and a width of 2^k: every sum is exact in float64, so the values are equal to the bit.
    rng = np.random.Generator(np.random.Philox(24))
    x, y = (rng.integers(-4, 5, size=(rows, 4)).astype(np.float64) for rows in (TILE + 50, 60))
    assert unbiased_mmd2(x, y) == unbiased_mmd2(rng.permutation(x), rng.permutation(y))


def test_equal_distributions_are_near_zero_and_others_are_not() -> None:
    pairs = [(normal(100 + i, 60, 8), normal(200 + i, 60, 8)) for i in range(60)]
    values = np.array([unbiased_mmd2(x, y) for x, y in pairs])
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean()) < 4 * error
    # With the pairs of a sample and itself it would be the biased estimate, far outside.
    assert np.mean([((x**2).mean(1) + 1) ** 3 for x, _ in pairs]) * 2 / 60 > 20 * error
    assert np.mean([unbiased_mmd2(x, y + 0.5) for x, y in pairs]) > 20 * error


@pytest.mark.parametrize(("subsets", "size"), [(40, 12), (3, 4)])  # all pairs once; each subset by itself
def test_subsets_are_scored_as_the_slow_double_loop_does(subsets: int, size: int) -> None:
    x, y = normal(25, 30, 5), normal(26, 20, 5) * 2
    found = kernel_distance(x, y, 7, subsets=subsets, subset_size=size)
    rows, columns = _drawn("first", 30, subsets, size, 7), _drawn("second", 20, subsets, size, 7)
    slow = [slow_mmd2(x[i], y[j]) for i, j in zip(rows, columns, strict=True)]
    assert found.mean == pytest.approx(np.mean(slow), rel=1e-11)
    assert found.std == pytest.approx(np.std(slow, ddof=1), rel=1e-11)
    assert (found.subsets, found.subset_size) == (subsets, size)


def test_draws_are_keyed_by_seed_side_and_subset() -> None:
    drawn = _drawn("first", 30, 5, 10, seed=1)
    assert all(len(set(rows)) == 10 for rows in drawn.tolist())
    np.testing.assert_array_equal(_drawn("first", 30, 9, 10, seed=1)[:5], drawn)
    assert len({tuple(rows) for rows in drawn.tolist()}) == 5
    assert not np.array_equal(_drawn("second", 30, 5, 10, seed=1), drawn)
    assert not np.array_equal(_drawn("first", 30, 5, 10, seed=2), drawn)


def test_subsets_are_no_larger_than_a_set_and_one_where_they_are_the_whole() -> None:
    x, y = normal(27, 30, 4), normal(28, 20, 4)
    assert kernel_distance(x, y).subset_size == 20
    whole = kernel_distance(x[:20], y)
    assert (whole.subsets, whole.subset_size, whole.std) == (1, 20, None)
    assert whole.mean == unbiased_mmd2(x[:20], y)
    one = kernel_distance(x, y, subsets=1, subset_size=5)
    assert (one.subsets, one.std) == (1, None)


def test_sets_that_have_no_kernel_distance_are_refused() -> None:
    x = normal(29, 5, 3)
    for compute in (unbiased_mmd2, kernel_distance):
        with pytest.raises(ValueError, match="features has 1 rows; allowed: at least 2"):
            compute(x, x[:1])
        with pytest.raises(ValueError, match="the first has 3, the second 2"):
            compute(x, x[:, :2])
        with pytest.raises(ValueError, match="features is int64"):
            compute(x.astype(np.int64), x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="100 subsets of 1 samples; allowed: at least 1 of at least 2"):
        kernel_distance(x, x, subset_size=1)
    with pytest.raises(ValueError, match="0 subsets"):
        kernel_distance(x, x, subsets=0)


# Report

STATED: dict[str, Any] = {"extractor": "a" * 64, "resize": "pil-bicubic", "dataset": "b" * 64}


def test_report_has_its_keys_and_survives_json() -> None:
    one, other = replace(sample(30, 40, 6), **STATED), replace(sample(31, 30, 6), **STATED)
    found = json.loads(json.dumps(compare(one, other).to_json(), allow_nan=False))
    assert one.features_ND is not None and other.features_ND is not None
    kid = kernel_distance(one.features_ND, other.features_ND)
    assert found == {
        "frechet_distance": frechet_distance(one, other),
        "n": 30,
        "kid": kid.mean,
        "label": "Frechet@30",
        "n_first": 40,
        "n_second": 30,
        "width": 6,
        "rank_deficient": False,
        "kid_details": {"mean": kid.mean, "std": kid.std, "subsets": 100, "subset_size": 30},
        "unstated": [],
        **STATED,
    }
    assert compare(one, other, seed=1).to_json()["kid"] != kid.mean


def test_without_features_on_both_sides_there_is_no_kid() -> None:
    one = sample(32, 4, 6)
    found = compare(one, replace(one, features_ND=None)).to_json()
    assert (found["kid"], found["kid_details"], found["rank_deficient"]) == (None, None, True)


def test_one_deficient_side_is_enough_to_say_so() -> None:
    full, poor = sample(33, 40, 6), sample(34, 4, 6)
    assert compare(full, poor).rank_deficient and compare(poor, full).rank_deficient
    assert not compare(full, full).rank_deficient


@pytest.mark.parametrize(
    ("first", "second", "label"),
    [(50_000, 50_000, "Frechet"), (49_999, 60_000, "Frechet@49999"), (10**6, 10, "Frechet@10")],
)
def test_label_states_n_below_50_000(first: int, second: int, label: str) -> None:
    found = compare(gaussian([0], [[1]], n=first), gaussian([0], [[1]], n=second))
    assert isinstance(found, FrechetReport)
    assert (found.label, found.n) == (label, min(first, second))


@pytest.mark.parametrize("name", sorted(STATED))
def test_provenance_that_differs_is_refused_and_that_is_missing_is_said(name: str) -> None:
    one = gaussian([0], [[1]], **STATED)
    with pytest.raises(
        ValueError, match=f"different {name} cannot be compared: '{STATED[name]}' and 'other'"
    ):
        frechet_distance(one, replace(one, **{name: "other"}))
    for pair in ((one, replace(one, **{name: None})), (replace(one, **{name: None}), one)):
        found = compare(*pair).to_json()
        assert found["unstated"] == [name]
        assert [found[key] for key in STATED] == [None if key == name else STATED[key] for key in STATED]
    bare = gaussian([0], [[1]])
    assert compare(bare, bare).unstated == ["extractor", "resize", "dataset"]


# Files


def test_statistics_come_back_as_they_were_saved(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    full = replace(sample(40, 12, 5), extractor="inception-2015", dataset="c" * 64)
    save_statistics(path, full)
    found = load_statistics(path)
    np.testing.assert_array_equal(found.features_ND, full.features_ND)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.sigma_DD, full.sigma_DD)
    assert (found.n, found.extractor, found.resize, found.dataset) == (12, "inception-2015", None, "c" * 64)

    save_statistics(path, replace(full, features_ND=None, resize="none"))
    found = load_statistics(path)
    np.testing.assert_array_equal(found.mu_D, full.mu_D)
    np.testing.assert_array_equal(found.sigma_DD, full.sigma_DD)
    assert (found.n, found.features_ND, found.resize) == (12, None, "none")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(
        path, mu=np.zeros(2, np.float32), sigma=np.eye(2, dtype=">f4"), n=np.array([50.0]), labels=["cat"]
    )
    found = load_statistics(path)
    assert (found.n, found.mu_D.dtype, found.sigma_DD.dtype) == (50, np.float64, np.float64)
    np.savez(path, features=normal(41, 10, 3).astype(np.float16), extractor="e")
    found = load_statistics(path)
    assert (found.n, found.sigma_DD.dtype, found.extractor) == (10, np.float64, "e")


MOMENTS: dict[str, Any] = {"mu": np.zeros(2), "sigma": np.eye(2), "n": 10}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "holds none of mu, sigma, n; needs all, or features"),
        ({"labels": np.zeros(2)}, "holds none of mu, sigma, n; needs all, or features"),
        ({"mu": np.zeros(2), "sigma": np.eye(2)}, "holds mu, sigma of mu, sigma, n; needs all"),
        ({**MOMENTS, "features": np.eye(2)}, "holds features and mu, sigma, n; allowed: features, or"),
        ({"features": np.eye(2), "n": 2}, "holds features and n; allowed: features, or mu, sigma, n"),
        ({"features": np.zeros(3)}, r"features has shape \(3,\); allowed: \[N, D\]"),
        ({"features": np.ones((1, 3))}, "features has 1 rows; allowed: at least 2 samples"),
        ({"features": np.ones((0, 3))}, "features has 0 rows; allowed: at least 2 samples"),
        ({"features": np.ones((9, 3))}, "sigma is singular: 0 everywhere"),
        ({"features": np.eye(3, dtype=np.int32)}, "features is int32; allowed: floating"),
        ({"features": np.array([["a", "b"]])}, "features is <U1; allowed: floating"),
        ({"features": np.array([[0, 0], [0, np.nan]])}, "features is nan at row 1, column 1"),
        ({**MOMENTS, "mu": np.zeros(2, int)}, "mu is int64; allowed: floating"),
        ({**MOMENTS, "sigma": np.eye(2, dtype=complex)}, "sigma is complex128; allowed: floating"),
        ({**MOMENTS, "mu": np.zeros((1, 2))}, r"mu has shape \(1, 2\); allowed: \[D\]"),
        ({**MOMENTS, "mu": np.array([0, np.inf])}, "mu is inf at entry 1"),
        ({**MOMENTS, "sigma": np.eye(3)}, r"sigma has shape \(3, 3\); allowed: \(2, 2\), as mu has 2"),
        ({**MOMENTS, "sigma": np.array([[1, 0.5], [0, 1]])}, "sigma is not symmetric"),
        ({**MOMENTS, "sigma": np.array([[1, np.nan], [0, 1]])}, "sigma is nan at row 0, column 1"),
        ({**MOMENTS, "sigma": np.diag([1, -0.5])}, r"sigma\[1, 1\] is -0.5; a variance is at least 0"),
        ({**MOMENTS, "sigma": np.array([[1, 2.0], [2, 1]])}, "sigma is no covariance: its lowest eigenvalue"),
        ({**MOMENTS, "sigma": np.zeros((2, 2))}, "sigma is singular"),
        ({**MOMENTS, "n": 1}, "n is 1; allowed: at least 2"),
        ({**MOMENTS, "n": 10.5}, r"n is 10\.5; allowed: one whole number"),
        ({**MOMENTS, "n": np.inf}, "n is inf; allowed: one whole number"),
        ({**MOMENTS, "n": [10, 10]}, r"n is int64 of shape \(2,\); allowed: one whole number"),
        ({**MOMENTS, "n": "10"}, "n is '10'; allowed: one whole number"),
        ({**MOMENTS, "extractor": 3}, r"extractor is int64 of shape \(\); allowed: one string"),
        ({**MOMENTS, "resize": ["a", "b"]}, r"resize is <U1 of shape \(2,\); allowed: one string"),
        ({**MOMENTS, "dataset": ""}, "dataset is .*; allowed: one string that is not empty"),
        ({**MOMENTS, "mu": np.array([None, 1])}, "mu cannot be read: Object arrays cannot be loaded"),
    ],
)
def test_a_file_with_wrong_arrays_says_what_is_wrong(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=rf"^bad\.npz: {message}"):
        load_statistics(path)


def npy(claimed: tuple[int, int]) -> bytes:
    """Sixteen numbers under a header that claims another shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": claimed})
    return stream.getvalue() + bytes(8 * 16)


@pytest.mark.parametrize("claimed", [(8, 4), (10**15, 4)])
def test_an_array_shorter_than_its_header_claims_is_refused(tmp_path: Path, claimed: tuple[int, int]) -> None:
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("features.npy", npy(claimed))
    with pytest.raises(InputError, match=r"^bad\.npz: features cannot be read: "):
        load_statistics(path)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    with pytest.raises(InputError, match=r"^bad\.npz: cannot be read \(No such file"):
        load_statistics(path)
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory"):
        load_statistics(tmp_path)
    with path.open("wb") as stream:
        np.save(stream, np.eye(3))
    contents = [b"", b"mu,sigma\n", path.read_bytes()]
    np.savez(path, features=normal(42, 100, 4))
    whole = path.read_bytes()
    for content in (*contents, whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"^bad\.npz: is not an \.npz; allowed: what numpy\.savez"):
            load_statistics(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(InputError, match=r"^bad\.npz: features cannot be read: .*CRC"):
        load_statistics(path)


@pytest.mark.parametrize(
    "header",
    [b"{\n'descr'}", b"{'descr': '<i8', 'fortran_order': False, 'shape': (), }" + b" " * 20_000],
    ids=["cut off", "beyond numpy's limit"],
)
def test_a_broken_header_is_one_line(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("n.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError) as caught:
        load_statistics(path)
    assert str(caught.value).startswith("bad.npz: n cannot be read: ")
    assert "\n" not in str(caught.value)
