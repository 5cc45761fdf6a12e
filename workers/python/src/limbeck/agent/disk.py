"""A full disk by its name, and files that appear complete or not at all."""

import errno
import os
import shutil
from pathlib import Path


class DiskFull(Exception):
    """No space left; the message names the path and the free bytes."""


def free_bytes(path: Path) -> int:
    """Free bytes of the file system that holds `path` or its nearest parent that exists."""
    folder = path
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full(path: Path, needed: int | None = None) -> DiskFull:
    need = "" if needed is None else f", {needed} needed"
    return DiskFull(f"no space left for {path}: {free_bytes(path)} bytes free{need}")


def replace_file(path: Path, content: str) -> None:
    """Writes a small file so that it survives a crash as the old or as the new one.

    Raises:
        DiskFull
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if is_full(error):
            raise disk_full(path) from error
        raise
