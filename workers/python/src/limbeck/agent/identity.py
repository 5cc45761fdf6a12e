"""What a worker is: its code, its numeric environment, its memory. Read once, at start."""

import hashlib
import os
import platform
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

import limbeck
from limbeck.agent.trees import read_tree
from limbeck.contracts.generated import WorkerEnvironment

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_NVIDIA_SMI_SECONDS = 20.0


class ConfigurationError(Exception):
    """The agent was started in a way that cannot work; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """`name` is the device class of the cache key; memory in GiB."""

    name: str
    count: int
    memory_gb: float


def new_claim_id() -> str:
    """`clm_` and a ULID: 48 bits of milliseconds, 80 random bits, in lower-case Crockford base 32."""
    value = (int(time.time() * 1000) & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return "clm_" + "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def new_boot_id() -> str:
    return secrets.token_hex(16)


def code_digest(package: Path | None = None) -> str:
    """SHA-256 of the tree manifest of the package's sources: it enters the cache key.

    Byte code is left out, so that a fresh checkout and a used one agree.
    """
    folder = package or Path(limbeck.__file__).parent
    tree = read_tree(folder, skip=lambda path: "__pycache__" in path.split("/") or path.endswith(".pyc"))
    return hashlib.sha256(tree.manifest).hexdigest()


def environment(device: Device, threads: int) -> WorkerEnvironment:
    """What may change the bits of a result. torch is read from its metadata, never imported."""
    try:
        torch = version("torch")
    except PackageNotFoundError as error:
        raise ConfigurationError("torch is not installed beside this agent; stages cannot run") from error
    return WorkerEnvironment(
        torch=torch, device=device.name, threads=threads, python=platform.python_version()
    )


def find_device(resource_classes: list[str]) -> Device:
    """The device of these resource classes: a GPU if one of them is a GPU's, else the CPU.

    Raises:
        ConfigurationError: a GPU class without a GPU that nvidia-smi knows.
    """
    if not any(name.startswith("gpu-") for name in resource_classes):
        return Device(name=f"cpu-{platform.machine().lower()}", count=0, memory_gb=memory_limit() / 2**30)
    program = shutil.which("nvidia-smi")
    if program is None:
        raise ConfigurationError(
            f"class {', '.join(resource_classes)} needs a GPU, but there is no nvidia-smi"
        )
    query = [program, "--query-gpu=compute_cap,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            query, capture_output=True, text=True, timeout=_NVIDIA_SMI_SECONDS, check=True
        ).stdout
    except (subprocess.SubprocessError, OSError) as error:
        raise ConfigurationError(f"nvidia-smi does not answer: {error}") from error
    return parse_gpus(answer)


def parse_gpus(answer: str) -> Device:
    """Device of nvidia-smi's lines "compute capability, MiB", one a GPU; all must be of one kind."""
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.splitlines() if line.strip()]
    if not rows or any(len(row) != 2 or not row[1].isdigit() for row in rows):
        raise ConfigurationError(f"nvidia-smi names no GPU that can be used: {answer.strip()!r}")
    kinds = {row[0] for row in rows}
    if len(kinds) > 1:
        raise ConfigurationError(
            f"GPUs of different compute capability in one worker: {', '.join(sorted(kinds))}"
        )
    memory_gb = min(int(row[1]) for row in rows) / 1024
    return Device(name=f"cuda-sm{kinds.pop().replace('.', '')}", count=len(rows), memory_gb=memory_gb)


def memory_limit() -> int:
    """Bytes that this process may use: the machine's memory or the cgroup's limit, if lower."""
    limit = psutil.virtual_memory().total
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            limit = min(limit, int(text))
    return limit


def default_threads() -> int:
    """OMP_NUM_THREADS where it is set, else the CPUs that this process may use."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    if text.isdigit() and int(text) > 0:
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
