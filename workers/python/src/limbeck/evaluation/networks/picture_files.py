"""Folders of pictures as the benchmarks' own programs lay them out, read one picture at a time.

GenEval     <digits>/metadata.jsonl, <digits>/samples/<digits>.png
DPG-Bench   <item_id>.png, each a grid of up to 2 x 2 pictures of the prompt
features    any folder of .png, .jpg or .webp, or a data set of shards (index.json)
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from limbeck.data.shapes.dataset import decode_image_text
from limbeck.data.shards import ShardDataset

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")
MAX_PIXELS: Final = 64_000_000

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture by its name in the folder; `read` gives [H, W, 3] and raises ValueError, naming it."""

    name: str
    about: dict[str, Any]
    """What it was drawn for: GenEval's metadata, or DPG's item and the picture's place in the grid."""
    read: Callable[[], Pixels]


def geneval_pictures(folder: Path) -> list[Picture]:
    """In the order of folders and samples.

    Raises:
        ValueError: no such folder in it, or one without metadata or samples; names it.
    """
    prompts = sorted(
        (path for path in folder.iterdir() if path.is_dir() and path.name.isdigit()), key=_number
    )
    if not prompts:
        raise ValueError(f"no folder of digits, as GenEval's images have them; found: {_held(folder)}")
    found: list[Picture] = []
    for prompt in prompts:
        metadata = _metadata(prompt / "metadata.jsonl", prompt.name)
        samples = sorted((p for p in prompt.glob("samples/*.png") if p.stem.isdigit()), key=_number)
        if not samples:
            raise ValueError(f"{prompt.name}/samples has no <digits>.png")
        for path in samples:
            name = path.relative_to(folder).as_posix()
            found.append(Picture(name=name, about=metadata, read=_reader(path, name)))
    return found


def dpg_pictures(folder: Path, resolution: int, each: int) -> list[Picture]:
    """The first `each` (1 to 4) squares of `resolution` pixels of every grid, in the reference's order (first
    right, then down). What lies beyond a grid is black, as there.

    Raises:
        ValueError: no .png; names what is there.
    """
    grids = sorted(folder.glob("*.png"))
    if not grids:
        raise ValueError(f"no .png of a prompt; found: {_held(folder)}")
    return [
        Picture(
            name=f"{path.name}#{place}",
            about={"item_id": path.name.split(".")[0], "image": place},
            read=_square(path, resolution, place),
        )
        for path in grids
        for place in range(each)
    ]


def all_pictures(folder: Path) -> list[Picture]:
    """Every picture below the folder by name, or the samples of a data set in stored order.

    Raises:
        ValueError: neither pictures nor a data set.
    """
    if (folder / "index.json").is_file():
        dataset = ShardDataset(folder)
        return [
            Picture(name=dataset.key(place), about={}, read=_sample(dataset, place))
            for place in range(len(dataset))
        ]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(f"no picture ({', '.join(SUFFIXES)}) and no data set; found: {_held(folder)}")
    names = [path.relative_to(folder).as_posix() for path in paths]
    return [
        Picture(name=name, about={}, read=_reader(path, name))
        for name, path in zip(names, paths, strict=True)
    ]


def _number(path: Path) -> int:
    return int(path.stem)


def _held(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"


def _metadata(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"{name}/metadata.jsonl is missing") from None
    except ValueError as error:
        raise ValueError(f"{name}/metadata.jsonl is not one line of JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{name}/metadata.jsonl holds {type(found).__name__}; allowed: an object")
    return found


def _reader(path: Path, name: str) -> Callable[[], Pixels]:
    return lambda: np.asarray(_opened(path, name))


def _square(path: Path, resolution: int, place: int) -> Callable[[], Pixels]:
    x, y = (place % 2) * resolution, (place // 2) * resolution
    return lambda: np.asarray(_opened(path, path.name).crop((x, y, x + resolution, y + resolution)))


def _sample(dataset: ShardDataset, place: int) -> Callable[[], Pixels]:
    return lambda: decode_image_text(dataset.read(place)).image_HW3


def _opened(path: Path, name: str) -> Image.Image:
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{name} has {image.width} x {image.height} pixels; allowed: {MAX_PIXELS}")
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name} is no picture that can be read: {error}") from error
