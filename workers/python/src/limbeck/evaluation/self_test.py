"""Before a detector scores anything it scores stored images, and must find what is stored with them.

A library of another version, a broken build or an edited constant changes scores without a word: here that
is a refusal. The images are drawn by this project, sharp, blurred, faded and with wrong prompts; `python -m
limbeck.evaluation.self_test` writes them anew, which is right only with a new version of the scorer.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from limbeck.data.shapes import evaluation_prompts, render_prompt
from limbeck.evaluation.geneval import Detection, score_image
from limbeck.evaluation.shapes_detector import DETECTOR_VERSION, detect
from limbeck.evaluation.sheet import load_sheet, save_sheet

STORED: Final = Path(__file__).with_name("self_test_images")
TOLERANCE: Final = 1e-3
"""Of scores and of boxes in pixels: what another CPU's rounding may move."""

Pixels = NDArray[np.uint8]
Detector = Callable[[Pixels], Sequence[Detection]]


class SelfTestFailed(RuntimeError):
    """The detector does not find what is stored; says in which image, what was found and what is stored."""


def self_test(detector: Detector = detect, folder: Path = STORED) -> int:
    """Runs the detector and the scoring rules on the stored images.

    Returns:
        How many images agreed: all of them.

    Raises:
        SelfTestFailed: at the first image that does not.
    """
    images, tiles = load_sheet(folder)
    for number, (image, tile) in enumerate(zip(images, tiles, strict=True)):
        found = list(detector(image))
        stored = [Detection.from_json(row) for row in tile["detections"]]
        if not _agree(found, stored):
            raise SelfTestFailed(
                f"self-test of the detector, image {number} ({tile['metadata']['prompt']}):"
                f" found {_named(found)}; stored is {_named(stored)}"
            )
        verdict = score_image(tile["metadata"], found)
        if (verdict.correct, verdict.reason) != (tile["correct"], tile["reason"]):
            raise SelfTestFailed(
                f"self-test of the rules, image {number} ({tile['metadata']['prompt']}):"
                f" {verdict.reason or 'correct'}; stored is {tile['reason'] or 'correct'}"
            )
    return len(images)


def _agree(found: Sequence[Detection], stored: Sequence[Detection]) -> bool:
    if [(one.class_name, one.colour) for one in found] != [(one.class_name, one.colour) for one in stored]:
        return False
    return all(
        np.allclose([one.score, *one.box], [other.score, *other.box], rtol=0, atol=TOLERANCE)
        for one, other in zip(found, stored, strict=True)
    )


def _named(detections: Sequence[Detection]) -> str:
    return ", ".join(f"{one.colour} {one.class_name} {one.score:.4f}" for one in detections) or "nothing"


def write(folder: Path = STORED) -> None:
    """Two prompts of each tag, each drawn as asked, blurred, faded, and under the prompt of the next one."""
    prompts = [prompt.metadata for prompt in evaluation_prompts(per_tag=2, held_out_per_tag=0, seed=11)]
    images: list[Pixels] = []
    tiles: list[dict[str, Any]] = []
    for place, metadata in enumerate(prompts):
        drawn = render_prompt(metadata, 5, place, 64).image
        blurred = ndimage.gaussian_filter(drawn.astype(np.float64), (0.8, 0.8, 0)).round().astype(np.uint8)
        # So far from the palette that some colours are just lost.
        faded = (drawn * 0.56 + 128 * 0.44).round().astype(np.uint8)
        another = render_prompt(prompts[(place + 1) % len(prompts)], 5, place, 64).image
        for image in (drawn, blurred, faded, another):
            detections = detect(image)
            verdict = score_image(metadata, detections)
            images.append(image)
            tiles.append(
                {
                    "metadata": metadata,
                    "detections": [one.to_json() for one in detections],
                    "correct": verdict.correct,
                    "reason": verdict.reason,
                    "detector": DETECTOR_VERSION,
                }
            )
    save_sheet(np.stack(images), tiles, folder)


if __name__ == "__main__":
    write()
    print(f"{self_test()} images written to {STORED.name}", file=sys.stderr)
