"""Cost from the file against counts by hand and against the counter of the eager model."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from limbeck.export.convert import convert
from limbeck.export.device_cost import DEVICES, cost_report, estimate_latency, program_cost
from limbeck.export.mil_program import Constant, Operation, Program, ValueType, read_program
from limbeck.export.palettes import palettize
from limbeck.models.cost import measure
from limbeck.models.presets import load_preset

from .conftest import Converted


class Small(nn.Module):
    """3x3 convolution 4 -> 8, depthwise over 8, linear 8 -> 5 over positions, its product with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Conv2d(4, 8, 3, padding=1)
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.depth(self.dense(x)).permute(0, 2, 3, 1).reshape(1, 36, 8)
        narrow = self.linear(tokens)
        return narrow @ narrow.transpose(1, 2)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cost") / "small.mlpackage"
    torch.manual_seed(0)
    convert(Small().eval(), {"x": torch.randn(1, 4, 6, 6)}, ["y"], path)
    return path


def test_macs_and_bytes_by_hand(small: Path) -> None:
    cost = program_cost(read_program(small))
    macs = {"conv": [36 * 8 * 4 * 9, 36 * 8 * 1 * 9], "linear": [36 * 8 * 5], "matmul": [36 * 36 * 5]}
    for kind, wanted in macs.items():
        assert [one.macs for one in cost.operations if one.type == kind] == wanted
    assert cost.macs == sum(map(sum, macs.values()))
    weights = (8 * 4 * 9 + 8) + (8 * 9 + 8) + (5 * 8 + 5)
    assert cost.weight_bytes == cost.dense_weight_bytes == 2 * weights
    # The product is alive with what it is made from (5 channels), and the output is the largest value.
    assert cost.activation_peak_bytes == 2 * (36 * 36 + 36 * 5)
    assert cost.peak_at == next(one.name for one in cost.operations if one.type == "matmul")


def test_the_file_counts_what_the_model_counts(fp16_unet: Converted) -> None:
    """Of convolutions, linear layers and products; the file has nothing more and nothing less."""
    preset = load_preset("tiny-unet")
    module = fp16_unet.module.unet  # type: ignore[union-attr]
    sized = preset.__class__(**{**preset.__dict__, "model": module.config, "text_tokens": 5})
    counted = measure(sized)
    cost = program_cost(read_program(fp16_unet.path))
    assert cost.macs == counted.macs
    # Beside the parameters: the tables of RoPE, one pair an attention, and split constants.
    assert 1 <= cost.dense_weight_bytes / (2 * counted.parameters) < 1.1


def test_palettes_are_counted_as_they_are_stored(fp16_unet: Converted, tmp_path: Path) -> None:
    plain = program_cost(read_program(fp16_unet.path))
    name = "p_unet_up_0_0_res_conv1_1_weight_to_fp16"
    smaller = program_cost(palettize(fp16_unet.path, tmp_path / "p.mlpackage", {name: 4}))
    (reader,) = [
        (one, other)
        for one, other in zip(plain.operations, smaller.operations, strict=True)
        if one.weight_bytes != other.weight_bytes
    ]
    elements = reader[0].weight_bytes // 2 - 48  # 48 biases beside
    assert reader[1].weight_bytes < reader[0].weight_bytes / 3
    assert elements > 2048
    assert smaller.macs == plain.macs and smaller.dense_weight_bytes == plain.dense_weight_bytes
    assert smaller.activation_peak_bytes == plain.activation_peak_bytes


def constant(name: str, dtype: str, data: np.ndarray) -> Constant:
    kind = ValueType(dtype=dtype, shape=data.shape)
    return Constant(type=kind, data=data, bits=8 * data.itemsize, name=name)


def operation(
    kind: str, name: str, shape: tuple[int, ...], dtype: str = "fp16", **arguments: object
) -> Operation:
    given = {key: (value,) for key, value in arguments.items()}
    return Operation(type=kind, arguments=given, outputs=((name, ValueType(dtype=dtype, shape=shape)),))  # type: ignore[arg-type]


