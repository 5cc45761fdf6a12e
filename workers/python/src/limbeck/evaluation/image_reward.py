"""ImageReward (arXiv 2304.05977): a preference model on BLIP, by transformers' BLIP, from a local snapshot.

    ImageReward = (MLP(first token of BLIP's text encoder, which attends to the image) - mean) / deviation

Its own package no longer imports (evaluation.md D.4); transformers has the two networks, and the published
file's tensors go into them under the names below. The text encoder sees the caption's tokens as they are:
the token [ENC], which BLIP puts in front when it matches pairs, is not part of this score.

The snapshot holds image_reward/: ImageReward.pt or model.safetensors (the published tensors under their
names), med_config.json, and the files of bert-base-uncased's tokenizer.

Shapes: N images [H, W, 3] uint8; reward_N float64, about -2.5 to 2.5 (mean 0, deviation 1 over the training
pairs).
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    BlipTextConfig,
    BlipVisionConfig,
    BlipVisionModel,
    CLIPImageProcessorPil,
)
from transformers.models.blip.modeling_blip_text import BlipTextModel

from limbeck.evaluation.bootstrap import Float64
from limbeck.evaluation.pictures import check_pictures
from limbeck.models.pretrained import folders_digest

M = TypeVar("M", bound=nn.Module)

FOLDER: Final = "image_reward"
TOKENS: Final = 35
"""A longer caption is cut, as the reference does it."""
MEAN, DEVIATION = 0.16717362830052426, 1.0333394966054072
"""Of the raw reward over the reference's own pairs; constants of its code."""
HEAD_WIDTH: Final = 64
"""Channels of an attention head of every ViT that BLIP comes with."""

