"""What a package must be before it may go to a phone, read from the file: operations, dtypes, digests."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

from limbeck.export.convert import MinimumTarget, weights_sha256
from limbeck.export.mil_program import Operation, Program, ProgramError, read_program

TEXT_PACKAGE: Final = "text"
"""Name of the package that takes token ids."""

OPSETS: Final[dict[MinimumTarget, str]] = {"iOS17": "CoreML7", "iOS18": "CoreML8"}

_ELEMENTWISE = "abs add clip erf exp gelu leaky_relu maximum minimum mul pow real_div relu relu6 rsqrt select"
_REST = (
    "sigmoid sigmoid_hard silu softmax softplus sqrt sub tanh batch_norm instance_norm layer_norm reduce_max"
    " reduce_mean reduce_min reduce_sum conv linear matmul concat expand_dims pad pixel_shuffle reshape"
    " slice_by_index split squeeze stack transpose upsample_nearest_neighbor"
)
_COMMON = frozenset(f"{_ELEMENTWISE} {_REST}".split())

ALLOWED: Final[dict[MinimumTarget, frozenset[str]]] = {
    "iOS17": _COMMON | {"constexpr_affine_dequantize", "constexpr_lut_to_dense", "constexpr_sparse_to_dense"},
    "iOS18": _COMMON
    | {
        "constexpr_blockwise_shift_scale",
        "constexpr_lut_to_dense",
        "constexpr_sparse_to_dense",
        "scaled_dot_product_attention",
    },
}
"""Operations with a fixed-shape form in fp16 that the interpreter executes, too. Left out on purpose:
gathers, tiles, casts, sines, comparisons and other integer or boolean work, each of which leaves the Neural
Engine or (sines) is wrong in fp16."""

TEXT_ALLOWED: Final = frozenset({"gather"})
ID_ARITHMETIC: Final = frozenset({"add", "cast", "greater_equal", "select"})
"""What a text encoder has besides: it looks words up, and brings their ids (integers) into range before."""

ALLOWED_DTYPES: Final = frozenset({"fp16"})
"""Of what operations compute. A float32 or integer value in between leaves the Neural Engine."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a package must not be; `operation` is empty where it concerns the whole file."""

    rule: Literal["target", "operation", "dtype", "digest", "file"]
    operation: str
    message: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def check_program(program: Program, target: MinimumTarget, *, text: bool = False) -> list[Finding]:
    """Target, operations and dtypes. Dynamic shapes and control flow do not get this far: reading refuses
    them."""
    found: list[Finding] = []
    if program.opset != OPSETS[target]:
        message = f"written for {_named(program.opset)}; asked for is {target} ({OPSETS[target]})"
        found.append(Finding(rule="target", operation="", message=message))
    for operation in program.operations:
        if text and operation.type in ID_ARITHMETIC and not _has_floats(operation):
            continue
        if operation.type not in ALLOWED[target] | (TEXT_ALLOWED if text else frozenset()):
            message = f"{operation.type} is not on {target}'s list"
            found.append(Finding(rule="operation", operation=operation.name, message=message))
        wrong = sorted({kind.dtype for _, kind in operation.outputs} - ALLOWED_DTYPES)
        if wrong:
            message = f"{operation.type} computes {', '.join(wrong)}; allowed: {', '.join(ALLOWED_DTYPES)}"
            found.append(Finding(rule="dtype", operation=operation.name, message=message))
    return found


def _has_floats(operation: Operation) -> bool:
    return any(kind.dtype.startswith("fp") for _, kind in operation.outputs)


class Reported(BaseModel):
    """What a report says of a package that was written; other keys are ignored."""

    program_sha256: str
    weights_sha256: str
    operation_digests: list[str]


def check_package(path: Path, target: MinimumTarget, reported: Reported | None = None) -> list[Finding]:
    """The same from the file, and its digests where a report knows them: a flipped bit is found here, with
    the operation whose weights or arguments it changed.

    A damaged file is a finding, not an exception.
    """
    try:
        program = read_program(path)
    except (ProgramError, FileNotFoundError) as error:
        return [Finding(rule="file", operation="", message=str(error))]
    except Exception as error:  # protobuf's DecodeError, a manifest's KeyError, bytes that are no UTF-8
        return [
            Finding(rule="file", operation="", message=f"cannot be read: {type(error).__name__}: {error}")
        ]
    found = check_program(program, target, text=path.stem == TEXT_PACKAGE)
    if reported is None or reported.program_sha256 == program.sha256():
        if reported is not None and reported.weights_sha256 != weights_sha256(path):
            message = "the weight file has other bytes than reported, in places that no operation reads"
            found.append(Finding(rule="digest", operation="", message=message))
        return found
    digests = program.operation_digests()
    if len(digests) != len(reported.operation_digests):
        message = f"{len(digests)} operations; reported are {len(reported.operation_digests)}"
        return [*found, Finding(rule="digest", operation="", message=message)]
    altered = [
        Finding(
            rule="digest",
            operation=operation.name,
            message=f"{operation.type} has other weights or arguments than reported",
        )
        for operation, now, then in zip(program.operations, digests, reported.operation_digests, strict=True)
        if now != then
    ]
    message = "inputs or outputs are not those that were reported"
    return found + (altered or [Finding(rule="digest", operation="", message=message)])


def _named(opset: str) -> str:
    target = next((name for name, own in OPSETS.items() if own == opset), None)
    return f"{target} ({opset})" if target else opset
