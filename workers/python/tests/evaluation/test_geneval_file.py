"""Scores of a file: what goes out, and what comes back for every kind of line that cannot be judged."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from limbeck.evaluation.__main__ import main
from limbeck.evaluation.geneval_file import report, score_file
from limbeck.evaluation.inputs import MAX_LINE_BYTES, InputError

CAT = {"class": "cat", "score": 0.9, "box": [0, 0, 10, 10], "colour": "red"}
ONE_CAT = {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a cat"}
LEFT = {
    "tag": "position",
    "include": [{"class": "dog", "count": 1}, {"class": "cat", "count": 1, "position": ["left of", 0]}],
}


def line(metadata: object = ONE_CAT, detections: object = (CAT,), **more: object) -> dict[str, object]:
    return {"metadata": metadata, "detections": detections, **more}


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines))
    return path


def test_images_keep_their_order_and_tasks_their_numbers(tmp_path: Path) -> None:
    dog = {**CAT, "class": "dog", "box": [100, 0, 110, 10]}
    file = written(
        tmp_path / "a.jsonl",
        line(image="0.png"),
        line(detections=[]),
        line(LEFT, [dog, CAT]),
        line(LEFT, [CAT]),
    )
    found = report(score_file(file))
    assert [image["correct"] for image in found["images"]] == [True, False, True, False]
    assert found["images"][1]["reason"] == "expected 1 cat, found 0"
    assert found["images"][3]["reason"].splitlines() == [
        "expected 1 dog, found 0",
        "no target for cat to be left of",
    ]
    tasks = {tag: (task["score"], task["images"]) for tag, task in found["tasks"].items()}
    assert tasks == {"single_object": (0.5, 2), "position": (0.5, 2)}
    assert found["overall"] == 0.5 and found["prompt_any_accuracy"] == 1.0
    assert found["warnings"] == [] and "paired" not in found


def test_a_prompt_with_fewer_images_than_the_others_is_noted(tmp_path: Path) -> None:
    other = {**ONE_CAT, "prompt": "another cat"}
    third = {**ONE_CAT, "prompt": "a third cat"}
    file = written(tmp_path / "a.jsonl", line(), line(), line(other), line(third), line(third))
    (warning,) = score_file(file).warnings
    assert warning.startswith("1 prompts have another number of images than 2, the first 1: ")
    assert "another cat" in warning


def test_the_difference_of_a_pair_is_first_minus_second(tmp_path: Path) -> None:
    first = written(tmp_path / "a.jsonl", *[line()] * 4)
    second = written(tmp_path / "b.jsonl", *[line()] * 3, line(detections=[]))
    paired = report(score_file(first), score_file(second))["paired"]
    assert paired["overall"] == 0.25
    assert paired["tasks"]["single_object"] == {"difference": 0.25, "interval": [0.25, 0.25]}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('{"metadata": ', "not JSON: Expecting value at column 1"),
        ("", "empty; every line is one JSON object"),
        ("[1]", "a list; every line is one JSON object"),
        (json.dumps(line()).replace("0.9", "NaN"), "not JSON: NaN is not finite"),
        (json.dumps(line()).replace("0.9", "1e999"), r"detections\[0\]: score inf is not finite"),
        (line(detections=None), "detections must be a list, got None: an image that shows nothing has"),
        ({"metadata": ONE_CAT}, "detections must be a list, got None: .* missing cannot be judged"),
        (line(detection=[]), r"unknown keys \['detection'\]"),
        (line(metadata="a cat"), "metadata must be a line of GenEval's metadata, got 'a cat'"),
        (line({**ONE_CAT, "tag": "colour"}), "unknown tag 'colour'; allowed: single_object, two_object"),
        (line({"include": []}), "unknown tag None; allowed"),
        (line({**ONE_CAT, "include": {}}), "metadata.include must be a list"),
        (line({**ONE_CAT, "include": [1]}), r"metadata.include\[0\]: must be an object, got 1"),
        (
            line({**ONE_CAT, "include": [{"count": 1}]}),
            r"metadata.include\[0\]: class must be a string, got None",
        ),
        (
            line({**ONE_CAT, "exclude": [{"class": "cat", "count": True}]}),
            r"metadata.exclude\[0\]: count must be a whole number from 1, got True",
        ),
        (
            line({**LEFT, "include": [{"class": "cat", "count": 1, "position": ["left of", 0]}]}),
            r"metadata.include\[0\]: position must be \[left of \| right of \| above \| below, index of an",
        ),
        (line(detections=["cat"]), r"detections\[0\] must be an object, got 'cat'"),
        (line(detections=[{**CAT, "box": [1, 2, 3]}]), r"detections\[0\]: .* box has four numbers"),
        (line(detections=[{**CAT, "score": "0.9"}]), r"detections\[0\]: .* score is a number"),
        (line(detections=[CAT, {**CAT, "box": [5, 0, 4, 9]}]), r"detections\[1\]: box \[5.0, .* x1 >= x0"),
        (line(detections=[{**CAT, "box": [0, 5, 9, 4]}]), r"detections\[0\]: box .* y1 >= y0"),
    ],
)
def test_a_line_that_cannot_be_judged_is_named_with_its_reason(
    tmp_path: Path, bad: object, reason: str
) -> None:
    file = written(tmp_path / "scores.jsonl", line(), bad, line())
    with pytest.raises(InputError, match=rf"^scores.jsonl, line 2: {reason}"):
        score_file(file)


def test_boxes_without_extent_are_boxes(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", line(detections=[{**CAT, "box": [3, 3, 3, 3]}]))
    assert score_file(file).verdicts[0].correct


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent.jsonl: cannot be read \(No such file"):
        score_file(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match=r"empty.jsonl: is empty; at least one line"):
        score_file(written(tmp_path / "empty.jsonl"))
    (tmp_path / "latin.jsonl").write_bytes(b'{"metadata": "\xe9"}\n')
    with pytest.raises(InputError, match=r"latin.jsonl, line 1: not UTF-8"):
        score_file(tmp_path / "latin.jsonl")
    with pytest.raises(InputError, match="line 1: longer than"):
        score_file(written(tmp_path / "long.jsonl", " " * MAX_LINE_BYTES))
    with pytest.raises(InputError, match="line 1: not JSON"):
        score_file(written(tmp_path / "deep.jsonl", "[" * 100_000))


def test_pairs_that_are_none_name_the_line(tmp_path: Path) -> None:
    first = score_file(written(tmp_path / "a.jsonl", line(), line()))
    other = {**ONE_CAT, "prompt": "a dog"}
    with pytest.raises(InputError, match=r"^b.jsonl, line 2: asks for .*a dog"):
        report(first, score_file(written(tmp_path / "b.jsonl", line(), line(other))))
    with pytest.raises(InputError, match=r"^c.jsonl, line 2: missing image: c.jsonl has 1 images"):
        report(first, score_file(written(tmp_path / "c.jsonl", line())))


def test_the_command_prints_the_scores_and_writes_the_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = written(tmp_path / "a.jsonl", line(), line()), tmp_path / "out.json"
    assert main(["geneval", "--json", str(out), "--", str(file)]) == 0
    printed = json.loads(capsys.readouterr().out)
    stored: dict[str, Any] = json.loads(out.read_text())
    assert stored.pop("images") == [{"correct": True, "reason": ""}] * 2
    assert printed == stored and printed["tasks"]["single_object"]["images"] == 2

    assert main(["geneval", str(tmp_path / "absent.jsonl")]) == 2
    assert capsys.readouterr().err == "absent.jsonl: cannot be read (No such file or directory)\n"
    assert main(["geneval", "--json", str(tmp_path / "no" / "out.json"), str(file)]) == 2
    assert "out.json cannot be written (No such file or directory)" in capsys.readouterr().err


def test_scoring_a_file_waits_for_no_torch() -> None:
    code = "import sys, limbeck.evaluation.geneval_file; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("detector", "benchmark"),
    [
        (None, "GenEval (detector not stated)"),
        ("mask2former (mmdet) 2.28", "GenEval"),
        ("mask2former (transformers) @abc", "GenEval (HF detector)"),
        ("yolo", "GenEval (other detector)"),
    ],
)
def test_a_result_is_named_after_its_detector(tmp_path: Path, detector: str | None, benchmark: str) -> None:
    row = line() if detector is None else line() | {"detector": detector}
    assert report(score_file(written(tmp_path / "a", row)))["benchmark"] == benchmark


def test_two_detectors_are_not_one_result(tmp_path: Path) -> None:
    one, other = line() | {"detector": "one"}, line() | {"detector": "other"}
    with pytest.raises(InputError, match="line 2: detector is 'other', the lines before have 'one'"):
        score_file(written(tmp_path / "a", one, other))
    with pytest.raises(InputError, match="line 1: detector must be a name"):
        score_file(written(tmp_path / "a", line() | {"detector": 3}))
    first, second = (score_file(written(tmp_path / name, row)) for row, name in ((one, "a"), (other, "b")))
    with pytest.raises(InputError, match=r"was detected by other, a.*by one: no pair"):
        report(first, second)
