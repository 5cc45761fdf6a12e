"""Training state as files: safetensors for tensors, one JSON for plain numbers.

Everything that influences a later step is either here or a pure function of the step number
(randomness.py), so that a resumed run gives the bits of an undisturbed one.
"""

import json
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]


class Stateful(Protocol):
    """State beside the learners: scaling statistics, counters of a stop rule, ..."""

    def state_tensors(self) -> Tensors: ...

    def load_state_tensors(self, tensors: Tensors) -> None: ...


def save_tensors(path: Path, tensors: Tensors) -> None:
    """Writes tensors to a safetensors file; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, path)


def load_tensors(path: Path) -> Tensors:
    if not path.is_file():
        raise FileNotFoundError(f"the checkpoint lacks {path.name}: {path}")
    return load_file(path)


def save_numbers(path: Path, numbers: dict[str, Any]) -> None:
    path.write_text(json.dumps(numbers, indent=1))


def load_numbers(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
