"""The self-test holds for the detector as it is, and refuses each kind of change."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limbeck.evaluation import shapes_detector
from limbeck.evaluation.geneval import Detection
from limbeck.evaluation.self_test import STORED, SelfTestFailed, self_test, write
from limbeck.evaluation.sheet import load_sheet


def test_the_detector_finds_what_is_stored_right_and_wrong_images_alike() -> None:
    _, tiles = load_sheet(STORED)
    assert self_test() == len(tiles) == 48
    assert 20 <= sum(tile["correct"] for tile in tiles) <= 40
    assert len({tile["metadata"]["tag"] for tile in tiles}) == 6


def test_the_stored_images_are_those_of_the_generator(tmp_path: Path) -> None:
    write(tmp_path)
    (drawn, now), (stored, then) = load_sheet(tmp_path), load_sheet(STORED)
    # Another CPU may round a pixel's edge the other way.
    assert np.abs(drawn.astype(int) - stored).max() <= 1
    assert [tile["reason"] for tile in now] == [tile["reason"] for tile in then]


@pytest.mark.parametrize(
    ("name", "value"),
    [("COLOUR_RADIUS", 0.2), ("COLOUR_RADIUS", 0.3), ("MIN_IOU", 0.93), ("_MIN_SATURATION", 0.6)],
)
def test_another_constant_of_the_detector_is_refused(
    name: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes_detector, name, value)
    with pytest.raises(
        SelfTestFailed, match=r"self-test of the detector, image \d+ \(.*\): found .*; stored is"
    ):
        self_test()


def test_a_score_or_a_box_that_moved_is_refused() -> None:
    def shifted(image: np.ndarray) -> Sequence[Detection]:
        return [replace(one, score=one.score - 0.002) for one in shapes_detector.detect(image)]

    def moved(image: np.ndarray) -> Sequence[Detection]:
        return [replace(one, box=(one.box[0] + 1, *one.box[1:])) for one in shapes_detector.detect(image)]

    for detector in (shifted, moved):
        with pytest.raises(SelfTestFailed, match="image 0"):
            self_test(detector)


def test_another_verdict_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(STORED, tmp_path / "stored"))
    index = json.loads((folder / "sheet.json").read_text())
    index["tiles"][3]["correct"] = not index["tiles"][3]["correct"]
    (folder / "sheet.json").write_text(json.dumps(index))
    with pytest.raises(SelfTestFailed, match="self-test of the rules, image 3"):
        self_test(folder=folder)
