"""A snapshot's text encoders in a small size: random weights, tokenizers made here, nothing downloaded."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    Gemma2Config,
    Gemma2Model,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from limbeck.training.seeding import seeded_build

CLIP_L, CLIP_G, T5, GEMMA = 8, 12, 24, 32
"""Widths; CLIP-G's projection is as wide as its states, CLIP-L's too, as in SD3."""

WORDS = ["a", "red", "blue", "circle", "square", "left", "of", "two", "three"]


def write_text_encoders(snapshot: Path, *, t5: bool = True, gemma: bool = True) -> Path:
    for number, width in (("", CLIP_L), ("_2", CLIP_G)):
        tokenizer = _clip_tokenizer()
        tokenizer.save_pretrained(snapshot / f"tokenizer{number}")
        config = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            projection_dim=width,
            num_hidden_layers=3,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        _save(CLIPTextModelWithProjection, config, snapshot / f"text_encoder{number}", width)
    if t5:
        tokenizer = _word_tokenizer(ends=True)
        tokenizer.save_pretrained(snapshot / "tokenizer_3")
        config = T5Config(vocab_size=len(tokenizer), d_model=T5, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
        _save(T5EncoderModel, config, snapshot / "text_encoder_3", 3)
    if gemma:
        tokenizer = _word_tokenizer(ends=False)
        tokenizer.save_pretrained(snapshot / "tokenizer_gemma")
        config = Gemma2Config(
            vocab_size=len(tokenizer),
            hidden_size=GEMMA,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            query_pre_attn_scalar=8,
            sliding_window=16,
            pad_token_id=tokenizer.pad_token_id,
        )
        _save(Gemma2Model, config, snapshot / "gemma", 4)
    return snapshot


def write_clip(snapshot: Path) -> Path:
    """clip/ of a scorers' snapshot: a whole CLIP of width 8 for 16-pixel images."""
    tokenizer = _clip_tokenizer()
    end = tokenizer.eos_token_id
    config = CLIPConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 8,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": end,
            "pad_token_id": end,
        },
        vision_config={
            "hidden_size": 8,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 16,
            "patch_size": 8,
        },
        projection_dim=8,
    )
    folder = snapshot / "clip"
    _save(CLIPModel, config, folder, 5)
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": 16}
    CLIPImageProcessorPil(size=size, crop_size={"height": 16, "width": 16}).save_pretrained(folder)
    return snapshot


def _save(kind: type, config: object, folder: Path, seed: int) -> None:
    model = seeded_build(seed, lambda: kind(config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # a fresh transformer is nearly the identity: nothing would differ
    model.save_pretrained(folder)


def _clip_tokenizer() -> CLIPTokenizer:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: place for place, token in enumerate(vocabulary)}, merges=[], model_max_length=77
    )


def _word_tokenizer(*, ends: bool) -> PreTrainedTokenizerFast:
    """Words as T5 (`</s>` behind) or Gemma (`<bos>` before) frame them."""
    special = ["<pad>", "</s>", "<unk>", "<bos>"]
    words = {word: place for place, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.Fuse()
    frame = ("$A </s>", [("</s>", 1)]) if ends else ("<bos> $A", [("<bos>", 3)])
    tokenizer.post_processor = processors.TemplateProcessing(single=frame[0], special_tokens=frame[1])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<bos>"
    )
