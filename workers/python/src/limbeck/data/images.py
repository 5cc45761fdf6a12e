"""All pictures and captions of an image-text data set, decoded once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.data.arrays import allocate
from limbeck.data.reader import Quarantine
from limbeck.data.shapes.captions import Metadata
from limbeck.data.shapes.dataset import decode_image_text
from limbeck.data.shards import CorruptSample, DataError, ShardDataset


class ImageSet:
    """Pictures [N, H, W, 3] uint8 with their keys and metadata lines, in stored order.

    Corrupt samples, and pictures of another size than the first, are left out and named in
    `quarantined`; above `quarantine_share` loading fails.
    """

    def __init__(
        self,
        pixels_NHWC: NDArray[np.uint8],
        keys: Sequence[str],
        metadata: Sequence[Metadata],
        quarantined: dict[str, str],
    ) -> None:
        self.pixels_NHWC = pixels_NHWC
        self.keys = tuple(keys)
        self.metadata = tuple(metadata)
        self.quarantined = quarantined

    @classmethod
    def load(cls, folder: Path, quarantine_share: float = 0.01, limit: int | None = None) -> "ImageSet":
        """Decodes a data set, or its first `limit` samples.

        Raises:
            DataError: not a data set, a shard cut short, or too many corrupt samples.
        """
        dataset = ShardDataset(folder)
        total = len(dataset) if limit is None else min(limit, len(dataset))
        quarantine = Quarantine(total, quarantine_share)
        pixels: NDArray[np.uint8] | None = None
        keys: list[str] = []
        metadata: list[Metadata] = []
        for place in range(total):
            key = dataset.key(place)
            try:
                sample = decode_image_text(dataset.read(place))
                if pixels is None:
                    pixels = allocate((total, *sample.image_HW3.shape), np.uint8)
                if sample.image_HW3.shape != pixels.shape[1:]:
                    raise ValueError(
                        f"picture of {sample.image_HW3.shape}, the others have {pixels.shape[1:]}"
                    )
            except CorruptSample as error:
                quarantine.add(error)
                continue
            except (ValueError, OSError) as error:
                if isinstance(error, DataError):
                    raise
                quarantine.add(CorruptSample(key, f"cannot be decoded: {error}"))
                continue
            pixels[len(keys)] = sample.image_HW3
            keys.append(key)
            metadata.append(sample.metadata)
        if pixels is None:
            raise DataError(f"none of the {total} samples of {folder} can be read")
        return cls(pixels[: len(keys)], keys, metadata, quarantine.reasons)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, places: Sequence[int] | NDArray[np.int64]) -> torch.Tensor:
        """Chosen pictures [B, H, W, 3], uint8; a copy."""
        return torch.from_numpy(np.ascontiguousarray(self.pixels_NHWC[np.asarray(places)]))

    def captions(self, places: Sequence[int]) -> list[str]:
        return [str(self.metadata[place]["prompt"]) for place in places]