_VISION: Final = (
    (r"^cls_token$", "embeddings.class_embedding"),
    (r"^pos_embed$", "embeddings.position_embedding"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
    (r"^norm\.", "post_layernorm."),
    (r"^blocks\.(\d+)\.norm(\d)\.", r"encoder.layers.\1.layer_norm\2."),
    (r"^blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.\1.self_attn.qkv."),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.\1.self_attn.projection."),
    (r"^blocks\.(\d+)\.mlp\.", r"encoder.layers.\1.mlp."),
)
"""Published names of the vision transformer -> transformers' names."""


class ImageRewardScorer:
    """A frozen ImageReward.

    Raises:
        FileNotFoundError: the snapshot has no image_reward/, or it lacks a file; names it.
        ValueError: the weights lack tensors, or their shapes do not fit together; names them.
    """

    def __init__(self, snapshot: Path, device: torch.device | str = "cpu") -> None:
        folder = snapshot / FOLDER
        tensors = _weights(folder)
        if not (folder / "med_config.json").is_file():
            raise FileNotFoundError(f"snapshot {snapshot.name} has no {FOLDER}/med_config.json")
        text = json.loads((folder / "med_config.json").read_text())
        # transformers wraps `to` so that its types lose the model.
        vision: Any = _vision(_part(tensors, "blip.visual_encoder."))
        blip: Any = _text(_part(tensors, "blip.text_encoder."), text, vision.config.hidden_size)
        self.vision, self.text = vision.to(device), blip.to(device)
        self.head = _head(_part(tensors, "mlp.layers.")).to(device)
        self.device = torch.device(device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        edge: int = self.vision.config.image_size
        size: dict[str, int] = {"shortest_edge": edge}
        crop: dict[str, int] = {"height": edge, "width": edge}
        self.processor = CLIPImageProcessorPil(size=size, crop_size=crop)
        self.name = f"image-reward[weights=@{folders_digest([folder])[:12]}]"

    @torch.no_grad()
    def rewards(self, images: Sequence[NDArray[np.uint8]], captions: Sequence[str]) -> Float64:
        """Reward of each image under its caption [N], float64 from float32 arithmetic.

        Raises:
            ValueError: not one caption for each image, or an image that is not uint8 [H, W, 3].
        """
        check_pictures(images, captions)
        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"].to(self.device)
        text = self.tokenizer(
            list(captions), padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
        )
        states_NTD = self.text(
            input_ids=text["input_ids"].to(self.device),
            attention_mask=text["attention_mask"].to(self.device),
            encoder_hidden_states=self.vision(pixel_values=pixels).last_hidden_state,
        ).last_hidden_state
        raw_N = self.head(states_NTD[:, 0])[:, 0].double()
        return ((raw_N - MEAN) / DEVIATION).cpu().numpy()


def _weights(folder: Path) -> dict[str, Tensor]:
    if (folder / "model.safetensors").is_file():
        return load_file(folder / "model.safetensors")
    if (folder / "ImageReward.pt").is_file():
        return torch.load(folder / "ImageReward.pt", map_location="cpu", weights_only=True)
    raise FileNotFoundError(
        f"snapshot {folder.parent.name} has neither {FOLDER}/model.safetensors nor {FOLDER}/ImageReward.pt"
    )


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    found = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    if not found:
        raise ValueError(f"{FOLDER}: the weights hold no tensor named {prefix}*")
    return found


def _vision(published: Mapping[str, Tensor]) -> BlipVisionModel:
    renamed: dict[str, Tensor] = {}
    for name, value in published.items():
        for pattern, replacement in _VISION:
            if re.match(pattern, name):
                renamed[re.sub(pattern, replacement, name)] = value.float()
    patch = _shaped(
        renamed, "embeddings.patch_embedding.weight", 4, "blip.visual_encoder.patch_embed.proj.weight"
    )
    places = (
        _shaped(renamed, "embeddings.position_embedding", 3, "blip.visual_encoder.pos_embed").shape[1] - 1
    )
    depth = 1 + max((int(n.split(".")[2]) for n in renamed if n.startswith("encoder.layers.")), default=-1)
    config = BlipVisionConfig(
        hidden_size=patch.shape[0],
        intermediate_size=4 * patch.shape[0],
        num_hidden_layers=depth,
        num_attention_heads=max(1, patch.shape[0] // HEAD_WIDTH),
        image_size=round(places**0.5) * patch.shape[2],
        patch_size=patch.shape[2],
        hidden_act="gelu",
        layer_norm_eps=1e-6,  # transformers' default, 1e-5, is not BLIP's
    )
    return _filled(BlipVisionModel(config), renamed, "blip.visual_encoder")


def _text(published: Mapping[str, Tensor], config: Mapping[str, Any], image_width: int) -> BlipTextModel:
    kept = {name: value.float() for name, value in published.items() if not name.endswith("position_ids")}
    words = _shaped(
        kept, "embeddings.word_embeddings.weight", 2, "blip.text_encoder.embeddings.word_embeddings"
    )
    keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act")
    lacking = [key for key in (*keys, "layer_norm_eps", "max_position_embeddings") if key not in config]
    if lacking:
        raise ValueError(f"{FOLDER}/med_config.json lacks {lacking}")
    blip = BlipTextConfig(
        vocab_size=words.shape[0],  # BERT's words and BLIP's two markers
        encoder_hidden_size=image_width,
        layer_norm_eps=config["layer_norm_eps"],
        max_position_embeddings=config["max_position_embeddings"],
        **{key: config[key] for key in keys},
    )
    blip.is_decoder = True  # it only makes the cross-attention; no mask is causal here
    return _filled(BlipTextModel(blip, add_pooling_layer=False), kept, "blip.text_encoder")


def _head(published: Mapping[str, Tensor]) -> nn.Sequential:
    """Five linear layers with nothing between them but dropout, which is off."""
    places = sorted({int(name.split(".")[0]) for name in published})
    weights = [published[f"{place}.weight"] for place in places if f"{place}.weight" in published]
    head = nn.Sequential(*(nn.Linear(weight.shape[1], weight.shape[0]) for weight in weights))
    renamed = {
        f"{number}.{kind}": published[f"{place}.{kind}"].float()
        for number, place in enumerate(places)
        for kind in ("weight", "bias")
        if f"{place}.{kind}" in published
    }
    return _filled(head, renamed, "mlp.layers")


def _shaped(tensors: Mapping[str, Tensor], name: str, dimensions: int, published: str) -> Tensor:
    if name not in tensors or tensors[name].ndim != dimensions:
        found = f"of shape {tuple(tensors[name].shape)}" if name in tensors else "missing"
        raise ValueError(f"{FOLDER}: {published} is {found}; allowed: {dimensions} dimensions")
    return tensors[name]


def _filled(module: M, tensors: Mapping[str, Tensor], published: str) -> M:
    try:
        missing = module.load_state_dict(dict(tensors), strict=False).missing_keys
    except RuntimeError as error:
        raise ValueError(
            f"{FOLDER}: {published} does not fit: {str(error).splitlines()[-1].strip()}"
        ) from error
    missing = [name for name in missing if not name.endswith("position_ids")]
    if missing:
        # What is missing would stay random.
        raise ValueError(f"{FOLDER}: {published} lacks {len(missing)} tensors: {missing[:3]}")
    return module.eval().requires_grad_(False)
