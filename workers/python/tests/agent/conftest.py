"""A control plane and object store over real HTTP, kept in memory, for tests of the agent alone.

The bodies are parsed by the contract's own models; the tests across the real API are in tests/.
"""

import contextlib
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from limbeck.agent.cache import BlobCache
from limbeck.agent.client import Client
from limbeck.agent.control import Control
from limbeck.agent.endings import Settings
from limbeck.agent.identity import code_digest
from limbeck.agent.trees import FORMAT
from limbeck.agent.worker import Worker
from limbeck.contracts import generated as wire

FAKE_STAGE = Path(__file__).parent / "fake_stage.py"
SOURCE = Path(wire.__file__).parents[2]
TOKEN = "lbk_test"
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"

BODIES: dict[str, type] = {
    "heartbeat": wire.HeartbeatRequest,
    "metrics": wire.MetricBatch,
    "logs": wire.LogBatch,
    "uploads": wire.UploadRequest,
    "uploads/complete": wire.UploadComplete,
    "downloads": wire.DownloadRequest,
    "checkpoint": wire.CheckpointReport,
    "complete": wire.CompleteRequest,
    "fail": wire.FailRequest,
    "release": wire.ReleaseRequest,
}


def new_id(prefix: str) -> str:
    return f"{prefix}_" + "".join(secrets.choice(_CROCKFORD) for _ in range(26))


