"""A saved ML program read from its package: values, operations, constants, and a canonical dump.

Reads the protobuf as it is, without coremltools' own loader: that one rebuilds the program, infers
types again and fills in defaults, and would hide what the file itself says. Of coremltools only the
protobuf classes are used.

Weight file: a header of 64 bytes, then blobs. A blob's record (64 bytes, at the offset that the
program names) begins with a sentinel, a type, the size in bytes and the offset of the data; integers
under 8 bits are packed from the least significant bit.
"""

import hashlib
import json
import math
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.export.toolkit import load_coremltools

LITERAL_ELEMENTS = 8
"""Constants up to this many elements stand in the canonical dump themselves, longer ones as a digest."""

_SENTINEL = 0xDEADBEEF
_DTYPES: dict[str, tuple[str, Any, int]] = {
    # MIL's name: (short name, numpy type that holds a value, bits in the file)
    "BOOL": ("bool", np.bool_, 8),
    "STRING": ("string", np.str_, 0),
    "FLOAT16": ("fp16", np.float16, 16),
    "FLOAT32": ("fp32", np.float32, 32),
    "INT8": ("int8", np.int8, 8),
    "INT16": ("int16", np.int16, 16),
    "INT32": ("int32", np.int32, 32),
    "UINT8": ("uint8", np.uint8, 8),
    "UINT16": ("uint16", np.uint16, 16),
    "UINT32": ("uint32", np.uint32, 32),
    "INT4": ("int4", np.int8, 4),
    "UINT1": ("uint1", np.uint8, 1),
    "UINT2": ("uint2", np.uint8, 2),
    "UINT3": ("uint3", np.uint8, 3),
    "UINT4": ("uint4", np.uint8, 4),
    "UINT6": ("uint6", np.uint8, 6),
}


class ProgramError(ValueError):
    """A package that is damaged, or holds what a fixed-shape ML program must not."""


@dataclass(frozen=True, kw_only=True)
class ValueType:
    """dtype by its short name (fp16, int32, uint6, ...) and a fixed shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A value in the file. Sub-byte integers are still packed in `data`."""

    type: ValueType
    data: np.ndarray | str
    bits: int
    name: str = ""
    """of the file's constant; empty where the value stands in the operation itself"""

    def array(self) -> np.ndarray:
        """The value, unpacked, in its shape. Strings are not arrays: see `data`."""
        if isinstance(self.data, str):
            raise ProgramError(f"the string constant {self.data!r} stands where an array is needed")
        values = self.data
        if self.bits < 8:
            values = unpack_bits(values, self.bits, self.type.elements)
            if self.type.dtype.startswith("int"):  # two's complement
                values = ((values.astype(np.int16) ^ (1 << self.bits - 1)) - (1 << self.bits - 1)).astype(
                    np.int8
                )
        return values.reshape(self.type.shape)

    def __str__(self) -> str:
        if isinstance(self.data, str):
            return json.dumps(self.data)
        if self.type.elements <= LITERAL_ELEMENTS:
            return f"{self.type}({' '.join(str(value) for value in self.array().ravel().tolist())})"
        return f"{self.type}(sha256:{hashlib.sha256(self.data.tobytes()).hexdigest()})"


Argument = str | Constant
"""The name of a value computed or fed, or a constant."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation; `arguments` has one entry a parameter, several values in it for e.g. concat."""

    type: str
    arguments: dict[str, tuple[Argument, ...]]
    outputs: tuple[tuple[str, ValueType], ...]

    @property
    def name(self) -> str:
        return self.outputs[0][0]

    def operands(self) -> Iterator[str]:
        """Names of the values it reads that are not constants."""
        for arguments in self.arguments.values():
            yield from (argument for argument in arguments if isinstance(argument, str))


