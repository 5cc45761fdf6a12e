"""What else a checkpoint holds beside tensors: plain numbers as JSON, and who has state to keep.

Everything that influences a later step is either in a checkpoint or a pure function of the step
number (data/randomness.py), so that a resumed run gives the bits of an undisturbed one.
"""

import json
from pathlib import Path
from typing import Any, Protocol

from limbeck.models.tensors import Tensors


class Stateful(Protocol):
    """State beside the learners: scaling statistics, counters of a stop rule, ..."""

    def state_tensors(self) -> Tensors: ...

    def load_state_tensors(self, tensors: Tensors) -> None: ...


def save_numbers(path: Path, numbers: dict[str, Any]) -> None:
    path.write_text(json.dumps(numbers, indent=1))


def load_numbers(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())
