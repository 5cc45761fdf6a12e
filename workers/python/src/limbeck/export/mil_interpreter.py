"""Executes a saved ML program in torch, on any machine: what is in the file, not what it came from.

Core ML itself runs on Apple's systems only. What an interpreter shows is that layouts, constants,
palettes and the converter's rewriting are right, and what rounding every result to the declared
fp16 costs. fp16 storage on a CPU is not the arithmetic of the Neural Engine: a device's own
figure stays a device's to measure.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from limbeck.export.mil_ops import KERNELS, Arguments, Value
from limbeck.export.mil_program import Argument, Constant, Operation, Program, ValueType, read_program
from limbeck.export.toolkit import give_freed_memory_back

Precision = Literal["fp32", "fp16_storage"]
"""fp32: no rounding at all (shows conversion errors alone). fp16_storage: each operation computes in
float32, and its result is rounded where the file declares fp16, inputs included."""


class UnsupportedOperation(NotImplementedError):
    """An operation without a kernel in mil_ops.KERNELS."""


class ExecutionError(RuntimeError):
    """A program that cannot be executed with what was fed, or whose results contradict the file."""


class MilProgram:
    """A program ready to run. Decoded constants are kept: 4 bytes a weight, after the first run."""

    def __init__(self, program: Program) -> None:
        for operation in program.operations:
            if operation.type not in KERNELS:
                raise UnsupportedOperation(
                    f"operation {operation.type!r} (output {operation.name}) has no kernel; "
                    f"supported: {', '.join(sorted(KERNELS))}"
                )
        self.program = program
        self._decoded: dict[int, Value] = {}
        self._weights: dict[tuple[str, Precision], Tensor] = {}
        self._replaced: dict[str, Tensor] = {}
        self._reads = Counter(name for one in program.operations for name in one.operands())
        self._reads.update(program.outputs)

    def ops(self) -> dict[str, int]:
        """How often each operation type occurs; constants are not counted."""
        return self.program.operation_census()

    @contextmanager
    def replaced(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """While it lasts, constants of these names have other values (of the same shapes)."""
        self._replaced = dict(values)
        try:
            yield
        finally:
            self._replaced = {}

    def run(
        self, inputs: Mapping[str, np.ndarray | Tensor], precision: Precision = "fp32"
    ) -> dict[str, Tensor]:
        """The outputs, by name, float32 where they are floats.

        Raises:
            ExecutionError: an input that is missing, unknown or of another shape; a result whose shape
                is not the declared one.
        """
        results: dict[str, Tensor] = {}
        for name, value, _ in self.steps(inputs, precision):
            if name in self.program.outputs:
                results[name] = value
        return {name: results[name] for name in self.program.outputs}

    def steps(
        self, inputs: Mapping[str, np.ndarray | Tensor], precision: Precision = "fp32"
    ) -> Iterator[tuple[str, Tensor, Operation | None]]:
        """Yields each value as it is computed, with its operation (None: an input).

        A value is dropped after its last reader, so a full-size network runs in little more memory
        than its weights.
        """
        values = self._feed(inputs, precision)
        pending = dict(self._reads)
        for name, value in values.items():
            yield name, value, None
        for operation in self.program.operations:
            computed = self._evaluate(operation, values, precision)
            values.update((name, value) for name, value in computed.items() if name in pending)
            for name, value in computed.items():
                yield name, value, operation
            for name in operation.operands():
                pending[name] -= 1
                if pending[name] == 0:
                    del values[name]

    def _feed(self, inputs: Mapping[str, np.ndarray | Tensor], precision: Precision) -> dict[str, Tensor]:
        declared = self.program.inputs
        if set(inputs) != set(declared):
            raise ExecutionError(f"inputs {sorted(inputs)} were fed; the program takes {sorted(declared)}")
        fed = {}
        for name, kind in declared.items():
            value = torch.as_tensor(inputs[name]).detach()
            if tuple(value.shape) != kind.shape:
                raise ExecutionError(f"input {name} has shape {list(value.shape)}; the program takes {kind}")
            fed[name] = _as_declared(value, kind, precision)
        return fed

    @torch.no_grad()
    def _evaluate(
        self, operation: Operation, values: Mapping[str, Tensor], precision: Precision
    ) -> dict[str, Tensor]:
        compressed = operation.type.startswith("constexpr_")
        if compressed and (operation.name, precision) in self._weights:
            return {operation.name: self._weights[operation.name, precision]}
        arguments = Arguments(
            {
                # Indices of a palette take 8 bytes each once decoded: used once, not kept.
                parameter: tuple(self._value(one, values, keep=not compressed) for one in given)
                for parameter, given in operation.arguments.items()
            }
        )
        result = KERNELS[operation.type](arguments)
        results = [result] if isinstance(result, Tensor) else list(result)
        computed = {}
        for (name, kind), value in zip(operation.outputs, results, strict=True):
            if tuple(value.shape) != kind.shape:
                raise ExecutionError(
                    f"{operation.type} gave {name} the shape {list(value.shape)}; the file declares {kind}"
                )
            computed[name] = _as_declared(value, kind, precision)
        if compressed:
            self._weights[operation.name, precision] = computed[operation.name]
        return computed

    def _value(self, argument: Argument, values: Mapping[str, Tensor], *, keep: bool) -> Value:
        if isinstance(argument, str):
            return values[argument]
        if argument.name in self._replaced:
            return self._replaced[argument.name]
        key = id(argument)  # one object a constant of the file, and the program holds it
        value = self._decoded.get(key)
        if value is None:
            value = _decode(argument)
            if keep:
                self._decoded[key] = value
        return value


def load(path: Path | str) -> MilProgram:
    """Reads a package. Raises as `mil_program.read_program`, and UnsupportedOperation."""
    give_freed_memory_back()
    return MilProgram(read_program(Path(path)))


def _decode(constant: Constant) -> Value:
    if isinstance(constant.data, str):
        return constant.data
    array = constant.array()
    kind = "f" if array.dtype.kind == "f" else "b" if array.dtype.kind == "b" else "i"
    return torch.from_numpy(array.astype({"f": np.float32, "b": np.bool_, "i": np.int64}[kind]))


def _as_declared(value: Tensor, kind: ValueType, precision: Precision) -> Tensor:
    if kind.dtype.startswith("fp"):
        value = value.float()
        return value.half().float() if kind.dtype == "fp16" and precision == "fp16_storage" else value
    return value.bool() if kind.dtype == "bool" else value.long()
