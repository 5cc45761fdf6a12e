"""Flags that the threads of an attempt raise for each other, and waiting on them."""

import threading
import time
from collections.abc import Iterable

LOST = "lost"
"""The lease has ended: kill, discard."""
CANCEL = "cancel"
"""The control plane asks to end the attempt for good."""
DRAIN = "drain"
"""The control plane asks for a checkpoint and the lease back."""
SHUTDOWN = "shutdown"
"""The agent itself was asked to end (SIGTERM or SIGINT)."""
TOKEN = "token_refused"
"""The API does not take the agent's token (any more)."""
BROKEN = "broken"
"""A thread of the agent failed in a way nobody foresaw."""
DISK = "disk_full"
"""The agent cannot write its spool."""
ENDED = "ended"
"""The attempt is over; background threads may go."""


class Control:
    """A set of raised flags. A flag is never lowered; `note` says more about it."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._raised: dict[str, str] = {}

    def set(self, flag: str, note: str = "") -> None:
        """Raises a flag; the first note stays. Reentrant: a signal handler may call it."""
        with self._changed:
            self._raised.setdefault(flag, note)
            self._changed.notify_all()

    def has(self, *flags: str) -> bool:
        return any(flag in self._raised for flag in flags)

    def note(self, flag: str) -> str:
        return self._raised.get(flag, "")

    def first(self, flags: Iterable[str]) -> str | None:
        """The first flag of `flags` that is raised: the caller's order is the precedence."""
        return next((flag for flag in flags if flag in self._raised), None)

    def wait(self, seconds: float, *flags: str) -> bool:
        """Sleeps up to `seconds` until one of the flags is raised; true when one is."""
        end = time.monotonic() + seconds
        with self._changed:
            while not self.has(*flags):
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True
