"""The order of training samples, and batches read in it.

The order is a pure function: position p of a run with n samples lies in epoch p // n, at the place that a
keyed permutation gives to p % n. So the state of a reader is one integer, the number of samples seen, any
position can be resumed without replay, and no shuffle buffer or table of n entries is kept.
Names: `_N` a batch, `_P` any array of positions.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Final, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from .shards import CorruptSample, DataError

Int64 = NDArray[np.int64]
T = TypeVar("T")

_ROUNDS: Final = 8
_ORDER_VERSION: Final = 1
_PREFETCH_BATCHES: Final = 2


class SampleSource(Protocol):
    """What a reader needs of a data set; `ShardDataset` is one. `read` may be called from several threads."""

    def __len__(self) -> int: ...

    def key(self, place: int) -> str: ...

    def read(self, place: int) -> dict[str, bytes]: ...


Decode = Callable[[dict[str, bytes]], T]
"""Members of a sample -> what training takes. Raises ValueError or OSError on bytes that it cannot decode."""


class QuarantineExceeded(DataError):
    """More samples are corrupt than the run allows."""


class Order:
    """Where each position of a run reads: a new permutation of 0 .. samples - 1 for each epoch.

    The permutation is a balanced Feistel network of 8 rounds over the next power of four, walked along its
    cycles until it falls inside the range (at most four steps on average).

    Raises:
        ValueError: no samples, or a negative seed.
    """

    def __init__(self, samples: int, seed: int) -> None:
        if samples < 1 or seed < 0:
            raise ValueError(f"an order needs at least 1 sample and a seed >= 0, got {samples} and {seed}")
        self.samples = samples
        self.seed = seed
        self._half_bits = max(1, ((samples - 1).bit_length() + 1) // 2)

    def locate(self, position: int) -> tuple[int, int]:
        """(epoch, place in the data set) of a global sample position >= 0."""
        return position // self.samples, int(self.places(np.array([position]))[0])

    def places(self, positions_P: Int64) -> Int64:
        """Place in the data set of each position (>= 0)."""
        if positions_P.size and int(positions_P.min()) < 0:
            raise ValueError(f"positions must be 0 or more, got {int(positions_P.min())}")
        epoch_P = positions_P // self.samples
        place_P = np.empty_like(positions_P)
        for epoch in np.unique(epoch_P).tolist():
            inside = epoch_P == epoch
            place_P[inside] = self._permute(positions_P[inside] - epoch * self.samples, epoch)
        return place_P

    def _permute(self, value_P: Int64, epoch: int) -> Int64:
        keys = _round_keys(self.seed, epoch)
        mixed_P = self._network(value_P.astype(np.uint64), keys)
        while (outside := mixed_P >= self.samples).any():
            mixed_P[outside] = self._network(mixed_P[outside], keys)
        return mixed_P.astype(np.int64)

    def _network(self, value_P: NDArray[np.uint64], keys: tuple[np.uint64, ...]) -> NDArray[np.uint64]:
        bits = np.uint64(self._half_bits)
        mask = np.uint64((1 << self._half_bits) - 1)
        left_P, right_P = value_P >> bits, value_P & mask
        for key in keys:
            left_P, right_P = right_P, left_P ^ (_mix(right_P ^ key) & mask)
        return (left_P << bits) | right_P


def _mix(value_P: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finaliser of SplitMix64: every input bit reaches every output bit; arithmetic modulo 2**64."""
    value_P = (value_P ^ (value_P >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value_P = (value_P ^ (value_P >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value_P ^ (value_P >> np.uint64(31))


@lru_cache(maxsize=64)
def _round_keys(seed: int, epoch: int) -> tuple[np.uint64, ...]:
    sequence = np.random.SeedSequence([_ORDER_VERSION, seed, epoch])
    return tuple(sequence.generate_state(_ROUNDS, np.uint64))


class Quarantine:
    """Corrupt samples met so far, by key; fails the run above a share of the whole data set."""

    def __init__(self, samples: int, share: float) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"quarantine_share must be in 0 .. 1, got {share}")
        self._samples = samples
        self._share = share
        self._reasons: dict[str, str] = {}
        self._lock = Lock()

    @property
    def reasons(self) -> dict[str, str]:
        """Key -> why, in the order in which they were met; a copy."""
        with self._lock:
            return dict(self._reasons)

    def add(self, error: CorruptSample) -> None:
        """Raises QuarantineExceeded, naming count, share and the last reason, when there are too many."""
        with self._lock:
            self._reasons[error.key] = error.reason
            count = len(self._reasons)
        if count > self._share * self._samples:
            raise QuarantineExceeded(
                f"{count} of {self._samples} samples are corrupt ({count / self._samples:.2%}), "
                f"{self._share:.2%} are allowed; the last: {error.key}: {error.reason}"
            ) from error


@dataclass(frozen=True, kw_only=True)
class Batch(Generic[T]):
    """One rank's share of a global batch. `keys` names what was read: it differs from the order only where a
    corrupt sample was replaced."""

    positions_N: Int64
    keys: tuple[str, ...]
    samples: tuple[T, ...]


class BatchReader(Generic[T]):
    """Decoded batches in the order of `Order`, read ahead by threads.

    A global batch holds the positions `step * batch_size` up to the next batch; rank r of R takes those with
    position % R == r, so the sequence of samples does not depend on the number of ranks.
    A corrupt sample is replaced by the one at the next position, and so on until a good one: which sample
    stands in depends on the data alone, not on ranks, threads or where the run was resumed.

    Args:
        batch_size: samples of all ranks together; a multiple of `world`.
        decode: called in the reading threads.
        quarantine_share: share of the data set that may be corrupt, 0 .. 1.
        prefetch_threads: 0 reads in the caller's thread; otherwise two batches are kept ahead.

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        dataset: SampleSource,
        batch_size: int,
        seed: int,
        decode: Decode[T],
        *,
        rank: int = 0,
        world: int = 1,
        quarantine_share: float = 0.01,
        prefetch_threads: int = 1,
    ) -> None:
        if world < 1 or not 0 <= rank < world:
            raise ValueError(f"rank must be in 0 .. world - 1, got rank {rank} of {world}")
        if batch_size < 1 or batch_size % world:
            raise ValueError(f"batch_size must be a positive multiple of world {world}, got {batch_size}")
        if not 0 <= prefetch_threads <= 64:
            raise ValueError(f"prefetch_threads must be in 0 .. 64, got {prefetch_threads}")
        self.batch_size = batch_size
        self.order = Order(len(dataset), seed)
        self._dataset = dataset
        self._decode = decode
        self._rank = rank
        self._world = world
        self._quarantine = Quarantine(len(dataset), quarantine_share)
        self._ahead: dict[int, Future[Batch[T]]] = {}
        self._pool = ThreadPoolExecutor(prefetch_threads, "limbeck-reader") if prefetch_threads else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def quarantined(self) -> dict[str, str]:
        """Key -> reason of the corrupt samples met so far by this reader."""
        return self._quarantine.reasons

    def batch(self, step: int) -> Batch[T]:
        """The batch of an optimizer step (>= 0): `batch_at(step * batch_size)`."""
        return self.batch_at(step * self.batch_size)

    def batch_at(self, position: int) -> Batch[T]:
        """This rank's share of the `batch_size` samples from a global position on; then reads ahead.

        Raises:
            ValueError: a negative position.
            QuarantineExceeded: too many corrupt samples so far.
            TruncatedShard: from the data set; it ends the run, because whole shards do not rot one by one.
        """
        if position < 0:
            raise ValueError(f"position must be 0 or more, got {position}")
        if self._pool is None:
            return self._read(position)
        wanted = [position + step * self.batch_size for step in range(_PREFETCH_BATCHES + 1)]
        for start in [start for start in self._ahead if start not in wanted]:
            self._ahead.pop(start).cancel()
        for start in wanted:
            if start not in self._ahead:
                self._ahead[start] = self._pool.submit(self._read, start)
        return self._ahead.pop(position).result()

    def close(self) -> None:
        """Stops reading ahead; waits for the reads in progress. The reader cannot be used afterwards."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._ahead.clear()

    def _read(self, start: int) -> Batch[T]:
        first = start + (self._rank - start) % self._world
        positions_N = np.arange(first, start + self.batch_size, self._world, dtype=np.int64)
        good = [
            self._good_sample(position, place)
            for position, place in zip(
                positions_N.tolist(), self.order.places(positions_N).tolist(), strict=True
            )
        ]
        return Batch(
            positions_N=positions_N,
            keys=tuple(key for key, _ in good),
            samples=tuple(sample for _, sample in good),
        )

    def _good_sample(self, position: int, place: int) -> tuple[str, T]:
        """The sample at a position, or at the next one that holds a good sample.

        Ends: an epoch of corrupt samples in a row is above any share below one, and at a share of one the
        second epoch is where it stops.
        """
        for candidate in range(position, position + 2 * len(self._dataset)):
            if candidate != position:
                place = self.order.locate(candidate)[1]
            try:
                return self._dataset.key(place), _read_decoded(self._dataset, place, self._decode)
            except CorruptSample as error:
                self._quarantine.add(error)
        raise QuarantineExceeded(f"all {len(self._dataset)} samples of the data set are corrupt")


@dataclass(frozen=True, kw_only=True)
class Loaded(Generic[T]):
    """A data set in memory: the good samples in stored order, and what was left out."""

    keys: tuple[str, ...]
    samples: tuple[T, ...]
    quarantined: dict[str, str]


def load_all(dataset: SampleSource, decode: Decode[T], quarantine_share: float = 0.01) -> Loaded[T]:
    """Reads and decodes everything once, for sets that fit memory; `Order` then gives the sequence.

    Raises:
        QuarantineExceeded: too many corrupt samples.
    """
    quarantine = Quarantine(len(dataset), quarantine_share)
    keys: list[str] = []
    samples: list[T] = []
    for place in range(len(dataset)):
        try:
            sample = _read_decoded(dataset, place, decode)
        except CorruptSample as error:
            quarantine.add(error)
        else:
            keys.append(dataset.key(place))
            samples.append(sample)
    if not samples:
        raise QuarantineExceeded(f"all {len(dataset)} samples of the data set are corrupt")
    return Loaded(keys=tuple(keys), samples=tuple(samples), quarantined=quarantine.reasons)


def _read_decoded(dataset: SampleSource, place: int, decode: Decode[T]) -> T:
    members = dataset.read(place)
    try:
        return decode(members)
    except (ValueError, OSError) as error:
        if isinstance(error, CorruptSample):
            raise
        raise CorruptSample(dataset.key(place), f"cannot be decoded: {error}") from error
