"""The agent as a process: signals, kills, and what the next start makes of what was left."""

import os
import re
import signal
from importlib.metadata import version
from pathlib import Path


def started_pid(peer) -> int:
    line = peer.wait_for(lambda: next((x for x in peer.log_lines() if x.startswith("started")), None))
    return int(line.split()[1])


def test_sigterm_drains_and_exits_0(peer, start_agent, tmp_path: Path) -> None:
    peer.offer()
    agent = start_agent("serve")
    started_pid(peer)
    agent.terminate()
    assert agent.wait(20) == 0
    assert [report["step"] for report in peer.of("checkpoint")] == [7]
    assert peer.of("release")[0]["step"] == 7
    assert list((tmp_path / "agent" / "attempts").iterdir()) == []


def test_an_idle_agent_says_what_it_is_and_leaves_at_once(peer, start_agent, package_digest) -> None:
    agent = start_agent("serve", "--class", "cpu", "--labels", "rack=3", "zone=b", "--threads", "2")
    peer.wait_for(lambda: peer.of("claim"))
    agent.send_signal(signal.SIGINT)
    assert agent.wait(4) == 0
    first, last = peer.of("claim")
    assert first["claim"] == last["claim"]
    assert last["wait_seconds"] == 0
    [said] = peer.registrations
    assert said["code_digest"] == package_digest
    assert said["environment"]["torch"] == version("torch")
    assert said["environment"]["threads"] == 2
    assert re.fullmatch(r"cpu-\w+", said["environment"]["device"])
    assert said["labels"] == {"rack": "3", "zone": "b"}
    assert (said["gpu_count"], said["memory_gb"] > 0, len(said["boot_id"]) >= 8) == (0, True, True)


def test_a_lease_given_while_the_agent_leaves_goes_back(peer, start_agent) -> None:
    agent = start_agent("serve")
    peer.wait_for(lambda: peer.of("claim"))
    agent.send_signal(signal.SIGSTOP)
    peer.offer()
    peer.wait_for(lambda: peer.granted)
    agent.send_signal(signal.SIGTERM)
    agent.send_signal(signal.SIGCONT)
    assert agent.wait(20) == 0
    releases = peer.of("release")
    assert [(r["reason"], r["step"]) for r in releases] == [("preempted", None)]


def test_the_second_signal_ends_everything_at_once(peer, start_agent, wait_dead) -> None:
    peer.offer()
    agent = start_agent("stubborn")
    pid = started_pid(peer)
    agent.terminate()
    peer.wait_for(lambda: any("ending the stage: shutdown" in line for line in peer.log_lines()))
    agent.terminate()
    assert agent.wait(5) == 1
    wait_dead(pid)


def test_a_killed_agent_leaves_no_stage_and_the_next_one_reports(
    peer, start_agent, wait_dead, tmp_path
) -> None:
    peer.offer()
    agent = start_agent("checkpoints")
    pid = started_pid(peer)
    peer.wait_for(lambda: [c for c in peer.of("checkpoint") if c["step"] == 30])
    os.kill(agent.pid, signal.SIGKILL)
    wait_dead(pid)
    agent.wait(10)
    start_agent("serve")
    release = peer.wait_for(lambda: next(iter(peer.of("release")), None))
    assert (release["reason"], release["step"]) == ("preempted", 30)
    # The peer refuses a sequence that comes with another content: nothing was doubled or lost.
    peer.wait_for(lambda: any("the agent was started again" in line for line in peer.log_lines()))
    assert len(peer.registrations) == 2
    assert peer.registrations[0]["boot_id"] != peer.registrations[1]["boot_id"]


def test_a_result_that_a_killed_agent_left_is_completed(peer, start_agent, tmp_path: Path) -> None:
    lease = peer.offer()
    # The upload cannot succeed, so that the agent is killed between the stage's end and its report.
    peer.set(object_status=[503] * 10_000)
    agent = start_agent("finish")
    peer.wait_for(lambda: len(peer.object_status) < 10_000)
    os.kill(agent.pid, signal.SIGKILL)
    agent.wait(10)
    peer.set(object_status=[])
    start_agent("serve")
    complete = peer.wait_for(lambda: next(iter(peer.of("complete")), None))
    assert peer.tree(complete["output"])["model.bin"] == b"weights" * 1000
    folder = tmp_path / "agent" / "attempts" / f"{lease['stage']}_1"
    peer.wait_for(lambda: not folder.exists())


def test_a_shutdown_without_api_keeps_the_checkpoint_for_the_next_start(peer, start_agent, tmp_path) -> None:
    lease = peer.offer()
    agent = start_agent("serve", "--drain-seconds", "2")
    started_pid(peer)
    peer.set(away=True)
    agent.terminate()
    assert agent.wait(20) == 0
    folder = tmp_path / "agent" / "attempts" / f"{lease['stage']}_1"
    assert (folder / "checkpoints" / "000000007" / "manifest.json").exists()
    peer.set(away=False)
    start_agent("serve")
    release = peer.wait_for(lambda: next(iter(peer.of("release")), None))
    assert (release["reason"], release["step"]) == ("preempted", 7)
    peer.wait_for(lambda: not folder.exists())


def test_a_leftover_that_nobody_wants_is_discarded(peer, start_agent, wait_dead, tmp_path: Path) -> None:
    lease = peer.offer()
    agent = start_agent("serve")
    pid = started_pid(peer)
    os.kill(agent.pid, signal.SIGKILL)
    wait_dead(pid)
    peer.set(lease_lost=True)
    start_agent("serve")
    folder = tmp_path / "agent" / "attempts" / f"{lease['stage']}_1"
    peer.wait_for(lambda: not folder.exists())
    assert any("the agent was started again" in line for line in peer.log_lines()), "its logs are still taken"
