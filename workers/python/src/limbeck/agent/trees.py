"""Tree artifacts: a folder as a manifest in canonical JSON, whose SHA-256 is the tree's digest."""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import rfc8785
from pydantic import ValidationError

from limbeck.contracts.generated import TreeManifest

FORMAT = "limbeck-tree-1"


class TreeError(Exception):
    """A folder that cannot become a tree, or a manifest that must not become a folder."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the bytes of a file of the tree are."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Tree:
    """`manifest`: canonical JSON; `files`: by their path in the tree."""

    manifest: bytes
    digest: str
    files: dict[str, Source]


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _raise(error: OSError) -> None:
    raise error


def _relative_paths(folder: Path) -> list[str]:
    paths = []
    for parent, folders, files in os.walk(folder, onerror=_raise):
        for name in folders:
            if (link := Path(parent, name)).is_symlink():
                raise TreeError(f"{link} is a link to a folder; a tree holds files only")
        paths += [Path(parent, name).relative_to(folder).as_posix() for name in files]
    # JavaScript compares UTF-16 units; beyond U+FFFF that differs from Python's order.
    return sorted(paths, key=lambda path: path.encode("utf-16-be", "surrogatepass"))


def read_tree(folder: Path, skip: Callable[[str], bool] = lambda _: False) -> Tree:
    """Hashes all files below `folder` (links to files are followed; empty folders do not exist).

    Raises:
        TreeError: a link to a folder, a socket, a device, a name that is not UTF-8, no file at all.
    """
    files: dict[str, Source] = {}
    for name in _relative_paths(folder):
        if skip(name):
            continue
        path = folder / name
        try:
            name.encode()
            status = path.stat()
        except (UnicodeEncodeError, FileNotFoundError) as error:
            raise TreeError(f"{path!s:.500} cannot be stored: {error}") from error
        if not stat.S_ISREG(status.st_mode):
            raise TreeError(f"{path} is not a plain file; a tree holds files only")
        files[name] = Source(path=path, size=status.st_size, sha256=hash_file(path))
    if not files:
        raise TreeError(f"{folder} holds no file")
    rows = [{"path": name, "size": s.size, "sha256": s.sha256} for name, s in files.items()]
    manifest = rfc8785.dumps({"format": FORMAT, "files": rows})
    return Tree(manifest=manifest, digest=hashlib.sha256(manifest).hexdigest(), files=files)


def parse_manifest(content: bytes, digest: str) -> TreeManifest:
    """A manifest whose paths are safe to write below a folder.

    Raises:
        TreeError: not a manifest, or a path that is absolute, leaves the folder or occurs twice.
    """
    try:
        manifest = TreeManifest.model_validate_json(content)
    except ValidationError as error:
        raise TreeError(f"artifact {digest} is not a tree: {error.errors()[0]['msg']}") from error
    seen: set[str] = set()
    for file in manifest.files:
        parts = PurePosixPath(file.path).parts
        plain = "/".join(parts) == file.path and "\0" not in file.path and "\\" not in file.path
        if not plain or file.path.startswith("/") or any(part in ("..", ".") for part in parts):
            raise TreeError(
                f"tree {digest} holds the path {file.path!r}; allowed are relative paths without '..'"
            )
        if file.path in seen:
            raise TreeError(f"tree {digest} holds {file.path!r} twice")
        seen.add(file.path)
    return manifest
