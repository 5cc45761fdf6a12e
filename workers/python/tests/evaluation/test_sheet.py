"""Sheets hold every image exactly, and grids show the prompts that were asked for."""

from pathlib import Path

import numpy as np
import pytest

from limbeck.evaluation.__main__ import main, spread
from limbeck.evaluation.sheet import comparison_grid, load_sheet, save_sheet


def tile(prompt: str, tag: str = "colors", correct: bool = True, held_out: bool = False) -> dict[str, object]:
    return {"prompt": prompt, "tag": tag, "correct": correct, "held_out": held_out}


def test_a_sheet_gives_back_the_same_pixels(tmp_path: Path) -> None:
    images = np.random.default_rng(3).integers(0, 256, (23, 8, 8, 3), dtype=np.uint8)
    tiles = [tile(f"prompt {n}") for n in range(23)]
    save_sheet(images, tiles, tmp_path)
    again, entries = load_sheet(tmp_path)
    assert np.array_equal(again, images) and entries == tiles


def test_a_sheet_refuses_images_without_an_entry(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 images, 1 entries"):
        save_sheet(np.zeros((2, 4, 4, 3), np.uint8), [tile("one")], tmp_path)


def test_a_grid_names_the_prompt_that_a_sheet_lacks(tmp_path: Path) -> None:
    save_sheet(np.zeros((1, 4, 4, 3), np.uint8), [tile("one")], tmp_path)
    with pytest.raises(ValueError, match="two"):
        comparison_grid({"a": tmp_path}, ["one", "two"])


def test_the_command_writes_a_row_for_each_prompt_and_a_column_for_each_model(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_sheet(
            np.full((2, 4, 4, 3), 9, np.uint8), [tile("one"), tile("two", "position")], tmp_path / name
        )
    out = tmp_path / "grid.png"
    assert main(["grid", str(out), f"first={tmp_path / 'a'}", f"second={tmp_path / 'b'}"]) == 0
    one, two = (
        comparison_grid({"a": tmp_path / "a"}, ["one"]),
        comparison_grid({"a": tmp_path / "a"}, ["one", "two"]),
    )
    assert out.stat().st_size > 0 and two.height > one.height and two.width == one.width


def test_prompts_are_spread_over_the_tags() -> None:
    tiles = [
        tile("a", "colors"),
        tile("b", "colors"),
        tile("c", "position"),
        tile("d", "colors", held_out=True),
    ]
    assert spread(tiles, 3) == ["a", "c", "d"]
    assert sorted(spread(tiles, 9)) == ["a", "b", "c", "d"]
