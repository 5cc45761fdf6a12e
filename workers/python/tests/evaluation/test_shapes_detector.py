"""Real renders pass the detector and the scorer; what is not a shape does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from limbeck.data.shapes import evaluation_prompts, render_prompt, render_sample
from limbeck.evaluation.geneval import GenEvalResult, aggregate, score_image
from limbeck.evaluation.shapes_detector import detect

Image = NDArray[np.uint8]


def score_renders(change: Callable[[Image, int], Image], resolution: int = 64) -> GenEvalResult:
    prompts = evaluation_prompts(per_tag=45, held_out_per_tag=10, seed=2)
    verdicts = [
        score_image(
            prompt.metadata,
            detect(change(render_prompt(prompt.metadata, 9, place, resolution).image, place)),
        )
        for place, prompt in enumerate(prompts)
    ]
    return aggregate([prompt.metadata for prompt in prompts], verdicts)


def assert_reached(result: GenEvalResult) -> None:
    assert set(result.tasks) == {
        "single_object", "two_object", "counting", "colors", "position", "color_attr",
    }  # fmt: skip
    assert result.overall >= 0.98
    assert {tag: task.score for tag, task in result.tasks.items() if task.score < 0.97} == {}


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_real_renders_score(resolution: int) -> None:
    assert_reached(score_renders(lambda image, _: image, resolution))


def test_blurred_and_noisy_renders_score() -> None:
    """Blur and noise of 38 dB, what the small autoencoder leaves."""
    psnr: list[float] = []

    def degrade(image: Image, place: int) -> Image:
        rng = np.random.Generator(np.random.Philox(place))
        smooth = ndimage.gaussian_filter(image.astype(np.float64), (0.4, 0.4, 0))
        worse = np.clip(smooth + rng.normal(0, 3, image.shape), 0, 255).round().astype(np.uint8)
        psnr.append(10 * np.log10(255**2 / np.mean((worse.astype(np.float64) - image) ** 2)))
        return worse

    assert_reached(score_renders(degrade))
    assert 36 < float(np.mean(psnr)) < 39


@pytest.mark.parametrize("split", ["train", "validation"])
def test_samples_show_what_their_captions_say_and_no_more(split: str) -> None:
    for index in range(150):
        sample = render_sample(4, index, split=split)  # type: ignore[arg-type]
        detections = detect(sample.image)
        assert score_image(sample.metadata, detections).correct, sample.caption
        found = sorted((row.class_name, str(row.colour)) for row in detections)
        assert found == sorted((item.shape, item.colour) for item in sample.scene.objects), sample.caption


def canvas(*discs: tuple[float, float, float], stretch: float = 1.0, hole: float = 0.0) -> Image:
    """Red discs (x, y, radius) on grey, stretched along x, with a hole of a share of the radius."""
    y, x = np.mgrid[0:64, 0:64] + 0.5
    image = np.full((64, 64, 3), 190, dtype=np.uint8)
    for cx, cy, radius in discs:
        rho = np.hypot((x - cx) / stretch, y - cy)
        image[(rho <= radius) & (rho >= hole * radius)] = (214, 43, 43)
    return image


def test_a_disc_is_a_circle_and_its_box_is_its_own() -> None:
    (found,) = detect(canvas((20.0, 30.0, 8.0)))
    assert (found.class_name, found.colour) == ("circle", "red")
    assert found.box == (12.0, 22.0, 28.0, 38.0)
    assert 0.9 < found.score <= 1


@pytest.mark.parametrize(
    "image",
    [
        canvas(),
        canvas((32, 32, 8), stretch=2.2),
        canvas((32, 32, 12), hole=0.6),
        canvas((24, 32, 7), (38, 32, 7)),
        canvas((20, 32, 2)),
    ],
    ids=["nothing", "ellipse", "ring", "two that touch", "a speck"],
)
def test_what_is_no_shape_is_not_detected(image: Image) -> None:
    assert detect(image) == []


def test_a_colour_far_from_the_palette_is_none() -> None:
    image = canvas((32, 32, 10))
    image[image[..., 1] == 43] = (20, 220, 220)
    (found,) = detect(image)
    assert (found.class_name, found.colour) == ("circle", None)


def test_wrong_array_is_named() -> None:
    with pytest.raises(ValueError, match=r"float32 \[3, 64, 64\]"):
        detect(np.zeros((3, 64, 64), dtype=np.float32))  # type: ignore[arg-type]
