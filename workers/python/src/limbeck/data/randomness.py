"""Keyed randomness: every draw is a pure function of (seed, purpose, global sample position).

Nothing is consumed from a shared generator, so a batch may be split, re-ordered, resumed or spread
over ranks and each sample still gets its own numbers (training.md I, row 8). Philox is a
counter-based generator: the key is hash(seed, purpose), the upper half of the counter is the
position, the lower half counts inside the sample. numpy's ziggurat makes the same bits on every
machine, which a Box-Muller through SIMD `log` and `cos` does not.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

Positions = Sequence[int] | np.ndarray


@lru_cache(maxsize=1024)
def philox_key(seed: int, purpose: str) -> tuple[int, int]:
    """128-bit key of a stream; any text may be a purpose, equal texts share a stream."""
    digest = hashlib.sha256(f"{seed}\x00{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def generator_at(seed: int, purpose: str, position: int) -> np.random.Generator:
    """Generator of one sample, for draws whose number is not known beforehand."""
    if position < 0:
        raise ValueError(f"a sample position is 0 or more, got {position}")
    key = np.array(philox_key(seed, purpose), dtype=np.uint64)
    counter = np.array([0, 0, position, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def normal(seed: int, purpose: str, positions: Positions, shape: tuple[int, ...] = ()) -> torch.Tensor:
    """Standard normals [len(positions), *shape], float32."""
    out = np.empty((len(positions), *shape), dtype=np.float32)
    flat = out.reshape(len(positions), -1)
    for row, position in enumerate(positions):
        generator_at(seed, purpose, int(position)).standard_normal(dtype=np.float32, out=flat[row])
    return torch.from_numpy(out)


def uniform(seed: int, purpose: str, positions: Positions, shape: tuple[int, ...] = ()) -> torch.Tensor:
    """Uniforms in [0, 1), [len(positions), *shape], float32."""
    out = np.empty((len(positions), *shape), dtype=np.float32)
    flat = out.reshape(len(positions), -1)
    for row, position in enumerate(positions):
        generator_at(seed, purpose, int(position)).random(dtype=np.float32, out=flat[row])
    return torch.from_numpy(out)


@lru_cache(maxsize=4)
def _permutation(seed: int, purpose: str, epoch: int, count: int) -> np.ndarray:
    return generator_at(seed, purpose, epoch).permutation(count)


def shuffled(seed: int, purpose: str, positions: Positions, count: int) -> np.ndarray:
    """Index in [0, count) at each global position: a fresh permutation every epoch of `count` samples."""
    if count < 1:
        raise ValueError("cannot shuffle an empty set of samples")
    positions = np.asarray(positions, dtype=np.int64)
    out = np.empty(len(positions), dtype=np.int64)
    for epoch in np.unique(positions // count):
        inside = positions // count == epoch
        out[inside] = _permutation(seed, purpose, int(epoch), count)[positions[inside] % count]
    return out


def batch_positions(step: int, batch_size: int) -> np.ndarray:
    """Global positions of step `step` (0-based): the integer that is the whole state of the data."""
    return np.arange(step * batch_size, (step + 1) * batch_size, dtype=np.int64)
