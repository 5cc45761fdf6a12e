"""Scores of files as JSON, the same for the command line and the `score` stage.

Each imports what it needs when it is called; none needs torch. Lists by image or item stand under `images`
and `items`.
"""

from pathlib import Path
from typing import Any


def geneval(file: Path, against: Path | None = None) -> dict[str, Any]:
    """
    Raises:
        InputError: see `geneval_file`.
    """
    from limbeck.evaluation.geneval_file import report, score_file

    return report(score_file(file), None if against is None else score_file(against))


def frechet(first: Path, second: Path) -> dict[str, Any]:
    """
    Raises:
        InputError: a file that cannot be read.
        ValueError: two that cannot be compared; names both.
    """
    from limbeck.evaluation.frechet import compare
    from limbeck.evaluation.statistics_file import load_statistics

    one, other = load_statistics(first), load_statistics(second)
    try:
        return compare(one, other).to_json()
    except ValueError as error:
        raise ValueError(f"{first.name} and {second.name}: {error}") from error


def dpg(questions: Path, answers: Path) -> dict[str, Any]:
    """Both modes; `refused` has the reason of one that could not be scored.

    Raises:
        InputError: neither could; the strict reason.
    """
    from limbeck.evaluation.dpg import score_compat, score_strict
    from limbeck.evaluation.inputs import InputError

    found: dict[str, Any] = {}
    refused: dict[str, InputError] = {}
    for mode, score in (("strict", score_strict), ("compat", score_compat)):
        try:
            found[mode] = score(questions, answers).to_json()
        except InputError as error:
            refused[mode] = error
    if not found:
        raise refused["strict"]
    return found | {"refused": {mode: str(error) for mode, error in refused.items()}}
