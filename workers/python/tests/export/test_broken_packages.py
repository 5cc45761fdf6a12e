"""Packages that were damaged after they were written: the comparison with torch names the operation."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from limbeck.export.graph import ConversionError, Graph
from limbeck.export.mil_program import Constant, Operation, read_program, weights_file
from limbeck.export.verify import verify

from .conftest import Converted


def copied(package: Converted, tmp_path: Path) -> Path:
    return Path(shutil.copytree(package.path, tmp_path / "unet.mlpackage"))


def weight_of(operation: Operation) -> Constant:
    (weight,) = operation.arguments["weight"]
    assert isinstance(weight, Constant)
    return weight


def rewritten(package: Path, weight: Constant, values: np.ndarray) -> None:
    """Other values for a constant, in place of its own bytes in the weight file."""
    file = weights_file(package)
    old, new = weight.array().tobytes(), values.astype(np.float16).tobytes()
    content = file.read_bytes()
    assert len(old) == len(new) and content.count(old) == 1
    file.write_bytes(content.replace(old, new))


def middle(package: Path, kind: str, square: bool = False) -> Operation:
    """An operation in the middle of the program that reads a weight of its own."""
    operations = [one for one in read_program(package).operations if one.type == kind]
    if square:
        shapes = [weight_of(one).type.shape for one in operations]
        operations = [one for one, shape in zip(operations, shapes, strict=True) if shape[0] == shape[1]]
    return operations[len(operations) // 2]


def test_a_sound_package_drops_nowhere(fp16_unet: Converted) -> None:
    report = verify(fp16_unet.path, fp16_unet.module, fp16_unet.inputs, worst_ops=1)
    assert report.worst_ops is not None
    assert report.worst_ops[0].drop_db < 30
    assert report.worst_ops[0].psnr_db > 40


@pytest.mark.parametrize("kind", ["conv", "linear"])
def test_an_altered_weight_is_traced_to_its_operation_and_module(
    fp16_unet: Converted, tmp_path: Path, kind: str
) -> None:
    package = copied(fp16_unet, tmp_path)
    operation = middle(package, kind)
    weight = weight_of(operation)
    values = weight.array().copy()
    values.ravel()[: values.size // 4] = 0
    rewritten(package, weight, values)
    report = verify(package, fp16_unet.module, fp16_unet.inputs, worst_ops=3)
    assert report.psnr_db < 45
    assert report.worst_ops is not None
    assert report.worst_ops[0].name == operation.name
    assert report.worst_ops[0].against == "torch"
    # "p_unet_up_0_0_res_conv1_weight_to_fp16" is the weight of the module unet.up.0.0.res.conv1.
    path = report.worst_ops[0].module.split(" ")[0]
    assert path.replace(".", "_") in weight.name


def test_a_swapped_layout_is_traced_to_its_operation(fp16_unet: Converted, tmp_path: Path) -> None:
    package = copied(fp16_unet, tmp_path)
    operation = middle(package, "linear", square=True)
    weight = weight_of(operation)
    rewritten(package, weight, np.ascontiguousarray(weight.array().T))
    report = verify(package, fp16_unet.module, fp16_unet.inputs, worst_ops=1)
    assert report.worst_ops is not None
    assert report.worst_ops[0].name == operation.name


def test_most_values_of_a_package_are_compared_with_torch_itself(fp16_unet: Converted) -> None:
    report = verify(fp16_unet.path, fp16_unet.module, fp16_unet.inputs[:1], worst_ops=10_000)
    assert report.worst_ops is not None
    values = [name for one in read_program(fp16_unet.path).operations for name, _ in one.outputs]
    assert {one.name for one in report.worst_ops} == set(values)
    of_torch = sum(one.against == "torch" for one in report.worst_ops)
    assert of_torch > 0.9 * len(report.worst_ops)


def test_the_graph_knows_which_module_writes_an_operation(unet: Any, unet_inputs: Any) -> None:
    graph = Graph(unet, unet_inputs[0])
    values = graph.values(unet_inputs[0])
    assert set(values) <= set(graph.modules)
    assert any(place.startswith("unet.conv_out (Conv2d)") for place in graph.modules.values())
    assert torch.allclose(list(values.values())[-1], unet(**unet_inputs[0]), atol=1e-5)


def test_what_cannot_be_traced_says_where() -> None:
    class Branching(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ConversionError, match=r"Branching cannot be converted: .*data-dependent.*in forward"):
        Graph(Branching(), {"x": torch.ones(2)})


def test_a_report_is_json(fp16_unet: Converted) -> None:
    report = verify(fp16_unet.path, fp16_unet.module, fp16_unet.inputs[:1], worst_ops=2)
    assert json.loads(json.dumps(report.as_json(), allow_nan=False))["worst_ops"][0]["against"] == "torch"
