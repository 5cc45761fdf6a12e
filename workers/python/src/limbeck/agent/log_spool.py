"""Log lines of an attempt on disk, in order, until the API has taken them.

Segments of about 1 MiB; what the API took is deleted. A batch is fixed (sequence and byte range on
disk) before it is sent, so that after a crash or a lost answer the same sequence carries the same
lines: nothing lost, nothing doubled. Over the cap the oldest unsent segment goes, counted and said.
"""

import errno
import json
import threading
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

from limbeck.agent.disk import DiskFull, disk_full, is_full, replace_file
from limbeck.agent.eventlog import log, timestamp
from limbeck.agent.text import LINE_UNITS, cut
from limbeck.contracts.generated import LogBatch

SEGMENT_BYTES = 1 << 20
CAP_BYTES = 64 << 20
BATCH_BYTES = 256 << 10
BATCH_LINES = 2000
LAST_LINES = 50
LAST_LINE_UNITS = 2000


@dataclass
class _Position:
    """The pending batch is bytes [start, end) of `segment`; none is pending when they are equal."""

    sequence: int = 0
    segment: int = 0
    start: int = 0
    end: int = 0


class LogSpool:
    """Thread-safe. `append` never raises: a full disk is remembered in `full` and lines are counted."""

    def __init__(
        self, folder: Path, epoch: int, cap_bytes: int = CAP_BYTES, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.folder = folder
        self.epoch = epoch
        self.full: DiskFull | None = None
        self._cap, self._segment_bytes = cap_bytes, segment_bytes
        self._lock = threading.RLock()
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._unsaid_drops = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._state = folder / "state.json"
        self._position = (
            _Position(**json.loads(self._state.read_text())) if self._state.exists() else _Position()
        )
        self._sizes = {int(path.stem): path.stat().st_size for path in folder.glob("*.ndjson")}
        for number in sorted(self._sizes)[-2:]:
            lines = self._path(number).read_bytes().split(b"\n")[:-1]
            self._last += [cut(json.loads(line)["text"], LAST_LINE_UNITS) for line in lines]
        # A crash may have left half a line: go on in a new segment.
        used = bool(self._sizes) or self._state.exists()
        self._writing = max([*self._sizes, self._position.segment]) + (1 if used else 0)

    def append(self, stream: str, text: str) -> None:
        """Takes one line: `stream` is stdout, stderr or agent."""
        line = {"time": timestamp(), "stream": stream, "text": cut(text, LINE_UNITS)}
        with self._lock:
            self._last.append(cut(text, LAST_LINE_UNITS))
            self._write(line)

    def last_lines(self) -> list[str]:
        """The newest 50 lines, for the reason of a failure."""
        with self._lock:
            return list(self._last)

    def next(self) -> LogBatch | None:
        """The pending batch, or a new one that becomes pending; None when all is sent.

        Raises:
            DiskFull: the position cannot be saved.
        """
        with self._lock:
            place = self._position
            if place.start == place.end:
                self._say_drops()
                self._skip_finished_segments()
                content = self._read(place.segment, place.start, BATCH_BYTES)
                lines = content.split(b"\n")[:-1][:BATCH_LINES]
                if not lines:
                    return None
                place.end = place.start + sum(len(line) + 1 for line in lines)
                self._save()
            content = self._read(place.segment, place.start, place.end - place.start)
            lines = [json.loads(line) for line in content.split(b"\n")[:-1]]
            return LogBatch.model_validate({"epoch": self.epoch, "sequence": place.sequence, "lines": lines})

    def acknowledge(self) -> None:
        """The pending batch was taken (or refused for good)."""
        with self._lock:
            place = self._position
            place.start = place.end
            place.sequence += 1
            self._save()
            self._skip_finished_segments()

    def _say_drops(self) -> None:
        """One line when sending goes on: said earlier, the line itself could be dropped."""
        if self._unsaid_drops:
            said, self._unsaid_drops = self._unsaid_drops, 0
            log("log_lines_dropped", lines=said, cap_bytes=self._cap)
            why = f"over the cap of {self._cap} bytes, or no space left"
            note = f"{said} log lines were dropped, the oldest unsent ones: {why}"
            self._write({"time": timestamp(), "stream": "agent", "text": note})

    def _skip_finished_segments(self) -> None:
        place = self._position
        while place.segment < self._writing:
            if not self._partial_tail_only(place.segment, place.start):
                return
            self._path(place.segment).unlink(missing_ok=True)
            self._sizes.pop(place.segment, None)
            place.segment, place.start, place.end = place.segment + 1, 0, 0

    def _partial_tail_only(self, segment: int, start: int) -> bool:
        size = self._sizes.get(segment, 0)
        return start >= size or b"\n" not in self._read(segment, start, size - start)

    def _read(self, segment: int, start: int, length: int) -> bytes:
        try:
            with self._path(segment).open("rb") as stream:
                stream.seek(start)
                return stream.read(length)
        except FileNotFoundError:
            return b""

    def _write(self, line: dict[str, str]) -> None:
        content = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        size = self._sizes.get(self._writing, 0)
        if size and size + len(content) > self._segment_bytes:
            self._writing, size = self._writing + 1, 0
            self._keep_cap()
        path = self._path(self._writing)
        try:
            with path.open("ab", buffering=0) as stream:
                written = stream.write(content)
                self._sizes[self._writing] = size + written
                if written < len(content):
                    raise OSError(errno.ENOSPC, "No space left on device", str(path))
        except OSError as error:
            self._unsaid_drops += 1
            self._writing += 1  # the half line ends its segment
            if self.full is None:
                self.full = disk_full(path) if is_full(error) else DiskFull(f"cannot write {path}: {error}")

    def _keep_cap(self) -> None:
        """Drops the oldest segments but never the one whose batch is pending."""
        while sum(self._sizes.values()) > self._cap:
            pending = self._position.segment if self._position.start != self._position.end else None
            oldest = next((n for n in sorted(self._sizes) if n not in (pending, self._writing)), None)
            if oldest is None:
                return
            from_byte = self._position.start if oldest == self._position.segment else 0
            self._unsaid_drops += self._read(oldest, from_byte, self._sizes[oldest]).count(b"\n")
            self._path(oldest).unlink(missing_ok=True)
            del self._sizes[oldest]

    def _path(self, segment: int) -> Path:
        return self.folder / f"{segment:08d}.ndjson"

    def _save(self) -> None:
        replace_file(self._state, json.dumps(asdict(self._position)))
