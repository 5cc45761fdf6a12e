"""Trees up and down over real HTTP: multipart, hashes, the cache and its cap."""

import errno
import hashlib
import json
import os
import resource
import socket
from pathlib import Path

import pytest
import rfc8785

from limbeck.agent.cache import BlobCache
from limbeck.agent.client import Client, GaveUp, Rejected
from limbeck.agent.disk import DiskFull, disk_full, is_full, replace_file
from limbeck.agent.transfers import CorruptBlob, MissingBlob, Transfers
from limbeck.agent.trees import TreeError, parse_manifest, read_tree

STAGE = "stg_" + "0" * 26


def soon(seconds: float) -> bool:
    """Patient, but without the sleep."""
    return False


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    return BlobCache(tmp_path / "cache", 10_000)


@pytest.fixture
def transfers(api: Client, cache: BlobCache) -> Transfers:
    return Transfers(api, cache)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_the_manifest_is_canonical_json(tmp_path: Path) -> None:
    tree = read_tree(write(tmp_path, {"b/ü": b"x", "a": b"", "b.bin": b"y"}))
    empty, x, y = (hashlib.sha256(content).hexdigest() for content in (b"", b"x", b"y"))
    assert tree.manifest.decode() == (
        f'{{"files":[{{"path":"a","sha256":"{empty}","size":0}},{{"path":"b.bin","sha256":"{y}","size":1}},'
        f'{{"path":"b/ü","sha256":"{x}","size":1}}],"format":"limbeck-tree-1"}}'
    )
    assert tree.manifest == rfc8785.dumps(json.loads(tree.manifest))
    assert tree.digest == hashlib.sha256(tree.manifest).hexdigest()


def test_paths_are_sorted_as_javascript_does(tmp_path: Path) -> None:
    # U+FF5E comes after U+1F600 in UTF-16, before it in code points.
    tree = read_tree(write(tmp_path, {"\uff5e": b"1", "\U0001f600": b"2"}))
    assert list(tree.files) == ["\U0001f600", "\uff5e"]


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="holds no file"):
        read_tree(tmp_path)
    (tmp_path / "link").symlink_to("/tmp")
    with pytest.raises(TreeError, match=r"link is a link to a folder"):
        read_tree(tmp_path)
    (tmp_path / "link").unlink()
    (tmp_path / "dangling").symlink_to("/nowhere")
    with pytest.raises(TreeError, match="dangling"):
        read_tree(tmp_path)
    (tmp_path / "dangling").unlink()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(os.path.relpath(tmp_path / "door"))
        with pytest.raises(TreeError, match="door is not a plain file"):
            read_tree(tmp_path)


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "a//b", "./a", "a\\b", "a/"])
def test_a_manifest_cannot_lead_out_of_its_folder(path: str) -> None:
    rows = [{"path": path, "size": 0, "sha256": "0" * 64}]
    content = json.dumps({"format": "limbeck-tree-1", "files": rows}).encode()
    with pytest.raises(TreeError, match="relative paths"):
        parse_manifest(content, "d" * 64)


def test_a_tree_goes_up_in_parts_and_comes_back_the_same(peer, transfers: Transfers, tmp_path: Path) -> None:
    peer.part_size = 1000
    files = {
        "big": os.urandom(3500),
        "empty": b"",
        "same/1": b"twin",
        "same/2": b"twin",
        "exact": b"e" * 2000,
    }
    digest = transfers.upload_tree(STAGE, write(tmp_path / "up", files), soon)
    assert peer.tree(digest) == files
    assert peer.largest_put == 1000
    kinds = [[blob["kind"] for blob in body["blobs"]] for body in peer.of("uploads")]
    assert kinds == [["blob"] * 4, ["tree"]], "one request a content, the manifest last"
    transfers.download_tree(STAGE, digest, tmp_path / "down", soon)
    assert {p: (tmp_path / "down" / p).read_bytes() for p in files} == files


