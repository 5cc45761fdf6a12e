"""Denoisers as folders: what `pretrain`, `distill` and `distill_steps` write and children read.

A denoiser tree: config.json, ema.safetensors, raw.safetensors (fp32), optionally
optimizer.safetensors. A snapshot tree is SD3.5's: transformer/, transformer_turbo/, vae/, text/ and
limbeck.json (FrozenTeacher.load, FrozenAutoencoder.load).
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import torch
from diffusers.utils.constants import SAFETENSORS_WEIGHTS_NAME
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from torch import Tensor, nn

from limbeck.contracts.generated import Sd3Config, TimeConfig, UnetConfig
from limbeck.models.sd3 import Sd3Denoiser, build_sd3
from limbeck.models.tensors import Tensors, load_tensors, save_tensors
from limbeck.models.unet import EfficientUNet

DenoiserConfig = Annotated[Sd3Config | UnetConfig, Field(discriminator="architecture")]


class Denoiser(Protocol):
    """The one call of every network that predicts velocity; t_B in [0, 1]."""

    def __call__(self, x_BCHW: Tensor, t_B: Tensor, text_BND: Tensor, pooled_BP: Tensor, /) -> Tensor: ...


class UnetDenoiser(nn.Module):
    """SnapGen's UNet behind the denoiser call; it reads no pooled text. Weights keep the UNet's names."""

    def __init__(self, unet: EfficientUNet) -> None:
        super().__init__()
        self.unet = unet

    def checkpoint_activations(self) -> None:
        self.unet.checkpoint_activations()

    def repeated_blocks(self) -> list[nn.Module]:
        return self.unet.repeated_blocks()

    def forward(
        self, x_BCHW: Tensor, t_B: Tensor, text_BND: Tensor, pooled_BP: Tensor | None = None
    ) -> Tensor:
        return self.unet(x_BCHW, t_B, text_BND)


class Trained(BaseModel):
    """How a denoiser came to be; children check their parent by it (training.md I, row 2)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    stage: str
    steps: int
    grids: dict[str, list[float]] | None = None
    few_step: bool = False


class DenoiserCard(BaseModel):
    """config.json of a denoiser tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    config: DenoiserConfig
    text: Literal["student", "teacher"]
    text_digest: str | None = None
    """Of the encoders whose text it was trained on; whoever gives it other text is refused."""
    time: TimeConfig
    trained: Trained


@dataclass(frozen=True, kw_only=True)
class LoadedDenoiser:
    card: DenoiserCard
    denoiser: nn.Module


def build_denoiser(config: Sd3Config | UnetConfig) -> nn.Module:
    """A fresh denoiser of either architecture (see seeding.seeded_build)."""
    return build_sd3(config) if isinstance(config, Sd3Config) else UnetDenoiser(EfficientUNet(config))


def save_denoiser(
    folder: Path, card: DenoiserCard, *, raw: Tensors, ema: Tensors, optimizer: Tensors | None = None
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(card.model_dump_json(indent=1))
    save_tensors(folder / "raw.safetensors", raw)
    save_tensors(folder / "ema.safetensors", ema)
    if optimizer is not None:
        save_tensors(folder / "optimizer.safetensors", optimizer)


def load_card(folder: Path) -> DenoiserCard:
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"not a denoiser: {folder.name} lacks config.json")
    return DenoiserCard.model_validate_json(path.read_text())


def load_denoiser(folder: Path, weights: Literal["ema", "raw"] = "ema") -> LoadedDenoiser:
    """Evaluation, export and children read the EMA; only a continued training reads raw weights."""
    card = load_card(folder)
    denoiser = build_denoiser(card.config)
    load_weights(denoiser, load_tensors(folder / f"{weights}.safetensors"))
    return LoadedDenoiser(card=card, denoiser=denoiser)


def load_weights(module: nn.Module, tensors: Tensors) -> None:
    """Loads parameters by name; buffers may be absent, since they are constants of the architecture."""
    missing, unexpected = module.load_state_dict(tensors, strict=False)
    lost = [name for name in missing if name in dict(module.named_parameters())]
    if lost or unexpected:
        raise ValueError(f"weights do not fit the model: missing {lost[:3]}, unexpected {unexpected[:3]}")


def write_component(
    snapshot: Path,
    component: str,
    denoiser: Sd3Denoiser,
    *,
    grid: list[float] | None = None,
    half: bool = False,
) -> None:
    """Writes an SD3 denoiser as `component` of a snapshot; `grid` marks it few-step.

    half: store fp16 (loaded as fp32 again).
    """
    dtype = torch.float16 if half else torch.float32
    folder = snapshot / component
    shutil.rmtree(folder, ignore_errors=True)
    denoiser.transformer.save_config(folder)
    weights = {name: tensor.to(dtype) for name, tensor in denoiser.transformer.state_dict().items()}
    save_tensors(folder / SAFETENSORS_WEIGHTS_NAME, weights)
    notes = snapshot / "limbeck.json"
    content: dict[str, Any] = json.loads(notes.read_text()) if notes.is_file() else {"few_step": {}}
    content["few_step"].pop(component, None)
    if grid is not None:
        content["few_step"][component] = {"grid": grid}
    notes.write_text(json.dumps(content, indent=1))


def parse_denoiser_config(value: object) -> Sd3Config | UnetConfig:
    return TypeAdapter(DenoiserConfig).validate_python(value)
