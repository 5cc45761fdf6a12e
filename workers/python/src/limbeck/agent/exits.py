"""What the end of a stage's process means."""

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from limbeck.agent.child import Exit
from limbeck.agent.disk import free_bytes
from limbeck.contracts.generated import FailRequest, StageResult

FINISHED, FAILED, STOPPED = 0, 2, 75
REASONS: tuple[str, ...] = get_args(FailRequest.model_fields["reason"].annotation)
NEAR_MEMORY_LIMIT = 0.8
MESSAGE_UNITS = 2000


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The stage wrote its result; `output` is to be uploaded."""

    result: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The stage ended on request, with a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """`reason` is one of the contract's end reasons; `message` one sentence."""

    reason: str
    message: str


def classify(
    ended: Exit, workdir: Path, stderr: list[str], oom_kills: int, memory_limit: int
) -> Finished | Stopped | Failed:
    """The meaning of an exit that the agent did not force.

    Args:
        stderr: the last lines of the process.
        oom_kills: processes that the kernel's out-of-memory killer has ended during the attempt.
        memory_limit: bytes that the attempt may use.
    """
    if ended.signal is not None:
        return _by_signal(ended, oom_kills, memory_limit)
    if ended.code == FINISHED:
        return read_result(workdir)
    if ended.code == STOPPED:
        return Stopped()
    if ended.code == FAILED and (failure := read_failure(workdir)):
        return failure
    last = last_error_line(stderr)
    if any("No space left on device" in line or "Disk quota exceeded" in line for line in stderr):
        return Failed(reason="disk_full", message=f"{last} ({workdir}: {free_bytes(workdir)} bytes free)")
    return Failed(reason="error", message=f"exit code {ended.code}: {last or 'no line on stderr'}")


def _by_signal(ended: Exit, oom_kills: int, memory_limit: int) -> Failed:
    number = ended.signal or 0
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    peak, limit = ended.peak_rss_bytes / 2**30, memory_limit / 2**30
    usage = f"peak {peak:.2f} GiB of {limit:.2f} GiB"
    if number == signal.SIGKILL and (
        oom_kills > 0 or ended.peak_rss_bytes >= NEAR_MEMORY_LIMIT * memory_limit
    ):
        return Failed(
            reason="out_of_memory", message=f"killed by {name}, most likely for its memory ({usage})"
        )
    # These two come from outside (an operator, a container runtime); others are the program's own fault.
    outside = number in (signal.SIGKILL, signal.SIGTERM)
    reason = "worker_lost" if outside else "error"
    return Failed(reason=reason, message=f"killed by {name}, not by the agent ({usage})")


def read_result(workdir: Path) -> Finished | Failed:
    """result.json of a finished stage. A non-finite metric becomes a warning, since JSON has no NaN."""
    path = workdir / "result.json"
    try:
        content = json.loads(path.read_text())
        metrics = dict(content.get("metrics") or {})
        finite = {k: v for k, v in metrics.items() if isinstance(v, int | float) and abs(v) < float("inf")}
        dropped = [f"metric {name} is {value}" for name, value in metrics.items() if name not in finite]
        warnings = [str(text)[:1000] for text in [*(content.get("warnings") or []), *dropped]]
        result = StageResult.model_validate({**content, "metrics": finite, "warnings": warnings[:100]})
    except FileNotFoundError:
        return Failed(reason="error", message="the stage exited with 0 but wrote no result.json")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return Failed(reason="error", message=f"result.json: {where}: {first['msg']}")
    except (ValueError, AttributeError, TypeError) as error:
        return Failed(reason="error", message=f"result.json is not a stage result: {error}")
    return Finished(result=result.model_dump(mode="json"))


def read_failure(workdir: Path) -> Failed | None:
    """failure.json, or None where the stage did not get to write a valid one."""
    try:
        content = json.loads((workdir / "failure.json").read_text())
        reason, message = str(content["reason"]), str(content["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if reason == "disk_full":
        message += f" ({workdir}: {free_bytes(workdir)} bytes free)"
    if reason not in REASONS:
        return Failed(reason="error", message=f"{reason}: {message}")
    return Failed(reason=reason, message=message)


def last_error_line(stderr: list[str]) -> str:
    """The sentence of a traceback: the last line that is neither empty nor indented."""
    return next((line for line in reversed(stderr) if line.strip() and not line[0].isspace()), "")


def oom_kill_count() -> int:
    """Processes that the kernel has killed for memory since boot; 0 where that is not told."""
    try:
        rows = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith("oom_kill ")), 0)
