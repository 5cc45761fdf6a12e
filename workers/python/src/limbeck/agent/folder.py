"""The folder of one attempt: the stage's files as its protocol says, the agent's own below `agent/`."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.agent.disk import replace_file

_FOR_SENDING = ("agent", "spool")


@dataclass(frozen=True)
class AttemptFolder:
    """`path` is the stage's WORKDIR, <work>/attempts/<stage>_<epoch>."""

    path: Path

    @property
    def agent(self) -> Path:
        return self.path / "agent"

    @property
    def record(self) -> Path:
        return self.agent / "attempt.json"

    @property
    def metrics(self) -> Path:
        return self.path / "spool" / "metrics.ndjson"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def output(self) -> Path:
        return self.path / "output"

    def create(self, worker: str, lease: dict[str, Any]) -> None:
        """An empty folder for a new attempt; what an older try left under the name is removed."""
        shutil.rmtree(self.path, ignore_errors=True)
        for folder in (self.agent, self.path / "spool", self.path / "tmp", self.output, self.checkpoints):
            folder.mkdir(parents=True)
        self.write_record({"worker": worker, "lease": lease, "claimed_at": time.time(), "ended_at": None})

    def write_record(self, record: dict[str, Any]) -> None:
        replace_file(self.record, json.dumps(record))

    def read_record(self) -> dict[str, Any] | None:
        """None: the agent died before the attempt began; nothing in the folder is of use."""
        try:
            return json.loads(self.record.read_text())
        except (OSError, ValueError):
            return None

    def keep_spool_only(self) -> None:
        """Gives the space back; metrics and logs wait for the API a while longer."""
        for path in self.path.iterdir():
            if path.name not in _FOR_SENDING:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        self.write_record({**(self.read_record() or {}), "ended_at": time.time()})

    def remove(self) -> None:
        # The record goes first: a removal that is broken off leaves a folder without use, not an attempt.
        self.record.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


def attempt_folders(work: Path) -> list[AttemptFolder]:
    root = work / "attempts"
    return [AttemptFolder(path) for path in sorted(root.iterdir())] if root.is_dir() else []


def new_attempt_folder(work: Path, stage: str, epoch: int) -> AttemptFolder:
    return AttemptFolder(work / "attempts" / f"{stage}_{epoch}")
