"""Trees up and down: presigned multipart uploads, hash-checked downloads through the local cache.

Both go on until they succeed or the caller gives up: an object store that is away costs the wait.
Memory is bounded by connections x one chunk.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict

from limbeck.agent.cache import BlobCache
from limbeck.agent.client import Client, GaveUp, GiveUp, Rejected, backoff, http_client
from limbeck.agent.disk import disk_full, is_full
from limbeck.agent.eventlog import log
from limbeck.agent.trees import Tree, parse_manifest, read_tree
from limbeck.contracts.generated import (
    DownloadRequest,
    DownloadUrls,
    UploadComplete,
    UploadRequest,
    UploadTickets,
)

CONNECTIONS = 3
CHUNK_BYTES = 1 << 20
BLOBS_A_REQUEST = 200
# A ticket's URLs expire; what one request asks for must be sent well before.
BYTES_A_REQUEST = 4 << 30
REFUSALS_BEFORE_ERROR = 3
HASH_MISMATCHES_BEFORE_ERROR = 2
ABSENT_ANSWERS_BEFORE_ERROR = 5


class CorruptBlob(Exception):
    """The store's bytes do not have their digest, also when asked again."""


class MissingBlob(Exception):
    """The store has no object for a digest that the control plane promised."""


class Anything(BaseModel):
    """Any JSON object: answers whose content the agent does not need."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, kw_only=True)
class _Blob:
    """What is to be stored: a file, or the bytes of a manifest."""

    sha256: str
    size: int
    kind: str
    path: Path | None = None
    content: bytes = b""

    def chunks(self, offset: int, length: int, give_up: GiveUp) -> Iterator[bytes]:
        if self.path is None:
            yield self.content[offset : offset + length]
            return
        with self.path.open("rb") as stream:
            stream.seek(offset)
            while length > 0:
                if give_up(0):
                    raise GaveUp("upload interrupted")
                chunk = stream.read(min(CHUNK_BYTES, length))
                if not chunk:
                    raise OSError(f"{self.path} became shorter while it was sent")
                length -= len(chunk)
                yield chunk


@dataclass
class _Download:
    digest: str
    size: int | None
    url: str = ""
    mismatches: int = 0
    absences: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)
    received: int = 0

    def restart(self) -> None:
        self.hasher, self.received = hashlib.sha256(), 0


class Transfers:
    """`connections` parallel requests to the object store; the API's client does the signing calls."""

    def __init__(self, api: Client, cache: BlobCache, connections: int = CONNECTIONS) -> None:
        self._api = api
        self._cache = cache
        self._connections = connections
        # No credentials here: a presigned URL carries its own right.
        self._store = http_client(
            connections=2 * connections,
            timeout=httpx.Timeout(60, connect=5),
            headers={"accept-encoding": "identity"},
        )

    def upload_tree(self, stage: str, folder: Path, give_up: GiveUp) -> str:
        """Stores a folder as a tree; its manifest goes last. Returns the tree's digest.

        Raises:
            TreeError: the folder holds something that is not a file.
            GaveUp, LeaseLost, TokenRefused, Rejected: of the client.
        """
        tree = read_tree(folder)
        self.upload(stage, tree, give_up)
        return tree.digest

    def upload(self, stage: str, tree: Tree, give_up: GiveUp) -> None:
        """Stores the blobs of a tree that was read, then its manifest."""
        blobs = {
            s.sha256: _Blob(sha256=s.sha256, size=s.size, kind="blob", path=s.path)
            for s in tree.files.values()
        }
        self._store_blobs(stage, blobs, give_up)
        manifest = _Blob(sha256=tree.digest, size=len(tree.manifest), kind="tree", content=tree.manifest)
        self._store_blobs(stage, {manifest.sha256: manifest}, give_up)

    def _store_blobs(self, stage: str, waiting: dict[str, _Blob], give_up: GiveUp) -> None:
        waiting = dict(waiting)
        failures = refusals = 0
        while waiting:
            batch = _batch(list(waiting.values()))
            request = UploadRequest.model_validate(
                {"blobs": [{"sha256": b.sha256, "size": b.size, "kind": b.kind} for b in batch]}
            )
            path = f"/v1/worker/stages/{stage}/uploads"
            tickets = self._api.call(path, request, UploadTickets, give_up).tickets
            stored = [t.sha256 for t in tickets if t.state == "present"]
            uploads, sent = self._put_parts(tickets, waiting, give_up)
            if uploads:
                complete = UploadComplete.model_validate({"uploads": uploads})
                try:
                    self._api.call(f"{path}/complete", complete, Anything, give_up)
                except Rejected as error:
                    # Parts that do not fit, or an upload that was cleaned up: new tickets, a few times.
                    refusals += 1
                    if refusals >= REFUSALS_BEFORE_ERROR:
                        raise
                    log("upload_refused", stage=stage, why=str(error))
                    sent = []
            for digest in [*stored, *sent]:
                waiting.pop(digest, None)
            if not stored and not sent:
                if give_up(backoff(failures)):
                    raise GaveUp("the object store takes no upload")
                failures += 1
            else:
                failures = 0

    def _put_parts(
        self, tickets: list[Any], blobs: dict[str, _Blob], give_up: GiveUp
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Sends all parts; a blob of which a part failed is left for the next tickets."""
        uploads, sent = [], []
        with _pool(self._connections, give_up) as (pool, stopped):
            futures: list[tuple[Any, list[tuple[int, Future[str | None]]]]] = []
            for ticket in tickets:
                blob = blobs.get(ticket.sha256)
                if ticket.state == "present" or blob is None or ticket.upload is None:
                    continue
                part_size = int(plain(ticket.part_size) or max(blob.size, 1))
                parts = [
                    (part.number, pool.submit(self._put, part.url, blob, part.number, part_size, stopped))
                    for part in ticket.parts
                ]
                futures.append((ticket, parts))
            for ticket, parts in futures:
                etags = [(number, future.result()) for number, future in parts]
                if etags and all(etag is not None for _, etag in etags):
                    rows = [{"number": number, "etag": etag} for number, etag in etags]
                    uploads.append({"upload": plain(ticket.upload), "parts": rows})
                    sent.append(ticket.sha256)
        return uploads, sent

    def _put(self, url: str, blob: _Blob, number: int, part_size: int, give_up: GiveUp) -> str | None:
        """ETag of the stored part; None: worth another ticket."""
        offset = (number - 1) * part_size
        length = max(0, min(part_size, blob.size - offset))
        for attempt in range(4):
            if give_up(0):
                raise GaveUp("upload interrupted")
            try:
                # A stated length keeps httpx from chunked encoding, which S3 refuses.
                response = self._store.put(
                    url,
                    content=blob.chunks(offset, length, give_up),
                    headers={"content-length": str(length)},
                )
            except httpx.TransportError as error:
                log("part_failed", sha256=blob.sha256, part=number, why=f"{type(error).__name__}: {error}")
            else:
                etag = response.headers.get("etag")
                if response.is_success and etag:
                    return etag
                log("part_failed", sha256=blob.sha256, part=number, why=f"status {response.status_code}")
                if 400 <= response.status_code < 500:
                    return None  # expired or aborted
            if give_up(backoff(attempt)):
                raise GaveUp("upload interrupted")
        return None

    def download_tree(self, stage: str, digest: str, target: Path, give_up: GiveUp) -> set[str]:
        """Lays the tree out in `target` (read-only files). Returns the digests it pins in the cache.

        Raises:
            CorruptBlob, MissingBlob, TreeError: the stored artifact cannot be used.
            DiskFull: too little space; GaveUp, LeaseLost, TokenRefused, Rejected: of the client.
        """
        self._fetch(stage, {digest: None}, {digest}, give_up)
        manifest = parse_manifest(self._cache.path(digest).read_bytes(), digest)
        sizes: dict[str, int | None] = {file.sha256: file.size for file in manifest.files}
        pinned = {digest, *sizes}
        self._fetch(stage, sizes, pinned, give_up)
        try:
            target.mkdir(parents=True, exist_ok=True)
            for file in manifest.files:
                self._cache.place(file.sha256, target / file.path)
        except OSError as error:
            if is_full(error):
                raise disk_full(target) from error
            raise
        return pinned

    def _fetch(self, stage: str, wanted: dict[str, int | None], keep: set[str], give_up: GiveUp) -> None:
        missing = [_Download(d, size) for d, size in wanted.items() if not self._cache.holds(d, size)]
        self._cache.make_room(sum(item.size or 0 for item in missing), keep)
        failures = 0
        while missing:
            batch = missing[:BLOBS_A_REQUEST]
            request = DownloadRequest.model_validate({"digests": [item.digest for item in batch]})
            answer = self._api.call(f"/v1/worker/stages/{stage}/downloads", request, DownloadUrls, give_up)
            urls = {blob.digest: blob.url for blob in answer.blobs}
            for item in batch:
                if item.digest not in urls:
                    raise MissingBlob(f"the control plane gives no URL for blob {item.digest}")
                item.url = urls[item.digest]
            with _pool(self._connections, give_up) as (pool, stopped):
                futures = [pool.submit(self._get, item, stopped) for item in batch]
                done = {item.digest for item, future in zip(batch, futures, strict=True) if future.result()}
            missing = [item for item in missing if item.digest not in done]
            failures = 0 if done else failures + 1
            if failures and give_up(backoff(failures)):
                raise GaveUp("the object store gives no download")

    def _get(self, item: _Download, give_up: GiveUp) -> bool:
        """Downloads one blob into the cache; false: worth another URL. Goes on where it broke off."""
        partial = self._cache.partial(item.digest)
        try:
            headers = {"range": f"bytes={item.received}-"} if item.received else {}
            with self._store.stream("GET", item.url, headers=headers) as response:
                if response.status_code == 404:
                    item.absences += 1
                    if item.absences >= ABSENT_ANSWERS_BEFORE_ERROR:
                        raise MissingBlob(f"the object store has no blob {item.digest}")
                if not response.is_success:
                    log("download_failed", sha256=item.digest, why=f"status {response.status_code}")
                    return False
                if item.received and response.status_code != 206:
                    item.restart()
                with partial.open("ab" if item.received else "wb") as stream:
                    for chunk in response.iter_raw(CHUNK_BYTES):
                        if give_up(0):
                            raise GaveUp("download interrupted")
                        stream.write(chunk)
                        item.hasher.update(chunk)
                        item.received += len(chunk)
        except httpx.TransportError as error:
            log("download_failed", sha256=item.digest, why=f"{type(error).__name__}: {error}")
            return False
        except OSError as error:
            if is_full(error):
                raise disk_full(partial, item.size) from error
            raise
        return self._verified(item)

    def _verified(self, item: _Download) -> bool:
        found, received = item.hasher.hexdigest(), item.received
        if found == item.digest:
            self._cache.adopt(item.digest)
            return True
        item.restart()
        item.mismatches += 1
        log("download_mismatch", expected=item.digest, found=found, size=received)
        if item.mismatches >= HASH_MISMATCHES_BEFORE_ERROR:
            raise CorruptBlob(
                f"blob {item.digest}: expected SHA-256 {item.digest}, found {found} in {received} bytes"
            )
        return False

    def close(self) -> None:
        self._store.close()


def plain(value: Any) -> Any:
    """The value inside a root model of the generated types, or the value itself."""
    return getattr(value, "root", value)


def _batch(blobs: list[_Blob]) -> list[_Blob]:
    """The first blobs that fit one request; at least one."""
    total, count = 0, 0
    for blob in blobs[:BLOBS_A_REQUEST]:
        total += blob.size
        if count and total > BYTES_A_REQUEST:
            break
        count += 1
    return blobs[:count]


@contextmanager
def _pool(connections: int, give_up: GiveUp) -> Iterator[tuple[ThreadPoolExecutor, Callable[[float], bool]]]:
    """A pool whose tasks end early when one of them, or the caller, has failed."""
    failed = threading.Event()

    def stopped(seconds: float) -> bool:
        return failed.is_set() or give_up(seconds)

    pool = ThreadPoolExecutor(max_workers=connections, thread_name_prefix="transfer")
    try:
        yield pool, stopped
    except BaseException:
        failed.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