def test_what_is_stored_already_is_not_sent(peer, transfers: Transfers, tmp_path: Path) -> None:
    folder = write(tmp_path / "up", {"a": b"1", "b": b"2"})
    digest = transfers.upload_tree(STAGE, folder, soon)
    sent = len(peer.uploads)
    assert transfers.upload_tree(STAGE, folder, soon) == digest
    assert len(peer.uploads) == sent == 3


def test_failed_parts_get_new_tickets(peer, transfers: Transfers, tmp_path: Path) -> None:
    # 403: the URL has expired; 500: the store itself.
    peer.object_status = [403, 500, 403, 403]
    files = {"a": b"1" * 10, "b": b"2" * 10}
    digest = transfers.upload_tree(STAGE, write(tmp_path / "up", files), soon)
    assert peer.tree(digest) == files
    assert peer.object_status == []


def test_parts_that_the_api_refuses_are_sent_again_a_few_times(peer, transfers: Transfers, tmp_path) -> None:
    refusal = ("uploads/complete", 409, {"code": "conflict", "detail": "the parts do not fit"})
    peer.refusals = [refusal]
    folder = write(tmp_path / "up", {"a": b"1"})
    assert peer.tree(transfers.upload_tree(STAGE, folder, soon)) == {"a": b"1"}
    peer.refusals = [refusal] * 3
    (folder / "a").write_bytes(b"2")
    with pytest.raises(Rejected, match="the parts do not fit"):
        transfers.upload_tree(STAGE, folder, soon)


def test_an_upload_ends_when_the_caller_gives_up(peer, transfers: Transfers, tmp_path: Path) -> None:
    peer.object_status = [403] * 100
    left = iter([False] * 12)
    with pytest.raises(GaveUp):
        transfers.upload_tree(STAGE, write(tmp_path / "up", {"a": b"1"}), lambda _: next(left, True))
    assert len(peer.object_status) > 80


