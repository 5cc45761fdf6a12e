"""The written file against the eager module: the numbers a gate reads.

PSNR = 20 log10(max|reference| / RMSE), the definition of Apple's own conversion gate (35 dB), taken
for each output of each case; a report's figure is always the worst of what it covers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.export.mil_interpreter import MilProgram, Precision, load

ROUNDING_PSNR_DB = 80.0
"""About what rounding a tensor to fp16 costs: drift is counted from here where the operands are better."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Of a tensor from its reference. PSNR is infinite for equal tensors, and minus infinity where a
    value is not finite or the reference is all zeros."""

    psnr_db: float
    max_abs_error: float


@dataclass(frozen=True, kw_only=True)
class OperationDrift:
    """fp16 storage against float32 execution of the same file, after one operation (worst case)."""

    name: str
    type: str
    psnr_db: float
    drop_db: float
    """below the worst of its operands: where accuracy is lost, not where a loss shows"""
    max_abs_error: float


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """psnr_db and max_abs_error are the worst over all outputs and cases."""

    psnr_db: float
    max_abs_error: float
    precision: Precision
    per_output: dict[str, Difference]
    per_case: list[Difference]
    op_census: dict[str, int]
    dtype_census: dict[str, int]
    float32_islands: list[str]
    """operations with a float32 result among fp16 ones; each leaves the Neural Engine"""
    worst_ops: list[OperationDrift] | None
    """largest drop first; None where not asked for"""

    def as_json(self) -> dict[str, Any]:
        """For a JSON file: non-finite numbers as "Infinity", "-Infinity", "NaN"."""
        return _finite(asdict(self))


def verify(
    path: Path | str,
    module: nn.Module,
    inputs_list: Sequence[Mapping[str, Tensor]],
    *,
    precision: Precision = "fp16_storage",
    worst_ops: int = 0,
) -> ParityReport:
    """Runs the package at `path` and the module on the same inputs.

    Args:
        module: float32, in eval mode; the reference. It gets the inputs unrounded, by name.
        inputs_list: the cases; real latents over the times that are sampled, not noise alone.
        precision: as `MilProgram.run`; a float32 package is the same under both.
        worst_ops: how many of the operations that lose most to report; costs one more execution a case.

    Raises:
        ValueError: no cases, a module in training mode, or other outputs than the program's.
        ProgramError, UnsupportedOperation, ExecutionError: as `mil_interpreter`.
    """
    if not inputs_list:
        raise ValueError("inputs_list is empty; parity needs at least one case")
    if module.training:
        raise ValueError(f"{type(module).__name__} is in training mode; call .eval() first")
    program = load(path)
    names = program.program.outputs
    table: list[dict[str, Difference]] = []
    for inputs in inputs_list:
        with torch.no_grad():
            expected = module(**inputs)
        references = [expected] if isinstance(expected, Tensor) else list(expected)
        if len(references) != len(names):
            raise ValueError(f"the module returns {len(references)} tensors; the program has {list(names)}")
        found = program.run(inputs, precision)
        table.append(
            {name: difference(found[name], one) for name, one in zip(names, references, strict=True)}
        )
    overall = _worst([one for case in table for one in case.values()])
    return ParityReport(
        psnr_db=overall.psnr_db,
        max_abs_error=overall.max_abs_error,
        precision=precision,
        per_output={name: _worst([case[name] for case in table]) for name in names},
        per_case=[_worst(list(case.values())) for case in table],
        op_census=program.ops(),
        dtype_census=program.program.dtype_census(),
        float32_islands=program.program.float32_islands(),
        worst_ops=drift(program, inputs_list)[:worst_ops] if worst_ops else None,
    )


def difference(found: Tensor, reference: Tensor) -> Difference:
    """PSNR in dB and largest absolute error, computed in float64."""
    error = found.double() - reference.double()
    if not bool(error.isfinite().all()):
        return Difference(psnr_db=-math.inf, max_abs_error=math.inf)
    rmse, peak = float(error.square().mean().sqrt()), float(reference.double().abs().max())
    if rmse == 0:
        return Difference(psnr_db=math.inf, max_abs_error=0.0)
    psnr = 20 * math.log10(peak / rmse) if peak else -math.inf
    return Difference(psnr_db=psnr, max_abs_error=float(error.abs().max()))


def drift(program: MilProgram, inputs_list: Sequence[Mapping[str, Tensor]]) -> list[OperationDrift]:
    """Where fp16 storage loses accuracy: each operation's worst case, largest drop first.

    Both executions advance together, so that only values still to be read are held, twice.
    """
    worst: dict[str, OperationDrift] = {}
    for inputs in inputs_list:
        seen: dict[str, float] = {}
        exact, rounded = program.steps(inputs, "fp32"), program.steps(inputs, "fp16_storage")
        for (name, reference, operation), (_, found, _) in zip(exact, rounded, strict=True):
            now = difference(found, reference)
            seen[name] = now.psnr_db
            if operation is None:
                continue
            before = min([ROUNDING_PSNR_DB, *(seen[operand] for operand in operation.operands())])
            drop = before - now.psnr_db if before > -math.inf else 0.0
            if name not in worst or drop > worst[name].drop_db:
                worst[name] = OperationDrift(
                    name=name,
                    type=operation.type,
                    psnr_db=now.psnr_db,
                    drop_db=drop,
                    max_abs_error=now.max_abs_error,
                )
    return sorted(worst.values(), key=lambda one: one.drop_db, reverse=True)


def _worst(differences: Sequence[Difference]) -> Difference:
    return Difference(
        psnr_db=min(one.psnr_db for one in differences),
        max_abs_error=max(one.max_abs_error for one in differences),
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
