"""CLIP score on a small random CLIP: arithmetic against the model's own logits, and what a snapshot lacks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toys.text import write_clip
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

from limbeck.evaluation.clip_score import ClipScorer
from limbeck.evaluation.pictures import mean_over_prompts

CAPTIONS = ["a red circle", "two stars", "a red circle"]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("scorers"))


def images(count: int = 3) -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [draw.integers(0, 256, (40, 64, 3), dtype=np.uint8) for _ in range(count)]


def test_cosines_are_the_models_own(snapshot: Path) -> None:
    """CLIPModel's logits are the cosine times its learned scale."""
    folder = snapshot / "clip"
    model = CLIPModel.from_pretrained(folder)
    text = AutoTokenizer.from_pretrained(folder)(
        CAPTIONS, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    )
    pixels = CLIPImageProcessorPil.from_pretrained(folder)(images=images(), return_tensors="pt")
    with torch.no_grad():
        logits = model(**text, **pixels).logits_per_image.diagonal() / model.logit_scale.exp()
    found = ClipScorer(snapshot).cosines(images(), CAPTIONS)
    assert np.allclose(found, logits.numpy(), atol=1e-6)
    assert np.abs(np.diff(found)).min() > 1e-4  # image and caption both matter


def test_batches_and_order_do_not_matter(snapshot: Path) -> None:
    scorer = ClipScorer(snapshot)
    whole = scorer.cosines(images(), CAPTIONS)
    apart = [scorer.cosines([image], [caption])[0] for image, caption in zip(images(), CAPTIONS, strict=True)]
    assert np.allclose(whole, apart, atol=1e-6)


def test_the_name_holds_backbone_template_and_scale(snapshot: Path) -> None:
    scorer = ClipScorer(snapshot, template="a photo of {}")
    assert scorer.name.startswith("clip-score[backbone=8x2/8@")
    assert scorer.name.endswith(" template='a photo of {}' scale=cosine]")
    assert scorer.name != ClipScorer(snapshot).name
    assert not np.allclose(
        scorer.cosines(images(), CAPTIONS), ClipScorer(snapshot).cosines(images(), CAPTIONS)
    )


def test_a_mean_and_its_interval() -> None:
    found = mean_over_prompts("x", np.array([0.4, 0.2, -0.2]), ["a", "a", "b"])
    assert found.value == pytest.approx(0.4 / 3)
    # Prompts are resampled whole: only a, only b, or both.
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.2, 0.3))
    assert mean_over_prompts("x", np.array([-0.1]), ["a"]).value == -0.1  # not clamped


def test_bad_input_is_named(snapshot: Path, tmp_path: Path) -> None:
    scorer = ClipScorer(snapshot)
    with pytest.raises(ValueError, match="2 images for 1 captions"):
        scorer.cosines(images(2), ["a"])
    with pytest.raises(ValueError, match=r"image 0 is float64 of shape \(8, 8, 3\); allowed: uint8"):
        scorer.cosines([np.zeros((8, 8, 3))], ["a"])
    with pytest.raises(ValueError, match="0 scores for 0 prompts"):
        mean_over_prompts("x", np.zeros(0), [])
    with pytest.raises(FileNotFoundError, match=r"has no clip/config\.json"):
        ClipScorer(tmp_path)


def test_weights_that_are_missing_are_no_random_ones(snapshot: Path, tmp_path: Path) -> None:
    write_clip(tmp_path)
    file = tmp_path / "clip" / "model.safetensors"
    tensors = load_file(file)
    tensors.pop("visual_projection.weight")
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 tensors: \['visual_projection.weight'\]"):
        ClipScorer(tmp_path)
