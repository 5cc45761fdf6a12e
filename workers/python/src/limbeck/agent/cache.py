"""Content-addressed blobs on local disk, with a size cap and eviction of the least recently used.

A blob's modification time is set to one fixed second after it was verified: a file that something
wrote to later shows another time and is fetched again. The access time is the clock of eviction.
"""

import errno
import os
import shutil
import threading
import time
from pathlib import Path

from limbeck.agent.disk import disk_full, free_bytes
from limbeck.agent.eventlog import log

_VERIFIED_NS = 1_000_000_000


class BlobCache:
    """`folder`/blobs/<2 digits>/<digest>; partial downloads live in `folder`/partial."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._blobs = folder / "blobs"
        self._partial = folder / "partial"
        self._lock = threading.Lock()
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._sizes = {path.name: path.stat().st_size for path in self._blobs.glob("*/*")}

    @property
    def used_bytes(self) -> int:
        return sum(self._sizes.values())

    def path(self, digest: str) -> Path:
        return self._blobs / digest[:2] / digest

    def partial(self, digest: str) -> Path:
        """Where a download of this blob is written before it is verified."""
        return self._partial / digest

    def holds(self, digest: str, size: int | None = None) -> bool:
        """Whether the verified blob is here, unchanged; counts as a use."""
        path = self.path(digest)
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        if status.st_mtime_ns != _VERIFIED_NS or size not in (None, status.st_size):
            log("cache_blob_changed", digest=digest, size=status.st_size)
            self._remove(digest)
            return False
        os.utime(path, ns=(time.time_ns(), _VERIFIED_NS))
        return True

    def adopt(self, digest: str) -> None:
        """Takes over the partial download of `digest`, which the caller has verified."""
        partial, path = self.partial(digest), self.path(digest)
        size = partial.stat().st_size
        partial.chmod(0o444)
        os.utime(partial, ns=(time.time_ns(), _VERIFIED_NS))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
        with self._lock:
            self._sizes[digest] = size

    def place(self, digest: str, target: Path) -> None:
        """Puts the blob at `target`: a hard link where the file system allows it, else a copy."""
        target.parent.mkdir(parents=True, exist_ok=True)
        source = self.path(digest)
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            shutil.copyfile(source, target)

    def make_room(self, needed: int, keep: set[str]) -> None:
        """Evicts until `needed` more bytes fit under the cap and on the disk, sparing `keep`.

        What one attempt needs may pass the cap: it is evicted after the attempt.

        Raises:
            DiskFull: the disk has less than `needed` after everything else was evicted.
        """
        with self._lock:
            candidates = [digest for digest in self._sizes if digest not in keep]
        candidates.sort(key=self._last_use)
        while candidates and (
            self.used_bytes + needed > self.limit_bytes or free_bytes(self.folder) < needed
        ):
            self._remove(candidates.pop(0))
        if free_bytes(self.folder) < needed:
            raise disk_full(self.folder, needed)

    def clear(self, keep: set[str] | None = None) -> None:
        """Gives back everything that is not in `keep`: the disk is full."""
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True, exist_ok=True)
        for digest in [d for d in self._sizes if d not in (keep or set())]:
            self._remove(digest)

    def _last_use(self, digest: str) -> int:
        try:
            return self.path(digest).stat().st_atime_ns
        except FileNotFoundError:
            return 0

    def _remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)
        with self._lock:
            self._sizes.pop(digest, None)
