"""The shapes data set as shards, so that it takes the same way as anybody's image-text data.

A sample has two members: `png`, the picture, and `json`, GenEval's metadata line; its `prompt` is the
caption.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from limbeck.data.shards import ShardIndex, ShardWriter

from .captions import Metadata, caption_of
from .render import render_sample
from .scene import SCENE_VERSION, Split, draw_request, keyed_generator
from .vocabulary import HOLDOUT_V1


@dataclass(frozen=True, kw_only=True)
class ImageTextSample:
    """`image_HW3` uint8; `caption` is the metadata's prompt."""

    image_HW3: NDArray[np.uint8]
    caption: str
    metadata: Metadata


def write_shapes(
    folder: Path,
    *,
    seed: int,
    split: Split,
    count: int,
    resolution: int = 64,
    samples_per_shard: int = 2000,
    start: int = 0,
    wrong_captions: float = 0.0,
) -> ShardIndex:
    """Writes samples `start` .. `start + count - 1` of a split; keys are `{split}-{index:08d}`.

    `start` makes parts that different jobs write; the same arguments give the same bytes. A share
    `wrong_captions` of the samples gets the caption of another training scene, as pairs from the web
    have; the rest of their metadata still tells what the picture shows.

    Raises:
        ValueError: count below 1, a share outside 0 .. 1, or whatever `render_sample` refuses.
        DataError, OSError: see `ShardWriter`.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if not 0 <= wrong_captions <= 1:
        raise ValueError(f"wrong_captions must be 0 to 1, got {wrong_captions}")
    attributes = {
        "dataset": "shapes",
        "scene_version": SCENE_VERSION,
        "hold_out": HOLDOUT_V1.name,
        "seed": seed,
        "split": split,
        "start": start,
        "resolution": resolution,
        "wrong_captions": wrong_captions,
    }
    with ShardWriter(folder, samples_per_shard, attributes) as writer:
        for index in range(start, start + count):
            sample = render_sample(seed, index, resolution, split)
            metadata = dict(sample.metadata)
            rng = keyed_generator(seed, f"{split} wrong caption", index)
            if rng.random() < wrong_captions:
                metadata["prompt"] = caption_of(draw_request(rng))
            members = {"png": encode_png(sample.image), "json": json.dumps(metadata).encode()}
            writer.add(f"{split}-{index:08d}", members)
        return writer.close()


def decode_image_text(members: dict[str, bytes]) -> ImageTextSample:
    """Decodes a sample with members `png` and `json`.

    Raises:
        ValueError, OSError: a member is missing or cannot be decoded, or the metadata have no prompt.
    """
    missing = sorted({"png", "json"} - set(members))
    if missing:
        raise ValueError(f"members {missing} are missing, found {sorted(members)}")
    metadata = json.loads(members["json"])
    if not isinstance(metadata, dict) or not isinstance(metadata.get("prompt"), str):
        raise ValueError("the json member has no prompt of type string")
    return ImageTextSample(
        image_HW3=decode_png(members["png"]), caption=metadata["prompt"], metadata=metadata
    )


def encode_png(image_HW3: NDArray[np.uint8]) -> bytes:
    """PNG of a uint8 [H, W, 3] picture, without any metadata; fast compression, the sets are small."""
    buffer = io.BytesIO()
    Image.fromarray(image_HW3, mode="RGB").save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def decode_png(content: bytes) -> NDArray[np.uint8]:
    """uint8 [H, W, 3]; raises OSError or ValueError on anything that is not a whole RGB picture."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
        return np.array(picture.convert("RGB"), dtype=np.uint8)
