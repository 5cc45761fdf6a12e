"""Shards: layout that others can read, equal bytes for equal input, damage that is named."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tarfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limbeck.data.shapes import render_sample
from limbeck.data.shapes.dataset import decode_image_text, decode_png, encode_png, write_shapes
from limbeck.data.shards import CorruptSample, DataError, ShardDataset, ShardWriter, TruncatedShard


def write(folder: Path, samples: int = 7, samples_per_shard: int = 3) -> ShardDataset:
    with ShardWriter(folder, samples_per_shard, {"resolution": 64}) as writer:
        for place in range(samples):
            writer.add(f"s{place}", {"json": b"{}" * place, "latent.npy": bytes([place]) * 600})
    return ShardDataset(folder)


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def test_round_trip(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    assert len(dataset) == 7
    assert [dataset.key(place) for place in range(7)] == [f"s{place}" for place in range(7)]
    for place, members in enumerate(dataset):
        assert members == {"json": b"{}" * place, "latent.npy": bytes([place]) * 600}
    assert [len(shard.samples) for shard in dataset.index.shards] == [3, 3, 1]
    assert dataset.index.fields == ("json", "latent.npy") and dataset.attributes == {"resolution": 64}
    dataset.verify()


def test_tar_tools_read_a_shard_and_agree_with_the_index(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    for shard in dataset.index.shards:
        raw = (tmp_path / shard.file).read_bytes()
        assert hashlib.sha256(raw).hexdigest() == shard.sha256 and len(raw) == shard.bytes
        with tarfile.open(tmp_path / shard.file) as tar:
            infos = tar.getmembers()
        listed = [
            (f"{sample.key}.{suffix}", member.offset, member.size)
            for sample in shard.samples
            for suffix, member in sample.members.items()
        ]
        assert [(info.name, info.offset_data, info.size) for info in infos] == listed
        assert {(info.mtime, info.uid, info.gid, info.uname, info.mode) for info in infos} == {
            (0, 0, 0, "", 0o644)
        }
        spans = [(sample.offset, sample.offset + sample.size) for sample in shard.samples]
        assert spans[0][0] == 0 and all(a[1] == b[0] for a, b in pairwise(spans))


def test_equal_samples_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(tmp_path / folder)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_shard_cut_short_is_named_with_both_lengths(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    shard = dataset.index.shards[1]
    os.truncate(tmp_path / shard.file, 700)
    expected = f"shard-000001.tar is cut short: expected {shard.bytes} bytes, found 700"
    with pytest.raises(TruncatedShard, match=expected):
        ShardDataset(tmp_path)
    with pytest.raises(TruncatedShard, match=expected):
        dataset.read(4)
    (tmp_path / shard.file).unlink()
    with pytest.raises(TruncatedShard, match=r"shard-000001\.tar is missing"):
        ShardDataset(tmp_path)


def test_a_shard_that_grew_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    with (tmp_path / "shard-000002.tar").open("ab") as file:
        file.write(b"x")
    with pytest.raises(TruncatedShard, match="longer than its index says"):
        ShardDataset(tmp_path)


def test_one_flipped_bit_condemns_its_sample_only(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    flip(tmp_path / "shard-000000.tar", dataset.index.shards[0].samples[1].members["latent.npy"].offset + 5)
    dataset = ShardDataset(tmp_path)
    dataset.read(0)
    dataset.read(2)
    with pytest.raises(CorruptSample, match=r"corrupt sample s1: latent\.npy in shard-000000\.tar") as caught:
        dataset.read(1)
    assert caught.value.key == "s1"
    with pytest.raises(DataError, match=r"shard shard-000000\.tar: digest is"):
        dataset.verify()


def test_a_writer_that_dies_leaves_no_data_set_and_its_remains_do_no_harm(tmp_path: Path) -> None:
    def dying() -> None:
        with ShardWriter(tmp_path, 2, {}) as writer:
            for place in range(3):
                writer.add(f"old{place}", {"npy": b"old"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dying()
    assert {path.name for path in tmp_path.iterdir()} == {"shard-000000.tar", "shard-000001.tar.partial"}
    with pytest.raises(DataError, match=r"holds no data set: index\.json is missing"):
        ShardDataset(tmp_path)
    assert len(write(tmp_path, samples=1)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"shard-000000.tar", "index.json"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, 2, {})
    (tmp_path / "shard-000000.tar.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        for place in range(2):
            writer.add(f"s{place}", {"npy": bytes(100_000)})
    assert caught.value.errno == errno.ENOSPC
    assert str(caught.value.filename).endswith("shard-000000.tar.partial")
    assert not (tmp_path / "index.json").exists()


def test_quarantined_samples_are_accounted_for(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 2, {}) as writer:
        writer.add("good", {"npy": b"1"})
        writer.quarantine("bad", "no caption")
        with pytest.raises(ValueError, match="'bad' comes twice"):
            writer.add("bad", {"npy": b"1"})
    index = ShardDataset(tmp_path).index
    assert [(item.key, item.reason) for item in index.quarantined] == [("bad", "no caption")]


def test_wrong_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        ShardWriter(tmp_path, 0, {})
    writer = ShardWriter(tmp_path, 2, {})
    for key in ("a.b", "a/b", "../a", "", "x" * 65):
        with pytest.raises(ValueError, match="must match"):
            writer.add(key, {"npy": b""})
    with pytest.raises(ValueError, match="suffix 'NPY'"):
        writer.add("a", {"NPY": b""})
    writer.add("b", {"npy": b"", "json": b""})
    with pytest.raises(ValueError, match=r"members \['npy'\], the first had \['json', 'npy'\]"):
        writer.add("c", {"npy": b""})
    with pytest.raises(ValueError, match="'b' comes twice"):
        writer.add("b", {"npy": b"", "json": b""})
    writer.close()
    with pytest.raises(ValueError, match="after the data set was closed"):
        writer.add("d", {"npy": b"", "json": b""})
    with pytest.raises(DataError, match="already holds a data set"):
        ShardWriter(tmp_path, 2, {})
    with pytest.raises(DataError, match="no sample was written"):
        ShardWriter(tmp_path / "empty", 2, {}).close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda index: index.update(format="limbeck-shards-9"), "format: Input should be"),
        (lambda index: index.update(total=9), "total is 9, but 7 samples are listed"),
        (
            lambda index: index["shards"][0].update(file="../../etc/passwd"),
            r"shards\.0\.file: String should match",
        ),
        (lambda index: index["shards"][0].pop("sha256"), r"shards\.0\.sha256: Field required"),
        (lambda index: index.update(extra=1), "extra: Extra inputs"),
    ],
)
def test_a_malformed_index_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], named: str
) -> None:
    write(tmp_path)
    path = tmp_path / "index.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))
    with pytest.raises(DataError, match=named):
        ShardDataset(tmp_path)
    path.write_text("{")
    with pytest.raises(DataError, match="is not an index of format limbeck-shards-1"):
        ShardDataset(tmp_path)


def test_other_attributes_are_refused(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    dataset.require(resolution=64)
    with pytest.raises(DataError, match="resolution is 64, expected 32; encoder is None, expected 'abc'"):
        dataset.require(resolution=32, encoder="abc")


def test_places_outside_are_refused(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    for place in (-1, 7):
        with pytest.raises(IndexError, match=rf"{place} is outside 0 \.\. 6"):
            dataset.read(place)


def test_shapes_as_shards_are_the_renders(tmp_path: Path) -> None:
    write_shapes(tmp_path, seed=3, split="validation", count=5, samples_per_shard=2, start=100)
    dataset = ShardDataset(tmp_path)
    dataset.require(dataset="shapes", hold_out="shapes-v1", resolution=64, split="validation")
    assert [dataset.key(place) for place in (0, 4)] == ["validation-00000100", "validation-00000104"]
    for place in range(5):
        sample, render = (
            decode_image_text(dataset.read(place)),
            render_sample(3, 100 + place, 64, "validation"),
        )
        np.testing.assert_array_equal(sample.image_HW3, render.image)
        assert (sample.caption, sample.metadata) == (render.caption, render.metadata)
    with pytest.raises(ValueError, match="got 0"):
        write_shapes(tmp_path / "none", seed=0, split="train", count=0)


def test_what_is_no_image_text_sample_is_named() -> None:
    png = encode_png(np.zeros((4, 4, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"\['png'\] are missing, found \['json'\]"):
        decode_image_text({"json": b"{}"})
    with pytest.raises(ValueError, match="no prompt"):
        decode_image_text({"json": b"{}", "png": png})
    with pytest.raises(OSError):
        decode_png(png[:40])
