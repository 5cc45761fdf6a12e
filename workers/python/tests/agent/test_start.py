"""Start of the agent: what it imports, what it refuses, what it says about itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import limbeck
from limbeck.agent.identity import (
    ConfigurationError,
    code_digest,
    find_device,
    new_claim_id,
    parse_gpus,
)
from limbeck.agent.main import Signals, build, lock_workdir, parse_arguments, parse_labels, read_token


def test_the_agent_imports_no_torch() -> None:
    program = (
        "import sys; import limbeck.agent.main; "
        "print([m for m in ('torch', 'numpy', 'diffusers') if m in sys.modules])"
    )
    path = str(Path(limbeck.__file__).parents[1])
    answer = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, text=True, timeout=60
    )
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--api", "ftp://x"], "--api must be an http or https URL, not 'ftp://x'"),
        (["--resource-class", "gpu-99g"], "gpu-99g"),
        (["--labels", "rack"], "KEY=VALUE, not 'rack'"),
        (["--threads", "0"], "at least 1"),
        (["--outage-seconds", "soon"], "--outage-seconds"),
        (["--token-file", "/nowhere/token"], "/nowhere/token"),
        (["--name", "n" * 200], "name"),
    ],
)
def test_nonsense_is_refused_by_name(
    tmp_path: Path,
    options: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIMBECK_TOKEN", "t")
    argv = ["--api", "http://127.0.0.1:9", "--workdir", str(tmp_path), *options]
    with pytest.raises((ConfigurationError, SystemExit)) as refusal:
        build(parse_arguments(argv), Signals())
    assert named in f"{refusal.value}{capsys.readouterr().err}"


def test_a_workdir_belongs_to_one_agent(tmp_path: Path) -> None:
    with lock_workdir(tmp_path), pytest.raises(ConfigurationError, match="in use by another agent"):
        lock_workdir(tmp_path)
    lock_workdir(tmp_path).close()
    with pytest.raises(ConfigurationError, match="--workdir /dev/null/x cannot be used"):
        lock_workdir(Path("/dev/null/x"))


def test_a_refused_token_is_one_line_and_exit_3(peer, start_agent) -> None:
    agent = start_agent("serve", token="lbk_wrong")
    assert agent.wait(20) == 3
    lines = agent.stderr.read().splitlines()
    assert lines == [f"limbeck agent: the token is refused: {peer.url} answers 401: the token was revoked"]


def test_tokens_are_one_printable_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("lbk_abc\n")
    assert read_token(file) == "lbk_abc"
    for content in ("", "two words", "umlaut-ä"):
        file.write_text(content)
        with pytest.raises(ConfigurationError, match="token"):
            read_token(file)
    monkeypatch.delenv("LIMBECK_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="LIMBECK_TOKEN is empty"):
        read_token(None)


def test_claim_ids_are_sortable_ulids() -> None:
    ids = [new_claim_id() for _ in range(50)]
    assert all(re.fullmatch(r"clm_[0-9a-hjkmnp-tv-z]{26}", claim) for claim in ids)
    assert len(set(ids)) == 50
    # 48 bits of milliseconds, 5 bits a character: the clock is in the first ten characters.
    assert sorted(claim[:13] for claim in ids) == [claim[:13] for claim in ids]


def test_the_code_digest_follows_sources_and_not_byte_code(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    first = code_digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"1")
    assert code_digest(tmp_path) == first
    (tmp_path / "a.py").write_text("x = 2")
    assert code_digest(tmp_path) != first


def test_gpus_of_one_kind_become_a_device() -> None:
    device = parse_gpus("9.0, 81559\n9.0, 81559\n")
    assert (device.name, device.count, round(device.memory_gb)) == ("cuda-sm90", 2, 80)
    with pytest.raises(ConfigurationError, match=r"8\.0, 9\.0"):
        parse_gpus("9.0, 81559\n8.0, 40960\n")
    with pytest.raises(ConfigurationError, match="No devices"):
        parse_gpus("No devices were found\n")


def test_a_gpu_class_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError, match="no nvidia-smi"):
        find_device(["cpu", "gpu-80g"])


def test_labels() -> None:
    assert parse_labels(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
