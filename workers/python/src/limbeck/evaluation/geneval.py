"""GenEval's scoring rules as pure functions of metadata and detections.

Source: djghosh13/geneval, `evaluation/evaluate_images.py` and `summary_scores.py`, rules as executed. The
detector is not part of this module: rows come as a detector gives them, in its order, before any threshold.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .bootstrap import (
    DEFAULT_REPLICATES,
    Interval,
    Stratum,
    mean_over_strata,
    percentile_interval,
    resampled_means,
)

SCORER_VERSION: Final = "geneval-1"
"""Part of every protocol hash; a change of any rule is a new version."""

SCORE_LIMIT: Final = np.float32(0.3)
COUNTING_SCORE_LIMIT: Final = np.float32(0.9)
MAX_PER_CLASS: Final = 16
POSITION_MARGIN: Final = 0.1
RELATIONS: Final = ("left of", "right of", "above", "below")

Metadata = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One row of a detector: class name, score in 0 .. 1, box (x0, y0, x1, y1) in pixels with y down, and the
    label of a colour classifier or None."""

    class_name: str
    score: float
    box: tuple[float, float, float, float]
    colour: str | None = None

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Detection:
        """Parses `{"class", "score", "box": [x0, y0, x1, y1], "colour": label or null}`.

        Raises:
            ValueError: naming the row and the key that is missing, unknown or of a wrong type.
        """
        unknown = sorted(set(row) - {"class", "score", "box", "colour"})
        missing = sorted({"class", "score", "box"} - set(row))
        if unknown or missing:
            raise ValueError(f"detection {dict(row)}: unknown keys {unknown}, missing keys {missing}")
        box, colour = row["box"], row.get("colour")
        if not isinstance(row["class"], str) or not (colour is None or isinstance(colour, str)):
            raise ValueError(f"detection {dict(row)}: class is a string, colour a string or null")
        numbers: list[Any] = [row["score"], *box] if isinstance(box, list | tuple) else []
        if len(numbers) != 5 or any(type(value) not in (int, float) for value in numbers):
            raise ValueError(f"detection {dict(row)}: score is a number and box has four numbers")
        score, x0, y0, x1, y1 = (float(value) for value in numbers)
        return Detection(class_name=row["class"], score=score, box=(x0, y0, x1, y1), colour=colour)

    def to_json(self) -> dict[str, Any]:
        return {"class": self.class_name, "score": self.score, "box": list(self.box), "colour": self.colour}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether an image shows what its metadata ask for; `reason` has one line for each rule that failed."""

    correct: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class TaskScore:
    """Share of correct images under one tag, its number of images, its interval over prompts."""

    score: float
    images: int
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class GenEvalResult:
    """`overall` is the unweighted mean over the tags present; `prompt_any_accuracy` the share of prompts
    with at least one correct image."""

    tasks: dict[str, TaskScore]
    overall: float
    overall_interval: Interval
    prompt_any_accuracy: float

    def to_json(self) -> dict[str, Any]:
        return {
            "tasks": {
                tag: {"score": task.score, "images": task.images, "interval": task.interval.to_json()}
                for tag, task in self.tasks.items()
            },
            "overall": self.overall,
            "overall_interval": self.overall_interval.to_json(),
            "prompt_any_accuracy": self.prompt_any_accuracy,
        }


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """First minus second over the same prompts, with bootstrap intervals; by tag and overall."""

    tasks: dict[str, tuple[float, Interval]]
    overall: float
    overall_interval: Interval

    def to_json(self) -> dict[str, Any]:
        return {
            "tasks": {
                tag: {"difference": difference, "interval": interval.to_json()}
                for tag, (difference, interval) in self.tasks.items()
            },
            "overall": self.overall,
            "overall_interval": self.overall_interval.to_json(),
        }


def score_image(metadata: Metadata, detections: Sequence[Detection], max_overlap: float = 1.0) -> Verdict:
    """Judges one image.

    Args:
        metadata: a GenEval line: `tag`, `include` [`class`, `count`, optional `color`, optional `position` =
            [relation, index of the target group]], optional `exclude`.
        detections: rows in the detector's order, before any threshold.
        max_overlap: 1.0 (the reference setting) switches suppression off, even for identical boxes; below, a
            row survives while its overlap with every stronger kept one is less.

    Raises:
        ValueError: the metadata have no tag, or a position clause with an unknown relation or a target that
            is not an earlier group.
    """
    if not isinstance(metadata.get("tag"), str):
        raise ValueError(f"metadata have no tag: {dict(metadata)}")
    kept = _kept_by_class(metadata["tag"], detections, max_overlap)
    reasons: list[str] = []
    groups: list[list[Detection] | None] = []
    for clause in metadata.get("include", ()):
        name, count = clause["class"], clause["count"]
        # Only the strongest `count` rows are ever looked at: a weaker one of the right colour does not help,
        # and a second clause on the same class sees the same rows.
        found = kept.get(name, [])[:count]
        failure = _clause_failure(clause, found, groups)
        if failure is not None:
            reasons.append(failure)
        groups.append(found if failure is None else None)
    for clause in metadata.get("exclude", ()):
        name, count = clause["class"], clause["count"]
        found_count = len(kept.get(name, []))
        if found_count >= count:
            reasons.append(f"expected fewer than {count} {name}, found {found_count}")
    return Verdict(correct=not reasons, reason="\n".join(reasons))


def aggregate(
    metadata: Sequence[Metadata],
    verdicts: Sequence[Verdict],
    seed: int = 0,
    replicates: int = DEFAULT_REPLICATES,
) -> GenEvalResult:
    """Scores of a set of images, image i being judged `verdicts[i]` under `metadata[i]`.

    Prompts are told apart by the text of their metadata: equal lines merge into one prompt.

    Raises:
        ValueError: no image, or unequal lengths.
    """
    strata = {tag: _stratum(prompts) for tag, prompts in _group(metadata, verdicts).items()}
    replicas = resampled_means(strata, seed, replicates)
    solved_P = np.concatenate([stratum.correct_P > 0 for stratum in strata.values()])
    return GenEvalResult(
        tasks={
            tag: TaskScore(
                score=stratum.mean,
                images=int(stratum.images_P.sum()),
                interval=percentile_interval(replicas[tag]),
            )
            for tag, stratum in strata.items()
        },
        overall=float(np.mean([stratum.mean for stratum in strata.values()])),
        overall_interval=percentile_interval(mean_over_strata(replicas)),
        prompt_any_accuracy=float(solved_P.mean()),
    )


def paired_difference(
    metadata: Sequence[Metadata],
    first: Sequence[Verdict],
    second: Sequence[Verdict],
    seed: int = 0,
    replicates: int = DEFAULT_REPLICATES,
) -> PairedDifference:
    """First minus second, both judged on the same prompts and noise: image i of both under `metadata[i]`.

    Both are resampled by the same prompts, so what makes a prompt easy for both cancels.

    Raises:
        ValueError: no image, or unequal lengths.
    """
    strata = [
        {tag: _stratum(prompts) for tag, prompts in _group(metadata, verdicts).items()}
        for verdicts in (first, second)
    ]
    replicas = [resampled_means(one, seed, replicates) for one in strata]
    difference = {tag: strata[0][tag].mean - strata[1][tag].mean for tag in strata[0]}
    difference_B = {tag: replicas[0][tag] - replicas[1][tag] for tag in strata[0]}
    return PairedDifference(
        tasks={tag: (difference[tag], percentile_interval(difference_B[tag])) for tag in difference},
        overall=float(np.mean(list(difference.values()))),
        overall_interval=percentile_interval(mean_over_strata(difference_B)),
    )


def _group(metadata: Sequence[Metadata], verdicts: Sequence[Verdict]) -> dict[str, dict[str, list[bool]]]:
    """tag -> text of the metadata -> correct, all in the order of first appearance."""
    if not metadata or len(metadata) != len(verdicts):
        raise ValueError(f"need a verdict for each of >= 1 images, got {len(metadata)} and {len(verdicts)}")
    tags: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for line, verdict in zip(metadata, verdicts, strict=True):
        tags[line["tag"]][json.dumps(line)].append(verdict.correct)
    return tags


def _stratum(prompts: Mapping[str, Sequence[bool]]) -> Stratum:
    return Stratum(
        correct_P=np.array([sum(images) for images in prompts.values()], dtype=np.float64),
        images_P=np.array([len(images) for images in prompts.values()], dtype=np.float64),
    )


def _kept_by_class(
    tag: str, detections: Sequence[Detection], max_overlap: float
) -> dict[str, list[Detection]]:
    """Rows above the limit, strongest first, at most MAX_PER_CLASS a class, then suppression.

    Scores are compared in float32, as the detector gives them: 0.3 is 0.30000001192..., and a row at exactly
    that value is dropped. The order is the reverse of an ascending sort, so of equal scores the later row
    comes first.
    """
    limit = COUNTING_SCORE_LIMIT if tag == "counting" else SCORE_LIMIT
    by_class: dict[str, list[Detection]] = defaultdict(list)
    for detection in detections:
        by_class[detection.class_name].append(detection)
    kept: dict[str, list[Detection]] = {}
    for name, rows in by_class.items():
        score_R = np.array([row.score for row in rows], dtype=np.float32)
        order = np.argsort(score_R, kind="stable")[::-1]
        queue = [rows[place] for place in order if score_R[place] > limit][:MAX_PER_CLASS]
        kept[name] = queue if max_overlap == 1.0 else _suppress(queue, max_overlap)
    return kept


def _suppress(queue: list[Detection], max_overlap: float) -> list[Detection]:
    kept: list[Detection] = []
    for row in queue:
        if all(_overlap(strong, row) < max_overlap for strong in kept):
            kept.append(row)
    return kept


def _overlap(a: Detection, b: Detection) -> float:
    """Intersection over union with inclusive pixel borders: a box from 3 to 3 is one pixel wide."""

    def area(x0: np.float32, y0: np.float32, x1: np.float32, y1: np.float32) -> float:
        return float(max(x1 - x0 + 1, 0) * max(y1 - y0 + 1, 0))

    a_4, b_4 = (np.array(row.box, dtype=np.float32) for row in (a, b))
    low_2, high_2 = np.maximum(a_4[:2], b_4[:2]), np.minimum(a_4[2:], b_4[2:])
    shared = area(*low_2, *high_2)
    union = area(*a_4) + area(*b_4) - shared
    return shared / union if union else 0.0


def _clause_failure(
    clause: Mapping[str, Any], found: list[Detection], groups: list[list[Detection] | None]
) -> str | None:
    """Why an include clause fails, or None. A missing or wrongly coloured group skips the position rule."""
    name, count = clause["class"], clause["count"]
    if "position" in clause:
        relation, target = clause["position"]
        if relation not in RELATIONS or not 0 <= target < len(groups):
            raise ValueError(
                f"position clause {clause['position']} of {name}: the relation must be one of "
                f"{', '.join(RELATIONS)}, the target an earlier group ({len(groups)} come before it)"
            )
    if len(found) < count:
        return f"expected {count} {name}, found {len(found)}"
    if "color" in clause:
        matching = sum(row.colour == clause["color"] for row in found)
        if matching < count:
            seen = ", ".join(str(row.colour) for row in found)
            return f"expected {count} {clause['color']} {name}, found {matching} (colours: {seen})"
    if "position" in clause:
        relation, target = clause["position"]
        targets = groups[target]
        if targets is None:
            return f"no target for {name} to be {relation}"
        for row in found:
            for other in targets:
                holds = relations_between(row, other)
                if relation not in holds:
                    return f"expected {name} {relation} target, found {' and '.join(holds) or 'neither side'}"
    return None


def relations_between(item: Detection, target: Detection) -> tuple[str, ...]:
    """Relations of `item` to `target`; none, one or two (a diagonal) of RELATIONS.

    In float32: the difference of the centres, each axis shrunk towards 0 by 0.1 of the sum of both full
    extents, divided by the length of the difference before shrinking, must pass 0.5.
    """
    item_22, target_22 = (np.array(row.box, dtype=np.float32).reshape(2, 2) for row in (item, target))
    offset_2: NDArray[np.float32] = item_22.mean(axis=0) - target_22.mean(axis=0)
    extent_2 = np.abs(item_22[1] - item_22[0]) + np.abs(target_22[1] - target_22[0])
    shrunk_2 = np.maximum(np.abs(offset_2) - POSITION_MARGIN * extent_2, 0) * np.sign(offset_2)
    if np.all(np.abs(shrunk_2) < 1e-3):
        return ()
    x, y = shrunk_2 / np.linalg.norm(offset_2)
    holds = (x < -0.5, x > 0.5, y < -0.5, y > 0.5)
    return tuple(relation for relation, true in zip(RELATIONS, holds, strict=True) if true)
