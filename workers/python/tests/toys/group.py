"""A stage run by several processes on this machine, as torchrun runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LONGEST = 240
"""Seconds until a group counts as stuck."""


def run_group(
    workdir: Path, processes: int, spec: dict[str, Any], inputs: dict[str, Path], resume: Path | None = None
) -> str:
    """Runs the stage to its end in `processes` processes; what they printed."""
    workdir.mkdir(parents=True)
    job = {"stage": "local", "epoch": 1, "spec": spec, "resume": str(resume) if resume else None}
    job["inputs"] = {name: str(folder) for name, folder in inputs.items()}
    (workdir / "spec.json").write_text(json.dumps(job))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    # --standalone: a rendezvous of its own on a free port.
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [sys.executable, *launch, "-m", "limbeck.stages", str(workdir)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    said = done.stdout + done.stderr
    assert (workdir / "result.json").is_file(), said
    return said
