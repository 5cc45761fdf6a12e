"""A stage run by several processes on this machine, as torchrun runs it."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from toys.kill import write_job
from toys.metrics import lines

LONGEST = 240
"""Seconds until a group counts as stuck."""


def run_group(
    workdir: Path, processes: int, spec: dict[str, Any], inputs: dict[str, Path], resume: Path | None = None
) -> str:
    """Runs the stage to its end in `processes` processes; what they printed."""
    launched = _launch(workdir, processes, spec, inputs, resume)
    try:
        said, _ = launched.communicate(timeout=LONGEST)
    finally:
        launched.kill()
        launched.wait()
    assert (workdir / "result.json").is_file(), said
    return said


def stop_group(workdir: Path, processes: int, spec: dict[str, Any], inputs: dict[str, Path]) -> None:
    """Asks the launcher to stop as soon as a step was reported, and waits until all have ended."""
    launched = _launch(workdir, processes, spec, inputs, None)
    try:
        deadline = time.monotonic() + LONGEST
        while not any("progress" in line for line in _lines(workdir)):
            assert time.monotonic() < deadline and launched.poll() is None, "no step came"
            time.sleep(0.01)
        launched.send_signal(signal.SIGTERM)
        launched.communicate(timeout=LONGEST)
    finally:
        launched.kill()
        launched.wait()


def _lines(workdir: Path) -> list[dict[str, Any]]:
    metrics = workdir / "spool" / "metrics.ndjson"
    whole = metrics.is_file() and metrics.read_text().endswith("\n")
    return lines(workdir) if whole else []


def _launch(
    workdir: Path, processes: int, spec: dict[str, Any], inputs: dict[str, Path], resume: Path | None
) -> subprocess.Popen[str]:
    environment = write_job(workdir, spec, inputs, resume)
    # --standalone: a rendezvous of its own on a free port.
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.Popen(
        [sys.executable, *launch, "-m", "limbeck.stages", str(workdir)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
