"""Sheets of small pictures: the images of an evaluation in one PNG, and grids that people compare.

An evaluation keeps all its images as one sheet per protocol with a JSON index (what each tile was
asked for, whether it is right and why not): one object to store, and any tile can be cut out again.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

COLUMNS = 20
"""Tiles a row of a sheet."""

_GAP = 6
_CAPTION_WIDTH = 190
_HEADER = 34


def save_sheet(images_NHW3: Pixels, tiles: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Writes `sheet.png` and `sheet.json` ({"tile": edge, "columns": n, "tiles": [...]}).

    Raises:
        ValueError: not one entry in `tiles` for each image.
    """
    if len(images_NHW3) != len(tiles) or not len(tiles):
        raise ValueError(
            f"a sheet needs one entry for each image, got {len(images_NHW3)} images, {len(tiles)} entries"
        )
    count, height, width, _ = images_NHW3.shape
    rows = -(-count // COLUMNS)
    sheet = np.zeros((rows * height, COLUMNS * width, 3), dtype=np.uint8)
    for number, image in enumerate(images_NHW3):
        y, x = divmod(number, COLUMNS)
        sheet[y * height : (y + 1) * height, x * width : (x + 1) * width] = image
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(folder / "sheet.png", optimize=False)
    index = {"tile": [width, height], "columns": COLUMNS, "tiles": list(tiles)}
    (folder / "sheet.json").write_text(json.dumps(index))


def load_sheet(folder: Path) -> tuple[Pixels, list[dict[str, Any]]]:
    """Images [N, H, W, 3] and their entries, as `save_sheet` wrote them."""
    index = json.loads((folder / "sheet.json").read_text())
    width, height = index["tile"]
    sheet = np.asarray(Image.open(folder / "sheet.png").convert("RGB"))
    places = [divmod(number, index["columns"]) for number in range(len(index["tiles"]))]
    images = [sheet[y * height : (y + 1) * height, x * width : (x + 1) * width] for y, x in places]
    return np.stack(images), index["tiles"]


def comparison_grid(columns: Mapping[str, Path], prompts: Sequence[str]) -> Image.Image:
    """Rows: prompts; columns: evaluations by title, each the first image that was made for the prompt.

    A frame tells whether the scorer found the picture right (green) or wrong (red).

    Args:
        columns: title -> folder of a sheet.
        prompts: texts, each of which must be in every sheet.

    Raises:
        ValueError: a prompt that a sheet does not hold.
    """
    edge = 96
    step = edge + _GAP
    grid = Image.new("RGB", (_CAPTION_WIDTH + step * len(columns), _HEADER + step * len(prompts)), "white")
    draw = ImageDraw.Draw(grid)
    font = ImageFont.load_default(size=13)
    for row, prompt in enumerate(prompts):
        for line, text in enumerate(_wrapped(prompt, 26)):
            draw.text((8, _HEADER + row * step + 24 + 17 * line), text, fill="black", font=font)
    for column, (title, folder) in enumerate(columns.items()):
        left = _CAPTION_WIDTH + column * step
        for line, text in enumerate(_wrapped(title, 14)):
            draw.text((left, 2 + 15 * line), text, fill="black", font=font)
        images, tiles = load_sheet(folder)
        numbers = {tile["prompt"]: number for number, tile in reversed(list(enumerate(tiles)))}
        for row, prompt in enumerate(prompts):
            if prompt not in numbers:
                raise ValueError(f"the sheet in {folder} holds no image for {prompt!r}")
            tile = tiles[numbers[prompt]]
            picture = Image.fromarray(images[numbers[prompt]]).resize((edge, edge), Image.Resampling.BICUBIC)
            top = _HEADER + row * step
            frame = "#2a9d5c" if tile["correct"] else "#d1495b"
            draw.rectangle((left - 2, top - 2, left + edge + 1, top + edge + 1), outline=frame, width=2)
            grid.paste(picture, (left, top))
    return grid


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
