"""Sample storage: plain tar shards in WebDataset's layout and one index, `index.json`.

A sample is a key and some members, `{key}.{suffix}` in the tar, so any tar or WebDataset tool opens a shard.
The index says for each sample where its members lie and what they hash to: reading takes one seek, and every
byte that is read is checked. Files come first and the index last, so a folder without an index is not a data
set but the remains of a writer that died. Equal samples and attributes give equal bytes: no time, no owner.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

INDEX_FILE: Final = "index.json"
FORMAT: Final = "limbeck-shards-1"

_BLOCK: Final = 512
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SUFFIX: Final = re.compile(r"[a-z0-9_]{1,16}(\.[a-z0-9_]{1,16})?")
"""Key plus suffix stay below the 100 characters of a plain tar name; the key has no dot, because WebDataset
splits a name at its first one."""

_SHA256 = r"^[0-9a-f]{64}$"


class DataError(ValueError):
    """A data set that cannot be read as it is: message for the user, naming file, found and expected."""


class TruncatedShard(DataError):
    """A shard is missing or has another length than its index says."""


class CorruptSample(DataError):
    """One sample's bytes differ from its index or cannot be decoded; the others may be good."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"corrupt sample {key}: {reason}")
        self.key = key
        self.reason = reason


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Record):
    """One file of a sample: where its bytes start in the tar, how many, their digest."""

    offset: int = Field(ge=_BLOCK)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=_SHA256)


class SampleEntry(_Record):
    """`offset` and `size` span all members with their tar headers: one range request reads the sample."""

    key: str = Field(pattern=rf"^{_KEY.pattern}$")
    offset: int = Field(ge=0)
    size: int = Field(ge=0)
    members: dict[str, Member]


class ShardEntry(_Record):
    file: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}\.tar$")
    sha256: str = Field(pattern=_SHA256)
    bytes: int = Field(ge=0)
    samples: tuple[SampleEntry, ...]


class Quarantined(_Record):
    """A sample that the writer was given and could not write, and why."""

    key: str
    reason: str


class ShardIndex(_Record):
    """The data set's manifest. `fields`: the suffixes that every sample has, sorted. `attributes`: what a
    reader must know before it trusts the bytes (resolution, digests of encoders, ...), any JSON."""

    format: Literal["limbeck-shards-1"] = FORMAT
    attributes: dict[str, Any]
    fields: tuple[str, ...]
    total: int = Field(ge=0)
    shards: tuple[ShardEntry, ...]
    quarantined: tuple[Quarantined, ...] = ()


class ShardWriter:
    """Writes one data set; a context manager that writes the index on a normal exit only.

    Args:
        folder: made if missing. Shards of a writer that died before its index are removed.
        samples_per_shard: 1 or more; the last shard may have fewer.
        attributes: any JSON object, stored in the index.

    Raises:
        DataError: the folder already holds a data set.
        OSError: naming the file (a full disk, no permission); no index is written then.
    """

    def __init__(self, folder: Path, samples_per_shard: int, attributes: Mapping[str, Any]) -> None:
        if samples_per_shard < 1:
            raise ValueError(f"samples_per_shard must be at least 1, got {samples_per_shard}")
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / INDEX_FILE).exists():
            raise DataError(f"{folder} already holds a data set ({INDEX_FILE} exists)")
        for leftover in [*folder.glob("shard-*.tar"), *folder.glob("shard-*.tar.partial")]:
            leftover.unlink()
        self._folder = folder
        self._samples_per_shard = samples_per_shard
        self._attributes = dict(json.loads(json.dumps(attributes)))
        self._fields: tuple[str, ...] | None = None
        self._keys: set[str] = set()
        self._quarantined: list[Quarantined] = []
        self._shards: list[ShardEntry] = []
        self._open: _OpenShard | None = None
        self._index: ShardIndex | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        elif self._open is not None:
            self._open.file.close()

    def add(self, key: str, members: Mapping[str, bytes]) -> None:
        """Appends a sample; `members` maps suffix (without the leading dot) to bytes.

        Raises:
            ValueError: a malformed or repeated key, or other suffixes than the first sample has.
        """
        self._take_key(key)
        fields = tuple(sorted(members))
        if self._fields is None:
            for suffix in fields or ("",):
                if not _SUFFIX.fullmatch(suffix):
                    raise ValueError(f"sample {key}: suffix {suffix!r} must match {_SUFFIX.pattern}")
            self._fields = fields
        if fields != self._fields:
            raise ValueError(f"sample {key} has members {list(fields)}, the first had {list(self._fields)}")
        if self._open is None:
            name = f"shard-{len(self._shards):06d}.tar"
            self._open = _OpenShard(self._folder / name)
        self._open.add(key, members)
        if len(self._open.samples) == self._samples_per_shard:
            self._close_shard()

    def quarantine(self, key: str, reason: str) -> None:
        """Records a sample that could not be made, so that every sample is accounted for."""
        self._take_key(key)
        self._quarantined.append(Quarantined(key=key, reason=reason))

    def close(self) -> ShardIndex:
        """Finishes the last shard, then writes the index; again, returns that index.

        Raises:
            DataError: no sample was added.
        """
        if self._index is not None:
            return self._index
        self._close_shard()
        if self._fields is None:
            raise DataError(
                f"no sample was written to {self._folder}; {len(self._quarantined)} were quarantined"
            )
        index = ShardIndex(
            attributes=self._attributes,
            fields=self._fields,
            total=sum(len(shard.samples) for shard in self._shards),
            shards=tuple(self._shards),
            quarantined=tuple(self._quarantined),
        )
        _write_durably(self._folder / INDEX_FILE, index.model_dump_json().encode())
        self._index = index
        return index

    def _take_key(self, key: str) -> None:
        if self._index is not None:
            raise ValueError(f"sample {key!r} comes after the data set was closed")
        if not _KEY.fullmatch(key):
            raise ValueError(f"sample key {key!r} must match {_KEY.pattern}")
        if key in self._keys:
            raise ValueError(f"sample key {key!r} comes twice")
        self._keys.add(key)

    def _close_shard(self) -> None:
        if self._open is not None:
            self._shards.append(self._open.close())
            self._open = None