def test_an_upload_of_a_large_file_takes_little_memory(peer, transfers: Transfers, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = tmp_path / "up" / "sparse"
    path.parent.mkdir()
    with path.open("wb") as stream:
        stream.truncate(64 << 20)
    # The peer refuses, so that only the agent's own memory is seen.
    peer.object_status = [403] * 64
    left = iter([False] * 60)
    with pytest.raises(GaveUp):
        transfers.upload_tree(STAGE, path.parent, lambda _: next(left, True))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 << 10


def test_a_download_goes_on_where_it_broke_off(peer, transfers: Transfers, tmp_path: Path) -> None:
    content = os.urandom(5000)
    digest = peer.store_tree({"a": content})
    transfers.download_tree(STAGE, digest, tmp_path / "manifest-only-warm-up", soon)
    other = peer.store_tree({"a": content + b"!"})
    transfers._fetch(STAGE, {other: None}, set(), soon)
    peer.cut_downloads_at = 3000
    transfers.download_tree(STAGE, other, tmp_path / "down", soon)
    assert (tmp_path / "down" / "a").read_bytes() == content + b"!"


def test_a_wrong_content_is_an_error_with_both_digests(peer, transfers: Transfers, tmp_path: Path) -> None:
    digest = peer.store_tree({"a": b"right"})
    [blob] = [key for key, content in peer.blobs.items() if content == b"right"]
    peer.blobs[blob] = b"wrong"
    found = hashlib.sha256(b"wrong").hexdigest()
    with pytest.raises(CorruptBlob, match=f"expected SHA-256 {blob}, found {found} in 5 bytes"):
        transfers.download_tree(STAGE, digest, tmp_path / "down", soon)
    assert not transfers._cache.holds(blob)
    assert list((tmp_path / "cache" / "partial").iterdir()) != [transfers._cache.path(blob)]


def test_a_blob_that_the_store_lacks_is_named(peer, transfers: Transfers, tmp_path: Path) -> None:
    digest = peer.store_tree({"a": b"right"})
    [blob] = [key for key, content in peer.blobs.items() if content == b"right"]
    del peer.blobs[blob]
    with pytest.raises(MissingBlob, match=blob):
        transfers.download_tree(STAGE, digest, tmp_path / "down", soon)


def test_a_blob_that_is_no_tree_is_named(peer, transfers: Transfers, tmp_path: Path) -> None:
    content = b"not a manifest"
    digest = hashlib.sha256(content).hexdigest()
    peer.blobs[digest] = content
    with pytest.raises(TreeError, match=f"artifact {digest} is not a tree"):
        transfers.download_tree(STAGE, digest, tmp_path / "down", soon)


def test_the_second_download_comes_from_the_cache(peer, transfers: Transfers, tmp_path: Path) -> None:
    digest = peer.store_tree({"a": b"1", "b": b"2"})
    transfers.download_tree(STAGE, digest, tmp_path / "one", soon)
    calls = len(peer.of("downloads"))
    transfers.download_tree(STAGE, digest, tmp_path / "two", soon)
    assert len(peer.of("downloads")) == calls
    assert (tmp_path / "one" / "a").stat().st_ino == (tmp_path / "two" / "a").stat().st_ino


def test_a_cached_blob_that_was_written_to_is_fetched_again(
    peer, transfers: Transfers, tmp_path: Path
) -> None:
    digest = peer.store_tree({"a": b"good"})
    transfers.download_tree(STAGE, digest, tmp_path / "one", soon)
    victim = tmp_path / "one" / "a"
    victim.chmod(0o644)
    victim.write_bytes(b"evil")
    transfers.download_tree(STAGE, digest, tmp_path / "two", soon)
    assert (tmp_path / "two" / "a").read_bytes() == b"good"


def test_the_least_recently_used_blobs_leave_the_cache(
    peer, transfers: Transfers, cache, tmp_path: Path
) -> None:
    trees = [peer.store_tree({"a": bytes([i]) * 3000}) for i in range(3)]
    for i in (0, 1, 0, 2):
        transfers.download_tree(STAGE, trees[i], tmp_path / f"down-{i}-{os.urandom(3).hex()}", soon)
        cache.make_room(0, set())
    blobs = [cache.path(hashlib.sha256(bytes([i]) * 3000).hexdigest()) for i in range(3)]
    assert [path.exists() for path in blobs] == [True, True, True]
    fourth = peer.store_tree({"a": b"z" * 3000})
    transfers.download_tree(STAGE, fourth, tmp_path / "down-4", soon)
    assert [path.exists() for path in blobs] == [True, False, True], "tree 1 was used longest ago"
    assert cache.used_bytes <= 10_000


def test_the_cache_survives_a_restart_without_its_partial_files(cache: BlobCache, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    cache.partial(digest).write_bytes(b"x")
    cache.adopt(digest)
    cache.partial("0" * 64).write_bytes(b"half")
    again = BlobCache(tmp_path / "cache", 10_000)
    assert again.holds(digest, 1)
    assert again.used_bytes == 1
    assert not again.partial("0" * 64).exists()


def test_a_full_disk_names_path_and_free_bytes(tmp_path: Path) -> None:
    assert is_full(OSError(errno.ENOSPC, "no space"))
    assert f"{tmp_path}/none/x: " in str(disk_full(tmp_path / "none" / "x", 5))
    assert "bytes free, 5 needed" in str(disk_full(tmp_path / "none" / "x", 5))
    cache = BlobCache(tmp_path / "c", 1 << 62)
    with pytest.raises(DiskFull, match=f"{1 << 60} needed"):
        cache.make_room(1 << 60, set())


def test_a_replaced_file_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    replace_file(path, "1")
    replace_file(path, "2")
    assert path.read_text() == "2"
    assert list(tmp_path.iterdir()) == [path]
