"""The stage's metrics file, read from where the API has taken it, in batches fixed before sending.

A batch is a byte range of spool/metrics.ndjson under a sequence, saved before it is sent: after a
crash or a lost answer the same sequence carries the same numbers. What cannot be sent (a name or a
length outside the contract) is counted and said in the log, never dropped in silence.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from limbeck.agent.disk import replace_file
from limbeck.contracts.generated import MetricBatch

BATCH_BYTES = 256 << 10
LONGEST_LINE_BYTES = 4 << 20
MAX_SERIES = 500
MAX_STEPS = 5000
MAX_ARRAYS = 2000
MAX_ARRAY_LENGTH = 512
MAX_STEP = 1_000_000_000

_NAME = re.compile(r"[a-zA-Z0-9_./@-]{1,120}")
_NON_FINITE = ("NaN", "Infinity", "-Infinity")


@dataclass
class _Position:
    """The pending batch is bytes [start, end); none is pending when they are equal."""

    sequence: int = 0
    start: int = 0
    end: int = 0


class _Builder:
    """Lines to one batch; `add` refuses a line that would pass the contract's limits."""

    def __init__(self) -> None:
        self.scalars: dict[str, dict[int, float | str]] = {}
        self.arrays: dict[tuple[str, int], list[float | str | None]] = {}
        self.refused: dict[str, int] = {}

    def _refuse(self, why: str) -> None:
        self.refused[why] = self.refused.get(why, 0) + 1

    def add(self, line: bytes, first: bool) -> bool:
        """False: the line belongs into the next batch. The first line of a batch always goes in."""
        try:
            row = json.loads(line)
            step = row["step"]
            scalars = dict(row.get("scalars") or {})
            arrays = dict(row.get("arrays") or {})
        except (ValueError, TypeError, KeyError, AttributeError):
            self._refuse("not a metric line")
            return True
        if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= MAX_STEP:
            self._refuse(f"step {step!r:.40} is not an integer from 0 to {MAX_STEP}")
            return True
        new = sum(name not in self.scalars for name in scalars)
        long = any(len(self.scalars.get(name, ())) >= MAX_STEPS for name in scalars)
        passes = len(self.scalars) + new > MAX_SERIES or long or len(self.arrays) + len(arrays) > MAX_ARRAYS
        if passes and not first:
            return False
        for name, value in scalars.items():
            self._add_scalar(name, step, value)
        for name, values in arrays.items():
            self._add_array(name, step, values)
        return True

    def _add_scalar(self, name: str, step: int, value: object) -> None:
        if not _NAME.fullmatch(name):
            self._refuse(f"name {name!r:.60} is not 1-120 of letters, digits, '_./@-'")
        elif not _is_scalar(value):
            self._refuse(f"{name}: {value!r:.40} is not a number")
        elif name not in self.scalars and len(self.scalars) >= MAX_SERIES:
            self._refuse(f"more than {MAX_SERIES} series on one line")
        else:
            # Logged twice for one step, the newer value holds.
            self.scalars.setdefault(name, {})[step] = _wire(value)

    def _add_array(self, name: str, step: int, values: object) -> None:
        if not _NAME.fullmatch(name):
            self._refuse(f"name {name!r:.60} is not 1-120 of letters, digits, '_./@-'")
        elif not isinstance(values, list) or len(values) > MAX_ARRAY_LENGTH:
            self._refuse(f"{name}: not a list of at most {MAX_ARRAY_LENGTH} values")
        elif not all(value is None or _is_scalar(value) for value in values):
            self._refuse(f"{name}: holds something that is not a number")
        elif len(self.arrays) >= MAX_ARRAYS:
            self._refuse(f"more than {MAX_ARRAYS} arrays on one line")
        else:
            self.arrays[name, step] = [None if value is None else _wire(value) for value in values]

    def batch(self, epoch: int, sequence: int) -> MetricBatch:
        scalars = [
            {"name": name, "steps": list(points), "values": list(points.values())}
            for name, points in self.scalars.items()
        ]
        arrays = [
            {"name": name, "step": step, "values": values} for (name, step), values in self.arrays.items()
        ]
        return MetricBatch.model_validate(
            {"epoch": epoch, "sequence": sequence, "scalars": scalars, "arrays": arrays}
        )