class ShardDataset:
    """Reads a data set; safe to share between threads (each read opens its shard and closes it).

    Opening checks the index and the length of every shard, not the bytes: `read` checks those of its sample,
    `verify` all.

    Raises:
        DataError: no index, or one that is malformed or of another format.
        TruncatedShard: naming the shard, the expected and the found bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = _load_index(folder / INDEX_FILE)
        self._places = [(shard, sample) for shard in self.index.shards for sample in shard.samples]
        if len(self._places) != self.index.total or not self._places:
            raise DataError(
                f"{folder / INDEX_FILE}: total is {self.index.total}, "
                f"but {len(self._places)} samples are listed (at least 1 is needed)"
            )
        for shard in self.index.shards:
            self._check_length(shard)

    def __len__(self) -> int:
        return len(self._places)

    def key(self, place: int) -> str:
        """Key of the sample at `place`, 0 .. len - 1."""
        return self._places[place][1].key

    @property
    def attributes(self) -> dict[str, Any]:
        return self.index.attributes

    def require(self, **expected: Any) -> None:
        """Refuses a data set made under other conditions than this reader's.

        Raises:
            DataError: naming each attribute that differs, with both values.
        """
        differing = [
            f"{name} is {self.attributes.get(name)!r}, expected {value!r}"
            for name, value in expected.items()
            if self.attributes.get(name) != value
        ]
        if differing:
            raise DataError(f"data set {self.folder} does not fit: {'; '.join(differing)}")

    def read(self, place: int) -> dict[str, bytes]:
        """Members of a sample by suffix, each checked against its digest.

        Raises:
            IndexError: `place` is outside 0 .. len - 1.
            CorruptSample: a member's bytes differ from the index.
            TruncatedShard: the shard lost bytes since it was opened.
        """
        if not 0 <= place < len(self._places):
            raise IndexError(f"sample {place} is outside 0 .. {len(self._places) - 1}")
        shard, sample = self._places[place]
        path = self.folder / shard.file
        members: dict[str, bytes] = {}
        with path.open("rb", buffering=0) as file:
            for suffix, member in sample.members.items():
                content = os.pread(file.fileno(), member.size, member.offset)
                if len(content) != member.size:
                    self._check_length(shard)
                    raise CorruptSample(sample.key, f"{suffix} lies beyond the end of {shard.file}")
                if hashlib.sha256(content).hexdigest() != member.sha256:
                    raise CorruptSample(sample.key, f"{suffix} in {shard.file} differs from its digest")
                members[suffix] = content
        return members

    def verify(self) -> None:
        """Hashes every shard whole.

        Raises:
            TruncatedShard: as on opening.
            DataError: naming the first shard whose digest differs.
        """
        for shard in self.index.shards:
            self._check_length(shard)
            with (self.folder / shard.file).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != shard.sha256:
                raise DataError(f"shard {shard.file}: digest is {found}, the index says {shard.sha256}")

    def __iter__(self) -> Iterator[dict[str, bytes]]:
        return (self.read(place) for place in range(len(self)))

    def _check_length(self, shard: ShardEntry) -> None:
        path = self.folder / shard.file
        found = path.stat().st_size if path.exists() else None
        if found is None:
            raise TruncatedShard(
                f"shard {shard.file} is missing: expected {shard.bytes} bytes in {self.folder}"
            )
        if found != shard.bytes:
            change = "cut short" if found < shard.bytes else "longer than its index says"
            raise TruncatedShard(
                f"shard {shard.file} is {change}: expected {shard.bytes} bytes, found {found}"
            )


class _OpenShard:
    """A shard being written, under a `.partial` name until it is complete."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples: list[SampleEntry] = []
        self._partial = path.with_name(path.name + ".partial")
        self.file: BinaryIO = self._partial.open("wb")
        self._digest = hashlib.sha256()
        self._position = 0

    def add(self, key: str, members: Mapping[str, bytes]) -> None:
        start = self._position
        entries: dict[str, Member] = {}
        for suffix in sorted(members):
            content = members[suffix]
            info = tarfile.TarInfo(f"{key}.{suffix}")
            info.size = len(content)
            info.mode = 0o644
            self._write(info.tobuf(format=tarfile.USTAR_FORMAT))
            entries[suffix] = Member(
                offset=self._position, size=len(content), sha256=hashlib.sha256(content).hexdigest()
            )
            self._write(content)
            self._write(bytes(-len(content) % _BLOCK))
        self.samples.append(SampleEntry(key=key, offset=start, size=self._position - start, members=entries))

    def close(self) -> ShardEntry:
        self._write(bytes(2 * _BLOCK))
        with _naming(self._partial):
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
        self._partial.replace(self.path)
        return ShardEntry(
            file=self.path.name,
            sha256=self._digest.hexdigest(),
            bytes=self._position,
            samples=tuple(self.samples),
        )

    def _write(self, content: bytes) -> None:
        with _naming(self._partial):
            self.file.write(content)
        self._digest.update(content)
        self._position += len(content)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Adds the file's name to an OSError: that of a full disk has none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write_durably(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with _naming(partial), partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _load_index(path: Path) -> ShardIndex:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path.parent} holds no data set: {path.name} is missing") from None
    try:
        return ShardIndex.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(f"{path} is not an index of format {FORMAT}: {where}: {first['msg']}") from error
