"""The stage's process group and its watchdog, with real processes and real kills."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from limbeck.agent.child import Child, Exit, StartFailed, stage_environment

FAKE_STAGE = Path(__file__).parent / "fake_stage.py"
SOURCE = str(Path(__file__).parents[2] / "src")


class Output:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self._new = threading.Condition()

    def __call__(self, stream: str, text: str) -> None:
        with self._new:
            self.lines.append(f"{stream}: {text}")
            self._new.notify_all()

    def wait_for(self, pattern: str) -> re.Match[str]:
        with self._new:
            found = self._new.wait_for(
                lambda: next((m for line in self.lines if (m := re.search(pattern, line))), None), timeout=10
            )
        assert found, f"no line like {pattern!r} in {self.lines}"
        return found


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def start(tmp_path: Path, output: Output) -> Iterator[Callable[[str], Child]]:
    children = []

    def start(mode: str) -> Child:
        for name in ("spool", "output", "checkpoints"):
            (tmp_path / name).mkdir(exist_ok=True)
        command = [sys.executable, "-I", "-S", str(FAKE_STAGE), mode, str(tmp_path)]
        children.append(Child(command, tmp_path, stage_environment(1, tmp_path, False), output))
        return children[-1]

    yield start
    for child in children:
        child.close()


def end_of(child: Child, seconds: float = 10.0) -> Exit:
    end = time.monotonic() + seconds
    while (ended := child.poll()) is None:
        assert time.monotonic() < end, "the child did not end"
        time.sleep(0.01)
    return ended


def test_terminate_reaches_the_stage_and_its_exit_code_comes_back(start, output: Output) -> None:
    child = start("serve")
    output.wait_for("started")
    child.terminate()
    ended = end_of(child)
    assert (ended.code, ended.signal) == (75, None)
    assert 1 << 20 < ended.peak_rss_bytes < 1 << 30


def test_output_of_both_streams_arrives_before_close_returns(start, output: Output) -> None:
    child = start("traceback")
    assert end_of(child).code == 1
    child.close()
    assert output.lines.count("stdout: line 59") == 1
    assert output.lines[-1] == "stderr: ValueError: latents are [4, 8, 8], expected [16, 8, 8]"


def test_kill_ends_the_group_and_what_left_it(start, output: Output, wait_dead) -> None:
    child = start("family")
    pids = [int(pid) for pid in output.wait_for(r"family (\d+) (\d+) (\d+)").groups()]
    child.kill()
    assert end_of(child).signal == signal.SIGKILL
    for pid in pids:
        wait_dead(pid)


def test_helpers_that_outlive_the_stage_are_killed(start, output: Output, wait_dead) -> None:
    child = start("family")
    pids = [int(pid) for pid in output.wait_for(r"family (\d+) (\d+) (\d+)").groups()]
    child.terminate()
    assert end_of(child).code == 75
    for pid in pids:
        wait_dead(pid)


def test_a_killed_watchdog_takes_the_stage_with_it(start, output: Output, wait_dead) -> None:
    child = start("stubborn")
    output.wait_for("deaf")
    os.kill(child._watchdog.pid, signal.SIGKILL)
    assert end_of(child).signal == signal.SIGKILL
    wait_dead(child.pid)


def test_the_watchdog_outlives_signals_to_the_agents_group(start, output: Output) -> None:
    child = start("serve")
    output.wait_for("started")
    os.kill(child._watchdog.pid, signal.SIGTERM)
    os.kill(child._watchdog.pid, signal.SIGINT)
    child.terminate()
    assert end_of(child).code == 75


def test_a_command_that_does_not_exist_is_named(tmp_path: Path, output: Output) -> None:
    with pytest.raises(StartFailed, match="cannot start /nowhere/stage"):
        Child(["/nowhere/stage"], tmp_path, {}, output)


def test_a_sigkilled_agent_leaves_no_child(tmp_path: Path, wait_dead) -> None:
    program = f"""
import sys, time
from pathlib import Path
from limbeck.agent.child import Child, stage_environment
work = Path({str(tmp_path)!r})
(work / "spool").mkdir()
command = [sys.executable, "-I", "-S", {str(FAKE_STAGE)!r}, "family", str(work)]
Child(command, work, stage_environment(1, work, False), lambda s, t: print(t, flush=True))
time.sleep(100)
"""
    agent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": SOURCE}
    )
    assert agent.stdout
    pids: list[int] = []
    for line in agent.stdout:
        if line.startswith("family"):
            pids = [int(pid) for pid in line.split()[1:]]
            break
    assert len(pids) == 3
    agent.kill()
    agent.wait(10)
    for pid in pids:
        wait_dead(pid)


def test_the_stage_gets_no_secrets_and_its_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIMBECK_TOKEN", "AWS_SECRET_ACCESS_KEY", "S3_SECRET", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(name, "secret")
    env = stage_environment(3, tmp_path, False)
    assert "secret" not in env.values()
    assert {env[f"{name}_NUM_THREADS"] for name in ("OMP", "MKL", "OPENBLAS")} == {"3"}
    assert (env["HF_HUB_OFFLINE"], env["CUDA_VISIBLE_DEVICES"]) == ("1", "")
    assert "CUDA_VISIBLE_DEVICES" not in stage_environment(3, tmp_path, True)
    assert env["PYTHONPATH"].split(os.pathsep)[0] == SOURCE
