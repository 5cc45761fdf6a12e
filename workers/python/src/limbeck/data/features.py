"""A feature tree: what `extract_features` writes and every training stage reads.

One sample is `{key}.safetensors` (latent, text states of student and teacher, for the first samples
also a teacher sample) beside `{key}.json` (the metadata line). For training everything is decoded
once into arrays; a step then only indexes.

Shapes: latent [C, H, W]; text [N, D]; pooled [D]; stored float16, served float32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from limbeck.data.arrays import allocate
from limbeck.data.randomness import normal
from limbeck.data.shards import CorruptSample, DataError, ShardDataset, ShardWriter

TextRole = Literal["student", "teacher"]
Arrays = dict[str, NDArray[Any]]

KIND = "features"
SAMPLE_NOISE = "teacher sample noise"
"""Purpose of the noise a teacher sample started from."""


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


def add_features(writer: ShardWriter, key: str, arrays: Arrays, metadata_json: bytes) -> None:
    """Appends a sample. `arrays`: latent, {student,teacher}_{text,pooled}, optionally sample and
    noise_position."""
    # safetensors writes the buffer as it lies: a channels-last view would be read back scrambled.
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    writer.add(key, {"safetensors": save_safetensors(contiguous), "json": metadata_json})


class FeatureSet:
    """Features of all samples in stored order, with the text of one role.

    The teacher samples stand at the first places; `sample_count` says how many.
    """

    def __init__(self, arrays: Arrays, keys: Sequence[str], attributes: dict[str, Any]) -> None:
        self._arrays = arrays
        self.keys = tuple(keys)
        self.attributes = attributes
        self.sample_count = len(arrays["sample"]) if "sample" in arrays else 0

    @classmethod
    def load(cls, folder: Path, text: TextRole) -> "FeatureSet":
        """Decodes the tree.

        Raises:
            DataError: not a feature tree, a shard cut short, a corrupt sample (features are made by
                this project and verified: none may be lost in silence).
        """
        dataset = ShardDataset(folder)
        if dataset.attributes.get("kind") != KIND:
            raise DataError(f"{folder} is no feature tree: its index says {dataset.attributes.get('kind')!r}")
        names = {"latent": "latent", "text": f"{text}_text", "pooled": f"{text}_pooled"}
        arrays: Arrays = {}
        samples: list[tuple[NDArray[Any], NDArray[Any]]] = []
        for place, found in enumerate(_decoded(dataset)):
            for name, stored in names.items():
                if stored not in found:
                    raise DataError(
                        f"{folder} sample {dataset.key(place)} lacks {stored}; it has {sorted(found)}"
                    )
                if place == 0:
                    arrays[name] = allocate((len(dataset), *found[stored].shape), found[stored].dtype)
                arrays[name][place] = found[stored]
            if "sample" in found:
                samples.append((found["sample"], found["noise_position"]))
        if samples:
            arrays["sample"] = np.stack([sample for sample, _ in samples])
            arrays["noise_position"] = np.array([int(position[0]) for _, position in samples])
        return cls(arrays, [dataset.key(place) for place in range(len(dataset))], dataset.attributes)

    def __len__(self) -> int:
        return len(self._arrays["latent"])

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self._arrays["latent"].shape[1:]
        return channels, height, width

    def batch(self, places: Sequence[int] | NDArray[np.int64]) -> FeatureBatch:
        return FeatureBatch(
            latent_BCHW=self._take("latent", places),
            text_BND=self._take("text", places),
            pooled_BP=self._take("pooled", places),
        )

    def teacher_pairs(self, places: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """(noise, sample) [B, C, H, W]: the two ends of the teacher's guided trajectories.

        The noise is not stored: it is keyed, so it is drawn again.
        """
        seed = int(self.attributes["teacher_samples"]["seed"])
        positions = self._arrays["noise_position"][np.asarray(places)]
        return normal(seed, SAMPLE_NOISE, positions, self.latent_shape), self._take("sample", places)

    def _take(self, name: str, places: Sequence[int] | NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(self._arrays[name][np.asarray(places)].astype(np.float32))


def _decoded(dataset: ShardDataset) -> Iterator[Arrays]:
    for place in range(len(dataset)):
        members = dataset.read(place)
        try:
            yield load_safetensors(members["safetensors"])
        except (KeyError, SafetensorError) as error:
            raise CorruptSample(dataset.key(place), f"no features in it: {error!r}") from error
