"""Reads what a stage logged."""

import json
from pathlib import Path
from typing import Any


def lines(workdir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workdir / "spool" / "metrics.ndjson").read_text().splitlines()]


def arrays(workdir: Path, name: str) -> list[list[float | None]]:
    """Every logged value of an array statistic, in order."""
    return [line["arrays"][name] for line in lines(workdir) if name in line.get("arrays", {})]


def scalars(workdir: Path, name: str) -> list[float]:
    return [line["scalars"][name] for line in lines(workdir) if name in line.get("scalars", {})]
