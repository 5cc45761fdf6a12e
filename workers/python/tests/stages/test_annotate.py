"""The annotate stage on toy networks: its files are what scorers read, and nothing is scored unchecked."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys.scorers import write_detector, write_inception
from toys.text import write_clip

from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageContext, StageFailure, StopRequested
from limbeck.evaluation.networks import stored_answers
from limbeck.evaluation.statistics_file import load_statistics
from limbeck.stages import annotate, score


@pytest.fixture(scope="module")
def scorers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_inception(write_clip(write_detector(tmp_path_factory.mktemp("scorers"))))
    for kind in ("detector", "inception"):
        stored_answers.record(stored_answers.open_network(kind, folder), folder)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three prompts of GenEval with two samples each."""
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(4)
    for prompt, name in enumerate(("person", "orange", "computer mouse")):
        at = folder / f"{prompt:05}"
        (at / "samples").mkdir(parents=True)
        clause = {"class": name, "count": 1, "color": "red"}
        (at / "metadata.jsonl").write_text(
            json.dumps({"tag": "colors", "include": [clause], "prompt": f"a red {name}"})
        )
        for sample in range(2):
            pixels = draw.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(at / "samples" / f"{sample:04}.png")
    return folder


def context(workdir: Path, network: str, images: Path, scorers: Path, **spec: object) -> StageContext:
    workdir.mkdir(exist_ok=True)
    parsed = parse_stage_spec({"kind": "annotate", "network": network, "batch_size": 2, **spec})
    return StageContext(workdir=workdir, spec=parsed, inputs={"images": images, "scorers": scorers})


def test_detections_are_scored_under_their_detectors_name(
    tmp_path: Path, images: Path, scorers: Path
) -> None:
    ctx = context(tmp_path / "annotate", "detector", images, scorers)
    assert annotate.run(ctx).metrics == {"pictures": 6.0}
    lines = [json.loads(line) for line in (ctx.output / "detections.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines][:2] == ["00000/samples/0000.png", "00000/samples/0001.png"]
    assert lines[4]["metadata"]["prompt"] == "a red computer mouse"
    assert all(line["detections"] for line in lines)

    (tmp_path / "score").mkdir()
    judged = StageContext(
        workdir=tmp_path / "score",
        spec=parse_stage_spec({"kind": "score", "scorer": "geneval"}),
        inputs={"files": ctx.output},
    )
    assert "overall" in score.run(judged).metrics
    report = json.loads((judged.output / "report.json").read_text())
    assert report["benchmark"] == "GenEval (HF detector)"
    assert report["detector"].startswith("mask2former (transformers) @")


def test_features_of_two_sets_are_compared(tmp_path: Path, images: Path, scorers: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    first = context(tmp_path / "first", "inception", images, scorers, dataset="real")
    second = context(tmp_path / "second", "inception", pictures, scorers, dataset="real")
    annotate.run(first)
    annotate.run(second)
    assert load_statistics(first.output / "statistics.npz").dataset == "real"
    (tmp_path / "score").mkdir()
    judged = StageContext(
        workdir=tmp_path / "score",
        spec=parse_stage_spec({"kind": "score", "scorer": "frechet"}),
        inputs={"files": first.output, "against": second.output},
    )
    found = score.run(judged).metrics
    assert found["samples"] == 5.0 and found["frechet_distance"] >= 0 and "kid" in found


def test_a_stopped_stage_goes_on_where_it_was(tmp_path: Path, images: Path, scorers: Path) -> None:
    whole = context(tmp_path / "whole", "detector", images, scorers)
    annotate.run(whole)
    ctx = context(tmp_path / "stopped", "detector", images, scorers)
    ctx.request_stop()
    with pytest.raises(StopRequested):
        annotate.run(ctx)
    kept = ctx.checkpoints / "000000002"
    assert len(json.loads((kept / "rows.json").read_text())["rows"]) == 2
    again = context(tmp_path / "again", "detector", images, scorers)
    again.resume = kept
    annotate.run(again)
    file = "detections.jsonl"
    assert (again.output / file).read_bytes() == (whole.output / file).read_bytes()


def test_a_checkpoint_of_other_images_is_refused(tmp_path: Path, images: Path, scorers: Path) -> None:
    ctx = context(tmp_path / "one", "inception", images, scorers)
    ctx.resume = tmp_path
    (tmp_path / "rows.json").write_text(json.dumps({"last": "cat.png", "rows": [[0.0]]}))
    with pytest.raises(StageFailure, match=r"the checkpoint of 1 pictures ends with cat\.png: other images"):
        annotate.run(ctx)


def test_a_network_that_answers_otherwise_scores_nothing(tmp_path: Path, images: Path) -> None:
    folder = write_inception(tmp_path / "scorers")
    ctx = context(tmp_path / "unrecorded", "inception", images, folder)
    with pytest.raises(StageFailure, match=r"no self_test/inception\.json: record it") as failure:
        annotate.run(ctx)
    assert failure.value.reason == "bad_input"

    file = stored_answers.record(stored_answers.open_network("inception", folder), folder)
    stored = json.loads(file.read_text())
    stored["answers"][3][0] += 0.01
    file.write_text(json.dumps(stored))
    with pytest.raises(StageFailure, match=r"self-test of torchscript:.*, picture 3: found") as failure:
        annotate.run(ctx)
    assert failure.value.reason == "scorer_broken"

    write_inception(folder, seed=99)
    with pytest.raises(StageFailure, match=r"self_test/inception\.json is of torchscript:.*; the snapshot"):
        annotate.run(ctx)
    assert list(ctx.output.iterdir()) == []


def test_a_detector_whose_boxes_moved_scores_nothing(tmp_path: Path, images: Path) -> None:
    folder = write_clip(write_detector(tmp_path / "scorers"))
    file = stored_answers.record(stored_answers.open_network("detector", folder), folder)
    stored = json.loads(file.read_text())
    stored["answers"][0][0][3] += 3  # pixels
    file.write_text(json.dumps(stored))
    with pytest.raises(StageFailure, match="self-test of mask2former"):
        annotate.run(context(tmp_path / "moved", "detector", images, folder))


def test_mplug_needs_its_environment_and_its_folder(tmp_path: Path, images: Path, scorers: Path) -> None:
    with pytest.raises(StageFailure, match=r"has no vqa/config\.yaml"):
        annotate.run(context(tmp_path / "none", "vqa", images, scorers))
    (tmp_path / "scorers" / "vqa").mkdir(parents=True)
    for name in ("config.yaml", "pytorch_model.bin", "vocab.txt"):
        (tmp_path / "scorers" / "vqa" / name).write_text("")
    with pytest.raises(StageFailure, match="modelscope is not installed here: run this stage in its image"):
        annotate.run(context(tmp_path / "image", "vqa", images, tmp_path / "scorers"))
