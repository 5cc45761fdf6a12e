"""The written file against the eager module: the numbers a gate reads.

PSNR = 20 log10(max|reference| / RMSE), the definition of Apple's own conversion gate (35 dB), taken
for each output of each case; a report's figure is always the worst of what it covers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from limbeck.export.graph import Graph
from limbeck.export.mil_interpreter import MilProgram, Precision, load
from limbeck.export.mil_program import Operation

CAST = "_cast_fp16"
"""What the converter appends to the names of values that it computes in fp16."""

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
    """The file's fp16 execution against torch, after one operation (worst case).

    Values that the converter introduced have no counterpart in torch's graph: they are held against the
    file's own float32 execution, and are never better than their operands.
    """

    name: str
    type: str
    module: str
    """ "path (class)" of the module that computes it; empty where the converter introduced it"""
    against: Literal["torch", "file"]
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
        return finite(asdict(self))


def verify(
    path: Path | str,
    module: nn.Module,
    inputs_list: Sequence[Mapping[str, Tensor]],
    *,
    precision: Precision = "fp16_storage",
    worst_ops: int = 0,
    converted: nn.Module | None = None,
    references: Sequence[Sequence[Tensor]] | None = None,
) -> ParityReport:
    """Runs the package at `path` and the module on the same inputs.

    Args:
        module: float32, in eval mode; the reference. It gets the inputs unrounded, by name.
        inputs_list: the cases; real latents over the times that are sampled, not noise alone.
        precision: as `MilProgram.run`; a float32 package is the same under both.
        worst_ops: how many of the operations that lose most to report; costs a trace of the module and, a
            case, two executions more and the memory of all its activations.
        converted: the module that the file was made from, where that is another form of `module`: the
            operations are compared with it, the outputs with `module`.
        references: what the module answers to each case (`answers`), where that is known already: several
            packages of one module are then compared for one forward of it.

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
    for place, inputs in enumerate(inputs_list):
        expected = answers(module, inputs) if references is None else references[place]
        if len(expected) != len(names):
            raise ValueError(f"the module returns {len(expected)} tensors; the program has {list(names)}")
        found = program.run(inputs, precision)
        table.append({name: difference(found[name], one) for name, one in zip(names, expected, strict=True)})
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
        worst_ops=drift(program, Graph(converted or module, inputs_list[0]), inputs_list)[:worst_ops]
        if worst_ops
        else None,
    )


@torch.no_grad()
def answers(module: nn.Module, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """What the module returns, as a list."""
    found = module(**inputs)
    return [found] if isinstance(found, Tensor) else list(found)


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


def drift(
    program: MilProgram, graph: Graph, inputs_list: Sequence[Mapping[str, Tensor]]
) -> list[OperationDrift]:
    """Where the file loses accuracy against torch: each operation's worst case, largest drop first.

    A weight that was altered, a layout that was swapped and a step that the converter got wrong stand first,
    since their operands are still right. An error that no reader of the value shows is no loss: an epsilon
    that fp16 rounds to nothing is far off and changes nothing.
    """
    readers: dict[str, list[str]] = {}
    for operation in program.program.operations:
        for operand in operation.operands():
            readers.setdefault(operand, []).append(operation.name)
    worst: dict[str, OperationDrift] = {}
    for inputs in inputs_list:
        case = _compared(program, graph, inputs)
        for name, one in case.items():
            if one.operation is None:
                continue
            before = min([ROUNDING_PSNR_DB, *(case[operand].psnr_db for operand in one.operation.operands())])
            passed_on = min((case[reader].psnr_db for reader in readers.get(name, ())), default=-math.inf)
            drop = before - max(one.psnr_db, passed_on) if before > -math.inf else 0.0
            if name not in worst or drop > worst[name].drop_db:
                worst[name] = OperationDrift(
                    name=name,
                    type=one.operation.type,
                    module=graph.modules.get(name.removesuffix(CAST), ""),
                    against="torch" if one.of_torch else "file",
                    psnr_db=one.psnr_db,
                    drop_db=drop,
                    max_abs_error=one.max_abs_error,
                )
    return sorted(worst.values(), key=lambda one: one.drop_db, reverse=True)


@dataclass(frozen=True, kw_only=True)
class _Compared:
    operation: Operation | None
    of_torch: bool
    psnr_db: float
    max_abs_error: float


def _compared(program: MilProgram, graph: Graph, inputs: Mapping[str, Tensor]) -> dict[str, _Compared]:
    """Every value of one case, in the program's order."""
    eager = graph.values(inputs)
    found: dict[str, _Compared] = {}
    exact, rounded = program.steps(inputs, "fp32"), program.steps(inputs, "fp16_storage")
    for (name, own, operation), (_, value, _) in zip(exact, rounded, strict=True):
        reference = eager.get(name.removesuffix(CAST))
        of_torch = reference is not None and reference.shape == value.shape
        now = difference(value, reference if of_torch and reference is not None else own)
        psnr = now.psnr_db
        if operation is not None and not of_torch:
            psnr = min([psnr, *(found[operand].psnr_db for operand in operation.operands())])
        found[name] = _Compared(
            operation=operation, of_torch=of_torch, psnr_db=psnr, max_abs_error=now.max_abs_error
        )
    return found


def _worst(differences: Sequence[Difference]) -> Difference:
    return Difference(
        psnr_db=min(one.psnr_db for one in differences),
        max_abs_error=max(one.max_abs_error for one in differences),
    )


def finite(value: Any) -> Any:
    """For a JSON file: non-finite numbers as "Infinity", "-Infinity", "NaN"."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
