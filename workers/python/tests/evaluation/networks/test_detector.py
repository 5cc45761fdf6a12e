"""The detector on small random weights: rows against the library's masks, colours, refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from toys.scorers import CLASSES, write_detector
from toys.text import write_clip

from limbeck.evaluation.geneval import Detection
from limbeck.evaluation.networks.detector import COLOURS, ColourClassifier, GenEvalDetector, Row, crop


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(write_detector(tmp_path_factory.mktemp("scorers")))


@pytest.fixture(scope="module")
def detector(snapshot: Path) -> GenEvalDetector:
    return GenEvalDetector(snapshot)


def picture(height: int = 48, width: int = 80) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_rows_are_every_query_and_class_with_the_certainty_of_its_mask(detector: GenEvalDetector) -> None:
    """Against a second way: the padded input cut by hand, each query and class in its own loop."""
    image = picture()
    given = detector.processor(images=[Image.fromarray(image)], return_tensors="pt")
    with torch.no_grad():
        found = detector.model(**given)
    # 48 x 80 with a shortest edge of 64 and a longest of 96 becomes 58 x 96, padded to 64 x 96.
    assert given["pixel_values"].shape[-2:] == (64, 96)
    expected: dict[tuple[str, float], tuple[float, ...]] = {}
    for query in range(6):
        grown = F.interpolate(found.masks_queries_logits[:, query : query + 1], (64, 96), mode="bilinear")
        inside = int(given["pixel_mask"][0].sum()) // 96
        mask = F.interpolate(grown[:, :, :inside], (48, 80), mode="bilinear")[0, 0]
        on = mask > 0
        if not on.any():
            continue
        certainty = float(mask.sigmoid()[on].mean())
        ys, xs = np.where(on.numpy())
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        for place, share in enumerate(found.class_queries_logits[0, query].softmax(-1)[:-1].tolist()):
            name = "computer mouse" if CLASSES[place] == "mouse" else CLASSES[place]
            expected[(name, round(share * certainty, 5))] = tuple(map(float, box))
    rows = detector.rows(image)
    assert len(rows) == len(expected) > 3
    assert {(r.detection.class_name, round(r.detection.score, 5)): r.detection.box for r in rows} == expected
    assert all(row.mask_HW.shape == (48, 80) for row in rows)


def test_only_rows_whose_colour_is_asked_for_have_one(detector: GenEvalDetector) -> None:
    asked = {"tag": "colors", "include": [{"class": "person", "count": 1, "color": "red"}]}
    image = picture()
    rows = detector.detect(image, asked)
    coloured = [row for row in rows if row.colour is not None]
    assert all(row.class_name == "person" and row.score > 0.3 for row in coloured)
    assert len(coloured) == sum(row.class_name == "person" and row.score > 0.3 for row in rows)
    assert {row.colour for row in coloured} <= set(COLOURS)
    assert all(row.colour is None for row in detector.detect(image, {"tag": "single_object", "include": []}))


def test_a_crop_is_grey_where_the_mask_is_off() -> None:
    image = np.full((10, 12, 3), 200, np.uint8)
    mask = np.zeros((10, 12), np.bool_)
    mask[2:5, 3:9] = True
    mask[3, 4] = False
    found = np.asarray(crop(image, Row(detection=_detection((3, 2, 9, 5)), mask_HW=mask)))
    assert found.shape == (3, 6, 3)
    assert (found[1, 1] == 0x99).all() and (found[0] == 200).all()


def test_the_colour_is_the_nearest_text_of_all_templates(snapshot: Path) -> None:
    classifier = ColourClassifier(snapshot)
    row = Row(detection=_detection((0, 0, 80, 48)), mask_HW=np.ones((48, 80), np.bool_))
    pixels = classifier.processor(images=[Image.fromarray(picture())], return_tensors="pt")
    scores = []
    for colour in COLOURS:
        texts = [
            f"a photo of a {colour} cat",
            f"a photo of a {colour}-colored cat",
            f"a photo of a {colour} object",
        ]
        ids = classifier.tokenizer(texts, padding="max_length", max_length=77, return_tensors="pt")
        with torch.no_grad():
            out = classifier.model(**ids, **pixels)  # embeddings of length 1
        mean = out.text_embeds.mean(0)
        scores.append(float(out.image_embeds[0] @ mean / mean.norm()))
    assert classifier.label(picture(), [row]) == [COLOURS[int(np.argmax(scores))]]


def test_a_snapshot_without_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no detector/config\.json"):
        GenEvalDetector(tmp_path)
    write_detector(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"has no clip/config\.json: colours need it"):
        GenEvalDetector(tmp_path)


def _detection(box: tuple[float, float, float, float]) -> Detection:
    return Detection(class_name="cat", score=0.9, box=box)
