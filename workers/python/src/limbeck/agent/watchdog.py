"""Parent of one stage process: ends the whole group when the agent's pipe closes.

Run as a plain script by path (`python -I -S watchdog.py OUT ERR -- command...`); it imports nothing
of the project and stays small. It is the child's parent and not a bystander, because a process id
can then not be reused before the watchdog has reaped it, so that it never kills a stranger.

stdin: pipe from the agent: "T" = SIGTERM to the child, "K" = SIGKILL to its group, end of file =
the agent is gone: SIGKILL to the group. stdout: JSON lines to the agent, {"pid": n}, then one of
{"code": n}, {"signal": n} with "peak_rss_bytes", or {"error": text} if the child cannot start.
OUT, ERR: descriptors that become the child's stdout and stderr.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
REAP_SECONDS = 5.0


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere the pipe alone must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def say(**fields: object) -> None:
    # An error: the agent is gone; its pipe's end will be noticed.
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(fields).encode() + b"\n")


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def orphans() -> list[int]:
    """Children of this process, also those that left the group: as subreaper it inherits them."""
    try:
        # Not pathlib: this process is to stay small.
        with open(f"/proc/self/task/{os.getpid()}/children") as stream:  # noqa: PTH123
            return [int(pid) for pid in stream.read().split()]
    except OSError:
        return []


def reap_rest() -> None:
    """Kills and reaps what the child has left behind, whatever session it moved to."""
    end = time.monotonic() + REAP_SECONDS
    while time.monotonic() < end:
        for pid in orphans():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


def start(command: list[str], out: int, err: int) -> "subprocess.Popen[bytes]":
    """The child, whose process id is also its group and session.

    The caller keeps the object: when collected, it would reap the child behind the watchdog's back.
    """
    watchdog = os.getpid()

    def in_child() -> None:
        # Second line of defence: should the watchdog itself be killed, the kernel kills the child.
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != watchdog:
            os._exit(1)

    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, preexec_fn=in_child
    )
    os.close(out)
    os.close(err)
    return process


def reap(child: int) -> tuple[int, int] | None:
    """Reaps whatever has ended; (wait status, peak RSS) once the child is among it.

    Raises:
        ChildProcessError: no child is left, which does not happen before the child was reaped.
    """
    while True:
        done, status, usage = os.wait4(-1, os.WNOHANG)
        if done == child:
            return status, usage.ru_maxrss * (1024 if sys.platform == "linux" else 1)
        if done == 0:
            return None


def main(argv: list[str]) -> int:
    out, err, command = int(argv[1]), int(argv[2]), argv[4:]
    # Handlers and not SIG_IGN, which the child would inherit.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        child = start(command, out, err)
    except OSError as error:
        say(error=f"cannot start {command[0]}: {error}")
        return 1
    pid = child.pid
    say(pid=pid)
    sources = [0, woken]
    while (ended := reap(pid)) is None:
        ready = select.select(sources, [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready:
            orders = os.read(0, 64)
            if not orders:
                kill_group(pid)
                sources = [woken]
            elif b"K" in orders:
                kill_group(pid)
            elif b"T" in orders:
                # The child alone: it decides what becomes of its own helpers.
                os.kill(pid, signal.SIGTERM)
    status, peak = ended
    kill_group(pid)
    reap_rest()
    if os.WIFSIGNALED(status):
        say(signal=os.WTERMSIG(status), peak_rss_bytes=peak)
    else:
        say(code=os.WEXITSTATUS(status), peak_rss_bytes=peak)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
