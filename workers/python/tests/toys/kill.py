"""A stage killed -9 in its own process, and gone on with from its last checkpoint."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from toys.metrics import lines

LONGEST = 180.0
"""Seconds until a child counts as stuck."""


def run_and_kill(workdir: Path, spec: dict[str, Any], inputs: dict[str, Path], after_step: int) -> Path:
    """Starts the stage as the agent would, kills it after `after_step`, returns its last checkpoint."""
    workdir.mkdir(parents=True)
    job = {"stage": "local", "epoch": 1, "spec": spec, "resume": None}
    job["inputs"] = {name: str(folder) for name, folder in inputs.items()}
    (workdir / "spec.json").write_text(json.dumps(job))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    log = (workdir / "child.log").open("w")
    child = subprocess.Popen(
        [sys.executable, "-m", "limbeck.stages", str(workdir)], env=environment, stdout=log, stderr=log
    )
    try:
        _wait_for_step(child, workdir, after_step)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        log.close()
    assert child.returncode == -signal.SIGKILL, (workdir / "child.log").read_text()
    assert not (workdir / "result.json").exists()
    complete = [path.parent for path in sorted((workdir / "checkpoints").glob("0*/manifest.json"))]
    return complete[-1]


def _wait_for_step(child: subprocess.Popen[bytes], workdir: Path, step: int) -> None:
    """Polls the metrics file: that a step is in it is the signal."""
    deadline = time.monotonic() + LONGEST
    metrics = workdir / "spool" / "metrics.ndjson"
    while time.monotonic() < deadline and child.poll() is None:
        whole_lines = metrics.exists() and metrics.read_text().endswith("\n")
        reached = whole_lines and any(
            line.get("progress", {}).get("step", 0) >= step for line in lines(workdir)
        )
        # A step is reported before its checkpoint is written: without one there is nothing to go on from.
        if reached and any(workdir.glob("checkpoints/0*/manifest.json")):
            return
        time.sleep(0.002)
    raise AssertionError(f"step {step} never came: {(workdir / 'child.log').read_text()}")


def weights(folder: Path) -> dict[str, bytes]:
    """The bytes of every weight file of a stage's output."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}
