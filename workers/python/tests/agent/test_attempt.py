"""Attempts with real stage processes against a control plane over HTTP."""

import hashlib
import json
import re
import threading
import time
from pathlib import Path

import pytest

from limbeck.agent.child import Exit
from limbeck.agent.exits import Failed, Finished, Stopped, classify, last_error_line


def ends_with(peer, route: str) -> dict:
    return peer.wait_for(lambda: next(iter(peer.of(route)), None))


def attempt_folder(tmp_path: Path, lease: dict) -> Path:
    return tmp_path / "work" / "attempts" / f"{lease['stage']}_{lease['epoch']}"


def test_an_attempt_from_inputs_to_completion(peer, run_worker, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LIMBECK_TOKEN", "secret")
    inputs = {"features": peer.store_tree({"x/a.bin": b"a", "index.json": b"{}"})}
    resume = {"digest": peer.store_tree({"state.bin": b"state at 5", "manifest.json": b"{}"}), "step": 5}
    lease = peer.offer(inputs=inputs, resume=resume, epoch=4)
    run_worker("finish").join(30)
    complete = ends_with(peer, "complete")
    assert (complete["worker"], complete["epoch"]) == (peer.worker, 4)
    assert complete["result"] == {"metrics": {"loss": 0.5}, "warnings": [], "evaluations": []}
    assert peer.tree(complete["output"]) == {"model.bin": b"weights" * 1000, "deep/empty": b""}
    names = [name for name, _ in peer.calls]
    assert names.index("complete") > max(i for i, name in enumerate(names) if name in ("metrics", "logs"))
    [metrics] = [body for (route, _), body in peer.batches.items() if route == "metrics"]
    assert (metrics["epoch"], metrics["sequence"]) == (4, 0)
    assert metrics["scalars"][1] == {"name": "odd", "steps": [0, 1, 2], "values": ["NaN"] * 3}
    assert metrics["arrays"] == [
        {"name": "validation/task_by_t", "step": 2, "values": [0.5, None, "Infinity"]}
    ]
    lines = peer.log_lines()
    assert "features ['index.json', 'x']" in lines
    assert "resume state at 5" in lines
    assert "secrets [] threads 1" in lines
    assert not attempt_folder(tmp_path, lease).exists(), "nothing is left on the disk"


def test_heartbeats_carry_progress(peer, run_worker) -> None:
    peer.offer()
    run_worker("serve")
    beat = peer.wait_for(lambda: next((b for b in peer.of("heartbeat") if b["progress"]), None))
    assert beat["progress"]["total"] == 100
    assert beat["progress"]["loss"] is None, "NaN is no JSON number"


@pytest.mark.parametrize(
    ("mode", "reason", "message"),
    [
        ("known_failure", "non_finite", r"^loss is NaN at step 12$"),
        ("unknown_reason", "error", r"^sad: no reason"),
        ("traceback", "error", r"^exit code 1: ValueError: latents are \[4, 8, 8\]"),
        ("no_space", "disk_full", r"No space left on device .*: \d+ bytes free"),
        ("killed", "worker_lost", r"^killed by SIGKILL, not by the agent \(peak .* GiB of 1024.00 GiB\)"),
        ("segfault", "error", r"^killed by SIGSEGV"),
        ("no_result", "error", r"no result.json"),
        ("link_output", "error", r"output cannot be stored: .*link is a link to a folder"),
    ],
)
def test_failures_are_classified(peer, run_worker, mode: str, reason: str, message: str) -> None:
    peer.offer()
    run_worker(mode).join(30)
    fail = ends_with(peer, "fail")
    assert fail["reason"] == reason
    assert re.search(message, fail["message"]), fail["message"]
    assert fail["last_log_lines"][-1].startswith(f"attempt failed ({reason})")
    assert not peer.of("complete")


def test_a_failure_carries_the_last_fifty_lines(peer, run_worker) -> None:
    peer.offer()
    run_worker("traceback").join(30)
    lines = ends_with(peer, "fail")["last_log_lines"]
    assert len(lines) == 50
    assert "line 59" in lines
    assert any(line.startswith("ValueError") for line in lines)


def test_memory_makes_a_sigkill_an_out_of_memory(tmp_path: Path) -> None:
    near = classify(Exit(signal=9, peak_rss_bytes=90), tmp_path, [], 0, 100)
    told = classify(Exit(signal=9, peak_rss_bytes=10), tmp_path, [], 1, 100)
    neither = classify(Exit(signal=9, peak_rss_bytes=10), tmp_path, [], 0, 100)
    other = classify(Exit(signal=11, peak_rss_bytes=90), tmp_path, [], 1, 100)
    reasons = [verdict.reason for verdict in (near, told, neither, other) if isinstance(verdict, Failed)]
    assert reasons == ["out_of_memory", "out_of_memory", "worker_lost", "error"]


def test_exit_codes(tmp_path: Path) -> None:
    assert classify(Exit(code=75), tmp_path, [], 0, 1) == Stopped()
    assert classify(Exit(code=2), tmp_path, ["E: x"], 0, 1) == Failed(
        reason="error", message="exit code 2: E: x"
    )
    (tmp_path / "result.json").write_text(json.dumps({"metrics": {"loss": "high"}}))
    assert classify(Exit(code=0), tmp_path, [], 0, 1).result["warnings"] == ["metric loss is high"]
    (tmp_path / "result.json").write_text('{"metrics": {}, "extra": 1}')
    assert "result.json: extra" in classify(Exit(code=0), tmp_path, [], 0, 1).message
    assert last_error_line(["Traceback", "ValueError: x", "  at y", ""]) == "ValueError: x"


def test_a_metric_that_is_not_finite_becomes_a_warning(peer, run_worker) -> None:
    peer.offer()
    run_worker("nan_result").join(30)
    result = ends_with(peer, "complete")["result"]
    assert (result["metrics"], result["warnings"]) == ({"psnr_db": 31.0}, ["metric loss is nan"])
    assert isinstance(Finished(result=result), Finished)


def test_cancel_kills_quickly_also_what_ignores_sigterm(peer, run_worker) -> None:
    peer.offer()
    thread = run_worker("stubborn")
    peer.wait_for(lambda: "deaf" in peer.log_lines())
    asked = time.monotonic()
    peer.set(action="cancel")
    release = ends_with(peer, "release")
    assert time.monotonic() - asked < 5
    assert (release["reason"], release["step"]) == ("cancelled", None)
    thread.join(20)
    assert not peer.of("fail")


def test_drain_waits_for_the_checkpoint_and_gives_the_lease_back(peer, run_worker) -> None:
    peer.offer()
    run_worker("serve")
    peer.wait_for(lambda: any(line.startswith("started") for line in peer.log_lines()))
    peer.set(action="drain")
    release = ends_with(peer, "release")
    assert (release["reason"], release["step"]) == ("preempted", 7)
    [report] = peer.of("checkpoint")
    assert report["step"] == 7
    assert peer.tree(report["digest"])["state.bin"] == b"state at 7"


def test_a_stage_that_writes_no_checkpoint_in_time_is_killed_and_released(peer, run_worker) -> None:
    peer.offer()
    run_worker("stubborn", drain_seconds=0.5)
    peer.wait_for(lambda: "deaf" in peer.log_lines())
    peer.set(action="drain")
    release = ends_with(peer, "release")
    assert (release["reason"], release["step"]) == ("preempted", None)


def test_a_lost_lease_kills_at_once_and_says_nothing_more(
    peer, run_worker, wait_dead, tmp_path: Path
) -> None:
    lease = peer.offer()
    thread = run_worker("stubborn")
    started = peer.wait_for(lambda: next((x for x in peer.log_lines() if x.startswith("started")), None))
    peer.set(lease_lost=True)
    wait_dead(int(started.split()[1]))
    thread.join(20)
    assert not [name for name, _ in peer.calls if name in ("complete", "fail", "release")]
    assert not attempt_folder(tmp_path, lease).exists()


def test_new_checkpoints_go_up_and_two_stay(peer, run_worker, tmp_path: Path) -> None:
    lease = peer.offer()
    run_worker("checkpoints")
    report = peer.wait_for(lambda: next((c for c in peer.of("checkpoint") if c["step"] == 30), None))
    assert peer.tree(report["digest"])["state.bin"] == b"state at 30"
    folder = attempt_folder(tmp_path, lease) / "checkpoints"
    peer.wait_for(lambda: not (folder / "000000010").exists())
    assert {"000000020", "000000030"} <= {path.name for path in folder.iterdir()}
    assert not [c for c in peer.of("checkpoint") if c["step"] in (40, 50)], "no manifest, no checkpoint"


def test_a_stage_that_stops_by_itself_is_released(peer, run_worker) -> None:
    peer.offer()
    run_worker("preempted").join(30)
    assert ends_with(peer, "release")["step"] == 7
    assert [report["step"] for report in peer.of("checkpoint")] == [7]


def test_the_longest_duration_ends_an_attempt(peer, run_worker) -> None:
    peer.offer(max_seconds=1)
    run_worker("serve").join(30)
    fail = ends_with(peer, "fail")
    assert (fail["reason"], fail["message"]) == ("timeout", "ran longer than 1 s")


def test_silence_is_a_stall_and_progress_is_none(peer, run_worker) -> None:
    peer.offer(stall_seconds=1)
    run_worker("silent").join(30)
    fail = ends_with(peer, "fail")
    assert (fail["reason"], fail["message"]) == ("stall", "no progress for 1 s; last reported step: none")


def test_an_outage_costs_nothing_but_the_wait(peer, run_worker, tmp_path: Path) -> None:
    lease = peer.offer()
    thread = run_worker("wait_for_file")
    peer.wait_for(lambda: peer.of("heartbeat"))
    peer.set(away=True)
    (attempt_folder(tmp_path, lease) / "go").touch()
    result = attempt_folder(tmp_path, lease) / "result.json"
    end = time.monotonic() + 10
    while not result.exists():
        assert time.monotonic() < end, "training must go on without the API"
        time.sleep(0.02)
    assert not peer.of("complete")
    peer.set(away=False)
    thread.join(30)
    assert len(peer.of("complete")) == 1
    sent = [
        s["name"] for (route, _), body in peer.batches.items() if route == "metrics" for s in body["scalars"]
    ]
    assert sent == ["after"]


def test_a_long_silence_stops_the_stage_and_the_checkpoint_waits_on_disk(
    peer, run_worker, tmp_path: Path
) -> None:
    lease = peer.offer()
    thread = run_worker("serve", outage=1.0)
    started = peer.wait_for(lambda: next((x for x in peer.log_lines() if x.startswith("started")), None))
    peer.set(away=True)
    manifest = attempt_folder(tmp_path, lease) / "checkpoints" / "000000007" / "manifest.json"
    end = time.monotonic() + 10
    while not manifest.exists():
        assert time.monotonic() < end, "the stage was not stopped"
        time.sleep(0.02)
    assert int(started.split()[1])
    assert not peer.of("checkpoint")
    peer.set(away=False)
    thread.join(30)
    assert [report["step"] for report in peer.of("checkpoint")] == [7]
    assert ends_with(peer, "release") == {
        "worker": peer.worker, "epoch": 1, "reason": "preempted", "step": 7,
    }  # fmt: skip


def test_a_lost_answer_to_complete_is_asked_for_again(peer, run_worker) -> None:
    peer.offer()
    peer.swallow = ["complete"]
    run_worker("finish").join(30)
    first, second = peer.of("complete")
    assert first == second


def test_an_output_that_the_server_cannot_find_is_an_infrastructure_failure(peer, run_worker) -> None:
    peer.offer()
    peer.refusals = [("complete", 422, {"code": "unknown_artifact", "detail": "not stored"})]
    run_worker("finish").join(30)
    fail = ends_with(peer, "fail")
    assert fail["reason"] == "output_mismatch"
    assert "not stored" in fail["message"]


def test_inputs_that_cannot_be_had_fail_before_the_stage_starts(peer, run_worker) -> None:
    digest = peer.store_tree({"a": b"right"})
    peer.blobs[hashlib.sha256(b"right").hexdigest()] = b"wrong"
    peer.offer(inputs={"features": digest})
    run_worker("finish").join(30)
    fail = ends_with(peer, "fail")
    assert fail["reason"] == "corrupt_data"
    assert "expected SHA-256" in fail["message"]
    assert not [line for line in peer.log_lines() if line.startswith("started")]


def test_a_checkpoint_that_cannot_be_used_costs_time_only(peer, run_worker, monkeypatch) -> None:
    monkeypatch.setattr("limbeck.agent.transfers.ABSENT_ANSWERS_BEFORE_ERROR", 2)
    digest = peer.store_tree({"state.bin": b"state"})
    del peer.blobs[hashlib.sha256(b"state").hexdigest()]
    peer.offer(resume={"digest": digest, "step": 9})
    run_worker("finish").join(30)
    assert ends_with(peer, "complete")
    assert "resume None" in peer.log_lines()
    assert any("checkpoint of step 9 cannot be used" in line for line in peer.log_lines())


def test_a_cancel_while_inputs_are_fetched(peer, run_worker) -> None:
    peer.object_status = [503] * 1000
    peer.offer(inputs={"features": peer.store_tree({"a": b"1"})})
    run_worker("finish")
    peer.wait_for(lambda: len(peer.object_status) < 999)
    peer.set(action="cancel")
    assert ends_with(peer, "release")["reason"] == "cancelled"


def test_a_lease_that_this_version_does_not_understand_is_failed_by_name(peer, run_worker) -> None:
    peer.offer(spec={"kind": "render_dataset", "source": "shapes", "samples": 10, "colour_depth": 10})
    run_worker("finish")
    fail = ends_with(peer, "fail")
    assert fail["reason"] == "bad_config"
    assert "colour_depth" in fail["message"]


def test_a_worker_that_the_api_has_forgotten_registers_again(peer, run_worker) -> None:
    peer.claim_wait_seconds = 0.2
    run_worker("finish")
    peer.wait_for(lambda: peer.of("claim"))
    peer.set(known_workers=set())
    peer.wait_for(lambda: len(peer.registrations) == 2)
    peer.offer()
    assert ends_with(peer, "complete")


def test_a_full_disk_is_a_failure_with_its_name(peer, run_worker, tmp_path: Path) -> None:
    lease = peer.offer()
    run_worker("chatty")
    peer.wait_for(lambda: any(line.startswith("started") for line in peer.log_lines()))
    # The kernel itself says ENOSPC: the next log segment is a link to /dev/full.
    logs = attempt_folder(tmp_path, lease) / "agent" / "logs"
    [segment] = logs.glob("*.ndjson")
    segment.unlink()
    segment.symlink_to("/dev/full")
    fail = ends_with(peer, "fail")
    assert fail["reason"] == "disk_full"
    assert re.search(r"no space left for .*: \d+ bytes free", fail["message"])


def test_an_attempt_that_cannot_begin_is_given_up_with_its_reason(peer, run_worker, tmp_path: Path) -> None:
    lease = peer.offer()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "attempts").write_text("a file where the folder should be")
    run_worker("finish")
    fail = ends_with(peer, "fail")
    assert (fail["reason"], fail["epoch"]) == ("worker_lost", 1)
    assert lease["stage"] in fail["message"]


def test_a_token_that_is_revoked_ends_the_stage(peer, start_agent, wait_dead) -> None:
    peer.offer()
    agent = start_agent("stubborn")
    started = peer.wait_for(lambda: next((x for x in peer.log_lines() if x.startswith("started")), None))
    peer.set(token="lbk_other", action="continue")
    assert agent.wait(20) == 3
    wait_dead(int(started.split()[1]))
    assert "the token is refused" in agent.stderr.read().splitlines()[-1]


def test_threads_of_an_attempt_end_with_it(peer, run_worker) -> None:
    before = set(threading.enumerate())
    peer.offer()
    run_worker("finish").join(30)
    ends_with(peer, "complete")
    own = ("heartbeat", "metrics", "logs", "checkpoints", "output")
    end = time.monotonic() + 5
    while left := [t.name for t in set(threading.enumerate()) - before if t.name in own]:
        assert time.monotonic() < end, left
        time.sleep(0.05)
