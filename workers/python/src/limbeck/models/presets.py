"""Model configurations by name, and changes to them by path.

Each stands in one place. Most are files in `recipes/models`, whole or, as recipes do it, `extends` another
with `overrides`; the tiny student stands in its recipe, SD3.5-Large beside the teacher's wrapper.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from limbeck.contracts.generated import Sd3Config, TinyDecoderConfig, UnetConfig

RECIPES = Path(__file__).resolve().parents[5] / "recipes"

ELSEWHERE = ("sd35-large", "sd35-medium", "tiny-unet")
"""Presets without a file of their own."""


class PresetError(ValueError):
    """What was asked for cannot be had: one line for the user."""


class PublishedUnet(BaseModel):
    """Arguments of diffusers' UNet2DConditionModel, as published; not ours to change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    diffusers: dict[str, Any]


OwnConfig = UnetConfig | Sd3Config | TinyDecoderConfig


class Preset(BaseModel):
    """A model and the input that it is measured with."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    summary: str
    model: OwnConfig | PublishedUnet
    latent_size: int | None = None
    """Latent edge where the configuration has none."""
    text_tokens: int | None = None
    """None: the model reads no text."""

    @property
    def latent_edge(self) -> int:
        size = getattr(self.model, "latent_size", self.latent_size)
        assert isinstance(size, int)
        return size


def preset_names() -> list[str]:
    return sorted([*ELSEWHERE, *(file.stem for file in (RECIPES / "models").glob("*.json"))])


def load_preset(name: str) -> Preset:
    """
    Raises:
        PresetError: there is no such preset; names those that exist.
    """
    if name not in preset_names():
        raise PresetError(f'there is no model preset "{name}"; there are: {", ".join(preset_names())}')
    if name in ("sd35-large", "sd35-medium"):
        from limbeck.models.sd3 import SD35_LARGE, SD35_MEDIUM  # diffusers takes seconds to import

        if name == "sd35-large":
            return Preset(summary="SD3.5-Large, the teacher", text_tokens=333, model=SD35_LARGE)
        return Preset(summary="SD3.5-Medium, a smaller teacher", text_tokens=333, model=SD35_MEDIUM)
    if name == "tiny-unet":
        return _student_of("tiny-shapes")
    source = json.loads((RECIPES / "models" / f"{name}.json").read_text())
    if "extends" not in source:
        return Preset.model_validate(source)
    base = load_preset(source.pop("extends"))
    model = with_overrides(base, source.pop("overrides")).model
    return Preset.model_validate({"text_tokens": base.text_tokens, **source, "model": model.model_dump()})


def _student_of(recipe: str) -> Preset:
    """The model that a recipe pretrains, and the text that it reads. Variants leave both as they are."""
    source = json.loads((RECIPES / f"{recipe}.json").read_text())
    if "extends" in source:
        return _student_of(source["extends"])
    specs = {stage["name"]: stage["spec"] for stage in source["stages"]}
    return Preset(
        summary="The student of the tiny recipes",
        text_tokens=specs["features"]["student_text"]["tokens"],
        model=UnetConfig.model_validate(specs["pretrain"]["model"]),
    )


def with_overrides(preset: Preset, overrides: Mapping[str, object]) -> Preset:
    """The preset with values of its model replaced, by paths as in recipes: `stages.1.heads`.

    Raises:
        PresetError: the path leads nowhere, or the value is not allowed there.
    """
    if not overrides:
        return preset
    if isinstance(preset.model, PublishedUnet):
        raise PresetError(
            f"cannot set {', '.join(overrides)}: the configuration is as published;"
            " sdxl-thin is SDXL's layout with every switch"
        )
    return preset.model_copy(update={"model": _changed(preset.model, overrides)})


def measured_at(preset: Preset, *, latent_size: int | None, text_tokens: int | None) -> Preset:
    """The preset with another input.

    Raises:
        PresetError: a size is not allowed, or text was given for a model that reads none.
    """
    if text_tokens is not None:
        if preset.text_tokens is None:
            raise PresetError(f"text tokens {text_tokens}: the model reads no text")
        preset = preset.model_copy(update={"text_tokens": text_tokens})
    if latent_size is None:
        return preset
    if "latent_size" in type(preset.model).model_fields:
        return with_overrides(preset, {"latent_size": latent_size})
    return preset.model_copy(update={"latent_size": latent_size})


def _changed(model: OwnConfig, overrides: Mapping[str, object]) -> OwnConfig:
    values = model.model_dump(mode="json")
    for path, value in overrides.items():
        _put(values, path, value)
    try:
        # Strict: "no" is no boolean here, as it is none in a recipe.
        return type(model).model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        reason = first["msg"][:1].lower() + first["msg"][1:]
        raise PresetError(f"{path} cannot be {json.dumps(first['input'])}: {reason}") from error


def _put(values: dict[str, Any], path: str, value: object) -> None:
    here: Any = values
    *parents, last = path.split(".")
    for depth, part in enumerate([*parents, last]):
        allowed = list(here) if isinstance(here, dict) else [str(i) for i in range(len(here))]
        if part not in allowed:
            where = ".".join(parents[:depth]) or "the model"
            raise PresetError(f'there is no "{path}"; {where} has {", ".join(allowed) or "no parts"}')
        key = part if isinstance(here, dict) else int(part)
        if depth == len(parents):
            here[key] = value
        elif isinstance(here[key], dict | list):
            here = here[key]
        else:
            raise PresetError(f'there is no "{path}"; {".".join(parents[: depth + 1])} is {here[key]!r}')
