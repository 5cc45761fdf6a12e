"""A thread that sends one spool to the API, batch by batch, until it is empty and nothing follows."""

import threading
from collections.abc import Callable
from typing import Protocol

from pydantic import BaseModel

from limbeck.agent.client import Client, GaveUp, LeaseLost, Rejected, TokenRefused
from limbeck.agent.control import BROKEN, DISK, TOKEN, Control
from limbeck.agent.disk import DiskFull
from limbeck.agent.eventlog import log
from limbeck.agent.transfers import Anything

SECONDS_BETWEEN_BATCHES = 1.0


class Spool(Protocol):
    """What can be sent: `next` repeats the pending batch until `acknowledge`."""

    def next(self) -> BaseModel | None: ...

    def acknowledge(self) -> None: ...


class Shipper(threading.Thread):
    """`path` of the route; `say` takes sentences for the attempt's log."""

    def __init__(
        self, api: Client, path: str, spool: Spool, control: Control, say: Callable[[str], None]
    ) -> None:
        super().__init__(name=path.rpartition("/")[2], daemon=True)
        self._api, self._path, self._spool, self._control, self._say = api, path, spool, control, say
        self._finish = threading.Event()
        self._abort = threading.Event()
        self._wake = threading.Event()
        self._sent = threading.Condition()
        self._passes = 0
        self._asked_passes = 0
        self.drained = False
        """Everything that was spooled has been taken."""

    def run(self) -> None:
        try:
            while self._send_all():
                if self._passes >= self._asked_passes:
                    self._wake.wait(SECONDS_BETWEEN_BATCHES)
                self._wake.clear()
        except GaveUp:
            pass
        except LeaseLost as error:
            # The heartbeat decides about the attempt; here only the lines are not wanted.
            log("spool_refused", path=self._path, why=str(error))
            self.drained = True
        except TokenRefused as error:
            self._control.set(TOKEN, str(error))
        except DiskFull as error:
            self._control.set(DISK, str(error))
        except Exception as error:
            log("thread_failed", thread=self.name, error=repr(error))
            self._control.set(BROKEN, f"{self.name}: {error!r}")

    def _send_all(self) -> bool:
        """Sends what is there; false when the end was asked for and all is sent."""
        finishing = self._finish.is_set()
        while (batch := self._spool.next()) is not None:
            try:
                self._api.call(self._path, batch, Anything, self._give_up)
            except Rejected as error:
                self._say(
                    f"{self.name} batch {getattr(batch, 'sequence', '?')} was refused and is lost: {error}"
                )
                log("batch_refused", path=self._path, why=str(error))
            self._spool.acknowledge()
        with self._sent:
            self._passes += 1
            self._sent.notify_all()
        self.drained = finishing
        return not finishing

    def flush(self, seconds: float) -> bool:
        """Waits until what is spooled now has been taken; false after `seconds`."""
        with self._sent:
            # One pass may have begun before the call: the end of the one after it covers everything.
            target = self._asked_passes = self._passes + 2
            self._wake.set()
            return self._sent.wait_for(lambda: self._passes >= target or not self.is_alive(), timeout=seconds)

    def finish(self, seconds: float) -> bool:
        """Sends the rest and ends the thread; true when everything was taken within `seconds`."""
        self._finish.set()
        self._wake.set()
        self.join(seconds)
        self._abort.set()
        return self.drained

    def _give_up(self, seconds: float) -> bool:
        return self._abort.wait(seconds)
