"""What the file says of itself: rules of the target, and the digests that find a flipped bit."""

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from limbeck.export.checks import Reported, check_package, check_program
from limbeck.export.convert import ConversionReport, convert
from limbeck.export.mil_program import Constant, read_program, weights_file

from .conftest import Converted


def reported(report: ConversionReport) -> Reported:
    return Reported.model_validate(asdict(report))


def test_sound_packages_have_no_findings(fp16_unet: Converted, decoder: Converted) -> None:
    for package in (fp16_unet, decoder):
        assert check_package(package.path, "iOS18", reported(package.report)) == []


def test_another_target_is_named(fp16_unet: Converted) -> None:
    (finding,) = check_package(fp16_unet.path, "iOS17")
    assert finding.rule == "target"
    assert finding.message == "written for iOS18 (CoreML8); asked for is iOS17 (CoreML7)"


def test_operations_and_dtypes_off_the_list_are_named(tmp_path: Path) -> None:
    class Sine(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sin(x) * (x > 0).to(torch.float32)

    path = tmp_path / "x.mlpackage"
    convert(Sine().eval(), {"x": torch.ones(1, 4)}, ["y"], path)
    found = check_program(read_program(path), "iOS18")
    assert {"operation", "dtype"} == {finding.rule for finding in found}
    assert any(finding.message == "sin is not on iOS18's list" for finding in found)
    assert any(finding.message == "greater computes bool; allowed: fp16" for finding in found)
    assert all(finding.operation for finding in found)


def test_a_float32_program_computes_what_is_not_allowed(fp32_unet: Converted) -> None:
    found = check_program(read_program(fp32_unet.path), "iOS18")
    assert found and {finding.rule for finding in found} == {"dtype"}


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_is_traced_to_the_operation_that_reads_it(
    fp16_unet: Converted, tmp_path: Path, place: float
) -> None:
    package = Path(shutil.copytree(fp16_unet.path, tmp_path / "unet.mlpackage"))
    readers = [one for one in read_program(package).operations if "weight" in one.arguments]
    operation = readers[int(place * len(readers))]
    (weight,) = operation.arguments["weight"]
    assert isinstance(weight, Constant)
    file = weights_file(package)
    content = bytearray(file.read_bytes())
    at = bytes(content).find(np.ascontiguousarray(weight.array()).tobytes())
    assert at > 0
    content[at] ^= 1
    file.write_bytes(content)
    (finding,) = check_package(package, "iOS18", reported(fp16_unet.report))
    assert finding.rule == "digest" and finding.operation == operation.name
    assert finding.message == f"{operation.type} has other weights or arguments than reported"


def test_a_flipped_bit_that_no_operation_reads_is_found_too(fp16_unet: Converted, tmp_path: Path) -> None:
    package = Path(shutil.copytree(fp16_unet.path, tmp_path / "unet.mlpackage"))
    file = weights_file(package)
    file.write_bytes(file.read_bytes() + b"\0")
    (finding,) = check_package(package, "iOS18", reported(fp16_unet.report))
    assert finding.rule == "digest" and "no operation reads" in finding.message


@pytest.mark.parametrize("damage", ["program", "cut weights", "no manifest"])
def test_a_damaged_file_is_a_finding(fp16_unet: Converted, tmp_path: Path, damage: str) -> None:
    package = Path(shutil.copytree(fp16_unet.path, tmp_path / "unet.mlpackage"))
    if damage == "program":
        (model,) = package.rglob("*.mlmodel")
        model.write_bytes(b"\xff" * 100)
    elif damage == "cut weights":
        file = weights_file(package)
        file.write_bytes(file.read_bytes()[:1000])
    else:
        (package / "Manifest.json").unlink()
    (finding,) = check_package(package, "iOS18", reported(fp16_unet.report))
    assert finding.rule == "file" and finding.message


def test_another_program_under_a_report_is_told_apart(fp16_unet: Converted, decoder: Converted) -> None:
    (finding,) = check_package(decoder.path, "iOS18", reported(fp16_unet.report))
    assert finding.rule == "digest" and "operations; reported are" in finding.message
