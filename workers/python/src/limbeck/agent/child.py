"""The stage's process group, seen from the agent: start, output, signals, exit."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from limbeck.agent import watchdog
from limbeck.agent.eventlog import log
from limbeck.agent.text import LineSplitter

READ_BYTES = 64 << 10
START_SECONDS = 30.0
OUTPUT_SECONDS = 5.0

# The agent's rights are not the stage's: it reads files only.
_SECRET_PREFIXES = ("LIMBECK_TOKEN", "AWS_", "S3_", "DATABASE_URL", "REDIS_URL")

Line = Callable[[str, str], None]
"""Takes (stream, text)."""


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How the stage's process ended: a code or a signal; `peak_rss_bytes` of the largest process."""

    code: int | None = None
    signal: int | None = None
    peak_rss_bytes: int = 0


class StartFailed(Exception):
    """The stage's process could not be started."""


def stage_environment(threads: int, attempt: Path, uses_gpu: bool) -> dict[str, str]:
    """Environment of a stage: the agent's, without secrets, with its thread count and source path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_SECRET_PREFIXES)}
    source = str(Path(watchdog.__file__).parents[2])
    number = str(threads)
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")
    return kept | {
        **{
            f"{name}_NUM_THREADS" if name != "VECLIB_MAXIMUM" else f"{name}_THREADS": number for name in names
        },
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(attempt / "tmp"),
        "LIMBECK_ATTEMPT_DIR": str(attempt),
        **({} if uses_gpu else {"CUDA_VISIBLE_DEVICES": ""}),
    }


class Child:
    """One stage process below its watchdog. Closing the object without waiting kills the group."""

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str], on_line: Line) -> None:
        """Starts it.

        Raises:
            StartFailed: the command or the watchdog cannot be started.
        """
        self.pid = 0
        self._exit: Exit | None = None
        self._input = b""
        out, err = os.pipe(), os.pipe()
        try:
            # Its own session: neither a terminal's Ctrl-C nor a kill of the agent's group reaches it.
            self._watchdog = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog.__file__, str(out[1]), str(err[1]), "--", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(out[1], err[1]),
                cwd=cwd,
                env=env,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            for descriptor in (*out, *err):
                os.close(descriptor)
            raise StartFailed(f"cannot start the watchdog: {error}") from error
        os.close(out[1])
        os.close(err[1])
        assert self._watchdog.stdin and self._watchdog.stdout
        self._orders = self._watchdog.stdin
        self._answers = self._watchdog.stdout.fileno()
        os.set_blocking(self._answers, False)
        streams = {out[0]: "stdout", err[0]: "stderr"}
        self._pump = threading.Thread(target=_pump, args=(streams, on_line), name="output", daemon=True)
        self._pump.start()
        self._await_start()

    def _await_start(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self.pid and self._exit is None:
            self._read_answers()
            if time.monotonic() > end:
                self.close()
                raise StartFailed(f"the stage did not start within {START_SECONDS:.0f} s")
            time.sleep(0.005)

    def poll(self) -> Exit | None:
        """How the child ended; None while it runs."""
        if self._exit is None:
            self._read_answers()
        return self._exit

    def terminate(self) -> None:
        """SIGTERM to the child: write a checkpoint and exit 75."""
        self._order(b"T")

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        self._order(b"K")

    def close(self) -> None:
        """Ends what is left and waits for the last output lines."""
        with contextlib.suppress(OSError):
            self._orders.close()
        try:
            self._watchdog.wait(watchdog.REAP_SECONDS + 5)
        except subprocess.TimeoutExpired:
            log("watchdog_stuck", pid=self._watchdog.pid)
            self._watchdog.kill()
            self._watchdog.wait()
        self._pump.join(OUTPUT_SECONDS)
        if self._watchdog.stdout:
            self._watchdog.stdout.close()

    def _order(self, order: bytes) -> None:
        # An error: the watchdog has ended, and the child with it.
        with contextlib.suppress(OSError, ValueError):
            self._orders.write(order)

    def _read_answers(self) -> None:
        try:
            data = os.read(self._answers, 4096)
        except BlockingIOError:
            return
        if not data:
            self._watchdog_died()
            return
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            if "pid" in answer:
                self.pid = answer["pid"]
            elif "error" in answer:
                self.close()
                raise StartFailed(answer["error"])
            else:
                self._exit = Exit(**answer)

    def _watchdog_died(self) -> None:
        """Somebody killed the watchdog. The kernel has killed the child; its group may live on."""
        log("watchdog_died", pid=self._watchdog.pid, child=self.pid)
        if self.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._exit = Exit(signal=signal.SIGKILL)


def _pump(streams: dict[int, str], on_line: Line) -> None:
    """Bytes of the pipes to lines, until every writer has closed them.

    One thread for both, stdout before stderr: what was printed before an error comes before it.
    """
    splitters = {descriptor: LineSplitter() for descriptor in streams}
    while splitters:
        ready, _, _ = select.select(list(splitters), [], [])
        for descriptor in sorted(ready, key=list(streams).index):
            data = os.read(descriptor, READ_BYTES)
            splitter = splitters[descriptor]
            for line in splitter.feed(data) if data else splitter.close():
                on_line(streams[descriptor], line)
            if not data:
                os.close(descriptor)
                del splitters[descriptor]
