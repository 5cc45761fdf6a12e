"""Spools: nothing lost, nothing doubled, the same sequence always the same content."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from limbeck.agent.client import Client, LeaseLost
from limbeck.agent.control import Control
from limbeck.agent.log_spool import LogSpool
from limbeck.agent.metric_spool import MetricSpool, ProgressTail
from limbeck.agent.shipper import Shipper


class Metrics:
    """A metrics file and a spool on it that can be 'restarted'."""

    def __init__(self, folder: Path) -> None:
        self.file, self.state = folder / "metrics.ndjson", folder / "state.json"
        self.said: list[str] = []
        self.restart()

    def restart(self) -> None:
        self.spool = MetricSpool(self.file, self.state, 3, self.said.append)

    def write(self, *rows: Any, raw: str = "") -> None:
        with self.file.open("a") as stream:
            stream.write("".join(json.dumps(row) + "\n" for row in rows) + raw)

    def take(self) -> dict[str, Any]:
        batch = self.spool.next()
        assert batch is not None
        self.spool.acknowledge()
        return batch.model_dump(mode="json")


@pytest.fixture
def metrics(tmp_path: Path) -> Metrics:
    return Metrics(tmp_path)


def test_a_batch_groups_scalars_and_keeps_what_is_not_finite(metrics: Metrics) -> None:
    metrics.write(
        {"step": 1, "scalars": {"loss": 1, "scale": "Infinity"}},
        {"step": 2, "scalars": {"loss": float("nan")}},
        {"step": 2, "arrays": {"by_t": [1.5, None, "NaN"]}},
        raw='{"step": 3, "scalars": {"lo',
    )
    assert metrics.take() == {
        "epoch": 3,
        "sequence": 0,
        "scalars": [
            {"name": "loss", "steps": [1, 2], "values": [1.0, "NaN"]},
            {"name": "scale", "steps": [1], "values": ["Infinity"]},
        ],
        "arrays": [{"name": "by_t", "step": 2, "values": [1.5, None, "NaN"]}],
    }
    assert metrics.spool.next() is None
    metrics.write(raw='ss": 2}}\n')
    assert metrics.take()["scalars"] == [{"name": "loss", "steps": [3], "values": [2.0]}]


def test_an_unacknowledged_batch_is_repeated_as_it_was(metrics: Metrics) -> None:
    metrics.write({"step": 1, "scalars": {"loss": 1.0}})
    first = metrics.spool.next()
    metrics.write({"step": 2, "scalars": {"loss": 2.0}})
    assert metrics.spool.next() == first
    metrics.restart()
    assert metrics.spool.next() == first
    metrics.spool.acknowledge()
    metrics.restart()
    second = metrics.take()
    assert (second["sequence"], second["scalars"][0]["steps"]) == (1, [2])


def test_restarts_at_any_point_neither_lose_nor_double(metrics: Metrics) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    draw = random.Random(seed)
    taken: dict[int, Any] = {}
    step = 0
    while step < 300 or metrics.spool.next() is not None:
        match draw.choice(["write", "send", "acknowledge", "restart"]):
            case "write" if step < 300:
                metrics.write(*({"step": step + i, "scalars": {"loss": step + i}} for i in range(7)))
                step += 7
            case "send" | "acknowledge" as action:
                batch = metrics.spool.next()
                if batch is not None:
                    assert taken.setdefault(batch.sequence, batch) == batch
                    if action == "acknowledge":
                        metrics.spool.acknowledge()
            case "restart":
                metrics.restart()
    assert [s for n in sorted(taken) for s in taken[n].scalars[0].steps] == list(range(step))


def test_what_the_contract_does_not_take_is_counted_and_said(metrics: Metrics) -> None:
    metrics.write(
        {"step": 1, "scalars": {"loss": 1.0, "no spaces": 2.0, "text": "high"}},
        {"step": -1, "scalars": {"loss": 1.0}},
        {"scalars": {}},
        {"step": 1, "arrays": {"long": [0.0] * 600}},
        raw="not json\n",
    )
    assert metrics.take()["scalars"] == [{"name": "loss", "steps": [1], "values": [1.0]}]
    said = "\n".join(metrics.said)
    for named in (
        "no spaces",
        "'high'",
        "step -1",
        "2x: not a metric line",
        "long: not a list of at most 512",
    ):
        assert named in said


def test_batches_keep_to_the_limits_of_the_contract(metrics: Metrics) -> None:
    metrics.write(*({"step": 1, "scalars": {f"s{i}": 0.0}} for i in range(600)))
    sizes = [len(metrics.take()["scalars"]), len(metrics.take()["scalars"])]
    assert sizes == [500, 100]
    metrics.write({"step": 2, "scalars": {f"s{i}": 0.0 for i in range(501)}})
    assert len(metrics.take()["scalars"]) == 500
    assert "1x: more than 500 series on one line" in metrics.said[-1]


def test_progress_only_lines_need_no_batch(metrics: Metrics) -> None:
    metrics.write(*({"step": i, "progress": {"step": i, "total": 9}} for i in range(5)))
    assert metrics.spool.next() is None


def test_a_line_without_end_does_not_stop_the_rest(metrics: Metrics) -> None:
    metrics.write(raw='{"step": 1, "scalars": {"' + "x" * (5 << 20) + '": 1}}\n')
    metrics.write({"step": 2, "scalars": {"loss": 1.0}})
    assert metrics.take()["scalars"][0]["steps"] == [2]
    assert "not a metric line" in metrics.said[0]


def test_progress_is_followed_and_what_is_not_finite_becomes_null(metrics: Metrics) -> None:
    tail = ProgressTail(metrics.file)
    assert not tail.read()
    metrics.write({"step": 4, "progress": {"step": 4, "total": 9, "images_per_second": 2, "loss": "NaN"}})
    assert tail.read()
    assert tail.progress == {"step": 4, "total": 9, "images_per_second": 2.0, "loss": None}
    assert not tail.read()


def drain(spool: LogSpool) -> list[str]:
    texts = []
    while (batch := spool.next()) is not None:
        texts += [line.text for line in batch.lines]
        spool.acknowledge()
    return texts


def test_logs_come_in_order_over_segments_and_restarts(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, 1, segment_bytes=2000)
    texts = [f"line {i}" for i in range(200)]
    for text in texts[:150]:
        spool.append("stdout", text)
    first = spool.next()
    spool = LogSpool(tmp_path, 1, segment_bytes=2000)
    assert spool.next() == first
    for text in texts[150:]:
        spool.append("stdout", text)
    assert drain(spool) == texts
    assert len(list(tmp_path.glob("*.ndjson"))) <= 2
    spool = LogSpool(tmp_path, 1, segment_bytes=2000)
    spool.append("stderr", "after")
    assert drain(spool) == ["after"]
    assert spool.last_lines()[-1] == "after"


def test_half_a_line_of_a_crash_is_passed_over(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, 1)
    spool.append("stdout", "whole")
    with (tmp_path / "00000000.ndjson").open("a") as stream:
        stream.write('{"time": "2026-')
    spool = LogSpool(tmp_path, 1)
    spool.append("stdout", "next")
    assert drain(spool) == ["whole", "next"]


def test_over_the_cap_the_oldest_unsent_lines_go_and_are_counted(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, 1, cap_bytes=20_000, segment_bytes=2000)
    for i in range(20):
        spool.append("stdout", f"early {i}")
    pending = spool.next()
    for i in range(1000):
        spool.append("stdout", f"line {i}")
    assert sum(path.stat().st_size for path in tmp_path.glob("*.ndjson")) < 25_000
    assert spool.next() == pending, "a batch on its way is never dropped"
    texts = drain(spool)
    dropped = sum(int(text.split()[0]) for text in texts if "dropped" in text)
    kept = sum("dropped" not in text for text in texts)
    assert dropped > 0
    assert kept + dropped == 1020
    assert texts[-2] == "line 999"


def test_the_last_lines_are_the_newest_fifty(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, 1)
    for i in range(80):
        spool.append("stderr", f"{i} " + "y" * 3000)
    lines = spool.last_lines()
    assert [line.split()[0] for line in lines] == [str(i) for i in range(30, 80)]
    assert max(len(line) for line in lines) <= 2000


def shipper(api: Client, spool: Any, control: Control, said: list[str]) -> Shipper:
    thread = Shipper(api, "/v1/worker/stages/stg_x/logs", spool, control, said.append)
    thread.start()
    return thread


def test_lost_answers_and_an_outage_double_nothing(peer, api: Client, tmp_path: Path) -> None:
    spool = LogSpool(tmp_path, 1)
    peer.set(swallow=["logs", "logs"])
    thread = shipper(api, spool, Control(), [])
    spool.append("stdout", "a")
    assert thread.flush(10)
    peer.set(away=True)
    spool.append("stdout", "b")
    assert not thread.flush(0.5)
    peer.set(away=False)
    assert thread.finish(10)
    assert peer.log_lines() == ["a", "b"]


def test_a_refused_batch_is_said_and_the_next_one_goes(peer, api: Client, tmp_path: Path) -> None:
    refusal = {"code": "invalid_request", "detail": "no", "errors": [{"path": "lines.0", "message": "bad"}]}
    peer.set(refusals=[("logs", 422, refusal)])
    spool, said = LogSpool(tmp_path, 1), []
    spool.append("stdout", "a")
    thread = shipper(api, spool, Control(), said)
    assert thread.flush(10)
    spool.append("stdout", "b")
    assert thread.finish(10)
    assert peer.log_lines() == ["b"]
    assert "lines.0: bad" in said[0]


def test_lines_of_a_lost_lease_that_nobody_wants_do_not_wait(peer, api: Client, tmp_path: Path) -> None:
    peer.set(refusals=[("logs", 409, {"code": "lease_lost", "detail": "gone"})])
    spool = LogSpool(tmp_path, 1)
    spool.append("stdout", "a")
    assert shipper(api, spool, Control(), []).finish(10)
    with pytest.raises(LeaseLost, match="gone"):
        peer.set(refusals=[("logs", 409, {"code": "lease_lost", "detail": "gone"})])
        batch = LogSpool(tmp_path, 1).next()
        assert batch is not None
        api.call_json("/v1/worker/stages/stg_x/logs", batch, lambda _: True)
