"""The stage gives what the command gives, for each scorer, and says what its input lacks."""

import json
from pathlib import Path

import numpy as np
import pytest

from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageContext, StageFailure
from limbeck.evaluation import files
from limbeck.stages.score import run

CAT = {"class": "cat", "score": 0.9, "box": [0, 0, 9, 9], "colour": None}
METADATA = {"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a cat"}


def context(folder: Path, scorer: str, **inputs: Path) -> StageContext:
    folder.mkdir(exist_ok=True)
    return StageContext(folder, parse_stage_spec({"kind": "score", "scorer": scorer}), dict(inputs))


def detections(folder: Path, *found: list[dict[str, object]]) -> Path:
    folder.mkdir()
    lines = [json.dumps({"metadata": METADATA, "detections": rows}) for rows in found]
    (folder / "detections.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_geneval_with_a_second_model(tmp_path: Path) -> None:
    first, second = detections(tmp_path / "a", [CAT], [CAT]), detections(tmp_path / "b", [CAT], [])
    ctx = context(tmp_path / "work", "geneval", files=first, against=second)
    result = run(ctx)
    assert result.metrics["overall"] == result.metrics["task_single_object"] == 1
    assert result.metrics["difference"] == 0.5
    assert {"overall_low", "overall_high", "difference_low", "difference_high"} <= set(result.metrics)
    report = json.loads((ctx.output / "report.json").read_text())
    assert report == files.geneval(first / "detections.jsonl", second / "detections.jsonl")


def test_frechet(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    draw = np.random.default_rng(1)
    for name in ("first", "second"):
        np.savez(folder / f"{name}.npz", features=draw.normal(size=(50, 4)))
    result = run(context(tmp_path / "work", "frechet", files=folder))
    assert result.metrics["frechet_distance"] > 0
    assert result.metrics["samples"] == 50 and "kid" in result.metrics


def test_dpg_notes_what_strict_refuses(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    columns = (
        "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,"
        "question_natural_language"
    )
    question = "{},t,,1,0,entity,whole,entity - whole (x),Is it?"
    (folder / "questions.csv").write_text("\n".join([columns, question.format("a"), question.format("b")]))
    (folder / "answers.csv").write_text(
        "item_id,image,proposition_id,answer\na,0,1,yes\nb,0,1,yes\nb,0,2,no\n"
    )
    ctx = context(tmp_path / "work", "dpg", files=folder)
    result = run(ctx)
    assert result.metrics["dpg_compat"] == 1 and "dpg_strict" not in result.metrics
    assert ctx.warnings == [
        "strict refused: answers.csv, line 4: an answer to the unknown question 2 of b; it has 1"
    ]


def test_what_cannot_be_scored_is_a_bad_input(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "other.txt").write_text("")
    with pytest.raises(StageFailure, match=r"input 'files' lacks detections.jsonl; it holds: other.txt"):
        run(context(tmp_path / "one", "geneval", files=empty))
    broken = detections(tmp_path / "broken", [{**CAT, "score": "high"}])
    with pytest.raises(StageFailure, match=r"detections.jsonl, line 1: detections\[0\]") as caught:
        run(context(tmp_path / "two", "geneval", files=broken))
    assert caught.value.reason == "bad_input"
    with pytest.raises(StageFailure, match="input 'against' is of geneval and frechet; the scorer is dpg"):
        run(context(tmp_path / "three", "dpg", files=broken, against=broken))
