"""Palettes: least squares against an independent search, and what is written against what was asked."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans

from limbeck.export.int8 import quantize
from limbeck.export.mil_program import read_program
from limbeck.export.palette_fit import palette, squared_error
from limbeck.export.palettes import find_weights, palettize
from limbeck.export.verify import verify

from .conftest import Converted


def weights(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).laplace(size=count).astype(np.float16)


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("kind", ["normal", "laplace", "uniform", "standard_t"])
def test_the_error_is_that_of_kmeans_or_less(kind: str, bits: int) -> None:
    draw = np.random.default_rng(3)
    values = (draw.standard_t(3, 6000) if kind == "standard_t" else getattr(draw, kind)(size=6000)).astype(
        np.float16
    )
    lut, indices = palette(values, bits)
    other = KMeans(2**bits, n_init=1, random_state=0).fit(values.astype(np.float32)[:, None])
    centres = np.sort(other.cluster_centers_.ravel()).astype(np.float16)
    nearest = np.abs(values.astype(np.float64)[:, None] - centres.astype(np.float64)).argmin(1)
    theirs = squared_error(values, centres, nearest.astype(np.uint8))
    assert squared_error(values, lut, indices) < 1.03 * theirs


def test_few_values_against_every_division_of_them() -> None:
    """20 values in 16 cells: all ways to place 15 bounds are tried."""
    values = np.sort(weights(5, 20))
    points = values.astype(np.float64)
    assert len(np.unique(values)) == 20
    best = min(
        sum(np.square(part - part.mean()).sum() for part in np.split(points, list(bounds)))
        for bounds in combinations(range(1, 20), 15)
    )
    lut, indices = palette(values, 4)
    assert squared_error(values, lut, indices) < 1.2 * best + 1e-6


def test_a_palette_is_ascending_its_indices_nearest_and_no_draw_is_made() -> None:
    values = weights(7, 5000).reshape(10, 500)
    lut, indices = palette(values, 6)
    assert lut.shape == (64,) and lut.dtype == np.float16 and indices.shape == (5000,)
    assert (np.diff(lut.astype(np.float64)) >= 0).all()
    distance = np.abs(values.ravel().astype(np.float64)[:, None] - lut.astype(np.float64))
    assert np.allclose(
        np.take_along_axis(distance, indices[:, None].astype(np.int64), 1)[:, 0], distance.min(1)
    )
    again = palette(values, 6)
    assert np.array_equal(again[0], lut) and np.array_equal(again[1], indices)


def test_as_many_values_as_entries_lose_nothing() -> None:
    values = np.tile(np.linspace(-1, 1, 16).astype(np.float16), 5)
    lut, indices = palette(values, 4)
    assert np.array_equal(lut[indices], values)
    lut, indices = palette(np.zeros(40, np.float16), 4)
    assert lut.shape == (16,) and not lut[indices].any()


def test_a_weight_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 3 weights are not finite"):
        palette(np.array([0, np.inf, 1], np.float16), 4)


def test_first_and_last_layers_and_small_weights_stay_as_they_are(fp16_unet: Converted) -> None:
    found = {weight.name: weight for weight in find_weights(read_program(fp16_unet.path))}
    kept = {name: weight.kept for name, weight in found.items()}
    assert kept["p_unet_conv_in_weight_to_fp16"] == "first layer"
    assert kept["p_unet_time_mlp_0_weight_to_fp16"] == "first layer"
    assert kept["p_unet_conv_out_weight_to_fp16"] == "last layer"
    small = found["p_unet_time_mlp_2_weight_to_fp16"]
    assert small.kept == "fewer than 2048 elements" and small.elements == 16 * 16


@pytest.mark.parametrize("workers", [1, 2])
def test_the_package_holds_the_palettes_that_were_asked_for(
    fp16_unet: Converted, tmp_path: Path, workers: int
) -> None:
    found = find_weights(read_program(fp16_unet.path))
    large = sorted(
        (weight for weight in found if weight.elements >= 512), key=lambda weight: -weight.elements
    )
    plan = {weight.name: bits for weight, bits in zip(large, [8, 6, 4, 4], strict=False)}
    seen: list[tuple[int, int]] = []
    target, cache = tmp_path / "palettes.mlpackage", tmp_path / "cache"

    def note(done: int, of: int) -> None:
        seen.append((done, of))

    program = palettize(fp16_unet.path, target, plan, workers=workers, cache=cache, progress=note)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert program.operation_census()["constexpr_lut_to_dense"] == 4
    assert len(list(cache.iterdir())) == 4
    exact = verify(target, fp16_unet.module, fp16_unet.inputs, precision="fp32")
    plain = verify(fp16_unet.path, fp16_unet.module, fp16_unet.inputs, precision="fp32")
    assert 20 < exact.psnr_db < plain.psnr_db

    # From the cache, and with the same bits.
    again = palettize(fp16_unet.path, tmp_path / "again.mlpackage", plan, cache=cache)
    assert again.sha256() == program.sha256()


def test_plans_that_do_not_fit_the_package_are_refused(fp16_unet: Converted, tmp_path: Path) -> None:
    name = find_weights(read_program(fp16_unet.path))[0].name
    with pytest.raises(ValueError, match=r"has no weights \['unknown'\]"):
        palettize(fp16_unet.path, tmp_path / "x.mlpackage", {"unknown": 6})
    with pytest.raises(ValueError, match="palettes have 8, 6, 4 bits, the plan asks for"):
        palettize(fp16_unet.path, tmp_path / "x.mlpackage", {name: 5})
    with pytest.raises(FileExistsError, match="never overwritten"):
        palettize(fp16_unet.path, fp16_unet.path, {})


def test_int8_keeps_what_palettes_keep_and_loses_little(fp16_unet: Converted, tmp_path: Path) -> None:
    program, kept = quantize(fp16_unet.path, tmp_path / "int8.mlpackage")
    weights = find_weights(read_program(fp16_unet.path))
    assert kept == {weight.name: weight.kept for weight in weights if weight.kept}
    assert program.operation_census()["constexpr_blockwise_shift_scale"] == len(weights) - len(kept) == 1
    parity = verify(tmp_path / "int8.mlpackage", fp16_unet.module, fp16_unet.inputs)
    assert 45 < parity.psnr_db < verify(fp16_unet.path, fp16_unet.module, fp16_unet.inputs).psnr_db
    with pytest.raises(FileExistsError, match="never overwritten"):
        quantize(fp16_unet.path, tmp_path / "int8.mlpackage")
