"""Shapes: procedurally drawn scenes whose captions follow GenEval's metadata format."""

from .render import Sample, render_prompt, render_sample
from .vocabulary import (
    HOLDOUT_V1,
    MAX_TOKENS,
    PAD_TOKEN,
    VOCABULARY_SIZE,
    VOCABULARY_V1,
    pad_tokens,
    tokenize,
)

__all__ = [
    "HOLDOUT_V1",
    "MAX_TOKENS",
    "PAD_TOKEN",
    "VOCABULARY_SIZE",
    "VOCABULARY_V1",
    "Sample",
    "pad_tokens",
    "render_prompt",
    "render_sample",
    "tokenize",
]
