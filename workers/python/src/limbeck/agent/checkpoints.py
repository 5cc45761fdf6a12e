"""Uploads new checkpoints in the background and keeps the newest two on disk."""

import json
import re
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.agent.client import Client, GaveUp, GiveUp, LeaseLost, Rejected, TokenRefused
from limbeck.agent.control import BROKEN, CANCEL, DISK, LOST, TOKEN, Control
from limbeck.agent.disk import DiskFull, replace_file
from limbeck.agent.eventlog import log
from limbeck.agent.transfers import Anything, Transfers
from limbeck.agent.trees import TreeError
from limbeck.contracts.generated import CheckpointReport

KEEP = 2
SECONDS_BETWEEN_SCANS = 1.0
_FOLDER = re.compile(r"[0-9]{9,}")


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A complete checkpoint on disk."""

    step: int
    folder: Path


def complete_checkpoints(folder: Path) -> list[Saved]:
    """Checkpoints in order of steps; a folder without its manifest does not exist."""
    if not folder.is_dir():
        return []
    found = [
        Saved(step=int(path.name), folder=path)
        for path in folder.iterdir()
        if _FOLDER.fullmatch(path.name) and (path / "manifest.json").is_file()
    ]
    return sorted(found, key=lambda saved: saved.step)


class CheckpointUploader(threading.Thread):
    """Reports the newest checkpoint whenever there is a newer one; older unsent ones are skipped."""

    def __init__(
        self,
        api: Client,
        transfers: Transfers,
        stage: str,
        identity: dict[str, Any],
        folder: Path,
        control: Control,
    ) -> None:
        super().__init__(name="checkpoints", daemon=True)
        self._api, self._transfers, self._control = api, transfers, control
        self._stage, self._identity, self.folder = stage, identity, folder
        self._finish = threading.Event()
        self._abort = threading.Event()
        self._record = folder.parent / "agent" / "checkpoint.json"
        self.reported_step: int | None = None
        """Newest step that the control plane knows of."""
        if self._record.exists():
            self.reported_step = json.loads(self._record.read_text())["step"]
        self._tried_step = -1 if self.reported_step is None else self.reported_step

    def run(self) -> None:
        try:
            while not self._finish.is_set():
                self._upload_newest()
                self._finish.wait(SECONDS_BETWEEN_SCANS)
            self._upload_newest()
        except GaveUp:
            pass
        except LeaseLost as error:
            log("checkpoint_refused", stage=self._stage, why=str(error))
            self._control.set(LOST, str(error))
        except TokenRefused as error:
            self._control.set(TOKEN, str(error))
        except DiskFull as error:
            self._control.set(DISK, str(error))
        except Exception as error:
            log("thread_failed", thread=self.name, error=repr(error))
            self._control.set(BROKEN, f"checkpoints: {error!r}")

    def finish(self, give_up: GiveUp) -> int | None:
        """Uploads what is complete, then ends. Returns the newest step that was reported."""
        self._finish.set()
        while self.is_alive():
            if give_up(0.05):
                self._abort.set()
                break
        return self.reported_step

    def abort(self) -> None:
        self._finish.set()
        self._abort.set()

    def _give_up(self, seconds: float) -> bool:
        return self._abort.wait(seconds) or self._control.has(LOST, CANCEL, TOKEN)

    def _upload_newest(self) -> None:
        saved = complete_checkpoints(self.folder)
        if saved and saved[-1].step > self._tried_step:
            newest = saved[-1]
            self._tried_step = newest.step
            try:
                self._report(newest)
            except (Rejected, TreeError) as error:
                # Training itself is well: it goes on, and the next checkpoint is tried anew.
                log("checkpoint_refused", stage=self._stage, step=newest.step, why=str(error))
        for old in complete_checkpoints(self.folder)[:-KEEP]:
            _remove(old)

    def _report(self, saved: Saved) -> None:
        digest = self._transfers.upload_tree(self._stage, saved.folder, self._give_up)
        report = CheckpointReport.model_validate({**self._identity, "step": saved.step, "digest": digest})
        path = f"/v1/worker/stages/{self._stage}/checkpoint"
        self._api.call(path, report, Anything, self._give_up)
        self.reported_step = saved.step
        replace_file(self._record, json.dumps({"step": saved.step, "digest": digest}))
        log("checkpoint_stored", stage=self._stage, step=saved.step, digest=digest)


def _remove(saved: Saved) -> None:
    """Without the manifest the rest does not exist, wherever the removal is broken off."""
    (saved.folder / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(saved.folder, ignore_errors=True)
