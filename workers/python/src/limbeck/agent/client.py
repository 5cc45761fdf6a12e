"""HTTP client of the worker protocol: typed calls, time-outs, retries with back-off and jitter.

A call is repeated until the API answers it, because an outage of the control plane must cost
nothing but the wait; the caller says when to stop waiting.
"""

import random
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from limbeck.agent.eventlog import log

Answer = TypeVar("Answer", bound=BaseModel)

GiveUp = Callable[[float], bool]
"""Sleeps up to the given seconds; true when the caller does not want to wait any longer."""

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
LONGEST_DELAY_SECONDS = 5.0
LONGEST_RETRY_AFTER_SECONDS = 60.0


class LeaseLost(Exception):
    """409 lease_lost: another attempt owns the stage, or the lease has ended."""


class TokenRefused(Exception):
    """401 or 403: the API does not take this token."""


class GaveUp(Exception):
    """The caller stopped waiting for an API that does not answer."""


class Rejected(Exception):
    """The API understood the call and refuses it; repeating it is useless."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{code} ({status}): {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class NotUnderstood(Exception):
    """The API's answer does not fit the contract that this agent was built with."""

    def __init__(self, path: str, body: Any, error: ValidationError) -> None:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        super().__init__(f"answer of {path}: {where}: {first['msg']}")
        self.body = body


def backoff(attempt: int, longest: float = LONGEST_DELAY_SECONDS) -> float:
    """Seconds before retry number `attempt` (from 0): doubled from 0.2 s, with jitter, capped."""
    return min(longest, 0.2 * 2 ** min(attempt, 10)) * random.uniform(0.5, 1.0)


def http_client(*, connections: int, **options: Any) -> httpx.Client:
    """An httpx client that never sends loopback addresses through a proxy."""
    return httpx.Client(
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        mounts={"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None},
        follow_redirects=False,
        **options,
    )


class Client:
    """Calls of one worker. Safe to use from several threads."""

    def __init__(self, base_url: str, token: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = http_client(
            connections=12,
            base_url=self.base_url,
            headers={
                "authorization": f"Bearer {token}",
                "content-type": "application/json",
                "user-agent": f"limbeck-agent httpx/{version('httpx')}",
            },
        )
        self._contact = time.monotonic()
        self._away_since: float | None = None
        self._state = threading.Lock()

    def silence(self) -> float:
        """Seconds since the API last answered, by the agent's own monotonic clock."""
        return time.monotonic() - self._contact

    def call(
        self,
        path: str,
        body: BaseModel,
        answer: type[Answer],
        give_up: GiveUp,
        *,
        hold_seconds: float = 0.0,
        longest_delay: float = LONGEST_DELAY_SECONDS,
    ) -> Answer:
        """POSTs `body` until the API answers.

        Args:
            path: below the base URL, "/v1/worker/...".
            give_up: asked between retries.
            hold_seconds: how long the API may keep the answer back on purpose.
            longest_delay: cap of the back-off in seconds.

        Raises:
            LeaseLost, TokenRefused, Rejected, NotUnderstood: the API's final word.
            GaveUp: `give_up` said so.
        """
        decoded = self.call_json(path, body, give_up, hold_seconds=hold_seconds, longest_delay=longest_delay)
        try:
            return answer.model_validate(decoded)
        except ValidationError as error:
            raise NotUnderstood(path, decoded, error) from error

    def call_json(
        self,
        path: str,
        body: BaseModel,
        give_up: GiveUp,
        *,
        hold_seconds: float = 0.0,
        longest_delay: float = LONGEST_DELAY_SECONDS,
    ) -> Any:
        """Like `call`, with the decoded JSON unchecked."""
        content = body.model_dump_json().encode()
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=ANSWER_SECONDS + hold_seconds)
        attempt = 0
        while True:
            asked_delay = 0.0
            try:
                response = self._http.post(path, content=content, timeout=timeout)
            except httpx.TransportError as error:
                self._away(f"{type(error).__name__}: {error}")
            else:
                decoded = _decode(response)
                problem = decoded if isinstance(decoded, dict) and "code" in decoded else None
                if response.is_success and decoded is not None:
                    self._answered()
                    return decoded
                if response.status_code in (401, 403):
                    detail = problem.get("detail", "") if problem else response.reason_phrase
                    raise TokenRefused(f"{self.base_url} answers {response.status_code}: {detail}")
                final = problem is not None and 400 <= response.status_code < 500
                if final and response.status_code not in (408, 429):
                    self._answered()
                    raise _refusal(response.status_code, problem or {})
                if response.status_code == 429:
                    self._answered()
                else:
                    # Also an answer that is not the API's own, such as a proxy's page during a roll-out.
                    self._away(f"status {response.status_code} at {path}")
                asked_delay = _retry_after(response)
            if give_up(max(asked_delay, backoff(attempt, longest_delay))):
                raise GaveUp(f"no answer from {self.base_url}{path}")
            attempt += 1

    def close(self) -> None:
        self._http.close()

    def _answered(self) -> None:
        with self._state:
            self._contact = time.monotonic()
            since, self._away_since = self._away_since, None
        if since is not None:
            log("api_back", seconds=round(time.monotonic() - since, 1))

    def _away(self, why: str) -> None:
        with self._state:
            first = self._away_since is None
            if first:
                self._away_since = time.monotonic()
        if first:
            log("api_away", url=self.base_url, why=why)


def _decode(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _refusal(status: int, problem: dict[str, Any]) -> Exception:
    code, detail = str(problem["code"]), str(problem.get("detail", ""))
    if code == "lease_lost":
        return LeaseLost(detail)
    paths = [
        f"{e.get('path')}: {e.get('message')}" for e in problem.get("errors") or [] if isinstance(e, dict)
    ]
    return Rejected(status, code, "; ".join([detail, *paths[:5]]))


def _retry_after(response: httpx.Response) -> float:
    """Seconds of a Retry-After header; dates are not used by this API."""
    text = response.headers.get("retry-after", "")
    return min(float(text), LONGEST_RETRY_AFTER_SECONDS) if text.isdigit() else 0.0
