"""GenEval scores of a file of detections: of any model, wherever its images were drawn.

One JSON object a line and image:

    {"metadata": <a line of GenEval's evaluation_metadata.jsonl>,
     "detections": [{"class": str, "score": number, "box": [x0, y0, x1, y1], "colour": str | null}],
     "image": str (optional: its name),
     "detector": str (optional: which network found them; one name a file)}

Detections stand as the detector gives them, in its order, before any threshold. The rules are those of
`geneval.score_image`; this module only reads, checks and puts together.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .geneval import (
    RELATIONS,
    SCORER_VERSION,
    Detection,
    Metadata,
    Verdict,
    aggregate,
    paired_difference,
    score_image,
)
from .inputs import InputError, read_objects

TAGS: Final = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
"""GenEval's six tasks; a file may hold some of them."""

KEYS: Final = {"metadata", "detections", "image", "detector"}
ORIGINAL_DETECTOR: Final = "mask2former (mmdet)"
PORTED_DETECTOR: Final = "mask2former (transformers)"
"""What a detector's name begins with."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The images of a file, in its order."""

    path: Path
    metadata: list[Metadata]
    verdicts: list[Verdict]
    warnings: list[str]
    detector: str | None
    """None where the file does not say."""

    @property
    def benchmark(self) -> str:
        """GenEval is a score by its own detector; any other, or one that is not stated, is named."""
        if self.detector is None:
            return "GenEval (detector not stated)"
        if self.detector.startswith(ORIGINAL_DETECTOR):
            return "GenEval"
        return (
            "GenEval (HF detector)"
            if self.detector.startswith(PORTED_DETECTOR)
            else "GenEval (other detector)"
        )


def score_file(path: Path) -> Judged:
    """Judges every image of a file.

    Raises:
        InputError: naming the line and what is wrong with it.
    """
    metadata: list[Metadata] = []
    verdicts: list[Verdict] = []
    detectors: list[str | None] = []
    for number, line in read_objects(path):
        try:
            asked, found = _parsed(line)
            detectors.append(_detector(line, detectors))
            verdicts.append(score_image(asked, found))
        except ValueError as error:
            raise InputError(path, number, str(error)) from error
        metadata.append(asked)
    return Judged(
        path=path,
        metadata=metadata,
        verdicts=verdicts,
        warnings=_uneven(metadata),
        detector=detectors[0] if detectors else None,
    )


def report(first: Judged, second: Judged | None = None) -> dict[str, Any]:
    """The scores as JSON: `images` in the file's order, `tasks`, `overall` and its interval (bootstrap over
    prompts), `prompt_any_accuracy`; with `second`, also `paired`: first minus second.

    Raises:
        InputError: the second file's line n asks for something else than the first one's.
    """
    found = {
        "scorer": SCORER_VERSION,
        "benchmark": first.benchmark,
        "detector": first.detector,
        "images": [{"correct": one.correct, "reason": one.reason} for one in first.verdicts],
        **aggregate(first.metadata, first.verdicts).to_json(),
        "warnings": first.warnings,
    }
    if second is not None:
        _check_pair(first, second)
        found["paired"] = paired_difference(first.metadata, first.verdicts, second.verdicts).to_json()
    return found


def _parsed(line: Mapping[str, Any]) -> tuple[Metadata, list[Detection]]:
    unknown = sorted(set(line) - KEYS)
    if unknown:
        raise ValueError(
            f"unknown keys {unknown}; a line has metadata, detections and, if wanted, image, detector"
        )
    if not isinstance(line.get("metadata"), dict):
        raise ValueError(f"metadata must be a line of GenEval's metadata, got {_short(line.get('metadata'))}")
    rows = line.get("detections")
    if not isinstance(rows, list):
        raise ValueError(
            f"detections must be a list, got {_short(rows)}: an image that shows nothing has [],"
            " an image that is missing cannot be judged"
        )
    metadata = line["metadata"]
    _check_metadata(metadata)
    return metadata, [_detection(place, row) for place, row in enumerate(rows)]


