"""Renews the lease in a thread of its own and hears what the control plane wants."""

import threading
import time
from collections.abc import Callable
from typing import Any

from limbeck.agent.client import Client, GaveUp, LeaseLost, NotUnderstood, Rejected, TokenRefused
from limbeck.agent.control import BROKEN, CANCEL, DRAIN, ENDED, LOST, TOKEN, Control
from limbeck.agent.eventlog import log
from limbeck.contracts.generated import HeartbeatRequest, HeartbeatResponse

LEAST_SECONDS_BETWEEN_BEATS = 1.0
LONGEST_RETRY_SECONDS = 2.0


class Heartbeat(threading.Thread):
    """Beats follow each other: the API holds each up to `hold_seconds` and answers at once on cancel.

    `progress` gives the contract's progress or None. While the API is away the thread goes on
    asking; how long that may last is the attempt's decision.
    """

    def __init__(
        self,
        api: Client,
        stage: str,
        identity: dict[str, Any],
        hold_seconds: float,
        control: Control,
        progress: Callable[[], dict[str, Any] | None],
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._api, self._identity, self._control, self._progress = api, identity, control, progress
        self._path = f"/v1/worker/stages/{stage}/heartbeat"
        self._hold = min(10.0, max(0.0, hold_seconds))

    def run(self) -> None:
        try:
            while not self._control.has(ENDED, LOST, TOKEN):
                began = time.monotonic()
                self._beat()
                spent = time.monotonic() - began
                self._control.wait(max(0.0, LEAST_SECONDS_BETWEEN_BEATS - spent), ENDED, LOST)
        except GaveUp:
            pass
        except LeaseLost as error:
            self._control.set(LOST, str(error))
        except Rejected as error:
            # The stage is gone (another database), or the agent and the API do not fit each other.
            self._control.set(LOST, str(error))
        except TokenRefused as error:
            self._control.set(TOKEN, str(error))
        except NotUnderstood as error:
            self._control.set(BROKEN, str(error))
        except Exception as error:
            log("thread_failed", thread=self.name, error=repr(error))
            self._control.set(BROKEN, f"heartbeat: {error!r}")

    def _beat(self) -> None:
        # The first beat of a cancelled attempt is answered at once; the next ones only renew.
        hold = 0.0 if self._control.has(CANCEL, DRAIN) else self._hold
        request = HeartbeatRequest.model_validate(
            {**self._identity, "hold_seconds": hold, "progress": self._progress()}
        )
        answer = self._api.call(
            self._path,
            request,
            HeartbeatResponse,
            lambda seconds: self._control.wait(seconds, ENDED, LOST, TOKEN),
            hold_seconds=hold,
            longest_delay=LONGEST_RETRY_SECONDS,
        )
        if answer.action == "cancel":
            self._control.set(CANCEL)
        elif answer.action == "drain":
            self._control.set(DRAIN)
