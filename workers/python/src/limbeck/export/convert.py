"""Torch module -> Core ML package, on any machine that has coremltools.

The route is `torch.export` with a small table of decompositions. Tried beside it: `torch.jit.trace`,
which records the shape arithmetic of `x.reshape(batch, tokens, ...)` as operations that the converter
then fails on (coremltools 9.0 under numpy 2.4); plain `torch.export`, which is rejected without
`run_decompositions`. What the converter loses on this route (see `graph`) was found by running the written
file, so every export is followed by `verify`.
"""

import contextlib
import hashlib
import inspect
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.export.graph import ConversionError, Graph
from limbeck.export.mil_program import Program, weights_file
from limbeck.export.save import save_package
from limbeck.export.toolkit import load_coremltools, no_progress_bars

ROUTE = "torch.export"

MinimumTarget = Literal["iOS17", "iOS18"]
"""iOS18 adds palettes in groups of channels, int4 blocks and a native attention operation."""


@dataclass(frozen=True, kw_only=True)
class ConversionReport:
    """What was written. `program_sha256` names the computation and its weights; the package's own
    bytes differ between two conversions of the same module (identifiers, dates)."""

    route: str
    seconds: float
    weight_bytes: int
    package_bytes: int
    weights_sha256: str
    program_sha256: str
    op_counts: dict[str, int]
    """operations by MIL type, constants not counted"""
    operation_digests: list[str]
    """of each operation in order: which one was altered (`checks`)"""
    dtypes: dict[str, int]
    """values computed, by dtype"""


def convert(
    module: nn.Module,
    example_inputs: Mapping[str, Tensor],
    output_names: Sequence[str],
    path: Path | str,
    *,
    minimum_target: MinimumTarget = "iOS18",
    precision: Literal["fp16", "fp32"] = "fp16",
    metadata: Mapping[str, str] | None = None,
) -> ConversionReport:
    """Writes `module` as an ML program with fixed shapes.

    Floating inputs and outputs have the program's precision, integer ones are int32.

    Args:
        module: in eval mode, float32, on the CPU; returns a tensor or a tuple of tensors.
        example_inputs: one tensor for each parameter of `forward`, by name and in its order; their
            shapes are the package's.
        output_names: one for each tensor that the module returns.
        path: ends in .mlpackage, must not exist; appears only when complete.
        metadata: stored as user-defined metadata.

    Raises:
        ConversionError: the arguments do not fit the module, or an operation has no counterpart.
        FileExistsError: something is at `path`.
        CoremltoolsMissing: coremltools is not installed.
    """
    path = Path(path)
    _check(module, example_inputs, path)
    coremltools = load_coremltools()
    started = time.monotonic()
    with no_progress_bars(), _known_warnings():
        graph = Graph(module, example_inputs)
        try:
            model = _lower(coremltools, graph, example_inputs, output_names, minimum_target, precision)
        except ConversionError:
            raise
        except Exception as error:
            # The converter raises what it likes, AssertionError and KeyError included.
            reason = f"{type(error).__name__}: {error}{graph.where(str(error))}"
            raise ConversionError(f"{type(module).__name__} cannot be converted: {reason}") from error
    model.user_defined_metadata.update(metadata or {})
    program = save_package(model, path)
    return describe(path, program, seconds=time.monotonic() - started)


def _lower(
    coremltools: Any,
    graph: Graph,
    example_inputs: Mapping[str, Tensor],
    output_names: Sequence[str],
    minimum_target: MinimumTarget,
    precision: Literal["fp16", "fp32"],
) -> Any:
    """The unsaved coremltools model."""
    found = len(graph.program.graph_signature.user_outputs)
    if found != len(output_names) or len(set(output_names)) != found:
        raise ConversionError(f"the module returns {found} tensors; output_names are {list(output_names)}")
    float_type = np.float16 if precision == "fp16" else np.float32
    pipeline = coremltools.PassPipeline.DEFAULT
    if precision == "fp32":
        # It fuses a norm's gain and bias into a batch_norm of variance 1 with epsilon 1e-5, so each is
        # off by 5e-6: below what fp16 resolves, but the end of float32 parity.
        pipeline.remove_passes({"common::fuse_elementwise_to_batchnorm"})
    return coremltools.convert(
        graph.program,
        inputs=[
            coremltools.TensorType(
                name=name,
                shape=tuple(value.shape),
                dtype=float_type if value.is_floating_point() else np.int32,
            )
            for name, value in example_inputs.items()
        ],
        outputs=[coremltools.TensorType(name=name, dtype=float_type) for name in output_names],
        minimum_deployment_target=coremltools.target[minimum_target],
        compute_precision=coremltools.precision(f"float{precision[2:]}"),
        convert_to="mlprogram",
        pass_pipeline=pipeline,
        skip_model_load=True,
    )


@contextlib.contextmanager
def _known_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # torch.export's own pickled graph signature uses a class that torch itself deprecates.
        warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`")
        # coremltools' front end asks its own registry through a deprecated method.
        warnings.filterwarnings("ignore", message="Function _TORCH_OPS_REGISTRY", category=DeprecationWarning)
        yield


def weights_sha256(package: Path) -> str:
    """Of the weight file; of nothing where all constants are small."""
    weights = weights_file(package)
    if not weights.is_file():
        return hashlib.sha256().hexdigest()
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(path: Path, program: Program, *, seconds: float) -> ConversionReport:
    """Sizes, digests and censuses of a package that is written."""
    weights = weights_file(path)
    return ConversionReport(
        route=ROUTE,
        seconds=seconds,
        weight_bytes=weights.stat().st_size if weights.is_file() else 0,
        package_bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        weights_sha256=weights_sha256(path),
        program_sha256=program.sha256(),
        op_counts=program.operation_census(),
        operation_digests=program.operation_digests(),
        dtypes=program.dtype_census(),
    )


def _check(module: nn.Module, example_inputs: Mapping[str, Tensor], path: Path) -> None:
    if path.suffix != ".mlpackage":
        raise ConversionError(f"{path.name} must end in .mlpackage")
    if path.exists():
        raise FileExistsError(f"{path} exists; a package is never overwritten")
    if module.training:
        raise ConversionError(f"{type(module).__name__} is in training mode; call .eval() first")
    expected = list(inspect.signature(module.forward).parameters)
    if list(example_inputs) != expected:
        raise ConversionError(
            f"example_inputs are {list(example_inputs)}; forward takes {expected}, in this order"
        )
    for name, value in [*module.named_parameters(), *module.named_buffers(), *example_inputs.items()]:
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ConversionError(
                f"{name} is {value.dtype}; convert from float32, the target precision is an option"
            )
        if value.device.type != "cpu":
            raise ConversionError(f"{name} is on {value.device}; move the module and its inputs to the cpu")
