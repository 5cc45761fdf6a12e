"""Attempts that an earlier start of this agent has left: their last words, and no process of theirs."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from limbeck.agent.attempt import Attempt
from limbeck.agent.eventlog import log
from limbeck.agent.folder import AttemptFolder, attempt_folders

# The API takes metrics and logs of an ended attempt for a day.
KEEP_SPOOL_SECONDS = 24 * 3600.0
SEND_SECONDS = 20.0


def kill_processes_of(folder: AttemptFolder) -> int:
    """Kills processes whose environment names the folder; returns how many.

    The watchdog and the kernel have done so already, unless all of them were killed at once.
    """
    mark = str(folder.path)
    killed = 0
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("LIMBECK_ATTEMPT_DIR") == mark:
                process.send_signal(signal.SIGKILL)
                killed += 1
        except psutil.Error:
            continue
    if killed:
        log("leftover_processes_killed", folder=mark, processes=killed)
    return killed


def settle_leftovers(work: Path, attempt_for: Callable[[AttemptFolder], Attempt]) -> None:
    """Reports attempts that were cut short and sends what ended attempts still have to say.

    Raises:
        TokenRefused: of the client.
    """
    for folder in attempt_folders(work):
        record = folder.read_record()
        if record is None:
            folder.remove()
            continue
        if record["ended_at"] is None:
            kill_processes_of(folder)
            attempt_for(folder).recover()
        elif time.time() - record["ended_at"] > KEEP_SPOOL_SECONDS:
            log("spool_expired", folder=str(folder.path))
            folder.remove()
        elif attempt_for(folder).send_spool(SEND_SECONDS):
            folder.remove()
