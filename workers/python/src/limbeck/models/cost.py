"""Parameters and multiply-accumulates of a model, by stage: what a configuration costs, before any run.

The model is built on torch's meta device: shapes without memory or arithmetic, so that 8 billion parameters
take seconds. MACs are those of convolutions, linear layers and attention's two products, for one image and
one forward; norms, activations, softmax and biases are not counted (paper.md 1.2 counts the same).

Shapes: x_BCHW latent, t_B time, text_BND text states, pooled_BP pooled text; B is 1.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from limbeck.contracts.generated import Sd3Config, TinyDecoderConfig, UnetConfig
from limbeck.models.presets import Preset, PresetError, PublishedUnet
from limbeck.models.tiny_decoder import TinyDecoder
from limbeck.models.unet import EfficientUNet

STAGES = {
    "time_mlp": "time",
    "time_embedding": "time",
    "add_embedding": "time",
    "time_text_embed": "time",
    "context_embedder": "text",
    "conv_in": "in",
    "pos_embed": "in",
    "down": "down",
    "downsamplers": "down",
    "down_blocks": "down",
    "middle_in": "middle",
    "middle_out": "middle",
    "mid_block": "middle",
    "up": "up",
    "up_blocks": "up",
    "upsamplers": "up",
    "stages": "up",
    "transformer_blocks": "blocks",
    "norm_out": "out",
    "conv_norm_out": "out",
    "conv_out": "out",
    "proj_out": "out",
}
"""Children of the models below -> stage; a child that is a list gives one stage an item: `down.0`."""


@dataclass(frozen=True, kw_only=True)
class StageCost:
    name: str
    parameters: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class ModelCost:
    parameters: int
    macs: int
    stages: tuple[StageCost, ...]
    """In the order in which a forward reaches them."""


def measure(preset: Preset) -> ModelCost:
    """
    Raises:
        PresetError: the configuration cannot be built, or not at this latent size; names the field.
    """
    with torch.device("meta"), torch.no_grad():
        try:
            model, forward = build(preset)
        except PresetError:
            raise
        except ValueError as error:
            raise PresetError(str(error)) from error
        return count(model, forward)


def count(model: nn.Module, forward: Callable[[], object]) -> ModelCost:
    """Counts `model`, of which `forward` is one call. Every parameter and every MAC is in a stage."""
    root = f"{type(model).__name__}."
    with FlopCounterMode(display=False) as counter:
        forward()
    called = {
        name.removeprefix(root): sum(operations.values()) // 2
        for name, operations in counter.get_flop_counts().items()
        if name.startswith(root)
    }
    macs: defaultdict[str, int] = defaultdict(int)
    for name, value in called.items():
        # A module's count holds those of the modules it calls: take the outermost ones only.
        parts = name.split(".")
        if not any(".".join(parts[:depth]) in called for depth in range(1, len(parts))):
            macs[_stage(model, name)] += value
    parameters: defaultdict[str, int] = defaultdict(int)
    for name, parameter in model.named_parameters():
        parameters[_stage(model, name)] += parameter.numel()
    total = counter.get_total_flops() // 2
    if sum(macs.values()) != total:
        raise AssertionError(f"{total - sum(macs.values())} MACs of {type(model).__name__} are in no stage")
    return ModelCost(
        parameters=sum(parameters.values()),
        macs=total,
        stages=tuple(
            StageCost(name=stage, parameters=parameters[stage], macs=macs[stage])
            for stage in dict.fromkeys([*macs, *parameters])
        ),
    )


def _stage(model: nn.Module, name: str) -> str:
    child, _, rest = name.partition(".")
    listed = isinstance(getattr(model, child), nn.ModuleList)
    return f"{STAGES[child]}.{rest.split('.')[0]}" if listed else STAGES[child]


def build(preset: Preset) -> tuple[nn.Module, Callable[[], object]]:
    """The model with fresh weights on the current device, and one call of it for one image."""
    config, size, tokens = preset.model, preset.latent_edge, preset.text_tokens or 0
    match config:
        case UnetConfig():
            unet = EfficientUNet(config)
            x_BCHW = torch.ones(1, config.latent_channels, size, size)
            text_BND = torch.ones(1, tokens, config.context_width)
            return unet, lambda: unet(x_BCHW, torch.ones(1), text_BND)
        case TinyDecoderConfig():
            decoder = TinyDecoder(config)
            return decoder, lambda: decoder(torch.ones(1, config.latent_channels, size, size))
        case Sd3Config():
            return _sd3(config, tokens)
        case PublishedUnet():
            return _published(config, size, tokens)


def _sd3(config: Sd3Config, tokens: int) -> tuple[nn.Module, Callable[[], object]]:
    from limbeck.models.sd3 import build_transformer  # diffusers takes seconds to import

    size = config.latent_size
    if size % config.patch:
        raise PresetError(f"latent_size {size} is no multiple of patch {config.patch}")
    transformer = build_transformer(config)
    inputs = {
        "hidden_states": torch.ones(1, config.latent_channels, size, size),
        "encoder_hidden_states": torch.ones(1, tokens, config.joint_width),
        "pooled_projections": torch.ones(1, config.pooled_width),
        "timestep": torch.ones(1),
    }
    return transformer, lambda: transformer(**inputs)


def _published(config: PublishedUnet, size: int, tokens: int) -> tuple[nn.Module, Callable[[], object]]:
    from diffusers import UNet2DConditionModel

    published = config.diffusers
    halvings = len(published["block_out_channels"]) - 1
    if size % 2**halvings:
        raise PresetError(f"latent_size {size} cannot be halved {halvings} times, as the stages need")
    unet = UNet2DConditionModel(**published)
    # SDXL's time embedding takes pooled text and six numbers: original size, corner of the crop, target size.
    sizes = 6
    pooled = published["projection_class_embeddings_input_dim"] - sizes * published["addition_time_embed_dim"]
    condition = {"text_embeds": torch.ones(1, pooled), "time_ids": torch.ones(1, sizes)}
    x_BCHW = torch.ones(1, published["in_channels"], size, size)
    text_BND = torch.ones(1, tokens, published["cross_attention_dim"])
    return unet, lambda: unet(x_BCHW, torch.ones(1), text_BND, added_cond_kwargs=condition)
