"""The 2^bits values that stand for a group of fp16 weights with the least squared error.

K-means in one dimension: cells are intervals of the sorted values, so Lloyd's iteration runs over the
different values (fp16 has 63,488 finite ones) with prefix sums of their counts, and a step costs 2^bits
binary searches, not a distance for each weight and centre. Shapes: N weights, P different values, K cells.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Half = NDArray[np.float16]
Indices = NDArray[np.uint8]
Double = NDArray[np.float64]
Places = NDArray[np.int64]

_STEPS: Final = 200
_LIFTS: Final = 20


def palette(values: Half, bits: int) -> tuple[Half, Indices]:
    """The palette of a group and the index of each value: ([2^bits] float16, ascending; [N] uint8).

    Lossless where the group has no more than 2^bits different values. No draw is made: the iteration starts
    from the levels that are optimal for many of them (Panter and Dite: density to the power 1/3), and is
    lifted out of poor rests by joining the cells that lose least and dividing those that gain most.

    Raises:
        ValueError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {values.size} weights are not finite")
    size = 2**bits
    codes, inverse, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    if len(codes) <= size:
        lut = np.concatenate([codes, np.repeat(codes[-1:], size - len(codes))])
        return lut, inverse.astype(np.uint8)
    points = codes.astype(np.float64)
    lut = np.sort(_Sorted(points, counts.astype(np.float64)).centres(size)).astype(np.float16)
    middles = (lut[1:].astype(np.float64) + lut[:-1].astype(np.float64)) / 2
    return lut, np.searchsorted(middles, points).astype(np.uint8)[inverse]


def squared_error(values: Half, lut: Half, indices: Indices) -> float:
    return float(np.square(values.ravel().astype(np.float64) - lut[indices].astype(np.float64)).sum())


@dataclass(frozen=True)
class _Sums:
    """Of a power of the values before each place [P + 1]; of a cell: the difference at its bounds."""

    mass: Double
    first: Double
    second: Double


class _Sorted:
    """Different values [P], ascending, with their counts; `bounds` [K + 1] are where cells begin and end."""

    def __init__(self, points_P: Double, counts_P: Double) -> None:
        # Around the mean, so that differences of the sums of squares keep their digits.
        self.origin = float(np.average(points_P, weights=counts_P))
        self.points, self.counts = points_P - self.origin, counts_P
        sums = [np.concatenate([[0.0], np.cumsum(counts_P * self.points**power)]) for power in (0, 1, 2)]
        self.sums = _Sums(*sums)

    def centres(self, size: int) -> Double:
        """The mean of each of `size` cells, at the best rest that was found."""
        bounds = self._rest(self._start(size))
        least = self._error(bounds)
        for _ in range(_LIFTS):
            lifted = self._lifted(bounds)
            if lifted is None:
                break
            lifted = self._rest(lifted)
            error = self._error(lifted)
            if error >= least * (1 - 1e-4):
                break
            bounds, least = lifted, error
        return self._means(bounds) + self.origin

    def _start(self, size: int) -> Places:
        # Counts over gaps estimate the density f; the level is the integral of f^(1/3).
        level = np.cumsum(np.cbrt(self.counts * np.gradient(self.points) ** 2))
        inner = np.searchsorted(level, np.arange(1, size) / size * level[-1])
        return _with_ends(inner, len(self.points))

    def _rest(self, bounds: Places) -> Places:
        """Lloyd's iteration: every value to its nearest mean, until no bound moves."""
        for _ in range(_STEPS):
            means = self._means(bounds)
            moved = _with_ends(np.searchsorted(self.points, (means[1:] + means[:-1]) / 2), len(self.points))
            if np.array_equal(moved, bounds):
                break
            bounds = moved
        return bounds

    def _lifted(self, bounds: Places) -> Places | None:
        """Some bounds taken out where that loses least, as many put in where that gains most, an eighth of
        them at once at most; None where no exchange gains."""
        mass, means = np.diff(self.sums.mass[bounds]), self._means(bounds)
        loss = mass[1:] * mass[:-1] / (mass[1:] + mass[:-1]) * np.diff(means) ** 2
        middle = (bounds[1:] + bounds[:-1]) // 2
        gain = self._gain(bounds, middle)
        out, into = np.argsort(loss, kind="stable"), np.argsort(-gain, kind="stable")
        most = max(1, len(loss) // 8)
        # A neighbour of a joined cell may be the divided one: twice the loss is asked for.
        pays = int(np.argmin(np.append(gain[into[:most]] > 2 * loss[out[:most]], False)))
        if pays == 0:
            return None
        kept = np.delete(bounds, out[:pays] + 1)
        return np.sort(np.concatenate([kept, middle[into[:pays]]]))

    def _means(self, bounds: Places) -> Double:
        return np.diff(self.sums.first[bounds]) / np.diff(self.sums.mass[bounds])

    def _error(self, bounds: Places) -> float:
        first, mass = np.diff(self.sums.first[bounds]), np.diff(self.sums.mass[bounds])
        return float((np.diff(self.sums.second[bounds]) - first**2 / mass).sum())

    def _gain(self, bounds: Places, middle: Places) -> Double:
        """Of each cell, divided at `middle`; 0 for a cell of one value."""
        divisible = np.flatnonzero(middle > bounds[:-1])
        low, at, high = bounds[divisible], middle[divisible], bounds[divisible + 1]
        mass, first = self.sums.mass, self.sums.first
        left, right = mass[at] - mass[low], mass[high] - mass[at]
        apart = (first[at] - first[low]) / left - (first[high] - first[at]) / right
        gain = np.zeros(len(middle))
        gain[divisible] = left * right / (left + right) * apart**2
        return gain


def _with_ends(inner: Places, points: int) -> Places:
    """Bounds whose cells hold one value at least, as near to the wanted inner ones as that allows."""
    place = np.arange(1, len(inner) + 1)
    rising = np.maximum.accumulate(inner - place) + place
    fitting = np.maximum(np.minimum(rising, points - len(inner) - 1 + place), place)
    return np.concatenate([[0], fitting, [points]])
