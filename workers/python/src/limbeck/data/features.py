"""A feature tree: what `extract_features` writes and every training stage reads.

One sample is `{key}.safetensors` (latent, text states of student and teacher, for the first samples
also a teacher sample) beside `{key}.json` (the metadata line). For training everything is decoded
once into arrays; a step then only indexes.

Shapes: latent [C, H, W]; text [N, D]; pooled [D]; stored float16, served float32. Text that was stored
without its padding is served with it: zeros up to the N of the index.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from limbeck.contracts.generated import TrainingConfig
from limbeck.data.arrays import allocate
from limbeck.data.randomness import Positions, normal, uniform
from limbeck.data.shards import CorruptSample, DataError, ShardDataset, ShardWriter

TextRole = Literal["student", "teacher"]
Arrays = dict[str, NDArray[Any]]

KIND = "features"
SAMPLE_NOISE = "teacher sample noise"
"""Purpose of the noise a teacher sample started from."""


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """Where the states of one text encoder lie, as half-open ranges."""

    name: str
    tokens: tuple[int, int]
    channels: tuple[int, int]
    pooled: tuple[int, int]
    """Empty where the encoder gives no pooled vector."""


@dataclass(frozen=True, kw_only=True)
class FeatureBatch:
    latent_BCHW: torch.Tensor
    text_BND: torch.Tensor
    pooled_BP: torch.Tensor

    def to(self, device: torch.device) -> "FeatureBatch":
        return FeatureBatch(
            latent_BCHW=self.latent_BCHW.to(device),
            text_BND=self.text_BND.to(device),
            pooled_BP=self.pooled_BP.to(device),
        )

    def without_captions(self, dropped_B: torch.Tensor) -> "FeatureBatch":
        """Zeros in place of the text of the dropped samples: the unconditional input of guidance."""
        keep_B = (~dropped_B).float()
        return FeatureBatch(
            latent_BCHW=self.latent_BCHW,
            text_BND=self.text_BND * keep_B[:, None, None],
            pooled_BP=self.pooled_BP * keep_B[:, None],
        )

    def without_part(self, part: TextPart, dropped_B: torch.Tensor) -> "FeatureBatch":
        """Zeros in place of one encoder's states of the dropped samples."""
        text_BND, pooled_BP = self.text_BND.clone(), self.pooled_BP.clone()
        rows = dropped_B.nonzero()[:, 0]
        text_BND[rows, slice(*part.tokens), slice(*part.channels)] = 0
        pooled_BP[rows, slice(*part.pooled)] = 0
        return FeatureBatch(latent_BCHW=self.latent_BCHW, text_BND=text_BND, pooled_BP=pooled_BP)


def drop_text(
    batch: FeatureBatch, parts: Sequence[TextPart], training: TrainingConfig, positions: Positions
) -> tuple[FeatureBatch, torch.Tensor]:
    """The batch with text dropped as the recipe asks, and which samples have none left [B].

    The whole caption goes with probability `caption_dropout`, each encoder's states with
    `encoder_dropout`, independently (SD3 and SnapGen; paper.md 1.5): a model that has seen both works
    without any one of its encoders.

    Args:
        positions: global positions of the samples, which key the draws.
    """
    seed = training.seed
    gone_B = uniform(seed, "caption dropout", positions) < training.caption_dropout
    if training.encoder_dropout > 0:
        each = [
            uniform(seed, f"encoder dropout {part.name}", positions) < training.encoder_dropout
            for part in parts
        ]
        for part, dropped_B in zip(parts, each, strict=True):
            batch = batch.without_part(part, dropped_B)
        gone_B = gone_B | torch.stack(each).all(0)
    return batch.without_captions(gone_B), gone_B


def add_features(writer: ShardWriter, key: str, arrays: Arrays, metadata_json: bytes) -> None:
    """Appends a sample. `arrays`: latent, {student,teacher}_{text,pooled}, optionally sample and
    noise_position."""
    # safetensors writes the buffer as it lies: a channels-last view would be read back scrambled.
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    writer.add(key, {"safetensors": save_safetensors(contiguous), "json": metadata_json})


class CaptionEncoder(Protocol):
    """What FeatureSet asks of a text encoder (models/text.py) to make text on the way."""

    def encode(self, captions: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]: ...

    def parts(self) -> list[TextPart]: ...

    def digest(self) -> str: ...


