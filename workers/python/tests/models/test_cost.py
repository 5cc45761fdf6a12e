"""Counted parameters and MACs: the published figures, and the counter against arithmetic."""

import pytest
import torch

from limbeck.contracts.generated import Sd3Config
from limbeck.models.cost import ModelCost, measure
from limbeck.models.presets import Preset, PresetError, load_preset, measured_at, with_overrides


def cost_of(name: str, *, latent_size: int | None = None, text_tokens: int | None = None) -> ModelCost:
    return measure(measured_at(load_preset(name), latent_size=latent_size, text_tokens=text_tokens))


@pytest.mark.parametrize(
    ("name", "latent_size", "text_tokens", "millions", "gmacs"),
    [
        ("snapgen-1024", None, None, 379.17, 660),
        ("snapgen-1024", None, 77, 379.17, 630),
        ("imagenet-256", None, None, 372.23, 37.1),
        ("imagenet-256", 128, None, 372.23, 628),
    ],
)
def test_snapgens_nets_have_the_published_counts(
    name: str, latent_size: int | None, text_tokens: int | None, millions: float, gmacs: float
) -> None:
    """paper.md 1.4; its MACs are rounded to what stands here."""
    cost = cost_of(name, latent_size=latent_size, text_tokens=text_tokens)
    assert cost.parameters / 1e6 == pytest.approx(millions, abs=0.01)
    assert cost.macs / 1e9 == pytest.approx(gmacs, abs=0.05 if gmacs < 100 else 0.5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("sdxl", 2_567_463_684), ("tiny-decoder", 1_377_603), ("sd35-large", 8_056_627_520)],
)
def test_the_other_presets_have_their_exact_counts(name: str, parameters: int) -> None:
    """paper.md 9 and 2, training.md B.1."""
    cost = cost_of(name)
    assert cost.parameters == parameters
    assert sum(stage.parameters for stage in cost.stages) == parameters
    assert sum(stage.macs for stage in cost.stages) == cost.macs


def test_our_switches_back_at_sdxl_give_sdxl() -> None:
    """The other end of the design path: only SDXL's MLP for pooled text and image sizes is not ours."""
    thin = load_preset("sdxl-thin")
    widths = {f"stages.{i}.channels": width for i, width in enumerate((320, 640, 1280))}
    heads = {f"stages.{i}.heads": count for i, count in enumerate((5, 10, 20))}
    rest = {
        "stages.2.transformer_blocks": 10,
        "middle_transformer_blocks": 10,
        "context_width": 2048,
        "time_width": 1280,
        "time_frequencies": 320,
    }
    ours, theirs = measure(with_overrides(thin, {**widths, **heads, **rest})), cost_of("sdxl")
    added = 2816 * 1280 + 1280 * 1280
    assert (theirs.parameters - ours.parameters, theirs.macs - ours.macs) == (added + 2 * 1280, added)
    for mine, other in zip(ours.stages, theirs.stages, strict=True):
        assert mine == other or mine.name == "time"


def test_stages_come_in_the_order_of_a_forward() -> None:
    names = [stage.name for stage in cost_of("tiny-unet").stages]
    assert names == ["time", "in", "down.0", "down.1", "down.2", "middle", "up.0", "up.1", "up.2", "out"]


def test_a_units_macs_are_those_of_its_convolutions_linear_layers_and_attention() -> None:
    """down.0 of the tiny student by hand: 16x16 latents, 16 channels, one head of 16, 6 tokens of 64."""
    pixels, width, middle, inner, tokens, context = 16 * 16, 16, 32, 48, 6, 64
    res = pixels * (9 * width + width * middle + 9 * middle + middle * width) + 32 * middle
    attention = pixels * 2 * width * width + tokens * 2 * context * width + 2 * pixels * tokens * width
    transformer = pixels * 2 * width * width + attention + pixels * 3 * width * inner
    sampler = (pixels // 4) * (9 * width + width * width)
    found = {stage.name: stage.macs for stage in cost_of("tiny-unet").stages}["down.0"]
    assert found == res + transformer + sampler


def test_the_teachers_fused_attention_is_counted() -> None:
    """A joint block by hand: torch takes attention apart on the meta device, and counts both products."""
    width, image, text = 4 * 8, (8 // 2) ** 2, 5
    config = Sd3Config(
        layers=2,
        heads=4,
        head_width=8,
        patch=2,
        latent_channels=4,
        latent_size=8,
        joint_width=12,
        pooled_width=6,
    )
    cost = measure(Preset(summary="toy", text_tokens=text, model=config))
    tokens = image + text
    modulation = 2 * 6 * width * width
    block = 12 * tokens * width * width + 2 * tokens * tokens * width + modulation
    assert {stage.name: stage.macs for stage in cost.stages}["blocks.0"] == block


def test_nothing_is_computed_and_the_default_device_is_left_alone() -> None:
    cost_of("tiny-unet")
    assert torch.empty(1).device.type == "cpu" and torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("name", "latent_size", "message"),
    [
        ("tiny-unet", 15, "latent_size 15 cannot be halved 2 times"),
        ("sdxl", 126, "latent_size 126 cannot be halved 2 times"),
        ("sd35-large", 127, "latent_size 127 is no multiple of patch 2"),
    ],
)
def test_a_latent_that_does_not_divide_is_refused(name: str, latent_size: int, message: str) -> None:
    with pytest.raises(PresetError, match=message):
        cost_of(name, latent_size=latent_size)


def test_a_decoder_reads_no_text() -> None:
    with pytest.raises(PresetError, match="reads no text"):
        cost_of("tiny-decoder", text_tokens=77)


def test_what_cannot_be_built_names_the_field() -> None:
    with pytest.raises(PresetError, match=r"stages\[1\].up_blocks is 3"):
        measure(with_overrides(load_preset("tiny-unet"), {"stages.1.up_blocks": 3}))