def test_what_two_operations_read_is_stored_once_and_expansions_may_follow_one_another() -> None:
    plain = constant("w", "fp16", np.zeros((8, 8), np.float16))
    scales = constant("s", "fp16", np.zeros((2, 1), np.float16))
    table = constant("t", "int8", np.zeros((2, 4), np.int8))
    indices = constant("i", "uint8", np.zeros((4, 8), np.uint8))
    whole = constant("f", "fp32", np.zeros((3, 8), np.float32))
    program = Program(
        opset="CoreML8",
        inputs={"x": ValueType(dtype="fp16", shape=(1, 8))},
        outputs=("e",),
        operations=(
            operation("linear", "a", (1, 8), x="x", weight=plain),
            operation("linear", "b", (1, 8), x="a", weight=plain),
            operation("constexpr_blockwise_shift_scale", "lut", (2, 4), data=table, scale=scales),
            operation("constexpr_lut_to_dense", "dense", (4, 8), indices=indices, lut="lut"),
            operation("linear", "c", (1, 4), x="b", weight="dense"),
            operation("linear", "d", (1, 4), x="b", weight="dense"),
            operation("linear", "g", (1, 3), x="b", weight=whole),
            operation("cast", "e", (1, 3), dtype="int8", x="g"),
        ),
    )
    cost = program_cost(program)
    palette = 32 + 8 + 4  # indices, quantised table, scales
    assert cost.weight_bytes == 128 + palette + 96
    assert cost.dense_weight_bytes == 128 + 2 * 32 + 2 * 24
    by_name = {one.name: one for one in cost.operations}
    assert by_name["b"].weight_bytes == 128 and by_name["d"].weight_bytes == palette
    assert by_name["e"].activation_bytes == 3 * 2 + 3 * 1


def test_the_estimate_is_the_larger_bound_and_says_what_it_is(small: Path) -> None:
    cost = program_cost(read_program(small))
    device = DEVICES["iPhone 16 Pro Max"]
    heavy = cost.__class__(**{**cost.__dict__, "macs": 10**12, "weight_bytes": 1})
    found = estimate_latency(heavy, device.name)
    assert found.milliseconds == pytest.approx(1000 * 10**12 / device.macs_per_second)
    assert found.bound_by == "work" and found.label.startswith("estimate")
    full = cost.__class__(**{**cost.__dict__, "macs": 1, "weight_bytes": 6 * 10**9})
    found = estimate_latency(full, device.name)
    assert found.milliseconds == pytest.approx(1000 * 6e9 / device.bytes_per_second)
    assert found.bound_by == "weights"
    with pytest.raises(ValueError, match=r"no figures for 'iPhone 3G'; known: iPhone 16 Pro Max, iPhone 14"):
        estimate_latency(cost, "iPhone 3G")


def test_the_figures_it_was_calibrated_on_come_back(small: Path) -> None:
    cost = program_cost(read_program(small))
    unet = cost.__class__(**{**cost.__dict__, "macs": int(659.75e9), "weight_bytes": 758_335_264})
    assert estimate_latency(unet, "iPhone 16 Pro Max").milliseconds == pytest.approx(274, abs=0.1)
    sd = cost.__class__(**{**cost.__dict__, "macs": int(402.13e9), "weight_bytes": 1})
    assert estimate_latency(sd, "iPhone 14 Pro Max").milliseconds == pytest.approx(1000 / 2.69 / 2, rel=1e-6)
    # Not calibrated on: 119 ms were published. The docstring's factor of two.
    decoder = cost.__class__(**{**cost.__dict__, "macs": int(148.56e9), "weight_bytes": 1})
    assert 119 / 2 < estimate_latency(decoder, "iPhone 16 Pro Max").milliseconds < 119 * 2


def test_a_report_is_json(small: Path) -> None:
    found = json.loads(json.dumps(cost_report(read_program(small)), allow_nan=False))
    assert [one["device"] for one in found["latency"]] == list(DEVICES)
    assert all(one["label"].startswith("estimate") and one["calibrated_on"] for one in found["latency"])
    assert found["operations"][0]["macs"] == max(one["macs"] for one in found["operations"])
