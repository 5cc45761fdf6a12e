"""Model presets: one source for each, changed by path, refused in one line."""

import json

import pytest

from limbeck.contracts.generated import UnetConfig
from limbeck.models.presets import (
    RECIPES,
    PresetError,
    load_preset,
    measured_at,
    preset_names,
    with_overrides,
)


def unet(name: str) -> UnetConfig:
    model = load_preset(name).model
    assert isinstance(model, UnetConfig)
    return model


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads(name: str) -> None:
    preset = load_preset(name)
    assert preset.summary and preset.latent_edge >= 16


def test_imagenets_net_is_the_text_to_image_net_with_another_context_and_latent() -> None:
    """paper.md section 9, trap 14."""
    large, small = unet("snapgen-1024"), unet("imagenet-256")
    same = {"latent_channels": 4, "latent_size": 32, "context_width": 768}
    assert small == large.model_copy(update=same)


def test_the_tiny_student_is_the_one_that_every_arm_of_the_recipe_trains() -> None:
    stages = json.loads((RECIPES / "tiny-study.json").read_text())["stages"]
    models = [stage["spec"]["model"] for stage in stages if stage["spec"]["kind"] == "pretrain"]
    assert len(models) == 3
    assert all(UnetConfig.model_validate(model) == unet("tiny-unet") for model in models)
    assert load_preset("tiny-unet").text_tokens == 6


def test_values_are_set_by_path() -> None:
    changed = with_overrides(
        load_preset("tiny-unet"), {"attention": "mha", "stages.1.heads": 3, "expansion": 1}
    ).model
    assert isinstance(changed, UnetConfig)
    assert (changed.attention, changed.stages[1].heads, changed.expansion) == ("mha", 3, 1.0)
    assert changed.stages[0] == unet("tiny-unet").stages[0]


def test_a_latent_size_goes_where_the_configuration_has_it() -> None:
    preset = measured_at(load_preset("tiny-unet"), latent_size=32, text_tokens=9)
    assert isinstance(preset.model, UnetConfig)
    assert (preset.model.latent_size, preset.latent_edge, preset.text_tokens) == (32, 32, 9)
    assert measured_at(load_preset("tiny-decoder"), latent_size=64, text_tokens=None).latent_edge == 64


def test_an_unknown_preset_names_what_exists() -> None:
    with pytest.raises(PresetError, match=r'"snapgen"; there are: .*sd35-large, .*snapgen-1024, .*tiny-unet'):
        load_preset("snapgen")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("expension", 2, 'no "expension"; the model has .*expansion'),
        ("stages.3.heads", 1, 'no "stages.3.heads"; stages has 0, 1, 2'),
        ("stages.-1.heads", 1, "stages has 0, 1, 2"),
        ("head_width.x", 1, "head_width is 16"),
        ("attention", "mhq", "attention cannot be \"mhq\": input should be 'mqa' or 'mha'"),
        ("rope", "no", 'rope cannot be "no"'),
        ("stages.1.channels", 0, r"stages\.1\.channels cannot be 0"),
        ("expansion", float("nan"), "expansion cannot be NaN"),
    ],
)
def test_a_wrong_path_or_value_is_named(path: str, value: object, message: str) -> None:
    with pytest.raises(PresetError, match=message):
        with_overrides(load_preset("tiny-unet"), {path: value})


def test_a_published_configuration_is_not_changed() -> None:
    with pytest.raises(PresetError, match="as published"):
        with_overrides(load_preset("sdxl"), {"diffusers.layers_per_block": 1})
