"""The reader: order as a function of (seed, epoch), resume at any position and world size, quarantine."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.data.reader import BatchReader, Order, QuarantineExceeded, load_all
from limbeck.data.shards import ShardDataset, ShardWriter

SAMPLES = 101


def decode(members: dict[str, bytes]) -> int:
    return int(json.loads(members["json"])["value"])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardDataset:
    return write(tmp_path_factory.mktemp("set"))


def write(folder: Path, undecodable: tuple[int, ...] = ()) -> ShardDataset:
    with ShardWriter(folder, 10, {}) as writer:
        for place in range(SAMPLES):
            content = b"not json" if place in undecodable else json.dumps({"value": place}).encode()
            writer.add(f"k{place}", {"json": content})
    return ShardDataset(folder)


def damage(dataset: ShardDataset, *places: int) -> None:
    for place in places:
        shard = dataset.index.shards[place // 10]
        offset = shard.samples[place % 10].members["json"].offset
        with (dataset.folder / shard.file).open("r+b") as file:
            file.seek(offset)
            file.write(b"#")


@given(samples=st.integers(1, 3000), seed=st.integers(0, 2**63), epoch=st.integers(0, 10**6))
def test_an_epoch_is_a_permutation(samples: int, seed: int, epoch: int) -> None:
    order = Order(samples, seed)
    positions = np.arange(samples, dtype=np.int64) + epoch * samples
    places = order.places(positions)
    assert sorted(places.tolist()) == list(range(samples))
    assert order.locate(int(positions[-1])) == (epoch, places[-1])


def test_the_order_is_that_of_version_1() -> None:
    """Guards against a silent change: a resumed run would see other samples."""
    assert Order(10, 0).places(np.arange(20)).tolist() == [
        6,
        9,
        1,
        8,
        2,
        3,
        7,
        0,
        4,
        5,
        1,
        8,
        4,
        5,
        6,
        9,
        3,
        7,
        2,
        0,
    ]
    assert Order(10**9, 7).places(np.array([0, 10**9 - 1, 10**9])).tolist() == [
        343734294,
        966925723,
        125134314,
    ]


def test_epochs_and_seeds_give_orders_that_look_independent() -> None:
    n = 2000
    first = Order(n, 0).places(np.arange(n))
    for other in (
        Order(n, 0).places(np.arange(n, 2 * n)),
        Order(n, 1).places(np.arange(n)),
        np.arange(n),
    ):
        assert (first == other).sum() < 12  # about one fixed point is expected
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.1  # 4.5 standard errors
    # Neighbours in the order are no neighbours in the set.
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.1


def test_wrong_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="got 0 and 1"):
        Order(0, 1)
    with pytest.raises(ValueError, match="got 1 and -1"):
        Order(1, -1)
    with pytest.raises(ValueError, match="got -3"):
        Order(5, 0).places(np.array([2, -3]))


def test_an_epoch_of_batches_reads_everything_once(dataset: ShardDataset) -> None:
    with BatchReader(dataset, 8, 4, decode) as reader:
        values = [value for step in range(SAMPLES) for value in reader.batch(step).samples]
    for epoch in range(8):
        assert sorted(values[epoch * SAMPLES : (epoch + 1) * SAMPLES]) == list(range(SAMPLES))


def read_keys(dataset: ShardDataset, start: int, count: int, world: int, threads: int) -> list[str]:
    """Keys by position, from the batches of all ranks."""
    by_position: dict[int, str] = {}
    for rank in range(world):
        with BatchReader(
            dataset, 12, 9, decode, rank=rank, world=world, prefetch_threads=threads, quarantine_share=0.1
        ) as reader:
            for position in range(start, start + count, 12):
                batch = reader.batch_at(position)
                assert len(batch.samples) == 12 // world
                assert all(position % world == rank for position in batch.positions_N)
                by_position |= dict(zip(batch.positions_N.tolist(), batch.keys, strict=True))
    assert sorted(by_position) == list(range(start, start + count))
    return [by_position[position] for position in sorted(by_position)]


def test_resumed_anywhere_with_any_ranks_and_threads_it_reads_the_same(dataset: ShardDataset) -> None:
    whole = read_keys(dataset, 0, 2400, world=1, threads=0)
    rng = random.Random(5)
    for world, threads in ((1, 1), (2, 1), (3, 4), (4, 0)):
        start = rng.randrange(0, 1300)
        print(f"start {start}, world {world}, threads {threads}")
        assert read_keys(dataset, start, 1008, world, threads) == whole[start : start + 1008]


def test_a_corrupt_sample_is_replaced_by_the_next_good_position(tmp_path: Path) -> None:
    dataset = write(tmp_path, undecodable=(40,))
    order = Order(SAMPLES, 9)
    places = order.places(np.arange(3 * SAMPLES)).tolist()
    # Two bad ones in a row, and the undecodable one.
    twice = places[50:52]
    damage(dataset, *twice)
    bad = {40, *twice}
    expected = []
    for position in range(2 * SAMPLES):
        while places[position] in bad:
            position += 1
        expected.append(f"k{places[position]}")
    count = 2 * SAMPLES // 12 * 12
    for start, world, threads in ((0, 1, 0), (0, 3, 2), (48, 1, 1)):
        assert read_keys(dataset, start, count - start, world, threads) == expected[start:count]
    with BatchReader(dataset, 1, 9, decode, quarantine_share=0.03, prefetch_threads=0) as reader:
        for step in range(SAMPLES):
            reader.batch(step)
        assert set(reader.quarantined) == {f"k{place}" for place in bad}
        assert "cannot be decoded" in reader.quarantined["k40"]


@pytest.mark.parametrize("threads", [0, 2])
def test_the_run_fails_above_the_set_share(tmp_path: Path, threads: int) -> None:
    dataset = write(tmp_path)
    damage(dataset, 3, 50, 77)
    with (
        BatchReader(dataset, 4, 0, decode, quarantine_share=0.02, prefetch_threads=threads) as reader,
        pytest.raises(
            QuarantineExceeded,
            match=r"3 of 101 samples are corrupt \(2\.97%\), 2\.00% are allowed; the last: k",
        ),
    ):
        for step in range(30):
            reader.batch(step)


def test_a_set_without_a_good_sample_ends(tmp_path: Path) -> None:
    dataset = write(tmp_path, undecodable=tuple(range(SAMPLES)))
    with (
        BatchReader(dataset, 1, 0, decode, quarantine_share=1.0, prefetch_threads=0) as reader,
        pytest.raises(QuarantineExceeded, match="all 101 samples"),
    ):
        reader.batch(0)
    with pytest.raises(QuarantineExceeded, match="all 101 samples"):
        load_all(dataset, decode, quarantine_share=1.0)


def test_load_all_keeps_the_good_ones_in_stored_order(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    damage(dataset, 3)
    loaded = load_all(dataset, decode)
    assert list(loaded.samples) == [place for place in range(SAMPLES) if place != 3]
    assert loaded.keys[3] == "k4" and list(loaded.quarantined) == ["k3"]
    with pytest.raises(
        QuarantineExceeded, match=r"1 of 101 samples are corrupt \(0\.99%\), 0\.50% are allowed"
    ):
        load_all(dataset, decode, quarantine_share=0.005)


def test_wrong_arguments_are_refused(dataset: ShardDataset) -> None:
    for arguments, named in (
        ({"rank": 2, "world": 2}, "rank 2 of 2"),
        ({"world": 3}, "multiple of world 3, got 8"),
        ({"quarantine_share": 1.5}, "got 1.5"),
        ({"prefetch_threads": 65}, "got 65"),
    ):
        with pytest.raises(ValueError, match=named):
            BatchReader(dataset, 8, 0, decode, **arguments)  # type: ignore[arg-type]
    with BatchReader(dataset, 8, 0, decode) as reader, pytest.raises(ValueError, match="got -1"):
        reader.batch_at(-1)
