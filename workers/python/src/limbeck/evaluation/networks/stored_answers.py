"""A network with weights is held against stored pictures before it is believed.

Weights come from outside, so what they answer is recorded once, where the network is known to be right, and
kept in the snapshot beside them (`self_test/<kind>.json`). From then on a library of another version, a
changed preprocessing or a damaged file is a refusal, not another score:

    python -m limbeck.evaluation.networks.stored_answers SNAPSHOT detector
"""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluation.self_test import STORED, SelfTestFailed
from limbeck.evaluation.sheet import load_sheet

PICTURES: Final = 8
SCALE: Final = 4
"""The stored pictures are 64 pixels wide; networks see them four times as large, pixel by pixel."""

CLASSES: Final = {
    "detector": "limbeck.evaluation.networks.detector:GenEvalDetector",
    "vqa": "limbeck.evaluation.networks.vqa:MplugVqa",
    "inception": "limbeck.evaluation.networks.features:FeatureNetwork",
}
"""Imported one at a time: each may live in an environment where the others' libraries are not."""


class Network(Protocol):
    name: str
    """With a digest of its weights."""

    @property
    def kind(self) -> str: ...

    def answers(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Any]:
        """What is kept of each stored picture, as JSON."""
        ...

    def same(self, found: Any, stored: Any) -> bool:
        """Whether two such answers agree, up to another machine's rounding."""
        ...


def open_network(kind: str, snapshot: Path, device: Any = "cpu") -> Any:
    """
    Raises:
        FileNotFoundError, ValueError: as the network's class.
    """
    module, _, name = CLASSES[kind].partition(":")
    return getattr(import_module(module), name)(snapshot, device)


def stored_pictures() -> list[NDArray[np.uint8]]:
    images, _ = load_sheet(STORED)
    chosen = images[:: max(1, len(images) // PICTURES)][:PICTURES]
    return [image.repeat(SCALE, axis=0).repeat(SCALE, axis=1) for image in chosen]


def check(network: Network, snapshot: Path) -> int:
    """Compares the network's answers with the stored ones.

    Returns:
        How many pictures agreed: all of them.

    Raises:
        FileNotFoundError: nothing is recorded for it.
        SelfTestFailed: recorded with other weights, or the first picture that differs.
    """
    file = snapshot / "self_test" / f"{network.kind}.json"
    if not file.is_file():
        raise FileNotFoundError(
            f"snapshot {snapshot.name} has no self_test/{network.kind}.json: record it where the network is"
            f" right, with `python -m limbeck.evaluation.networks.stored_answers SNAPSHOT {network.kind}`"
        )
    stored = json.loads(file.read_text())
    if stored["network"] != network.name:
        raise SelfTestFailed(
            f"self_test/{network.kind}.json is of {stored['network']}; the snapshot holds {network.name}"
        )
    found = network.answers(stored_pictures())
    for number, (one, other) in enumerate(zip(found, stored["answers"], strict=True)):
        if not network.same(one, other):
            raise SelfTestFailed(
                f"self-test of {network.name}, picture {number}:"
                f" found {json.dumps(one)[:200]}; stored is {json.dumps(other)[:200]}"
            )
    return len(found)


def record(network: Network, snapshot: Path) -> Path:
    """Writes what the network answers now."""
    file = snapshot / "self_test" / f"{network.kind}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"network": network.name, "answers": network.answers(stored_pictures())}))
    return file


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="records what a network of a snapshot says of stored pictures"
    )
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("network", choices=sorted(CLASSES))
    arguments = parser.parse_args()
    try:
        written = record(open_network(arguments.network, arguments.snapshot), arguments.snapshot)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"limbeck: {error}")
    print(f"{written.relative_to(arguments.snapshot)}: {PICTURES} pictures")
