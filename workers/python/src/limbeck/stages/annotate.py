"""Lets a network look at pictures: what the scorers of files need, from images that anybody drew.

Inputs: images (a folder as the benchmark lays it out, see `picture_files`), scorers (a snapshot with the
network), for vqa questions (questions.csv).
Output, as `score` reads it:
    detector    detections.jsonl, a line a picture
    vqa         answers.csv, and questions.csv beside it
    inception   statistics.npz

The network is first held against stored pictures (`stored_answers`); one difference ends the stage with
`scorer_broken`. A picture that cannot be read ends it too: a score over fewer images is another score.
"""

import csv
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.contracts.context import StageContext, StageFailure, StopRequested
from limbeck.contracts.generated import AnnotateSpec, StageResult
from limbeck.evaluation.dpg import Question, read_questions
from limbeck.evaluation.networks.picture_files import Picture, all_pictures, dpg_pictures, geneval_pictures
from limbeck.evaluation.networks.stored_answers import check, open_network
from limbeck.evaluation.self_test import SelfTestFailed
from limbeck.evaluation.statistics_file import save_statistics
from limbeck.training.distributed import device

KEPT_EVERY = 200
"""Pictures between checkpoints."""

Look = Callable[[list[Picture]], list[Any]]


def run(ctx: StageContext) -> StageResult:
    spec: AnnotateSpec = ctx.spec
    try:
        return _annotate(ctx, spec)
    except SelfTestFailed as error:
        raise StageFailure("scorer_broken", str(error)) from error
    except (FileNotFoundError, ValueError) as error:
        raise StageFailure("bad_input", str(error)) from error


def _annotate(ctx: StageContext, spec: AnnotateSpec) -> StageResult:
    snapshot = ctx.input("scorers")
    images = ctx.input("images")
    network = open_network(spec.network, snapshot, device())
    agreed = check(network, snapshot)
    print(f"{network.name}: {agreed} stored pictures agree", flush=True)
    if spec.network == "detector":
        rows = _looked(ctx, spec, geneval_pictures(images), _detections(network))
        (ctx.output / "detections.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    elif spec.network == "vqa":
        rows = _answered(ctx, spec, network, dpg_pictures(images, spec.resolution, spec.images_per_prompt))
    else:
        rows = _looked(ctx, spec, all_pictures(images), _features(network))
        statistics = network.statistics(np.array(rows, np.float32), spec.dataset or None)
        save_statistics(ctx.output / "statistics.npz", statistics)
    return StageResult(metrics={"pictures": float(len(rows))})


def _looked(ctx: StageContext, spec: AnnotateSpec, pictures: list[Picture], look: Look) -> list[Any]:
    """A row for each picture, in order; goes on from a checkpoint."""
    rows = _kept(ctx, pictures)
    started, before = time.monotonic(), len(rows)
    while len(rows) < len(pictures):
        rows.extend(look(pictures[len(rows) : len(rows) + spec.batch_size]))
        rate = (len(rows) - before) / (time.monotonic() - started)
        ctx.progress(len(rows), len(pictures), rate, None)
        stopping = ctx.stop_requested() and len(rows) < len(pictures)
        if stopping or len(rows) // KEPT_EVERY > (len(rows) - spec.batch_size) // KEPT_EVERY:
            _keep(ctx, rows, pictures)
        if stopping:
            raise StopRequested
    return rows


def _keep(ctx: StageContext, rows: list[Any], pictures: list[Picture]) -> None:
    last = pictures[len(rows) - 1].name
    content = json.dumps({"last": last, "rows": rows})
    ctx.save_checkpoint(len(rows), lambda folder: _write(folder / "rows.json", content))


def _write(path: Path, content: str) -> None:
    path.write_text(content)


def _kept(ctx: StageContext, pictures: list[Picture]) -> list[Any]:
    if ctx.resume is None:
        return []
    kept = json.loads((ctx.resume / "rows.json").read_text())
    rows: list[Any] = kept["rows"]
    if len(rows) > len(pictures) or pictures[len(rows) - 1].name != kept["last"]:
        raise ValueError(f"the checkpoint of {len(rows)} pictures ends with {kept['last']}: other images")
    return rows


def _detections(network: Any) -> Look:
    def look(pictures: list[Picture]) -> list[Any]:
        return [
            {
                "metadata": picture.about,
                "detections": [row.to_json() for row in network.detect(picture.read(), picture.about)],
                "image": picture.name,
                "detector": network.name,
            }
            for picture in pictures
        ]

    return look


def _features(network: Any) -> Look:
    return lambda pictures: network.features([picture.read() for picture in pictures]).astype(float).tolist()


def _answered(ctx: StageContext, spec: AnnotateSpec, network: Any, pictures: list[Picture]) -> list[Any]:
    """Every question of a picture's prompt; writes both tables."""
    file = ctx.input("questions") / "questions.csv"
    asked: dict[str, list[Question]] = {}
    for question in read_questions(file):
        asked.setdefault(question.item, []).append(question)
    unknown = sorted({str(p.about["item_id"]) for p in pictures} - set(asked))
    if unknown:
        raise ValueError(f"images without questions: {unknown[:5]} ({len(unknown)} of them)")

    def look(batch: list[Picture]) -> list[Any]:
        found: list[Any] = []
        for picture in batch:
            pixels = picture.read()
            questions = asked[picture.about["item_id"]]
            found.append([[one.proposition, network.answer(pixels, one.text)] for one in questions])
        return found

    rows = _looked(ctx, spec, pictures, look)
    shutil.copyfile(file, ctx.output / "questions.csv")
    with (ctx.output / "answers.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["item_id", "image", "proposition_id", "answer"])
        for picture, answers in zip(pictures, rows, strict=True):
            table.writerows(
                [picture.about["item_id"], picture.about["image"], number, answer]
                for number, answer in answers
            )
    (ctx.output / "network.json").write_text(json.dumps({"vqa": network.name}))
    return rows
