"""The written package: its digests, its shape, and what is refused."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from limbeck.export.convert import convert
from limbeck.export.graph import ConversionError
from limbeck.export.mil_program import read_program, weights_file

from .conftest import Converted


class Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2.0


X = {"x": torch.ones(1, 4)}


def test_report_describes_the_file(fp16_unet: Converted, fp32_unet: Converted) -> None:
    report = fp16_unet.report
    weights = weights_file(fp16_unet.path).read_bytes()
    assert report.weights_sha256 == hashlib.sha256(weights).hexdigest()
    assert report.weight_bytes == len(weights)
    assert report.package_bytes > report.weight_bytes
    assert report.op_counts["conv"] > 10
    assert set(report.dtypes) == {"fp16"}
    assert set(fp32_unet.report.dtypes) == {"fp32"}
    assert fp32_unet.report.weight_bytes > 1.5 * report.weight_bytes


def test_program_has_the_named_inputs_in_fp16_and_no_five_dimensional_values(fp16_unet: Converted) -> None:
    program = read_program(fp16_unet.path)
    assert {name: str(kind) for name, kind in program.inputs.items()} == {
        "latent": "fp16[1,4,8,8]",
        "time_embedding": "fp16[1,8]",
        "text": "fp16[1,5,12]",
    }
    assert program.outputs == ("velocity",)
    assert max(len(kind.shape) for one in program.operations for _, kind in one.outputs) == 4
    # K and V have one head: nothing repeats them.
    assert "tile" not in fp16_unet.report.op_counts


def test_second_conversion_has_the_same_digests_and_another_manifest(
    decoder: Converted, tmp_path: Path
) -> None:
    path = tmp_path / "again.mlpackage"
    again = convert(decoder.module, {"latent": torch.ones(1, 4, 4, 4)}, ["image"], path)
    assert again.program_sha256 == decoder.report.program_sha256
    assert again.weights_sha256 == decoder.report.weights_sha256
    manifests = [(package / "Manifest.json").read_bytes() for package in (decoder.path, path)]
    assert manifests[0] != manifests[1]


def test_program_digest_sees_weights_and_constants(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def __init__(self, factor: float, weight: float) -> None:
            super().__init__()
            self.factor = factor
            self.linear = nn.Linear(16, 16)
            nn.init.constant_(self.linear.weight, weight)
            nn.init.zeros_(self.linear.bias)

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.linear(x)) * self.factor

    digests = {
        convert(
            Scaled(*case).eval(), {"x": torch.ones(1, 16)}, ["y"], tmp_path / f"{i}.mlpackage"
        ).program_sha256
        for i, case in enumerate([(2.0, 0.5), (3.0, 0.5), (2.0, 0.25)])
    }
    assert len(digests) == 3


def test_metadata_is_stored(fp16_unet: Converted) -> None:
    from coremltools.proto import Model_pb2

    model = Model_pb2.Model()
    model.ParseFromString((fp16_unet.path / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    assert model.description.metadata.userDefined["limbeck.checkpoint"] == "sha256:00"


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.mlpackage"
    with pytest.raises(ConversionError, match="training mode"):
        convert(Double().train(), X, ["y"], path)
    with pytest.raises(ConversionError, match=r"example_inputs are \['z'\]; forward takes \['x'\]"):
        convert(Double().eval(), {"z": X["x"]}, ["y"], path)
    with pytest.raises(ConversionError, match=r"must end in \.mlpackage"):
        convert(Double().eval(), X, ["y"], tmp_path / "x.mlmodel")
    with pytest.raises(ConversionError, match=r"returns 1 tensors; output_names are \['y', 'z'\]"):
        convert(Double().eval(), X, ["y", "z"], path)
    with pytest.raises(ConversionError, match=r"x is torch.float16"):
        convert(Double().eval(), {"x": X["x"].half()}, ["y"], path)
    path.mkdir()
    with pytest.raises(FileExistsError, match="never overwritten"):
        convert(Double().eval(), X, ["y"], path)


def test_operation_without_counterpart_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    class Determinant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.det(x)

    with pytest.raises(ConversionError, match=r"Determinant cannot be converted: .*det"):
        convert(Determinant().eval(), {"x": torch.eye(3)}, ["y"], tmp_path / "x.mlpackage")
    assert list(tmp_path.iterdir()) == []

    class Bessel(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.i1(x)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(3, 3), Bessel())

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    with pytest.raises(ConversionError, match=r"special_i1, in inner\.1 \(Bessel\)"):
        convert(Outer().eval(), {"x": torch.eye(3)}, ["y"], tmp_path / "x.mlpackage")
