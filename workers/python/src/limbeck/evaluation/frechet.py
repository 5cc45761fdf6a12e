"""Frechet distance between two sets of features, and KID beside it.

    d^2 = |mu_1 - mu_2|^2 + tr S_1 + tr S_2 - 2 tr (S_1^1/2 S_2 S_1^1/2)^1/2       (Heusel et al. 2017, eq. 6)

Everything is float64. With S_i = A_i A_i^T from `eigh`, the last trace is the sum of the singular values of
A_1^T A_2. That is the same number as the sum of root eigenvalues of S_1^1/2 S_2 S_1^1/2, but rounding stays
rounding: a root turns an error of 1e-16 in an eigenvalue that should be 0 into 1e-8, and the hundreds of them
that too few samples leave move the distance of a set to itself to 1e-7 of its trace.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from .feature_statistics import PROVENANCE, FeatureStatistics
from .kernel_distance import KernelDistance, kernel_distance

FULL_SAMPLES: Final = 50_000
"""Below it the bias of the distance matters, and its label states n."""

ROUNDING_TOLERANCE: Final = 1e-8
"""Of the sum of both traces: how far below 0 their distance may lie."""


@dataclass(frozen=True, kw_only=True)
class FrechetReport:
    """Two sets compared. `kid` is None where one of them has no features; provenance is None where not both
    state it, and `unstated` names what then could not be checked."""

    frechet_distance: float
    n_first: int
    n_second: int
    width: int
    rank_deficient: bool
    kid: KernelDistance | None
    unstated: list[str]
    extractor: str | None
    resize: str | None
    dataset: str | None

    @property
    def n(self) -> int:
        """Of the smaller set."""
        return min(self.n_first, self.n_second)

    @property
    def label(self) -> str:
        return "Frechet" if self.n >= FULL_SAMPLES else f"Frechet@{self.n}"

    def to_json(self) -> dict[str, object]:
        return {
            "frechet_distance": self.frechet_distance,
            "n": self.n,
            "kid": None if self.kid is None else self.kid.mean,
            "label": self.label,
            "n_first": self.n_first,
            "n_second": self.n_second,
            "width": self.width,
            "rank_deficient": self.rank_deficient,
            "kid_details": None if self.kid is None else asdict(self.kid),
            "unstated": self.unstated,
            "extractor": self.extractor,
            "resize": self.resize,
            "dataset": self.dataset,
        }


def compare(first: FeatureStatistics, second: FeatureStatistics, seed: int = 0) -> FrechetReport:
    """Frechet distance and, where both have features, KID with subsets drawn from `seed`.

    Raises:
        ValueError: see `frechet_distance`.
    """
    distance = frechet_distance(first, second)
    kid = None
    if first.features_ND is not None and second.features_ND is not None:
        kid = kernel_distance(first.features_ND, second.features_ND, seed)
    stated = {name: (getattr(first, name), getattr(second, name)) for name in PROVENANCE}
    unstated = [name for name, pair in stated.items() if None in pair]
    both = {name: None if name in unstated else pair[0] for name, pair in stated.items()}
    return FrechetReport(
        frechet_distance=distance,
        n_first=first.n,
        n_second=second.n,
        width=first.mu_D.size,
        rank_deficient=first.rank_deficient or second.rank_deficient,
        kid=kid,
        unstated=unstated,
        **both,
    )


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Squared 2-Wasserstein distance of the two Gaussians, at least 0 (it is what is reported as FID).

    Raises:
        ValueError: other widths; an extractor, resize or data set that both state and that differ; a sigma
            with an eigenvalue below 0; a distance beyond float64.
        ArithmeticError: below 0 by more than rounding, which no input can cause.
    """
    if first.mu_D.size != second.mu_D.size:
        raise ValueError(
            f"features of different width cannot be compared: the first has {first.mu_D.size},"
            f" the second {second.mu_D.size}"
        )
    for name in PROVENANCE:
        one, other = getattr(first, name), getattr(second, name)
        if None not in (one, other) and one != other:
            raise ValueError(f"statistics of different {name} cannot be compared: {one!r} and {other!r}")
    a_DR, b_DR = first.factor_DR, second.factor_DR
    with np.errstate(over="ignore", invalid="ignore"):
        # Traces of what the factors hold, not of sigma: with an eigenvalue of a float32 file set to 0 in one
        # term and not in the other, the distance of equal sets would not be 0.
        traces = float(np.vdot(a_DR, a_DR) + np.vdot(b_DR, b_DR))
        overlap = float(np.linalg.svd(a_DR.T @ b_DR, compute_uv=False).sum())
        means = float(((first.mu_D - second.mu_D) ** 2).sum())
    if not np.isfinite(means + traces):
        raise ValueError("the distance is beyond float64; features must be smaller than 1e150")
    return means + _at_least_zero(traces - 2 * overlap, traces)


def _at_least_zero(value: float, scale: float) -> float:
    """`value`, or 0 where only rounding can have made it negative."""
    if value < -ROUNDING_TOLERANCE * scale:
        raise ArithmeticError(f"a distance of covariances is {value:.3g} at traces of {scale:.3g}")
    return max(value, 0.0)
