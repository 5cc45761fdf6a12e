"""Retries, and which answers are final."""

import time

import pytest

from limbeck.agent.client import (
    Client,
    GaveUp,
    LeaseLost,
    NotUnderstood,
    Rejected,
    TokenRefused,
    backoff,
)
from limbeck.contracts.generated import ClaimRequest, WorkerRegistered

PATH = "/v1/worker/claim"
BODY = ClaimRequest(worker="wrk_" + "0" * 26, claim="clm_" + "0" * 26, wait_seconds=0)
TRANSIENT = {"code": "unavailable", "detail": "Postgres is away"}


class Patience:
    """Gives up after `retries`; remembers the delays that were asked for, without sleeping."""

    def __init__(self, retries: int) -> None:
        self.left, self.delays = retries, []

    def __call__(self, seconds: float) -> bool:
        self.delays.append(seconds)
        self.left -= 1
        return self.left < 0


@pytest.fixture
def known(peer) -> None:
    peer.known_workers.add(BODY.worker)
    peer.hold_seconds = 0


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("status", [429, 500, 502, 503, 408])
def test_passing_trouble_is_retried(peer, api: Client, status: int) -> None:
    peer.refusals = [("claim", status, TRANSIENT)] * 3
    patience = Patience(10)
    assert api.call_json(PATH, BODY, patience) == {"lease": None}
    assert len(patience.delays) == 3


@pytest.mark.usefixtures("known")
def test_an_answer_that_is_not_the_apis_own_is_retried(peer, api: Client) -> None:
    peer.refusals = [("claim", 404, {"message": "no route in this proxy"})]
    assert api.call_json(PATH, BODY, Patience(5)) == {"lease": None}


@pytest.mark.usefixtures("known")
def test_a_lost_answer_is_asked_for_again(peer, api: Client) -> None:
    lease = peer.offer()
    peer.swallow = ["claim"]
    assert api.call_json(PATH, BODY, Patience(5))["lease"] == lease
    assert len(peer.of("claim")) == 2, "the same claim, twice"
    assert len(peer.granted) == 1


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (409, "lease_lost", LeaseLost),
        (409, "output_conflict", Rejected),
        (422, "invalid_request", Rejected),
        (404, "not_found", Rejected),
        (401, "unauthenticated", TokenRefused),
        (403, "forbidden", TokenRefused),
    ],
)
def test_final_answers_are_not_repeated(peer, api: Client, status: int, code: str, error: type) -> None:
    problem = {"code": code, "detail": "why not", "errors": [{"path": "epoch", "message": "too low"}]}
    peer.refusals = [("claim", status, problem)]
    patience = Patience(5)
    with pytest.raises(error, match="why not"):
        api.call_json(PATH, BODY, patience)
    assert patience.delays == []


def test_an_answer_outside_the_contract_names_the_field(peer, api: Client) -> None:
    peer.known_workers.add(BODY.worker)
    with pytest.raises(NotUnderstood, match=rf"{PATH}: worker: Field required"):
        api.call(PATH, BODY, WorkerRegistered, Patience(0))


def test_an_api_that_is_away_is_waited_for_as_long_as_the_caller_wants(peer, api: Client) -> None:
    peer.away = True
    before = api.silence()
    patience = Patience(6)
    with pytest.raises(GaveUp, match=PATH):
        api.call_json(PATH, BODY, patience)
    assert patience.left == -1
    assert patience.delays[0] <= 0.2
    assert 2.5 <= max(patience.delays) <= 5
    assert api.silence() > before


def test_silence_ends_with_any_answer_of_the_api(peer, api: Client) -> None:
    time.sleep(0.1)
    peer.refusals = [("claim", 409, {"code": "conflict", "detail": ""})]
    with pytest.raises(Rejected):
        api.call_json(PATH, BODY, Patience(0))
    assert api.silence() < 0.1


def test_back_off_grows_is_capped_and_jittered() -> None:
    for attempt in range(40):
        assert 0.5 * min(5.0, 0.2 * 2**attempt) <= backoff(attempt) <= min(5.0, 0.2 * 2**attempt)
    assert len({backoff(3) for _ in range(10)}) > 1
