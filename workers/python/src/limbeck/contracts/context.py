"""What a stage gets and how it speaks: files in a work directory, no sockets.

The same directory works under the agent and by hand, so that a stage can be repeated without any
control plane. Layout: spec.json, output/, result.json, failure.json, spool/metrics.ndjson,
checkpoints/<step:09d>/.
"""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Reason = Literal[
    "bad_config",
    "bad_input",
    "corrupt_data",
    "non_finite",
    "out_of_memory",
    "teacher_gate",
    "discriminator_won",
    "scorer_broken",
    "disk_full",
    "error",
]


class StageFailure(Exception):
    """A failure that the stage understands; its message is one sentence for the user."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message


class StopRequested(Exception):
    """The stage was asked to stop and has written its checkpoint."""


def _json_number(value: float) -> float | str | None:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def write_atomically(path: Path, text: str) -> None:
    """The file appears complete or not at all, also after a crash."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(path)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass
class StageContext:
    """One attempt at one stage.

    `spec` is the generated pydantic model of the stage's kind; `inputs` are unpacked folders by
    name; `resume` is a checkpoint folder or None.
    """

    workdir: Path
    spec: Any
    inputs: dict[str, Path] = field(default_factory=dict)
    resume: Path | None = None
    warnings: list[str] = field(default_factory=list)
    _stop: bool = False

    def __post_init__(self) -> None:
        self.output.mkdir(parents=True, exist_ok=True)
        self.checkpoints.mkdir(exist_ok=True)
        (self.workdir / "spool").mkdir(exist_ok=True)
        self._metrics = (self.workdir / "spool" / "metrics.ndjson").open("a")

    @property
    def output(self) -> Path:
        return self.workdir / "output"

    @property
    def checkpoints(self) -> Path:
        return self.workdir / "checkpoints"

    def input(self, name: str) -> Path:
        """Folder of an input; StageFailure bad_input names what is missing."""
        if name not in self.inputs:
            given = ", ".join(sorted(self.inputs)) or "none"
            raise StageFailure(
                "bad_input", f"stage {self.spec.kind} needs the input '{name}'; given: {given}"
            )
        if not self.inputs[name].is_dir():
            raise StageFailure("bad_input", f"input '{name}' is not a folder: {self.inputs[name]}")
        return self.inputs[name]

    def _append(self, step: int, **content: object) -> None:
        self._metrics.write(json.dumps({"step": step, "time": time.time(), **content}) + "\n")
        self._metrics.flush()

    def log_scalars(self, step: int, scalars: dict[str, float]) -> None:
        self._append(step, scalars={name: _json_number(float(v)) for name, v in scalars.items()})

    def log_array(self, step: int, name: str, values: Sequence[float | None]) -> None:
        """Values over t-bins, noise-free end first; None (or NaN of an empty bin) becomes null."""
        row = [None if v is None or math.isnan(v) else _json_number(float(v)) for v in values]
        self._append(step, arrays={name: row})

    def progress(self, step: int, total: int, images_per_second: float | None, loss: float | None) -> None:
        """None where a stage has no such figure."""
        self._append(
            step,
            progress={
                "step": step,
                "total": total,
                "images_per_second": None if images_per_second is None else _json_number(images_per_second),
                "loss": None if loss is None else _json_number(loss),
            },
        )

    def warn(self, message: str) -> None:
        """A sentence that the result carries to whoever asked for the stage."""
        print(f"warning: {message}", flush=True)
        self.warnings.append(message)

    def request_stop(self) -> None:
        """Called by the signal handler; the loop looks after each step."""
        self._stop = True

    def stop_requested(self) -> bool:
        return self._stop

    def save_checkpoint(self, step: int, write: Callable[[Path], None]) -> Path:
        """Files, then their manifest, then the folder takes its name: it exists complete or not at all."""
        final = self.checkpoints / f"{step:09d}"
        if (final / "manifest.json").exists():
            return final
        partial = self.checkpoints / f".{step:09d}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        write(partial)
        files = {
            path.relative_to(partial).as_posix(): {"size": path.stat().st_size, "sha256": file_digest(path)}
            for path in sorted(partial.rglob("*"))
            if path.is_file()
        }
        write_atomically(partial / "manifest.json", json.dumps({"step": step, "files": files}, indent=1))
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        return final