def _detection(place: int, row: object) -> Detection:
    if not isinstance(row, dict):
        raise ValueError(f"detections[{place}] must be an object, got {_short(row)}")
    try:
        found = Detection.from_json(row)
    except ValueError as error:
        raise ValueError(f"detections[{place}]: {error}") from error
    if not math.isfinite(found.score):
        raise ValueError(f"detections[{place}]: score {found.score} is not finite")
    x0, y0, x1, y1 = found.box
    if not all(map(math.isfinite, found.box)) or x1 < x0 or y1 < y0:
        raise ValueError(
            f"detections[{place}]: box {list(found.box)} must be finite, [x0, y0, x1, y1] with x1 >= x0 and"
            " y1 >= y0"
        )
    return found


def _detector(line: Mapping[str, Any], before: list[str | None]) -> str | None:
    found = line.get("detector")
    if found is not None and (not isinstance(found, str) or not 0 < len(found) <= 200):
        raise ValueError(f"detector must be a name of at most 200 characters, got {_short(found)}")
    if before and found != before[0]:
        raise ValueError(f"detector is {found!r}, the lines before have {before[0]!r}: one detector a file")
    return found


def _check_metadata(metadata: Metadata) -> None:
    tag = metadata.get("tag")
    if tag not in TAGS:
        raise ValueError(f"unknown tag {_short(tag)}; allowed: {', '.join(TAGS)}")
    for key in ("include", "exclude"):
        clauses = metadata.get(key, [])
        if not isinstance(clauses, list):
            raise ValueError(f"metadata.{key} must be a list, got {_short(clauses)}")
        for place, clause in enumerate(clauses):
            problem = _clause_problem(clause, place)
            if problem:
                raise ValueError(f"metadata.{key}[{place}]: {problem}")


def _clause_problem(clause: object, place: int) -> str | None:
    if not isinstance(clause, dict):
        return f"must be an object, got {_short(clause)}"
    if not isinstance(clause.get("class"), str):
        return f"class must be a string, got {_short(clause.get('class'))}"
    count = clause.get("count")
    if type(count) is not int or count < 1:
        return f"count must be a whole number from 1, got {_short(count)}"
    if "color" in clause and not isinstance(clause["color"], str):
        return f"color must be a string, got {_short(clause['color'])}"
    if "position" in clause:
        position = clause["position"]
        # A target that comes later, or the group itself, has not been looked for yet.
        if (
            not isinstance(position, list)
            or len(position) != 2
            or position[0] not in RELATIONS
            or type(position[1]) is not int
            or not 0 <= position[1] < place
        ):
            return (
                f"position must be [{' | '.join(RELATIONS)}, index of an earlier group], got"
                f" {_short(position)}"
            )
    return None


def _check_pair(first: Judged, second: Judged) -> None:
    if None not in (first.detector, second.detector) and first.detector != second.detector:
        raise InputError(
            second.path,
            None,
            f"was detected by {second.detector}, {first.path.name} by {first.detector}: no pair",
        )
    for place, (one, other) in enumerate(zip(first.metadata, second.metadata, strict=False)):
        if one != other:
            raise InputError(
                second.path,
                place + 1,
                f"asks for {_short(other)}, line {place + 1} of {first.path.name} for {_short(one)}:"
                " a pair has the same prompts in the same order",
            )
    if len(first.metadata) != len(second.metadata):
        raise InputError(
            second.path,
            min(len(first.metadata), len(second.metadata)) + 1,
            f"missing image: {second.path.name} has {len(second.metadata)} images,"
            f" {first.path.name} has {len(first.metadata)}",
        )


def _uneven(metadata: list[Metadata]) -> list[str]:
    """Prompts with fewer or more images than most: an image may be missing, and the scores stand on it."""
    images = Counter(str(line) for line in metadata)
    usual = Counter(images.values()).most_common(1)[0][0]
    odd = [(text, count) for text, count in images.items() if count != usual]
    if not odd:
        return []
    text, count = odd[0]
    return [f"{len(odd)} prompts have another number of images than {usual}, the first {count}: {text[:200]}"]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
