"""A stage in its own process, as the agent starts it, that dies and is gone on with."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from toys.metrics import lines

LONGEST = 600.0
"""Seconds until a child counts as stuck."""

STOPPED = 75
"""Exit code of a stage that was asked to stop and wrote its checkpoint."""


def run_and_kill(workdir: Path, spec: dict[str, Any], inputs: dict[str, Path], after_step: int) -> Path:
    """Starts the stage, kills it after `after_step`, returns its last checkpoint."""
    child = _start(workdir, spec, inputs, None)
    try:
        _wait_for_step(child, workdir, after_step, with_checkpoint=True)
    finally:
        code = _end(child, signal.SIGKILL)
    assert code == -signal.SIGKILL, (workdir / "child.log").read_text()
    assert not (workdir / "result.json").exists()
    checkpoint = newest_checkpoint(workdir)
    assert checkpoint is not None
    return checkpoint


def run_and_signal(
    workdir: Path,
    spec: dict[str, Any],
    inputs: dict[str, Path],
    resume: Path | None,
    after_step: int,
    how: signal.Signals,
    delay: float,
) -> Path | None:
    """Sends `how` some seconds after `after_step` was reported (or at the first report, where the run
    resumed behind it); the last complete checkpoint, None when there is none yet."""
    child = _start(workdir, spec, inputs, resume)
    try:
        _wait_for_step(child, workdir, after_step, with_checkpoint=False)
        time.sleep(delay)
    finally:
        code = _end(child, how)
    expected = -signal.SIGKILL if how == signal.SIGKILL else STOPPED
    assert code == expected, (workdir / "child.log").read_text()
    assert not (workdir / "result.json").exists()
    return newest_checkpoint(workdir)


def run_to_the_end(workdir: Path, spec: dict[str, Any], inputs: dict[str, Path], resume: Path | None) -> Path:
    """The output folder of a stage that nobody disturbs."""
    child = _start(workdir, spec, inputs, resume)
    try:
        code = child.wait(LONGEST)
    finally:
        child.kill()
        child.wait()
    assert code == 0, (workdir / "child.log").read_text()
    return workdir / "output"


def write_job(
    workdir: Path, spec: dict[str, Any], inputs: dict[str, Path], resume: Path | None
) -> dict[str, str]:
    """A work directory as the agent makes it; the environment of its stage."""
    workdir.mkdir(parents=True)
    job = {"stage": "local", "epoch": 1, "spec": spec, "resume": str(resume) if resume else None}
    job["inputs"] = {name: str(folder) for name, folder in inputs.items()}
    (workdir / "spec.json").write_text(json.dumps(job))
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


def _start(
    workdir: Path, spec: dict[str, Any], inputs: dict[str, Path], resume: Path | None
) -> subprocess.Popen[bytes]:
    environment = write_job(workdir, spec, inputs, resume)
    with (workdir / "child.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "limbeck.stages", str(workdir)], env=environment, stdout=log, stderr=log
        )


def _end(child: subprocess.Popen[bytes], how: signal.Signals) -> int:
    child.send_signal(how)
    try:
        return child.wait(LONGEST)
    finally:
        child.kill()
        child.wait()


def _wait_for_step(
    child: subprocess.Popen[bytes], workdir: Path, step: int, *, with_checkpoint: bool
) -> None:
    """Polls the metrics file: that a step is in it is the signal."""
    deadline = time.monotonic() + LONGEST
    metrics = workdir / "spool" / "metrics.ndjson"
    while time.monotonic() < deadline and child.poll() is None:
        whole_lines = metrics.exists() and metrics.read_text().endswith("\n")
        reached = whole_lines and any(
            line.get("progress", {}).get("step", 0) >= step for line in lines(workdir)
        )
        # A step is reported before its checkpoint is written: without one there is nothing to go on from.
        if reached and not (with_checkpoint and newest_checkpoint(workdir) is None):
            return
        time.sleep(0.002)
    raise AssertionError(f"step {step} never came: {(workdir / 'child.log').read_text()}")


def newest_checkpoint(workdir: Path) -> Path | None:
    complete = sorted(path.parent for path in workdir.glob("checkpoints/0*/manifest.json"))
    return complete[-1] if complete else None


def weights(folder: Path) -> dict[str, bytes]:
    """The bytes of every weight file of a stage's output."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}


def digest(folder: Path) -> str:
    """SHA-256 over every file of a stage's output, names included."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
