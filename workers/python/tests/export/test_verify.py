"""Parity of the written file with the eager module, and that the comparison sees what is wrong."""

import copy
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from limbeck.export.convert import convert
from limbeck.export.mil_interpreter import load
from limbeck.export.verify import difference, verify

from .conftest import Converted


def test_float32_package_equals_the_module(fp32_unet: Converted) -> None:
    # Proves the interpreter: what is left is the order of float32 sums.
    report = verify(fp32_unet.path, fp32_unet.module, fp32_unet.inputs)
    assert report.psnr_db > 120
    assert report.float32_islands == []


def test_fp16_package_is_near_the_module_at_every_time(fp16_unet: Converted) -> None:
    report = verify(fp16_unet.path, fp16_unet.module, fp16_unet.inputs, worst_ops=5)
    assert 55 < report.psnr_db < 90
    assert len(report.per_case) == 3
    assert report.psnr_db == min(one.psnr_db for one in report.per_case)
    assert report.per_output["velocity"].max_abs_error == report.max_abs_error > 0
    assert report.dtype_census == fp16_unet.report.dtypes
    assert report.worst_ops is not None
    assert [one.drop_db for one in report.worst_ops] == sorted(
        (one.drop_db for one in report.worst_ops), reverse=True
    )


def test_decoder_in_fp16(decoder: Converted) -> None:
    report = verify(decoder.path, decoder.module, decoder.inputs)
    assert 55 < report.psnr_db < 90
    assert list(report.per_output) == ["image"]


def test_exact_execution_of_the_fp16_file_shows_weight_rounding_alone(fp16_unet: Converted) -> None:
    exact = verify(fp16_unet.path, fp16_unet.module, fp16_unet.inputs, precision="fp32")
    rounded = verify(fp16_unet.path, fp16_unet.module, fp16_unet.inputs)
    assert rounded.psnr_db < exact.psnr_db < 120


def test_another_module_is_told_apart(fp32_unet: Converted) -> None:
    other = copy.deepcopy(fp32_unet.module)
    with torch.no_grad():
        other.unet.conv_out.weight[0, 0, 0, 0] += 0.05
    assert verify(fp32_unet.path, other, fp32_unet.inputs[:1]).psnr_db < 70


def test_overflow_in_fp16_is_reported_as_such_and_traced_to_its_operation(tmp_path: Path) -> None:
    class Overflowing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sqrt(torch.square(x) + 1.0) * 0.001

    path, inputs = tmp_path / "x.mlpackage", {"x": torch.tensor([[1.0, 3.0, 300.0]])}
    convert(Overflowing().eval(), inputs, ["y"], path)
    report = verify(path, Overflowing().eval(), [inputs], worst_ops=1)
    assert report.psnr_db == -math.inf
    assert report.worst_ops is not None
    first = load(path).program.operations[0]  # x * x = 90,000, above 65,504
    assert report.worst_ops[0].name == first.name
    assert report.worst_ops[0].drop_db == math.inf
    assert report.as_json()["psnr_db"] == "-Infinity"
    assert verify(path, Overflowing().eval(), [inputs], precision="fp32").psnr_db > 60


def test_definition_of_psnr() -> None:
    reference = torch.tensor([0.0, -4.0, 2.0, 1.0])
    found = reference + torch.tensor([0.1, -0.1, 0.1, -0.1])
    assert difference(found, reference).psnr_db == pytest.approx(20 * math.log10(4 / 0.1), abs=1e-4)
    assert difference(found, reference).max_abs_error == pytest.approx(0.1, abs=1e-6)
    assert difference(reference, reference).psnr_db == math.inf
    assert difference(found, torch.zeros(4)).psnr_db == -math.inf


def test_no_cases_and_training_mode_are_refused(fp32_unet: Converted) -> None:
    with pytest.raises(ValueError, match="at least one case"):
        verify(fp32_unet.path, fp32_unet.module, [])
    with pytest.raises(ValueError, match="training mode"):
        verify(fp32_unet.path, copy.deepcopy(fp32_unet.module).train(), fp32_unet.inputs)
