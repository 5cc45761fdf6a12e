"""Text encoders behind one protocol; the tiny one needs no download (SD3's and SnapGen's: text_encoders.py).

Shapes: B captions, N positions, D width. Unused positions and dropped captions are zeros, which is
also the unconditional input of guidance.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from limbeck.contracts.generated import SnapgenTextConfig, WordTextConfig
from limbeck.data.features import TextPart
from limbeck.data.randomness import generator_at
from limbeck.data.shapes import VOCABULARY_V1, tokenize


class TextEncoder(Protocol):
    """Captions to token states and one pooled vector; frozen and deterministic."""

    @property
    def tokens(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def pooled_width(self) -> int: ...

    @property
    def cut(self) -> bool:
        """Whether zeros at the end are padding, which a cache need not store."""
        ...

    def parts(self) -> list[TextPart]:
        """Where each encoder's states lie; they can be dropped one by one."""
        ...

    def encode(self, captions: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """(tokens_BND, pooled_BD), float32."""
        ...

    def digest(self) -> str:
        """SHA-256 of everything that decides the output; stored with every feature cache."""
        ...


class WordTextEncoder:
    """Closed vocabulary: token = word row + position row.

    The rows of words and positions are orthogonal (where the width allows), so that a linear layer
    separates the word from its place exactly. SD3 adds no positions to text and SnapGen's
    cross-attention rotates only q: without the position rows "A left of B" would equal "B left of
    A" (training.md B.5). The pooled vector binds word and place by their elementwise product, so it
    knows the order too.
    """

    def __init__(self, config: WordTextConfig) -> None:
        self.config = config
        rows_RD = _rows(config.seed, len(VOCABULARY_V1) + config.tokens, config.width)
        self.words_VD = torch.cat([torch.zeros(1, config.width), rows_RD[: len(VOCABULARY_V1)]])
        self.positions_ND = rows_RD[len(VOCABULARY_V1) :]

    @property
    def tokens(self) -> int:
        return self.config.tokens

    @property
    def width(self) -> int:
        return self.config.width

    @property
    def pooled_width(self) -> int:
        return self.config.width

    cut = False

    def parts(self) -> list[TextPart]:
        whole = (0, self.width)
        return [TextPart(name="words", tokens=(0, self.tokens), channels=whole, pooled=whole)]

    def encode(self, captions: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """(tokens_BND, pooled_BD) float32; "" gives zeros.

        Raises:
            ValueError: an unknown word, or more words than positions.
        """
        ids_BN = torch.tensor([self._ids(caption) for caption in captions], dtype=torch.long).reshape(
            -1, self.tokens
        )
        used_BN1 = (ids_BN > 0).float()[..., None]
        words_BND = self.words_VD[ids_BN]
        tokens_BND = (words_BND + self.positions_ND) * used_BN1
        pooled_BD = (words_BND * self.positions_ND * used_BN1).sum(1) / used_BN1.sum(1).clamp(min=1).sqrt()
        return tokens_BND, pooled_BD

    def _ids(self, caption: str) -> list[int]:
        ids = tokenize(caption)
        if len(ids) > self.tokens:
            raise ValueError(f"caption {caption!r} has {len(ids)} tokens; the encoder takes {self.tokens}")
        return ids + [0] * (self.tokens - len(ids))

    def digest(self) -> str:
        content = json.dumps([self.config.model_dump(), VOCABULARY_V1], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@lru_cache(maxsize=16)
def _rows(seed: int, count: int, width: int) -> torch.Tensor:
    """`count` vectors of RMS 1 [count, width]: seeded cosine-basis rows with seeded column signs.

    A cosine basis is orthogonal by construction, with no linear algebra whose last bit depends on
    the machine. Where the width is too small for that many orthogonal rows, seeded normals.
    """
    draw = generator_at(seed, "text rows", 0)
    if count > width - 1:
        return torch.from_numpy(draw.standard_normal((count, width), dtype=np.float32))
    frequency = 1 + draw.permutation(width - 1)[:count, None]
    place = np.arange(width)[None] + 0.5
    signs = 1 - 2 * draw.integers(0, 2, (1, width))
    rows = np.sqrt(2) * np.cos(np.pi * frequency * place / width) * signs
    return torch.from_numpy(rows.astype(np.float32))


def encoder_dtype(device: torch.device) -> torch.dtype:
    """What text encoders compute in wherever they are asked, in training and evaluation alike: the cache
    holds half precision, and on a GPU T5-XXL's 4.8 billion parameters would not fit beside a teacher
    otherwise."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def load_text_encoder(
    snapshot: Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> TextEncoder:
    """The teacher's: named by `text/config.json` of a snapshot, or SD3's where its folders are there.

    Raises:
        FileNotFoundError: neither is there; says what is.
    """
    path = snapshot / "text" / "config.json"
    if path.is_file():
        return WordTextEncoder(WordTextConfig.model_validate_json(path.read_text()))
    if (snapshot / "text_encoder").is_dir():
        from limbeck.models.text_encoders import Sd3TextEncoder  # transformers takes seconds to import

        return Sd3TextEncoder(snapshot, dtype, device)
    held = ", ".join(sorted(p.name for p in snapshot.iterdir())) if snapshot.is_dir() else ""
    raise FileNotFoundError(
        f"a snapshot needs text/config.json or text_encoder/; {snapshot.name} holds: {held or 'nothing'}"
    )


def open_student_text(
    config: WordTextConfig | SnapgenTextConfig,
    snapshot: Path,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> TextEncoder:
    """The student's encoder; SnapGen's is loaded from the snapshot's folders."""
    if isinstance(config, WordTextConfig):
        return WordTextEncoder(config)
    from limbeck.models.text_encoders import SnapgenTextEncoder

    return SnapgenTextEncoder(config, snapshot, dtype, device)


def save_text_config(config: WordTextConfig, snapshot: Path) -> None:
    folder = snapshot / "text"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(config.model_dump_json(indent=1))