@dataclass(frozen=True, kw_only=True)
class Program:
    """The one function of a package, in file order; plain constants are folded into the arguments."""

    opset: str
    inputs: dict[str, ValueType]
    outputs: tuple[str, ...]
    operations: tuple[Operation, ...]

    def operation_census(self) -> dict[str, int]:
        return dict(sorted(Counter(operation.type for operation in self.operations).items()))

    def dtype_census(self) -> dict[str, int]:
        """How many values of each dtype the operations compute (weights included where decompressed)."""
        return dict(sorted(Counter(kind.dtype for one in self.operations for _, kind in one.outputs).items()))

    def float32_islands(self) -> list[str]:
        """Operations with a float32 result in a program that computes in fp16 elsewhere."""
        if "fp16" not in self.dtype_census():
            return []
        return [one.name for one in self.operations if any(kind.dtype == "fp32" for _, kind in one.outputs)]

    def canonical(self) -> str:
        """The program as text that depends on what is computed alone.

        Values are numbered by order, arguments sorted by name, constants inlined (or by digest): two
        conversions of a module give the same text, although model.mlmodel and the manifest differ.
        """
        inputs = [f"input {name}: {kind}" for name, kind in self.inputs.items()]
        lines, names = self._operation_lines
        outputs = [f"output {name} = {names[name]}" for name in self.outputs]
        return "\n".join([f"opset {self.opset}", *inputs, *lines, *outputs]) + "\n"

    def operation_digests(self) -> list[str]:
        """16 hex digits for each operation, of its line in the canonical text: which one was altered."""
        return [hashlib.sha256(line.encode()).hexdigest()[:16] for line in self._operation_lines[0]]

    @cached_property
    def _operation_lines(self) -> tuple[list[str], dict[str, str]]:
        """A line for each operation, and what every value is called in them; hashes every weight, once."""
        names = {name: name for name in self.inputs}
        lines: list[str] = []
        for operation in self.operations:
            for name, _ in operation.outputs:
                names[name] = f"%{len(names) - len(self.inputs)}"
            arguments = ", ".join(
                f"{parameter}={' '.join(names[one] if isinstance(one, str) else str(one) for one in given)}"
                for parameter, given in sorted(operation.arguments.items())
            )
            results = ", ".join(f"{names[name]}: {kind}" for name, kind in operation.outputs)
            lines.append(f"{results} = {operation.type}({arguments})")
        return lines, names

    def sha256(self) -> str:
        """SHA-256 of the canonical dump, weights included through their digests."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def unpack_bits(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """`count` unsigned integers of `bits` bits, packed from the least significant bit, as uint8."""
    flags = np.unpackbits(packed.view(np.uint8), count=count * bits, bitorder="little").reshape(count, bits)
    return np.packbits(flags, axis=1, bitorder="little").reshape(count)


def weights_file(package: Path) -> Path:
    """Where a package keeps its weights; absent when all constants are small."""
    return package / "Data/com.apple.CoreML/weights/weight.bin"


def read_program(package: Path) -> Program:
    """Reads the program of a package.

    Raises:
        FileNotFoundError: no package at the path.
        ProgramError: not one ML program of one function, dynamic shapes, control flow, damaged weights;
            names the value or the operation.
    """
    load_coremltools()
    from coremltools.proto import Model_pb2

    manifest_path = package / "Manifest.json"
    if not manifest_path.is_file():
        raise FileNotFoundError(f"{package} is no Core ML package: it has no Manifest.json")
    manifest = json.loads(manifest_path.read_text())
    root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    model: Any = Model_pb2.Model()
    model.ParseFromString((package / "Data" / root).read_bytes())
    if model.WhichOneof("Type") != "mlProgram" or list(model.mlProgram.functions) != ["main"]:
        found = sorted(model.mlProgram.functions) or model.WhichOneof("Type")
        raise ProgramError(f"{package} holds {found}; read is an ML program with the one function main")
    for feature in model.description.input:
        flexibility = feature.type.multiArrayType.WhichOneof("ShapeFlexibility")
        if flexibility is not None:
            raise ProgramError(
                f"input {feature.name} has a flexible shape ({flexibility}); shapes must be fixed"
            )
    function = model.mlProgram.functions["main"]
    return _Reader(weights_file(package)).program(function)


class _Reader:
    """Protobuf messages to the types above; holds the mapped weight file and the constants seen."""

    def __init__(self, weights: Path) -> None:
        self.weights = np.memmap(weights, dtype=np.uint8, mode="r") if weights.is_file() else None
        self.constants: dict[str, Constant] = {}

    def program(self, function: Any) -> Program:
        block = function.block_specializations[function.opset]
        inputs = {given.name: self.value_type(given.type, given.name) for given in function.inputs}
        operations = []
        for message in block.operations:
            if message.blocks:
                raise ProgramError(
                    f"{message.outputs[0].name} ({message.type}) is control flow; graphs must be flat"
                )
            if message.type == "const":
                name = message.outputs[0].name
                self.constants[name] = replace(self.constant(message.attributes["val"], name), name=name)
            else:
                operations.append(self.operation(message))
        return Program(
            opset=function.opset, inputs=inputs, outputs=tuple(block.outputs), operations=tuple(operations)
        )

    def operation(self, message: Any) -> Operation:
        name = message.outputs[0].name
        arguments = {
            parameter: tuple(self.argument(bound, name) for bound in message.inputs[parameter].arguments)
            for parameter in message.inputs
        }
        # Compressed weights of iOS 16 keep their parameters as attributes.
        for parameter in message.attributes:
            if parameter != "name":
                arguments[parameter] = (self.constant(message.attributes[parameter], name),)
        outputs = tuple((one.name, self.value_type(one.type, one.name)) for one in message.outputs)
        return Operation(type=message.type, arguments=arguments, outputs=outputs)

    def argument(self, bound: Any, name: str) -> Argument:
        if bound.WhichOneof("binding") == "value":
            return self.constant(bound.value, name)
        return self.constants.get(bound.name) or bound.name

    def value_type(self, message: Any, name: str) -> ValueType:
        if message.WhichOneof("type") != "tensorType":
            raise ProgramError(f"{name} is a {message.WhichOneof('type')}; read are tensors")
        tensor = message.tensorType
        if any(dimension.WhichOneof("dimension") != "constant" for dimension in tensor.dimensions):
            raise ProgramError(f"{name} has a dynamic shape; shapes must be fixed")
        return ValueType(
            dtype=_dtype(tensor, name)[0],
            shape=tuple(dimension.constant.size for dimension in tensor.dimensions),
        )

    def constant(self, message: Any, name: str) -> Constant:
        kind = self.value_type(message.type, name)
        _, numpy_type, bits = _dtype(message.type.tensorType, name)
        if message.WhichOneof("value") == "blobFileValue":
            packed = self.blob(message.blobFileValue.offset, math.ceil(kind.elements * bits / 8), name)
            return Constant(type=kind, data=packed if bits < 8 else packed.view(numpy_type), bits=bits)
        tensor = message.immediateValue.tensor
        field = tensor.WhichOneof("value")
        values: Any = getattr(tensor, field).values if field else ()
        if field == "strings":
            return Constant(type=kind, data=values[0], bits=bits)
        if field == "bytes":
            packed = np.frombuffer(values, dtype=np.uint8)
            return Constant(type=kind, data=packed if bits < 8 else packed.view(numpy_type), bits=bits)
        # Integers under 8 bits written one by one are not packed.
        return Constant(type=kind, data=np.array(values, dtype=numpy_type), bits=max(bits, 8))

    def blob(self, offset: int, size: int, name: str) -> np.ndarray:
        """The bytes of a blob, mapped, not copied."""
        if self.weights is None or offset + 64 > self.weights.size:
            raise ProgramError(
                f"weights of {name} should begin at byte {offset}, past the end of the weight file"
            )
        sentinel, _, found, start = struct.unpack("<IIQQ", self.weights[offset : offset + 24].tobytes())
        if sentinel != _SENTINEL or found != size or start + size > self.weights.size:
            raise ProgramError(
                f"weights of {name} at byte {offset}: expected {size} bytes behind sentinel {_SENTINEL:#x}, "
                f"found {found} at {start} behind {sentinel:#x}, in a file of {self.weights.size}"
            )
        return self.weights[start : start + size]


def _dtype(tensor: Any, name: str) -> tuple[str, Any, int]:
    code = tensor.DESCRIPTOR.fields_by_name["dataType"].enum_type.values_by_number[tensor.dataType].name
    if code not in _DTYPES:
        raise ProgramError(f"{name} has dtype {code}; read are {', '.join(_DTYPES)}")
    return _DTYPES[code]