class Peer:
    """State is read and written under `changed`; tests wait on it for what they expect."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.away = False
        """Connections are closed without an answer."""
        self.token = TOKEN
        self.action = "continue"
        self.lease_lost = False
        self.worker = new_id("wrk")
        self.known_workers = {self.worker}
        self.queue: list[dict[str, Any]] = []
        self.granted: dict[str, dict[str, Any]] = {}
        self.registrations: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.batches: dict[tuple[str, int], dict[str, Any]] = {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.uploads: dict[str, str] = {}
        self.part_size = 1 << 20
        self.largest_put = 0
        self.refusals: list[tuple[str, int, dict[str, Any]]] = []
        """(route, status, problem): each answers the next call of its route once."""
        self.swallow: list[str] = []
        """Routes whose next call is done but whose answer is lost."""
        self.object_status: list[int] = []
        """Statuses that the object store answers next instead of doing its work."""
        self.cut_downloads_at: int | None = None
        self.outage_seconds = 600
        self.hold_seconds = 0.3
        self.claim_wait_seconds = 5.0
        handler = type("Handler", (_Handler,), {"peer": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def offer(self, **changes: Any) -> dict[str, Any]:
        """Queues a stage; returns its lease."""
        lease = {
            "run": new_id("run"),
            "stage": new_id("stg"),
            "name": "dataset",
            "epoch": 1,
            "lease_seconds": 30,
            "max_seconds": 600,
            "stall_seconds": 600,
            "spec": {"kind": "render_dataset", "source": "shapes", "samples": 10},
            "inputs": {},
            "resume": None,
        } | changes
        with self.changed:
            self.queue.append(lease)
            self.changed.notify_all()
        return lease

    def store_tree(self, files: dict[str, bytes]) -> str:
        rows = []
        for name, content in sorted(files.items()):
            digest = hashlib.sha256(content).hexdigest()
            self.blobs[digest] = content
            rows.append({"path": name, "size": len(content), "sha256": digest})
        manifest = json.dumps(
            {"format": FORMAT, "files": rows}, sort_keys=True, separators=(",", ":")
        ).encode()
        digest = hashlib.sha256(manifest).hexdigest()
        self.blobs[digest] = manifest
        return digest

    def tree(self, digest: str) -> dict[str, bytes]:
        """Files of a stored tree."""
        return {row["path"]: self.blobs[row["sha256"]] for row in json.loads(self.blobs[digest])["files"]}

    def of(self, route: str) -> list[dict[str, Any]]:
        with self.changed:
            return [body for name, body in self.calls if name == route]

    def log_lines(self) -> list[str]:
        with self.changed:
            batches = [body for (route, _), body in sorted(self.batches.items()) if route == "logs"]
        return [line["text"] for body in batches for line in body["lines"]]

    def set(self, **state: Any) -> None:
        with self.changed:
            for name, value in state.items():
                setattr(self, name, value)
            self.changed.notify_all()

    def wait_for(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Waits for something to have happened; fails loudly instead of hanging."""
        end = time.monotonic() + seconds
        with self.changed:
            while not (found := condition()):
                assert time.monotonic() < end, f"did not happen within {seconds} s; calls: {self.calls[-5:]}"
                self.changed.wait(0.05)
            return found

    # --- routes; called with `changed` held ---

    def answer(self, route: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if route == "register":
            self.registrations.append(wire.WorkerRegister.model_validate(body).model_dump())
            self.known_workers.add(self.worker)
            return 200, {
                "worker": self.worker,
                "lease_seconds": 30,
                "heartbeat_hold_seconds": self.hold_seconds,
                "claim_wait_seconds": self.claim_wait_seconds,
                "outage_seconds": self.outage_seconds,
            }
        if route == "claim":
            return self._claim(wire.ClaimRequest.model_validate(body))
        wire_body = BODIES[route].model_validate(body)
        if route in ("metrics", "logs"):
            key = (route, body["sequence"])
            known = self.batches.setdefault(key, body)
            assert known == body, f"{route} sequence {body['sequence']} came with other content"
            return 200, {"accepted": 1, "superseded": 0, "duplicate": False}
        if self.lease_lost and route not in ("uploads", "uploads/complete", "downloads"):
            return 409, problem("lease_lost", 409)
        if route == "heartbeat":
            self.changed.wait_for(
                lambda: self.action != "continue" or self.lease_lost or self.away,
                timeout=wire_body.hold_seconds,
            )
            return (409, problem("lease_lost", 409)) if self.lease_lost else (
                200, {"action": self.action, "lease_seconds": 30})  # fmt: skip
        if route == "uploads":
            return 200, {"tickets": [self._ticket(blob) for blob in body["blobs"]], "expires_seconds": 600}
        if route == "uploads/complete":
            for upload in body["uploads"]:
                parts = self.parts.pop(upload["upload"])
                content = b"".join(parts[number] for number in sorted(parts))
                self.blobs[self.uploads[upload["upload"]]] = content
            return 200, {"completed": len(body["uploads"])}
        if route == "downloads":
            return 200, {"blobs": [self._url(digest) for digest in body["digests"]], "expires_seconds": 600}
        return 200, {"state": "done"}

    def _claim(self, request: wire.ClaimRequest) -> tuple[int, dict[str, Any]]:
        if request.worker not in self.known_workers:
            return 404, problem("not_found", 404)
        if request.claim in self.granted:
            return 200, {"lease": self.granted[request.claim]}
        self.changed.wait_for(lambda: self.queue or self.away, timeout=request.wait_seconds)
        if not self.queue:
            return 200, {"lease": None}
        self.granted[request.claim] = self.queue.pop(0)
        return 200, {"lease": self.granted[request.claim]}

    def _ticket(self, blob: dict[str, Any]) -> dict[str, Any]:
        if blob["sha256"] in self.blobs:
            return {
                "sha256": blob["sha256"],
                "state": "present",
                "upload": None,
                "part_size": None,
                "parts": [],
            }
        upload = new_id("upl")
        self.uploads[upload], self.parts[upload] = blob["sha256"], {}
        count = max(1, -(-blob["size"] // self.part_size))
        parts = [{"number": n, "url": f"{self.url}/store/{upload}/{n}"} for n in range(1, count + 1)]
        ticket = {"upload": upload, "part_size": self.part_size, "parts": parts}
        return {"sha256": blob["sha256"], "state": "upload", **ticket}

    def _url(self, digest: str) -> dict[str, Any]:
        size = len(self.blobs.get(digest, b""))
        return {"digest": digest, "size": size, "url": f"{self.url}/store/{digest}"}


def problem(code: str, status: int, detail: str = "said by the test") -> dict[str, Any]:
    return {
        "type": f"urn:limbeck:problem:{code}",
        "code": code,
        "title": code,
        "status": status,
        "detail": detail,
        "request_id": "req",
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An agent that was killed leaves broken connections; everything else is an error of the test."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    peer: Peer

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def do_POST(self) -> None:
        peer = self.peer
        length = int(self.headers["content-length"])
        body = json.loads(self.rfile.read(length))
        route = self.path.removeprefix("/v1/worker/")
        if route.startswith("stages/"):
            route = route.split("/", 2)[2]
        with peer.changed:
            if peer.away:
                return self._drop()
            if self.headers["authorization"] != f"Bearer {peer.token}":
                status, answer = 401, problem("unauthenticated", 401, "the token was revoked")
            elif refusal := next((r for r in peer.refusals if r[0] == route), None):
                peer.refusals.remove(refusal)
                status, answer = refusal[1:]
            else:
                peer.calls.append((route, body))
                status, answer = peer.answer(route, body)
            peer.changed.notify_all()
            if peer.away or route in peer.swallow:
                if route in peer.swallow:
                    peer.swallow.remove(route)
                return self._drop()
        with contextlib.suppress(BrokenPipeError):
            self._send(status, json.dumps(answer).encode(), content_type="application/json", retry_after="0")

    def do_PUT(self) -> None:
        assert "chunked" not in self.headers.get("transfer-encoding", ""), "S3 refuses chunked parts"
        assert "authorization" not in self.headers, "the worker's token must not reach the object store"
        content = self.rfile.read(int(self.headers["content-length"]))
        _, _, upload, number = self.path.split("/")
        with self.peer.changed:
            self.peer.largest_put = max(self.peer.largest_put, len(content))
            if self.peer.object_status:
                return self._send(self.peer.object_status.pop(0))
            self.peer.parts[upload][int(number)] = content
        self._send(200, etag=f'"{hashlib.md5(content).hexdigest()}"')

    def do_GET(self) -> None:
        assert "authorization" not in self.headers, "the worker's token must not reach the object store"
        with self.peer.changed:
            content = self.peer.blobs.get(self.path.split("/")[2])
            cut, self.peer.cut_downloads_at = self.peer.cut_downloads_at, None
            if self.peer.object_status:
                return self._send(self.peer.object_status.pop(0))
        if content is None:
            return self._send(404)
        start = int(self.headers.get("range", "bytes=0-")[6:-1])
        if cut is not None:
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:cut])
            return self._drop()
        self._send(206 if start else 200, content[start:])


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def api(peer: Peer) -> Iterator[Client]:
    client = Client(peer.url, TOKEN)
    yield client
    client.close()


def fake_stage(mode: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(FAKE_STAGE), mode]


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's pauses between looks, a twentieth of what they are in service."""
    monkeypatch.setattr("limbeck.agent.shipper.SECONDS_BETWEEN_BATCHES", 0.05)
    monkeypatch.setattr("limbeck.agent.checkpoints.SECONDS_BETWEEN_SCANS", 0.05)
    monkeypatch.setattr("limbeck.agent.heartbeat.LEAST_SECONDS_BETWEEN_BEATS", 0.05)
    monkeypatch.setattr("limbeck.agent.attempt.POLL_SECONDS", 0.02)


@pytest.fixture
def run_worker(peer: Peer, tmp_path: Path, short_pauses: None) -> Iterator[Callable[..., threading.Thread]]:
    """Starts a real worker in a thread, for one attempt; returns the thread.

    `run_worker(mode)` picks the fake stage's behaviour; `settings` change Settings.
    """
    started: list[tuple[Worker, threading.Thread]] = []

    def start(mode: str, *, cache_bytes: int = 1 << 30, outage: float | None = None, **settings: Any) -> Any:
        environment = {"torch": "0", "device": "cpu-test", "threads": 1, "python": "3"}
        registration = wire.WorkerRegister.model_validate(
            {
                "name": "test-worker",
                "boot_id": secrets.token_hex(8),
                "resource_classes": ["cpu"],
                "memory_gb": 1,
                "gpu_count": 0,
                "code_digest": "0" * 64,
                "environment": environment,
            }
        )
        defaults = {
            "threads": 1,
            "uses_gpu": False,
            "memory_limit_bytes": 1 << 40,
            "hold_seconds": 0.3,
            "outage_seconds": 600.0,
            "drain_seconds": 5.0,
            "stage_command": fake_stage(mode),
        }
        worker = Worker(
            Client(peer.url, TOKEN),
            BlobCache(tmp_path / "work" / "cache", cache_bytes),
            tmp_path / "work",
            registration,
            Settings(**(defaults | settings)),
            Control(),
            contextlib.nullcontext,
            outage_seconds=outage,
        )
        thread = threading.Thread(target=worker.run, args=(True,), daemon=True)
        thread.start()
        started.append((worker, thread))
        return thread

    yield start
    for worker, thread in started:
        worker.ask_to_stop()
        peer.set(lease_lost=True)
        thread.join(20)
        assert not thread.is_alive(), "the worker did not stop"


@pytest.fixture
def start_agent(peer: Peer, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the agent as a process of its own, as a user does."""
    started: list[subprocess.Popen[str]] = []

    def start(mode: str, *options: str, token: str = TOKEN) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "limbeck.agent", "--api", peer.url, "--name", "agent-test"]
        command += ["--workdir", str(tmp_path / "agent"), "--stage-command", " ".join(fake_stage(mode))]
        env = os.environ | {"PYTHONPATH": str(SOURCE), "LIMBECK_TOKEN": token, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [*command, *options], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def package_digest() -> str:
    return code_digest()


def process_runs(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before the file was opened, or read
        return False


@pytest.fixture
def wait_dead() -> Callable[[int], None]:
    def wait(pid: int, seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while process_runs(pid):
            assert time.monotonic() < end, f"process {pid} still runs"
            time.sleep(0.02)

    return wait
