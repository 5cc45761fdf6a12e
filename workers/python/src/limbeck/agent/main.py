"""Command line of the agent: options, signals, exit codes.

Exit codes: 0 stopped as asked, 1 unexpected error or second signal, 2 wrong options, 3 token refused.
"""

import argparse
import fcntl
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from pydantic import ValidationError

from limbeck.agent.cache import BlobCache
from limbeck.agent.client import Client, NotUnderstood, Rejected, TokenRefused
from limbeck.agent.control import Control
from limbeck.agent.disk import DiskFull
from limbeck.agent.endings import Settings
from limbeck.agent.eventlog import log
from limbeck.agent.identity import (
    ConfigurationError,
    code_digest,
    default_threads,
    environment,
    find_device,
    memory_limit,
    new_boot_id,
)
from limbeck.agent.worker import Interrupted, Worker
from limbeck.contracts.generated import WorkerRegister

RESOURCE_CLASSES = ("cpu", "gpu-24g", "gpu-48g", "gpu-80g", "gpu-141g", "detector", "vqa", "inception")
STOPPED, FAILED, USAGE, TOKEN_REFUSED = 0, 1, 2, 3


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m limbeck.agent", description="Claims stages over HTTP and runs them, one at a time."
    )
    parser.add_argument("--api", required=True, metavar="URL", help="base URL of the API")
    parser.add_argument("--token-file", type=Path, help="file with the worker's token; else LIMBECK_TOKEN")
    parser.add_argument("--name", default=socket.gethostname(), help="unique and lasting; default: host name")
    parser.add_argument(
        "--resource-class",
        "--class",
        dest="resource_classes",
        action="append",
        choices=RESOURCE_CLASSES,
        help="queue to take stages from, repeatable; default cpu",
    )
    parser.add_argument("--workdir", type=Path, required=True, help="folder for attempts, spool and cache")
    parser.add_argument("--labels", nargs="*", default=[], metavar="KEY=VALUE", help="capability labels")
    parser.add_argument("--threads", type=_at_least(1), help="CPU threads of a stage; default: all CPUs")
    parser.add_argument("--once", action="store_true", help="end after one attempt")
    parser.add_argument(
        "--outage-seconds",
        type=_at_least(1),
        help="silence of the API until the stage is stopped; default: the API's",
    )
    parser.add_argument(
        "--drain-seconds", type=_at_least(1), default=120, help="time for the last checkpoint; default 120"
    )
    parser.add_argument(
        "--cache-gb", type=_at_least(0), default=20, help="cap of the blob cache, GiB; default 20"
    )
    parser.add_argument(
        "--stage-command", help="instead of `python -m limbeck.stages`; gets the work directory"
    )
    return parser.parse_args(argv)


def _at_least(minimum: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not minimum <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be at least {minimum:g}, not {text}")
        return value

    return number


def read_token(file: Path | None) -> str:
    """The token of the file, or of LIMBECK_TOKEN.

    Raises:
        ConfigurationError: there is none, or it is not one printable word.
    """
    if file is None:
        token, source = os.environ.get("LIMBECK_TOKEN", ""), "LIMBECK_TOKEN"
    else:
        try:
            token, source = file.read_text().strip(), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot read the token file {file}: {error}") from error
    if not re.fullmatch(r"[!-~]{1,500}", token):
        state = "is empty" if not token else "does not hold one word of printable ASCII"
        raise ConfigurationError(f"{source} {state}; give a worker's token there or by --token-file")
    return token


def parse_labels(pairs: list[str]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"--labels takes KEY=VALUE, not {pair!r}")
        labels[key] = value
    return labels


def lock_workdir(folder: Path) -> IO[str]:
    """Makes the folder and locks it for this process; the lock ends with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "agent.lock").open("w")
    except OSError as error:
        raise ConfigurationError(f"--workdir {folder} cannot be used: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigurationError(f"--workdir {folder} is in use by another agent") from error
    return lock


def build(options: argparse.Namespace, signals: "Signals") -> Worker:
    """The worker of these options.

    Raises:
        ConfigurationError
    """
    url = urlsplit(options.api)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigurationError(f"--api must be an http or https URL, not {options.api!r}")
    classes = options.resource_classes or ["cpu"]
    device = find_device(classes)
    threads = int(options.threads or default_threads())
    try:
        registration = WorkerRegister.model_validate(
            {
                "name": options.name,
                "boot_id": new_boot_id(),
                "resource_classes": classes,
                "memory_gb": round(device.memory_gb, 2),
                "gpu_count": device.count,
                "labels": parse_labels(options.labels),
                "code_digest": code_digest(),
                "environment": environment(device, threads),
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{where}: {first['msg']} (got {first['input']!r})") from error
    settings = Settings(
        threads=threads,
        uses_gpu=device.count > 0,
        memory_limit_bytes=memory_limit(),
        hold_seconds=10.0,
        outage_seconds=600.0,
        drain_seconds=options.drain_seconds,
        **({"stage_command": shlex.split(options.stage_command)} if options.stage_command else {}),
    )
    work = options.workdir.absolute()
    return Worker(
        Client(options.api, read_token(options.token_file)),
        BlobCache(work / "cache", int(options.cache_gb * 2**30)),
        work,
        registration,
        settings,
        Control(),
        signals.interruptible,
        outage_seconds=options.outage_seconds,
    )


class Signals:
    """First SIGTERM or SIGINT: drain and leave. Second: leave at once; the watchdog ends the stage."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self._asked = False
        self._held = False

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A held request inside is left at the first signal, also one that came just before."""
        self._held = True
        try:
            if self._asked:
                raise Interrupted
            yield
        finally:
            self._held = False

    def _handle(self, number: int, _frame: object) -> None:
        if self._asked:
            os._exit(FAILED)
        self._asked = True
        log("stop_requested", signal=signal.Signals(number).name)
        if self.worker is not None:
            self.worker.ask_to_stop()
        if self._held:
            raise Interrupted


def main(argv: list[str]) -> int:
    """Runs the agent; returns its exit code."""
    signals = Signals()
    signals.install()
    try:
        options = parse_arguments(argv)
        lock = lock_workdir(options.workdir)
        with lock:
            worker = build(options, signals)
            signals.worker = worker
            if signals._asked:
                worker.ask_to_stop()
            worker.run(options.once)
    except ConfigurationError as error:
        print(f"limbeck agent: {error}", file=sys.stderr)
        return USAGE
    except TokenRefused as error:
        print(f"limbeck agent: the token is refused: {error}", file=sys.stderr)
        return TOKEN_REFUSED
    except (Rejected, NotUnderstood, DiskFull) as error:
        print(f"limbeck agent: {error}", file=sys.stderr)
        return FAILED
    return STOPPED
