"""What each weight of a package costs when it alone is a palette, and the best plan under a size.

The table is measured by running the written fp16 program with one weight replaced at a time. For the plan,
errors of different weights are taken to add as independent noise: relative error e = 10^(-PSNR / 10) of a
plan is the sum over its weights. That is a prediction, which the exported package then confirms or not.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from limbeck.export.mil_interpreter import MilProgram
from limbeck.export.mil_program import Constant
from limbeck.export.palettes import GROUP, Weight, decompressed
from limbeck.export.verify import difference, finite

FULL = 16
"""Bits of a weight that is no palette."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One weight at one width, all others fp16: PSNR of the outputs, worst case, against the fp16 program."""

    weight: str
    bits: int
    psnr_db: float
    stored_bytes: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Bits by weight; what is not named stays fp16."""

    bits: dict[str, int]
    weight_bytes: int
    """of all convolutions and linear layers, kept ones included"""
    predicted_psnr_db: float
    """against the fp16 program"""

    def as_json(self) -> dict[str, Any]:
        return finite(asdict(self))


def measure(
    program: MilProgram,
    weights: Sequence[Weight],
    inputs_list: Sequence[Mapping[str, Tensor]],
    widths: Iterable[int],
    *,
    group: int = GROUP,
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """The table for every weight that may be compressed; costs a run for each weight, width and case."""
    open_weights = [weight for weight in weights if not weight.kept]
    widths = list(widths)
    references = [program.run(inputs) for inputs in inputs_list]
    constants = _constants(program)
    rows: list[Row] = []
    for done, weight in enumerate(open_weights, start=1):
        size = weight.group(group)
        for bits in widths:
            values = torch.from_numpy(decompressed(constants[weight.name], bits, size))
            with program.replaced({weight.name: values}):
                psnr = min(
                    difference(value, reference[name]).psnr_db
                    for inputs, reference in zip(inputs_list, references, strict=True)
                    for name, value in program.run(inputs).items()
                )
            stored = weight.stored_bytes(bits, group)
            rows.append(Row(weight=weight.name, bits=bits, psnr_db=psnr, stored_bytes=stored))
        if progress is not None:
            progress(done, len(open_weights))
    return rows


def plan_under(budget_bytes: int, weights: Sequence[Weight], rows: Sequence[Row]) -> Plan:
    """The plan with the least predicted error whose weights take at most `budget_bytes`.

    Greedy: from fp16 on, the step that adds least error for each byte saved, until the budget holds.

    Raises:
        ValueError: the smallest plan is larger than the budget; says how large it is.
    """
    table = {(row.weight, row.bits): row for row in rows}
    widths = sorted({row.bits for row in rows}, reverse=True)
    bits = {weight.name: FULL for weight in weights}
    size = sum(weight.stored_bytes(FULL, GROUP) for weight in weights)

    def at(name: str, width: int, full: int) -> tuple[float, int]:
        """(relative error, bytes) of a weight."""
        if width == FULL:
            return 0.0, full
        row = table[name, width]
        return 10 ** (-row.psnr_db / 10), row.stored_bytes

    while size > budget_bytes:
        best: tuple[float, str, int, int] | None = None
        for weight in weights:
            full = weight.stored_bytes(FULL, GROUP)
            error, stored = at(weight.name, bits[weight.name], full)
            for width in widths:
                if (weight.name, width) not in table or width >= bits[weight.name]:
                    continue
                more, less = at(weight.name, width, full)
                saved = stored - less
                if saved > 0 and (best is None or (more - error) / saved < best[0]):
                    best = ((more - error) / saved, weight.name, width, saved)
        if best is None:
            raise ValueError(
                f"the weights take {size} bytes with every palette at {min(widths, default=FULL)} bits;"
                f" the budget is {budget_bytes}"
            )
        _, name, width, saved = best
        bits[name], size = width, size - saved
    chosen = {name: width for name, width in bits.items() if width != FULL}
    error = sum(10 ** (-table[name, width].psnr_db / 10) for name, width in chosen.items())
    return Plan(
        bits=chosen,
        weight_bytes=size,
        predicted_psnr_db=-10 * math.log10(error) if error else math.inf,
    )


def _constants(program: MilProgram) -> dict[str, Constant]:
    return {
        one.name: one
        for operation in program.program.operations
        for given in operation.arguments.values()
        for one in given
        if isinstance(one, Constant) and one.name
    }
