"""The scorer against hand-made cases, each rule from both sides, and the arithmetic of the summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limbeck.evaluation.geneval import (
    Detection,
    Verdict,
    aggregate,
    paired_difference,
    score_image,
)

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "geneval_cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden_case(case: dict[str, Any]) -> None:
    detections = [Detection.from_json(row) for row in case["detections"]]
    verdict = score_image(case["metadata"], detections, case.get("max_overlap", 1.0))
    assert verdict.reason.splitlines() == case["reasons"]
    assert verdict.correct == (not case["reasons"])


def test_a_score_that_is_not_a_number_is_dropped() -> None:
    row = Detection(class_name="cat", score=float("nan"), box=(0, 0, 1, 1))
    metadata = {"tag": "single_object", "include": [{"class": "cat", "count": 1}]}
    assert score_image(metadata, [row]).reason == "expected 1 cat, found 0"


def test_cases_have_names_of_their_own() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES) >= 60


def test_detection_survives_json() -> None:
    row = {"class": "cat", "score": 0.5, "box": [0.0, 1.0, 2.0, 3.5], "colour": "red"}
    assert Detection.from_json(row).to_json() == row


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"class": "cat", "score": 0.5}, "missing keys ['box']"),
        ({"class": "cat", "score": 0.5, "box": [0, 0, 1, 1], "color": "red"}, "unknown keys ['color']"),
        ({"class": "cat", "score": "0.5", "box": [0, 0, 1, 1]}, "score is a number"),
        ({"class": "cat", "score": 0.5, "box": [0, 0, 1]}, "box has four numbers"),
        ({"class": "cat", "score": 0.5, "box": [0, 0, 1, None]}, "box has four numbers"),
        ({"class": 3, "score": 0.5, "box": [0, 0, 1, 1]}, "class is a string"),
        ({"class": "cat", "score": 0.5, "box": [0, 0, 1, 1], "colour": 3}, "colour a string or null"),
    ],
)
def test_bad_row_is_named(row: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match="detection") as caught:
        Detection.from_json(row)
    assert named in str(caught.value)


@pytest.mark.parametrize("position", [["left", 0], ["left of", 1], ["left of", -1]])
def test_impossible_position_clause_is_an_error(position: list[Any]) -> None:
    metadata = {
        "tag": "position",
        "include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": position}],
    }
    with pytest.raises(ValueError, match="an earlier group"):
        score_image(metadata, [])


def test_metadata_without_tag_is_an_error() -> None:
    with pytest.raises(ValueError, match="no tag"):
        score_image({"include": []}, [])


def line(tag: str, name: str) -> dict[str, Any]:
    return {"tag": tag, "include": [{"class": name, "count": 1}], "prompt": name}


def verdicts(bits: str) -> list[Verdict]:
    return [Verdict(correct=bit == "1", reason="") for bit in bits]


def test_summary_is_the_mean_over_the_tags_present() -> None:
    cat, dog, red = line("single_object", "cat"), line("single_object", "dog"), line("colors", "cat")
    result = aggregate([cat, cat, dog, cat, red], verdicts("10010"))
    # single_object: 2 of 4 images; colors: 0 of 1. Images would give 2 / 5.
    assert result.tasks["single_object"].score == 0.5
    assert result.tasks["single_object"].images == 4
    assert result.tasks["colors"].score == 0.0
    assert result.overall == 0.25
    # Prompts: cat (solved), dog, red cat.
    assert result.prompt_any_accuracy == pytest.approx(1 / 3)
    assert list(result.tasks) == ["single_object", "colors"]


def test_prompts_are_told_apart_by_the_text_of_their_metadata() -> None:
    one = line("single_object", "cat")
    other = dict(reversed(one.items()))
    assert aggregate([one, dict(one)], verdicts("10")).prompt_any_accuracy == 1.0
    assert aggregate([one, other], verdicts("10")).prompt_any_accuracy == 0.5


def test_intervals_hold_the_score_and_serialise() -> None:
    metadata = [line(tag, f"c{i}") for tag in ("single_object", "colors") for i in range(40)]
    result = aggregate(metadata, verdicts("1101" * 20), seed=3)
    assert result == aggregate(metadata, verdicts("1101" * 20), seed=3)
    payload = json.loads(json.dumps(result.to_json()))
    low, high = payload["overall_interval"]
    assert low < payload["overall"] == 0.75 < high
    assert payload["tasks"]["colors"]["interval"][0] < 0.75 < payload["tasks"]["colors"]["interval"][1]


def test_empty_or_unequal_input_is_an_error() -> None:
    with pytest.raises(ValueError, match="verdict for each"):
        aggregate([], [])
    with pytest.raises(ValueError, match="got 1 and 2"):
        aggregate([line("colors", "cat")], verdicts("11"))


def test_paired_difference_cancels_what_is_common() -> None:
    metadata = [line("single_object", f"c{i}") for i in range(100)]
    easy_half = "1" * 50 + "0" * 50
    better = "1" * 60 + "0" * 40
    same = paired_difference(metadata, verdicts(easy_half), verdicts(easy_half))
    assert same.overall == 0 and same.overall_interval.to_json() == [0, 0]
    difference = paired_difference(metadata, verdicts(better), verdicts(easy_half))
    assert difference.overall == pytest.approx(0.1)
    # Ten discordant prompts of 100, all one way: +-1.96 sqrt(.1 .9 / 100) = +-.059, though either score alone
    # is known to +-.098 only.
    assert 0.03 < difference.overall_interval.low < 0.06
    assert 0.14 < difference.overall_interval.high < 0.17
    assert difference.to_json()["tasks"]["single_object"]["difference"] == pytest.approx(0.1)
