"""The agent's life: register, report what is left over, claim, run, repeat."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from limbeck.agent.attempt import Attempt
from limbeck.agent.cache import BlobCache
from limbeck.agent.client import Client, GaveUp, LeaseLost, Rejected
from limbeck.agent.control import SHUTDOWN, TOKEN, Control
from limbeck.agent.disk import DiskFull, is_full
from limbeck.agent.endings import Settings
from limbeck.agent.eventlog import log
from limbeck.agent.exits import MESSAGE_UNITS
from limbeck.agent.folder import AttemptFolder, attempt_folders, new_attempt_folder
from limbeck.agent.identity import new_claim_id
from limbeck.agent.leftovers import settle_leftovers
from limbeck.agent.text import cut
from limbeck.agent.transfers import Anything, Transfers
from limbeck.contracts import parse_stage_spec
from limbeck.contracts.generated import (
    ClaimRequest,
    FailRequest,
    Lease,
    ReleaseRequest,
    WorkerRegister,
    WorkerRegistered,
)

LAST_CLAIM_SECONDS = 3.0
PAUSE_SECONDS = 5.0
"""After an attempt that this machine could not begin."""


class Interrupted(BaseException):
    """Raised by a signal handler to leave a held request; not an Exception, so that nothing swallows it."""


class Worker:
    """`shutdown` is raised by the first SIGTERM; `interruptible` lets that end a held poll at once."""

    def __init__(
        self,
        api: Client,
        cache: BlobCache,
        work: Path,
        registration: WorkerRegister,
        settings: Settings,
        shutdown: Control,
        interruptible: Callable[[], AbstractContextManager[None]],
        *,
        outage_seconds: float | None,
    ) -> None:
        self._api, self._cache, self._work = api, cache, work
        self._registration, self._settings = registration, settings
        self._shutdown, self._interruptible = shutdown, interruptible
        self._outage_seconds = outage_seconds
        self._transfers = Transfers(api, cache)
        self._claim_wait = 20.0
        self._current: Control | None = None
        self.worker = ""

    def ask_to_stop(self) -> None:
        """Called by the signal handler: the attempt drains, then `run` returns."""
        self._shutdown.set(SHUTDOWN)
        if self._current is not None:
            self._current.set(SHUTDOWN)

    def run(self, once: bool) -> None:
        """Until `ask_to_stop`, or until one attempt has ended.

        Raises:
            TokenRefused: the API does not take the token.
            Rejected: the API refuses the registration.
        """
        try:
            self._register()
            while not self._shutdown.has(SHUTDOWN):
                settle_leftovers(self._work, self._attempt)
                lease = self._claim()
                if lease is None:
                    continue
                folder = new_attempt_folder(self._work, lease["stage"], lease["epoch"])
                try:
                    folder.create(self.worker, lease)
                    attempt = self._attempt(folder)
                except (DiskFull, OSError) as error:
                    self._cache.clear()
                    full = isinstance(error, DiskFull) or is_full(error)
                    self._refuse(lease, "disk_full" if full else "worker_lost", f"{folder.path}: {error}")
                    self._stopping(PAUSE_SECONDS)
                    continue
                attempt.run()
                if once:
                    return
        except GaveUp:
            log("stopping", left_over=len(attempt_folders(self._work)))

    def _attempt(self, folder: AttemptFolder) -> Attempt:
        control = Control()
        self._current = control
        if self._shutdown.has(SHUTDOWN):
            control.set(SHUTDOWN)
        return Attempt(self._api, self._transfers, self._cache, self._settings, control, folder)

    def _register(self) -> None:
        answer = self._api.call("/v1/worker/register", self._registration, WorkerRegistered, self._stopping)
        self.worker = answer.worker
        self._claim_wait = min(30.0, max(0.0, answer.claim_wait_seconds))
        self._settings = replace(
            self._settings,
            hold_seconds=min(answer.heartbeat_hold_seconds, answer.lease_seconds / 3),
            outage_seconds=answer.outage_seconds if self._outage_seconds is None else self._outage_seconds,
        )
        log("registered", worker=self.worker, name=self._registration.name)

    def _claim(self) -> dict[str, Any] | None:
        """One long poll; None when there is nothing to do.

        The claim's id is the client's: after a lost answer the same id gets the same lease.
        """
        claim = new_claim_id()
        try:
            with self._interruptible():
                answer = self._ask(claim, self._claim_wait, self._stopping)
        except Rejected as error:
            if error.code != "not_found":
                raise
            log("worker_unknown", worker=self.worker, why=str(error))
            self._register()
            return None
        except (Interrupted, GaveUp):
            self._return_unseen(claim)
            return None
        return self._checked(answer.get("lease"))

    def _return_unseen(self, claim: str) -> None:
        """The agent leaves while a poll was held: a lease given in that moment goes back at once."""
        end = time.monotonic() + LAST_CLAIM_SECONDS
        try:
            lease = self._ask(claim, 0.0, lambda seconds: _sleep_until(seconds, end)).get("lease")
            if lease is not None:
                self._release(lease, lambda seconds: _sleep_until(seconds, end))
        except (GaveUp, LeaseLost, Rejected) as error:
            log("claim_abandoned", claim=claim, why=str(error))

    def _ask(self, claim: str, wait_seconds: float, give_up: Callable[[float], bool]) -> dict[str, Any]:
        body = ClaimRequest(worker=self.worker, claim=claim, wait_seconds=wait_seconds)
        answer = self._api.call_json("/v1/worker/claim", body, give_up, hold_seconds=wait_seconds)
        return answer if isinstance(answer, dict) else {}

    def _checked(self, lease: dict[str, Any] | None) -> dict[str, Any] | None:
        """A lease that this agent understands; one that it does not is failed with the field's name."""
        if lease is None:
            return None
        try:
            parse_stage_spec(lease.get("spec"))
            Lease.model_validate(lease)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            message = f"this worker does not understand the lease: {where}: {first['msg']}"
            self._refuse(lease, "bad_config", message)
            return None
        log("claimed", stage=lease["stage"], epoch=lease["epoch"], name=lease["name"], run=lease["run"])
        return lease

    def _refuse(self, lease: dict[str, Any], reason: str, message: str) -> None:
        """Fails an attempt that cannot even begin."""
        log("attempt_refused", stage=lease["stage"], reason=reason, why=message)
        identity = {"worker": self.worker, "epoch": lease["epoch"]}
        fail = {"reason": reason, "message": cut(message, MESSAGE_UNITS), "last_log_lines": []}
        body = FailRequest.model_validate({**identity, **fail})
        try:
            self._api.call(f"/v1/worker/stages/{lease['stage']}/fail", body, Anything, self._stopping)
        except (LeaseLost, Rejected) as refused:
            log("report_refused", stage=lease["stage"], why=str(refused))

    def _release(self, lease: dict[str, Any], give_up: Callable[[float], bool]) -> None:
        body = ReleaseRequest.model_validate(
            {"worker": self.worker, "epoch": lease["epoch"], "reason": "preempted", "step": None}
        )
        self._api.call(f"/v1/worker/stages/{lease['stage']}/release", body, Anything, give_up)

    def _stopping(self, seconds: float) -> bool:
        return self._shutdown.wait(seconds, SHUTDOWN, TOKEN)


def _sleep_until(seconds: float, end: float) -> bool:
    """Sleeps, but not past `end`; true when that is reached."""
    time.sleep(max(0.0, min(seconds, end - time.monotonic())))
    return time.monotonic() >= end
