"""Folders of pictures: order, GenEval's and DPG-Bench's layouts, and broken ones by name."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limbeck.evaluation.networks.picture_files import all_pictures, dpg_pictures, geneval_pictures


def save(path: Path, colour: tuple[int, int, int] = (10, 20, 30), size: tuple[int, int] = (8, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_geneval_folders_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for prompt in ("00010", "00002"):
        for sample in ("0001", "0000"):
            save(tmp_path / prompt / "samples" / f"{sample}.png", (int(prompt), int(sample), 0))
        (tmp_path / prompt / "metadata.jsonl").write_text(json.dumps({"tag": prompt}) + "\n")
    (tmp_path / "grids").mkdir()
    found = geneval_pictures(tmp_path)
    assert [one.name for one in found] == [
        f"{prompt}/samples/{sample}.png" for prompt in ("00002", "00010") for sample in ("0000", "0001")
    ]
    assert [one.about["tag"] for one in found] == ["00002", "00002", "00010", "00010"]
    assert found[3].read()[0, 0].tolist() == [10, 1, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda prompt: (prompt / "metadata.jsonl").unlink(), r"00000/metadata\.jsonl is missing"),
        (lambda prompt: (prompt / "metadata.jsonl").write_text("{"), "not one line of JSON"),
        (lambda prompt: (prompt / "metadata.jsonl").write_text("[]"), "holds list; allowed: an object"),
        (lambda prompt: (prompt / "samples" / "0000.png").unlink(), r"00000/samples has no <digits>\.png"),
        (lambda prompt: prompt.rename(prompt.with_name("cat")), "no folder of digits.*found: cat"),
    ],
)
def test_a_broken_geneval_folder_is_named(tmp_path: Path, change, message: str) -> None:
    save(tmp_path / "00000" / "samples" / "0000.png")
    (tmp_path / "00000" / "metadata.jsonl").write_text("{}")
    change(tmp_path / "00000")
    with pytest.raises(ValueError, match=message):
        geneval_pictures(tmp_path)


def test_a_grid_is_cut_to_the_right_then_down_and_padded_with_black(tmp_path: Path) -> None:
    grid = np.zeros((6, 8, 3), np.uint8)
    grid[:4, :4], grid[:4, 4:], grid[4:, :4], grid[4:, 4:] = 1, 2, 3, 4
    Image.fromarray(grid).save(tmp_path / "item7.png")
    found = dpg_pictures(tmp_path, resolution=4, each=4)
    assert [one.about for one in found] == [{"item_id": "item7", "image": place} for place in range(4)]
    cut = [one.read()[..., 0] for one in found]
    assert all(one.shape == (4, 4) for one in cut)
    assert [int(one[0, 0]) for one in cut] == [1, 2, 3, 4]
    assert (cut[2][2:] == 0).all()  # the grid ends there


def test_any_pictures_below_a_folder_by_name(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a.PNG", "b/1.webp"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    assert [one.name for one in all_pictures(tmp_path)] == ["a.PNG", "b/1.webp", "b/2.jpg"]
    with pytest.raises(ValueError, match=r"no picture .* found: notes\.txt"):
        for name in ("b/2.jpg", "a.PNG", "b/1.webp"):
            (tmp_path / name).unlink()
        (tmp_path / "b").rmdir()
        all_pictures(tmp_path)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.png is no picture that can be read"):
        all_pictures(tmp_path)[0].read()
    noise = np.random.default_rng(1).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "b.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"b\.png is no picture"):
        all_pictures(tmp_path)[1].read()
