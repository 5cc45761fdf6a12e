"""Shapes: procedurally drawn scenes whose captions follow GenEval's metadata format."""

from .captions import Metadata
from .prompts import Prompt, evaluation_prompts
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
    "Metadata",
    "Prompt",
    "Sample",
    "evaluation_prompts",
    "pad_tokens",
    "render_prompt",
    "render_sample",
    "tokenize",
]
