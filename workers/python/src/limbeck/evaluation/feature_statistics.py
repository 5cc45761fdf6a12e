"""Mean and covariance of a set of features, with where they come from.

Everything is float64. Names: `_N` samples, `_D` width of a feature, `_R` rank.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .bootstrap import Float64

Features = NDArray[np.floating[Any]]
"""[N, D] in any floating dtype; computed with in float64."""

PROVENANCE: Final = ("extractor", "resize", "dataset")

SYMMETRY_TOLERANCE: Final = 1e-6
"""Of the largest entry: how far sigma and its transpose may lie apart; float32 needs 1e-7."""
DEFINITE_TOLERANCE: Final = 1e-6
"""Of the largest eigenvalue: how far below 0 one may lie."""

CHUNK_ROWS: Final = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureStatistics:
    """Mean `mu_D`, unbiased covariance `sigma_DD` (over n - 1) of `n` samples, and where they come from.

    `extractor` is the digest or name of the network, `resize` the id of the resize before it, `dataset` the
    digest of the reference set's manifest; None is "not stated". `features_ND` are the samples, where known.

    Raises:
        ValueError: shapes that do not fit, fewer than two samples, entries that are not finite, a sigma that
            is not symmetric, holds a negative variance or is 0 everywhere.
    """

    mu_D: Float64
    sigma_DD: Float64
    n: int
    extractor: str | None = None
    resize: str | None = None
    dataset: str | None = None
    features_ND: Features | None = None

    def __post_init__(self) -> None:
        if self.mu_D.ndim != 1 or not self.mu_D.size:
            raise ValueError(f"mu has shape {self.mu_D.shape}; allowed: [D] with D at least 1")
        width = self.mu_D.size
        if self.sigma_DD.shape != (width, width):
            raise ValueError(
                f"sigma has shape {self.sigma_DD.shape}; allowed: {(width, width)}, as mu has {width} entries"
            )
        if self.n < 2:
            raise ValueError(f"n is {self.n}; allowed: at least 2 samples")
        if self.features_ND is not None and self.features_ND.shape != (self.n, width):
            raise ValueError(f"features has shape {self.features_ND.shape}; allowed: {(self.n, width)}")
        for name, array in (("mu", self.mu_D), ("sigma", self.sigma_DD)):
            check_finite(name, array)
        variances_D = np.diagonal(self.sigma_DD)
        if (variances_D < 0).any():
            place = int(variances_D.argmin())
            raise ValueError(f"sigma[{place}, {place}] is {variances_D[place]:.3g}; a variance is at least 0")
        largest = float(np.abs(self.sigma_DD).max())
        if largest == 0:
            raise ValueError("sigma is singular: 0 everywhere; at least one feature must vary")
        apart = float(np.abs(self.sigma_DD - self.sigma_DD.T).max())
        if apart > SYMMETRY_TOLERANCE * largest:
            raise ValueError(
                f"sigma is not symmetric: it and its transpose differ by {apart:.3g};"
                f" allowed: {SYMMETRY_TOLERANCE} of its largest entry, {largest:.3g}"
            )

    @staticmethod
    def from_features(features_ND: Features) -> FeatureStatistics:
        """Statistics of `features_ND`, which are kept. Provenance is added with `dataclasses.replace`.

        Raises:
            ValueError: see `MomentAccumulator.update` and the class.
        """
        check_kind(features_ND)
        moments = MomentAccumulator(features_ND.shape[1])
        moments.update(features_ND)
        return replace(moments.statistics(), features_ND=features_ND)

    @property
    def rank_deficient(self) -> bool:
        """Whether sigma has no inverse: n <= D, or features that repeat each other or never vary."""
        width, rank = self.factor_DR.shape
        return self.n <= width or rank < width

    @cached_property
    def factor_DR(self) -> Float64:
        """A with A A^T = sigma and orthogonal columns. Eigenvalues within rounding of 0, D eps of the largest
        (the rule of `numpy.linalg.matrix_rank`), are 0, and so are those a float32 file leaves below 0.

        Raises:
            ValueError: an eigenvalue further below 0, or beyond float64.
        """
        values_D, vectors_DD = np.linalg.eigh(0.5 * self.sigma_DD + 0.5 * self.sigma_DD.T)
        low, high = float(values_D[0]), float(values_D[-1])
        if not np.isfinite(high) or low < -DEFINITE_TOLERANCE * high:
            raise ValueError(
                f"sigma is no covariance: its lowest eigenvalue is {low:.3g};"
                f" allowed: at least {-DEFINITE_TOLERANCE} of the largest, {high:.3g}"
            )
        kept_D = values_D > values_D.size * np.finfo(np.float64).eps * high
        return vectors_DD[:, kept_D] * np.sqrt(values_D[kept_D])


class MomentAccumulator:
    """Mean and centred scatter of features that come in batches, in float64, whatever the order.

    Sums of x and x x^T lose every digit where features have an offset; here each batch is centred first, and
    batches, or accumulators of several workers, are put together as Chan, Golub and LeVeque (1979) do it.
    """

    def __init__(self, width: int) -> None:
        if width < 1:
            raise ValueError(f"width is {width}; allowed: at least 1")
        self._count = 0
        self._mean_D: Float64 = np.zeros(width)
        self._scatter_DD: Float64 = np.zeros((width, width))

    @property
    def count(self) -> int:
        """Samples so far."""
        return self._count

    @property
    def width(self) -> int:
        return self._mean_D.size

    def update(self, features_ND: Features) -> None:
        """Adds a batch; N may be 0. From about 1,000 rows on, the D x D work of each call does not matter.

        Raises:
            ValueError: not [N, D] of this width, not floating, or an entry that is not finite (its row and
                column, from 0, are named). Nothing has been added then.
        """
        check_kind(features_ND)
        if features_ND.shape[1] != self.width:
            raise ValueError(f"features has {features_ND.shape[1]} columns; allowed: {self.width}")
        check_finite("features", features_ND)
        with np.errstate(over="ignore", invalid="ignore"):  # `statistics` refuses what overflows
            for start in range(0, len(features_ND), CHUNK_ROWS):
                rows_ND = features_ND[start : start + CHUNK_ROWS].astype(np.float64)
                # Less the first row before the mean is taken: a sum over an offset rounds at its scale.
                first_D = rows_ND[0].copy()
                rows_ND -= first_D
                shift_D = rows_ND.mean(axis=0)
                rows_ND -= shift_D
                self._add(len(rows_ND), first_D + shift_D, rows_ND.T @ rows_ND)

    def merge(self, other: MomentAccumulator) -> None:
        """Adds all samples of `other`, which stays as it is.

        Raises:
            ValueError: another width.
        """
        if other.width != self.width:
            raise ValueError(f"an accumulator of width {other.width} cannot join one of width {self.width}")
        if other.count:
            self._add(other._count, other._mean_D, other._scatter_DD)

    def statistics(self) -> FeatureStatistics:
        """Of what has been added so far; provenance is added with `dataclasses.replace`.

        Raises:
            ValueError: fewer than two samples, or see `FeatureStatistics`.
        """
        if self._count < 2:
            raise ValueError(f"features has {self._count} rows; allowed: at least 2 samples")
        return FeatureStatistics(
            mu_D=self._mean_D.copy(), sigma_DD=self._scatter_DD / (self._count - 1), n=self._count
        )

    def _add(self, count: int, mean_D: Float64, scatter_DD: Float64) -> None:
        total = self._count + count
        delta_D = mean_D - self._mean_D
        between = self._count * count / total
        self._scatter_DD += scatter_DD
        if between:
            self._scatter_DD += np.outer(between * delta_D, delta_D)
        self._mean_D = self._mean_D + delta_D * (count / total)
        self._count = total


def check_floating(name: str, array: NDArray[Any]) -> None:
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name} is {array.dtype}; allowed: floating numbers")


def check_kind(features_ND: NDArray[Any]) -> None:
    check_floating("features", features_ND)
    if features_ND.ndim != 2 or not features_ND.shape[1]:
        raise ValueError(f"features has shape {features_ND.shape}; allowed: [N, D] with D at least 1")


def check_finite(name: str, array: NDArray[Any]) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(index) for index in np.argwhere(~finite)[0])
        where = f"row {place[0]}, column {place[1]}" if array.ndim == 2 else f"entry {place[0]}"
        raise ValueError(f"{name} is {array[place]} at {where} (from 0); allowed: finite numbers")
