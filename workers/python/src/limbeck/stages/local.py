"""Runs the stages of a recipe one after another on this machine, without a control plane.

    python -m limbeck.stages.local recipes/tiny-teacher.json --workdir DIR [--until NAME] [--asset NAME=DIR]

Each stage has the folder DIR/NAME and is the same child process that the agent starts. What has a
result is not run again; what has a checkpoint goes on from it. SIGTERM and Ctrl-C let the running
stage write its checkpoint first. An input is `stage:NAME` (that stage's output) or `asset:NAME`
(the folder given by --asset, else NAME in `snapshots/` beside the recipe's folder); an entry with
`assemble` in place of `spec` puts a snapshot together.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KEPT_CHECKPOINTS = 2
STOP_SECONDS = 120
"""After the stop signal a stage has this long to write its checkpoint."""


def newest_checkpoint(workdir: Path) -> Path | None:
    """The complete checkpoint with the highest step; a folder without manifest does not exist."""
    complete = sorted(path.parent for path in workdir.glob("checkpoints/[0-9]*/manifest.json"))
    return complete[-1] if complete else None


def prune_checkpoints(workdir: Path) -> None:
    for manifest in sorted(workdir.glob("checkpoints/[0-9]*/manifest.json"))[:-KEPT_CHECKPOINTS]:
        # Its manifest first: a half-removed checkpoint must not look complete.
        manifest.unlink()
        shutil.rmtree(manifest.parent)


class LocalRun:
    """A recipe's stages in one folder."""

    def __init__(self, recipe: Path, workdir: Path, assets: dict[str, Path] | None = None) -> None:
        self.snapshots = recipe.absolute().parent.parent / "snapshots"
        self.assets = assets or {}
        self.workdir = workdir.absolute()
        self.stages: list[dict[str, Any]] = json.loads(recipe.read_text())["stages"]
        self.stopping = False

    def run(self, until: str | None) -> int:
        """Exit code of the last stage that ran: 0, 75 when stopped, or its failure."""
        names = [stage["name"] for stage in self.stages]
        if until is not None and until not in names:
            raise SystemExit(f"no stage '{until}' in the recipe; it has: {', '.join(names)}")
        for stage in self.stages:
            code = self._assemble(stage) if "assemble" in stage else self._execute(stage)
            if code != 0 or stage["name"] == until:
                return code
        return 0

    def _input(self, reference: str) -> Path:
        kind, _, name = reference.partition(":")
        if kind == "stage":
            return self.workdir / name / "output"
        if kind == "asset":
            return self.assets.get(name, self.snapshots / name).absolute()
        raise SystemExit(f"an input is stage:NAME or asset:NAME, got {reference!r}")

    def _assemble(self, stage: dict[str, Any]) -> int:
        from limbeck.models.snapshot import assemble_snapshot

        target = self.workdir / stage["name"] / "output"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            parts = {name: self._input(reference) for name, reference in stage["assemble"].items()}
            assemble_snapshot(target, parts.pop("base"), parts)
            print(f"{stage['name']}: assembled", flush=True)
        return 0

    def _execute(self, stage: dict[str, Any]) -> int:
        workdir = self.workdir / stage["name"]
        if (workdir / "result.json").exists():
            print(f"{stage['name']}: has a result", flush=True)
            return 0
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "failure.json").unlink(missing_ok=True)
        resume = newest_checkpoint(workdir)
        inputs = {name: str(self._input(reference)) for name, reference in stage.get("inputs", {}).items()}
        job = {"stage": "local", "epoch": 1, "spec": stage["spec"], "inputs": inputs}
        (workdir / "spec.json").write_text(
            json.dumps({**job, "resume": str(resume) if resume else None}, indent=1)
        )
        print(f"{stage['name']}: {'goes on from ' + resume.name if resume else 'starts'}", flush=True)
        with (workdir / "log").open("a") as log:
            # One thread a process: two beside another busy process run many times slower.
            environment = {"OMP_NUM_THREADS": "1", **os.environ}
            command = [sys.executable, "-m", "limbeck.stages", str(workdir)]
            child = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
            code = self._wait(child, workdir)
        print(f"{stage['name']}: exit {code}, see {workdir / 'log'}", flush=True)
        return code

    def _wait(self, child: subprocess.Popen[bytes], workdir: Path) -> int:
        deadline: float | None = None
        while True:
            try:
                return child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                prune_checkpoints(workdir)
            if self.stopping and deadline is None:
                child.terminate()
                deadline = time.monotonic() + STOP_SECONDS
            elif deadline is not None and time.monotonic() > deadline:
                child.kill()

    def stop(self) -> None:
        self.stopping = True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--until", help="stop after this stage")
    parser.add_argument("--asset", action="append", default=[], metavar="NAME=DIR", help="folder of an asset")
    arguments = parser.parse_args()
    assets = {name: Path(folder) for name, _, folder in (item.partition("=") for item in arguments.asset)}
    local = LocalRun(arguments.recipe, arguments.workdir, assets)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: local.stop())
    return local.run(arguments.until)


if __name__ == "__main__":
    sys.exit(main())
