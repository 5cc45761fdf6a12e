"""Percentile bootstrap over prompts: images of one prompt stay together, tags are resampled apart.

Images of a prompt correlate, so the prompt is the unit of resampling; resampling inside each tag keeps the
number of prompts of a tag fixed, as it is in the benchmark. Names: `_P` prompts, `_B` replicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

DEFAULT_REPLICATES: Final = 2000
LEVEL: Final = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Closed interval `low` .. `high` that holds the central LEVEL of the replicates."""

    low: float
    high: float

    def to_json(self) -> list[float]:
        return [self.low, self.high]


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """Prompts of one tag: `correct_P` images that are correct of `images_P` (>= 1), prompt by prompt."""

    correct_P: Float64
    images_P: Float64

    def __post_init__(self) -> None:
        if self.correct_P.shape != self.images_P.shape or self.correct_P.ndim != 1 or not self.correct_P.size:
            raise ValueError(
                f"a stratum needs equally many counts, at least one: got shapes {self.correct_P.shape} "
                f"and {self.images_P.shape}"
            )
        if (self.images_P < 1).any():
            raise ValueError("every prompt of a stratum needs at least one image")

    @property
    def mean(self) -> float:
        """Share of images that are correct."""
        return float(self.correct_P.sum() / self.images_P.sum())


def resampled_means(
    strata: Mapping[str, Stratum], seed: int, replicates: int = DEFAULT_REPLICATES
) -> dict[str, Float64]:
    """Share of correct images in each replicate, [B], for each stratum.

    The draws are keyed by (seed, name of the stratum): another stratum more or less changes nothing, and two
    results over the same prompts in the same order are resampled alike, as a paired difference needs it.

    Raises:
        ValueError: fewer than 100 replicates, too few for a 95 % interval.
    """
    if replicates < 100:
        raise ValueError(f"at least 100 bootstrap replicates are needed, got {replicates}")
    means: dict[str, Float64] = {}
    for name, stratum in strata.items():
        key = np.random.SeedSequence([seed, int.from_bytes(name.encode(), "little")])
        rng = np.random.Generator(np.random.Philox(key))
        prompts = stratum.correct_P.size
        drawn_BP = rng.integers(0, prompts, size=(replicates, prompts))
        means[name] = stratum.correct_P[drawn_BP].sum(axis=1) / stratum.images_P[drawn_BP].sum(axis=1)
    return means


def percentile_interval(values_B: Float64) -> Interval:
    """Central LEVEL of the replicates."""
    low, high = np.quantile(values_B, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high))


def mean_over_strata(means: Mapping[str, Float64]) -> Float64:
    """Unweighted mean over the strata, replicate by replicate, [B]."""
    return np.mean(np.stack(list(means.values())), axis=0)