class MetricSpool:
    """Used by one sender thread. `say` takes sentences for the attempt's log."""

    def __init__(self, file: Path, state: Path, epoch: int, say: Callable[[str], None]) -> None:
        self._file, self._state, self._epoch, self._say = file, state, epoch, say
        self._position = _Position(**json.loads(state.read_text())) if state.exists() else _Position()

    def next(self) -> MetricBatch | None:
        """The pending batch, or a new one that becomes pending; None when all is sent.

        Raises:
            DiskFull: the position cannot be saved.
        """
        place = self._position
        while place.start == place.end:
            lines = self._lines(place.start)
            if not lines:
                return None
            builder = _Builder()
            for number, line in enumerate(lines):
                if not builder.add(line, first=number == 0):
                    break
                place.end += len(line) + 1
            for why, times in builder.refused.items():
                self._say(f"metrics not stored, {times}x: {why}")
            if not builder.scalars and not builder.arrays:
                place.start = place.end  # progress only: the heartbeat carries it
                continue
            self._save()
        builder = _Builder()
        for number, line in enumerate(self._read(place.start, place.end - place.start).split(b"\n")[:-1]):
            builder.add(line, first=number == 0)
        return builder.batch(self._epoch, place.sequence)

    def acknowledge(self) -> None:
        """The pending batch was taken (or refused for good)."""
        self._position.start = self._position.end
        self._position.sequence += 1
        self._save()

    def _lines(self, start: int) -> list[bytes]:
        """Complete lines from `start`, at least one if there is one."""
        content = self._read(start, BATCH_BYTES)
        if b"\n" not in content and len(content) == BATCH_BYTES:
            content = self._read(start, LONGEST_LINE_BYTES)
            if b"\n" not in content and len(content) == LONGEST_LINE_BYTES:
                # One refused "line" a chunk: it is said, and the reader gets past it.
                return [content[:-1]]
        return content.split(b"\n")[:-1]

    def _read(self, start: int, length: int) -> bytes:
        try:
            with self._file.open("rb") as stream:
                stream.seek(start)
                return stream.read(length)
        except FileNotFoundError:
            return b""

    def _save(self) -> None:
        replace_file(self._state, json.dumps(asdict(self._position)))


class ProgressTail:
    """Follows the metrics file for the newest progress and for signs of life.

    Independent of sending, so that a stall is noticed and a living stage is left alone while the
    API is away.
    """

    _CHUNK = 1 << 20

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0
        self._rest = b""
        self.lines = 0
        self.progress: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        """Bytes of the metrics file that were read so far."""
        return self._offset

    def read(self) -> bool:
        """Reads what is new (at most 1 MiB a call); true when at least one line came."""
        try:
            with self._file.open("rb") as stream:
                stream.seek(self._offset)
                content = stream.read(self._CHUNK)
        except FileNotFoundError:
            return False
        self._offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        self._rest = self._rest[:LONGEST_LINE_BYTES]
        self.lines += len(lines)
        for line in reversed(lines):
            if b'"progress"' in line and (found := _progress(line)):
                self.progress = found
                break
        return bool(lines)


def _progress(line: bytes) -> dict[str, Any] | None:
    """The contract's progress of a metric line; what is not finite becomes null."""
    try:
        row = json.loads(line)["progress"]
        step, total = int(row["step"]), int(row["total"])
    except (ValueError, TypeError, KeyError):
        return None
    if step < 0 or total < 0:
        return None
    numbers = {key: row.get(key) for key in ("images_per_second", "loss")}
    finite = {k: float(v) if _is_scalar(v) and not isinstance(v, str) else None for k, v in numbers.items()}
    return {"step": step, "total": total, **finite}


def _is_scalar(value: object) -> bool:
    """A number, or one of the three strings of the contract; json.loads also makes NaN a float."""
    return value in _NON_FINITE if isinstance(value, str) else type(value) in (int, float)


def _wire(value: Any) -> float | str:
    """JSON has no NaN: non-finite floats, also of integers out of range, travel as strings."""
    if isinstance(value, str):
        return value
    try:
        number = float(value)
    except OverflowError:
        return "Infinity" if value > 0 else "-Infinity"
    if number != number:
        return "NaN"
    return ("Infinity" if number > 0 else "-Infinity") if abs(number) == float("inf") else number
