"""KID: unbiased MMD^2 under k(x, y) = (x.y / D + 1)^3, mean over subsets (Binkowski et al. 2018).

Names: `_N`, `_M` samples of the first and the second set, `_D` width of a feature, `_S` subsets, `_K` samples
of a subset, `_T` of a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .bootstrap import Float64
from .feature_statistics import Features, check_kind

SUBSETS: Final = 100
SUBSET_SIZE: Final = 1000
TILE: Final = 1024


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """`mean` and standard deviation of MMD^2 over `subsets` draws of `subset_size` samples a side.

    Unbiased, so it may lie below 0. Where the subset is the whole of both sets there is one value and no
    deviation.
    """

    mean: float
    std: float | None
    subsets: int
    subset_size: int


def kernel_distance(
    x_ND: Features,
    y_MD: Features,
    seed: int = 0,
    *,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
) -> KernelDistance:
    """KID: unbiased MMD^2 over random subsets, without repeats inside a subset, no larger than a set.

    The draws are keyed by (seed, side, subset): the samples drawn of one set do not depend on the other.

    Raises:
        ValueError: see `unbiased_mmd2`; a subset of fewer than two samples, or no subset.
    """
    _check_pair(x_ND, y_MD)
    size = min(subset_size, len(x_ND), len(y_MD))
    if size < 2 or subsets < 1:
        raise ValueError(f"{subsets} subsets of {size} samples; allowed: at least 1 of at least 2")
    if size == len(x_ND) == len(y_MD):
        return KernelDistance(mean=unbiased_mmd2(x_ND, y_MD), std=None, subsets=1, subset_size=size)
    rows_SK = _drawn("first", len(x_ND), subsets, size, seed)
    columns_SK = _drawn("second", len(y_MD), subsets, size, seed)
    # All pairs of both sets once, or those of each subset by themselves: the same numbers, so the cheaper.
    if (len(x_ND) + len(y_MD)) ** 2 < 4 * subsets * size**2:
        u_NS, v_MS = _indicator(rows_SK, len(x_ND)), _indicator(columns_SK, len(y_MD))
        values_S = _mmd2(x_ND, y_MD, u_NS, v_MS)
    else:
        pairs = zip(rows_SK, columns_SK, strict=True)
        values_S = np.array([unbiased_mmd2(x_ND[rows_K], y_MD[columns_K]) for rows_K, columns_K in pairs])
    std = float(values_S.std(ddof=1)) if subsets > 1 else None
    return KernelDistance(mean=float(values_S.mean()), std=std, subsets=subsets, subset_size=size)


def unbiased_mmd2(x_ND: Features, y_MD: Features) -> float:
    """Unbiased MMD^2 of the two whole sets, in tiles: memory does not grow with N x M.

    Raises:
        ValueError: not [N, D], not floating, other widths, or fewer than two samples.
    """
    _check_pair(x_ND, y_MD)
    return float(_mmd2(x_ND, y_MD, np.ones((len(x_ND), 1)), np.ones((len(y_MD), 1)))[0])


def _mmd2(x_ND: Features, y_MD: Features, u_NS: Float64, v_MS: Float64) -> Float64:
    """Unbiased MMD^2 of each subset, [S]; `u_NS` and `v_MS` hold 1 where a sample belongs to it."""
    n_S, m_S = u_NS.sum(axis=0), v_MS.sum(axis=0)
    within_x_S = _kernel_sums(x_ND, x_ND, u_NS, u_NS, within=True) / (n_S * (n_S - 1))
    within_y_S = _kernel_sums(y_MD, y_MD, v_MS, v_MS, within=True) / (m_S * (m_S - 1))
    return within_x_S + within_y_S - 2 * _kernel_sums(x_ND, y_MD, u_NS, v_MS, within=False) / (n_S * m_S)


def _kernel_sums(x_ND: Features, y_MD: Features, u_NS: Float64, v_MS: Float64, *, within: bool) -> Float64:
    """Sum over i, j of u[i, s] k(x[i], y[j]) v[j, s], [S]. `within`: both sides are one set, whose pairs of a
    sample with itself are left out; half its tiles mirror the others."""
    sums_S = np.zeros(u_NS.shape[1])
    for row in range(0, len(x_ND), TILE):
        x_TD = x_ND[row : row + TILE].astype(np.float64, copy=False)
        for column in range(row if within else 0, len(y_MD), TILE):
            y_TD = y_MD[column : column + TILE].astype(np.float64, copy=False)
            kernel_TT = x_TD @ y_TD.T
            kernel_TT /= x_ND.shape[1]
            kernel_TT += 1
            kernel_TT *= kernel_TT * kernel_TT
            if within and row == column:
                np.fill_diagonal(kernel_TT, 0)
            times = 2 if within and row != column else 1
            u_TS, v_TS = u_NS[row : row + TILE], v_MS[column : column + TILE]
            sums_S += times * (u_TS * (kernel_TT @ v_TS)).sum(axis=0)
    return sums_S


def _drawn(side: str, samples: int, subsets: int, size: int, seed: int) -> NDArray[np.int64]:
    """Rows of each subset, [S, K]."""
    purpose = int.from_bytes(f"kid/{side}".encode(), "little")
    keys = (np.random.SeedSequence([seed, purpose, subset]) for subset in range(subsets))
    generators = (np.random.Generator(np.random.Philox(key)) for key in keys)
    return np.stack([rng.choice(samples, size, replace=False) for rng in generators])


def _indicator(rows_SK: NDArray[np.int64], samples: int) -> Float64:
    u_NS = np.zeros((samples, len(rows_SK)))
    for subset, rows_K in enumerate(rows_SK):
        u_NS[rows_K, subset] = 1
    return u_NS


def _check_pair(x_ND: Features, y_MD: Features) -> None:
    for features in (x_ND, y_MD):
        check_kind(features)
        if len(features) < 2:
            raise ValueError(f"features has {len(features)} rows; allowed: at least 2 samples")
    if x_ND.shape[1] != y_MD.shape[1]:
        raise ValueError(
            f"features of different width cannot be compared: the first has {x_ND.shape[1]},"
            f" the second {y_MD.shape[1]}"
        )
