"""What a snapshot of scorers holds, in a small size: random weights, nothing downloaded."""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import (
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
    PreTrainedTokenizerFast,
    SwinConfig,
)

from limbeck.training.seeding import seeded_build
from toys.text import WORDS

D, E, PATCH, EDGE, LAYERS = 128, 24, 8, 16, 2
"""Widths of image and text (two heads each), patch and image edge in pixels, layers."""


def write_image_reward(snapshot: Path) -> Path:
    draw = torch.Generator().manual_seed(11)

    def normal(*shape: int, scale: float = 0.3) -> Tensor:
        return torch.randn(shape, generator=draw) * scale

    def linear(name: str, outer: int, inner: int) -> dict[str, Tensor]:
        return {
            f"{name}.weight": normal(outer, inner, scale=1.5 / math.sqrt(inner)),
            f"{name}.bias": normal(outer),
        }

    def norm(name: str, width: int) -> dict[str, Tensor]:
        return {f"{name}.weight": 1 + normal(width), f"{name}.bias": normal(width)}

    image = {
        "cls_token": normal(1, 1, D),
        "pos_embed": normal(1, 1 + (EDGE // PATCH) ** 2, D),
        "patch_embed.proj.weight": normal(D, 3, PATCH, PATCH),
        "patch_embed.proj.bias": normal(D),
        **norm("norm", D),
    }
    for layer in range(LAYERS):
        at = f"blocks.{layer}"
        image |= norm(f"{at}.norm1", D) | norm(f"{at}.norm2", D) | linear(f"{at}.attn.qkv", 3 * D, D)
        image |= linear(f"{at}.attn.proj", D, D) | linear(f"{at}.mlp.fc1", 4 * D, D)
        image |= linear(f"{at}.mlp.fc2", D, 4 * D)
    text = {
        "embeddings.word_embeddings.weight": normal(len(WORDS) + 6, E),
        "embeddings.position_embeddings.weight": normal(40, E),
        "embeddings.position_ids": torch.arange(40)[None],
        **norm("embeddings.LayerNorm", E),
    }
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for kind, width in (("attention", E), ("crossattention", D)):
            text |= linear(f"{at}.{kind}.self.query", E, E) | linear(f"{at}.{kind}.self.key", E, width)
            text |= linear(f"{at}.{kind}.self.value", E, width) | linear(f"{at}.{kind}.output.dense", E, E)
            text |= norm(f"{at}.{kind}.output.LayerNorm", E)
        text |= linear(f"{at}.intermediate.dense", 40, E) | linear(f"{at}.output.dense", E, 40)
        text |= norm(f"{at}.output.LayerNorm", E)
    head: dict[str, Tensor] = {}
    for place, (outer, inner) in zip(
        (0, 2, 4, 6, 7), ((16, E), (12, 16), (8, 12), (4, 8), (1, 4)), strict=True
    ):
        head |= linear(f"{place}", outer, inner)
    tensors = {f"blip.visual_encoder.{name}": value for name, value in image.items()}
    tensors |= {f"blip.text_encoder.{name}": value for name, value in text.items()}
    tensors |= {f"mlp.layers.{name}": value for name, value in head.items()}
    folder = snapshot / "image_reward"
    tokenizer = bert_tokenizer()
    tokenizer.save_pretrained(folder)
    save_file(tensors, folder / "model.safetensors")
    config = {
        "hidden_size": E,
        "intermediate_size": 40,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 40,
        "vocab_size": 30524,
    }
    (folder / "med_config.json").write_text(json.dumps(config))
    return snapshot


def bert_tokenizer() -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = {word: place for place, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")


CLASSES = ["person", "mouse", "orange"]


def write_detector(snapshot: Path) -> Path:
    """detector/: a Mask2Former for three classes on a Swin of width 8, for pictures 64 pixels wide."""
    config = Mask2FormerConfig(
        backbone_config=SwinConfig(
            image_size=64,
            patch_size=4,
            embed_dim=8,
            depths=[1, 1, 1, 1],
            num_heads=[1, 1, 2, 2],
            window_size=4,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        ),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        dim_feedforward=16,
        num_attention_heads=2,
        num_queries=6,
        num_labels=len(CLASSES),
        id2label=dict(enumerate(CLASSES)),
        label2id={name: place for place, name in enumerate(CLASSES)},
    )
    model = seeded_build(21, lambda: Mask2FormerForUniversalSegmentation(config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    folder = snapshot / "detector"
    model.save_pretrained(folder)
    Mask2FormerImageProcessorPil(
        size={"shortest_edge": 64, "longest_edge": 96}, size_divisor=32
    ).save_pretrained(folder)
    return snapshot


class _Features(nn.Module):
    """Means of a few random projections of a picture, as a network with its resize inside would give them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, width, 5, stride=3)

    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        x = nn.functional.interpolate(
            images.float() / 127.5 - 1, [32, 32], mode="bilinear", align_corners=False
        )
        found = self.project(x).tanh().mean([2, 3])
        return found if return_features else found.softmax(1)


def write_inception(snapshot: Path, seed: int = 31, width: int = 6) -> Path:
    """inception/: a TorchScript network that, like NVIDIA's, gives classes unless asked for features."""
    folder = snapshot / "inception"
    folder.mkdir(parents=True, exist_ok=True)
    torch.jit.script(seeded_build(seed, lambda: _Features(width)).eval()).save(folder / "features.pt")
    return snapshot