class FeatureSet:
    """Features of all samples in stored order, with the text of one role: as stored, or made from the
    captions when a batch is asked for. Both come with float16's digits, so that they are the same text.

    The teacher samples stand at the first places; `sample_count` says how many.
    """

    def __init__(
        self,
        arrays: Arrays,
        keys: Sequence[str],
        attributes: dict[str, Any],
        text: TextRole,
        live: tuple[CaptionEncoder, list[str]] | None = None,
    ) -> None:
        self._arrays = arrays
        self._live = live
        self._about_text: dict[str, Any] = attributes.get(f"{text}_text") or {}
        self.keys = tuple(keys)
        self.attributes = attributes
        self.sample_count = len(arrays["sample"]) if "sample" in arrays else 0

    @classmethod
    def load(cls, folder: Path, text: TextRole, encoder: CaptionEncoder | None = None) -> "FeatureSet":
        """Decodes the tree; with `encoder` its captions in place of stored text.

        Raises:
            DataError: not a feature tree, a shard cut short, a corrupt sample (features are made by
                this project and verified: none may be lost in silence).
        """
        dataset = ShardDataset(folder)
        if dataset.attributes.get("kind") != KIND:
            raise DataError(f"{folder} is no feature tree: its index says {dataset.attributes.get('kind')!r}")
        names = {"latent": "latent"}
        if encoder is None:
            names |= {"text": f"{text}_text", "pooled": f"{text}_pooled"}
        arrays: Arrays = {}
        samples: list[tuple[NDArray[Any], NDArray[Any]]] = []
        for place, found in enumerate(_decoded(dataset)):
            for name, stored in names.items():
                if stored not in found:
                    raise DataError(
                        f"{folder} sample {dataset.key(place)} lacks {stored}; it has {sorted(found)}"
                    )
                value = found[stored]
                if name == "text":
                    value = _padded(value, dataset.attributes.get(stored))
                if place == 0:
                    arrays[name] = allocate((len(dataset), *value.shape), value.dtype)
                arrays[name][place] = value
            if "sample" in found:
                samples.append((found["sample"], found["noise_position"]))
        if samples:
            arrays["sample"] = np.stack([sample for sample, _ in samples])
            arrays["noise_position"] = np.array([int(position[0]) for _, position in samples])
        keys = [dataset.key(place) for place in range(len(dataset))]
        live = None
        if encoder is not None:
            live = encoder, [_caption(dataset, place) for place in range(len(dataset))]
        return cls(arrays, keys, dataset.attributes, text, live)

    def __len__(self) -> int:
        return len(self._arrays["latent"])

    @cached_property
    def text_parts(self) -> list[TextPart]:
        """Where each encoder's states lie; one part for all where the index tells none."""
        if self._live is not None:
            return self._live[0].parts()
        held = self._about_text.get("parts")
        if held is None:
            _, tokens, width = self._arrays["text"].shape
            pooled = self._arrays["pooled"].shape[-1]
            return [TextPart(name="text", tokens=(0, tokens), channels=(0, width), pooled=(0, pooled))]
        return [
            TextPart(name=p["name"], **{k: _range(p[k]) for k in ("tokens", "channels", "pooled")})
            for p in held
        ]

    @property
    def text_digest(self) -> str | None:
        """Of the encoders that made the text; None in a tree that does not tell."""
        return self._live[0].digest() if self._live else self._about_text.get("digest")

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self._arrays["latent"].shape[1:]
        return channels, height, width

    def batch(self, places: Sequence[int] | NDArray[np.int64]) -> FeatureBatch:
        text_BND, pooled_BP = self._text(places)
        return FeatureBatch(latent_BCHW=self._take("latent", places), text_BND=text_BND, pooled_BP=pooled_BP)

    def _text(self, places: Sequence[int] | NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        if self._live is None:
            return self._take("text", places), self._take("pooled", places)
        encoder, captions = self._live
        tokens_BND, pooled_BP = encoder.encode([captions[int(place)] for place in places])
        return tokens_BND.half().float(), pooled_BP.half().float()

    def teacher_pairs(self, places: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """(noise, sample) [B, C, H, W]: the two ends of the teacher's guided trajectories.

        The noise is not stored: it is keyed, so it is drawn again.
        """
        seed = int(self.attributes["teacher_samples"]["seed"])
        positions = self._arrays["noise_position"][np.asarray(places)]
        return normal(seed, SAMPLE_NOISE, positions, self.latent_shape), self._take("sample", places)

    def _take(self, name: str, places: Sequence[int] | NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(self._arrays[name][np.asarray(places)].astype(np.float32))


def _range(ends: Sequence[int]) -> tuple[int, int]:
    first, last = ends
    return first, last


def _padded(text_ND: NDArray[Any], about: dict[str, Any] | None) -> NDArray[Any]:
    """The text with zeros up to its number of positions, where it was stored without them."""
    missing = int((about or {}).get("tokens", len(text_ND))) - len(text_ND)
    return np.pad(text_ND, ((0, missing), (0, 0))) if missing else text_ND


def without_padding(text_ND: NDArray[Any]) -> NDArray[Any]:
    """The text up to its last position that is not zero (one position at least)."""
    used = np.flatnonzero(np.any(text_ND != 0, axis=1))
    return text_ND[: max(1, int(used[-1]) + 1 if len(used) else 1)]


def stored_captions(folder: Path, places: Sequence[int]) -> list[str]:
    """Captions of a feature tree's samples.

    Raises:
        DataError, CorruptSample: as `FeatureSet.load`.
    """
    dataset = ShardDataset(folder)
    return [_caption(dataset, place) for place in places]


def _caption(dataset: ShardDataset, place: int) -> str:
    try:
        return str(json.loads(dataset.read(place)["json"])["prompt"])
    except (KeyError, ValueError) as error:
        raise CorruptSample(dataset.key(place), f"no caption in it: {error!r}") from error


def _decoded(dataset: ShardDataset) -> Iterator[Arrays]:
    for place in range(len(dataset)):
        members = dataset.read(place)
        try:
            yield load_safetensors(members["safetensors"])
        except (KeyError, SafetensorError) as error:
            raise CorruptSample(dataset.key(place), f"no features in it: {error!r}") from error
