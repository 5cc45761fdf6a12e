"""Checkpoints: what they hold, and the thread that writes them while training goes on.

Everything that influences a later step is either in a checkpoint or a pure function of the step
number (data/randomness.py), so that a resumed run gives the bits of an undisturbed one.
"""

import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from limbeck.contracts.context import StageContext
from limbeck.models.tensors import Tensors, load_tensors, save_tensors

POSITION = "position.json"


class Stateful(Protocol):
    """State beside the learners: scaling statistics, counters of a stop rule, ..."""

    def state_tensors(self) -> Tensors: ...

    def load_state_tensors(self, tensors: Tensors) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state after `step` finished steps, copied to the CPU: training cannot change it any more."""

    step: int
    skipped: tuple[int, ...]
    """Steps (0-based) without an update, since their loss or gradient was not finite."""
    files: dict[str, Tensors]
    """Tensors by file name inside the checkpoint."""

    def write(self, folder: Path) -> None:
        for name, tensors in self.files.items():
            save_tensors(folder / name, tensors)
        save_numbers(folder / POSITION, {"step": self.step, "skipped": list(self.skipped)})

    @classmethod
    def read(cls, folder: Path, names: Sequence[str]) -> Self:
        numbers = load_numbers(folder / POSITION)
        return cls(
            step=int(numbers["step"]),
            skipped=tuple(numbers.get("skipped", ())),
            files={name: load_tensors(folder / name) for name in names},
        )


def copied(tensors: Tensors) -> Tensors:
    return {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}


class CheckpointWriter:
    """Writes one checkpoint at a time beside the training; leaving the block waits for the last one.

    Asking for the next one first waits for the one before, so that at most one is in memory and a
    disk slower than training slows it down rather than filling the memory.

    Raises:
        OSError: from `submit`, `wait` or the end of the block, what stopped the write.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._ctx = ctx
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[Path] | None = None

    def submit(self, checkpoint: Checkpoint) -> None:
        self.wait()
        self._pending = self._pool.submit(self._ctx.save_checkpoint, checkpoint.step, checkpoint.write)

    def wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.wait()
        except OSError:
            # The error that ended the training says more than the one of its checkpoint.
            if error is None:
                raise
        finally:
            self._pool.shutdown()


def save_numbers(path: Path, numbers: dict[str, Any]) -> None:
    path.write_text(json.dumps(numbers, indent=1))


def load_numbers(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
