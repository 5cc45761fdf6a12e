"""What a package costs, read from the file, and an estimate of its latency that is never more than one.

    estimate = max(MACs / throughput, weight bytes / bandwidth)

The throughput of a device is what one published figure gives when its network's MACs are divided by its time,
so whatever else takes time there (norms, memory, dispatch) is in it. On the one published figure that was not
used, SnapGen's tiny decoder (148.6 GMAC, 119 ms on an iPhone 16 Pro Max), the formula says 62 ms: good to a
factor of about two. The bandwidths are assumptions, and bind only where a network has many weights and little
work. A real measurement is another thing, and is shown apart.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from limbeck.export.mil_program import Constant, Operation, Program, ValueType

FORMULA: Final = "max(MACs / throughput, weight bytes / bandwidth)"
LISTED: Final = 20
"""Operations in a report, most work first."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A phone, with where its figures come from."""

    name: str
    macs_per_second: float
    calibrated_on: str
    bytes_per_second: float
    bandwidth_source: str = "assumption: the memory's nominal bandwidth"


DEVICES: Final = {
    device.name: device
    for device in (
        Device(
            name="iPhone 16 Pro Max",
            macs_per_second=659.75e9 / 0.274,
            calibrated_on="SnapGen's UNet, 1024 px: 274 ms a step (arXiv 2601.08303); 659.75 GMAC by this"
            " project's counter",
            bytes_per_second=60e9,
        ),
        Device(
            name="iPhone 14 Pro Max",
            macs_per_second=2 * 402.13e9 * 2.69,
            calibrated_on="SD2.1 base, 512 px with guidance: 2.69 steps/s (apple/ml-stable-diffusion); 402.13"
            " GMAC a forward, counted alike",
            bytes_per_second=51e9,
        ),
        Device(
            name="iPhone 13",
            macs_per_second=2 * 402.13e9 * 2.69 * 7.9 / 10.8,
            calibrated_on="the same, by the ratio of whole images: 10.8 s, and 7.9 s on an iPhone 14 Pro Max",
            bytes_per_second=34e9,
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class OperationCost:
    name: str
    type: str
    macs: int
    weight_bytes: int
    """as stored"""
    activation_bytes: int
    """read and written"""


@dataclass(frozen=True, kw_only=True)
class ProgramCost:
    """One run of a package."""

    macs: int
    weight_bytes: int
    """as stored: indices and palettes, or quantised values and their scales"""
    dense_weight_bytes: int
    """expanded to fp16"""
    activation_peak_bytes: int
    """largest sum of values that are alive at once, in the file's order; weights not counted"""
    peak_at: str
    """the operation at which that is"""
    operations: tuple[OperationCost, ...]
    """in the file's order; expansions of weights are part of their readers' weights"""

    def as_json(self) -> dict[str, Any]:
        most = sorted(self.operations, key=lambda one: one.macs, reverse=True)[:LISTED]
        return {**asdict(self), "operations": [asdict(one) for one in most]}


@dataclass(frozen=True, kw_only=True)
class LatencyEstimate:
    """`label` is part of it: whoever shows the number shows that it is an estimate."""

    device: str
    milliseconds: float
    bound_by: str
    formula: str
    macs_per_second: float
    bytes_per_second: float
    calibrated_on: str
    bandwidth_source: str
    label: str = "estimate, good to a factor of about two"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def program_cost(program: Program) -> ProgramCost:
    """MACs of convolutions, linear layers, matrix products and attention, from the declared shapes; norms,
    activations and softmax are not counted (paper.md 1.2 counts the same)."""
    kinds = _kinds(program)
    expanded: dict[str, dict[int, int]] = {}  # name -> bytes stored of each constant behind it
    operations: list[OperationCost] = []
    # By constant and by expansion: two readers of one weight have it once.
    stored_bytes: dict[int, int] = {}
    dense_bytes: dict[int | str, int] = {}
    for operation in program.operations:
        own = {id(one): one for one in _constants(operation)}
        behind = {key: _stored(one) for key, one in own.items()}
        read = [name for name in operation.operands() if name in expanded]
        for name in read:
            behind |= expanded[name]
        if operation.type.startswith("constexpr_"):
            expanded[operation.name] = behind
            continue
        stored_bytes |= behind
        dense_bytes |= {key: 2 * one.type.elements for key, one in own.items()}
        dense_bytes |= {name: 2 * kinds[name].elements for name in read}
        stored = sum(behind.values())
        values = [kinds[name] for name in set(operation.operands()) - set(expanded)]
        values += [kind for _, kind in operation.outputs]
        operations.append(
            OperationCost(
                name=operation.name,
                type=operation.type,
                macs=_macs(operation, kinds),
                weight_bytes=stored,
                activation_bytes=sum(map(_bytes, values)),
            )
        )
    peak, at = _peak(program, kinds, set(expanded))
    return ProgramCost(
        macs=sum(one.macs for one in operations),
        weight_bytes=sum(stored_bytes.values()),
        dense_weight_bytes=sum(dense_bytes.values()),
        activation_peak_bytes=peak,
        peak_at=at,
        operations=tuple(operations),
    )


def estimate_latency(cost: ProgramCost, device: str) -> LatencyEstimate:
    """One run on a device of DEVICES.

    Raises:
        ValueError: another device; lists those that are known.
    """
    if device not in DEVICES:
        raise ValueError(f"no figures for {device!r}; known: {', '.join(DEVICES)}")
    known = DEVICES[device]
    work, traffic = cost.macs / known.macs_per_second, cost.weight_bytes / known.bytes_per_second
    return LatencyEstimate(
        device=device,
        milliseconds=1000 * max(work, traffic),
        bound_by="work" if work >= traffic else "weights",
        formula=FORMULA,
        macs_per_second=known.macs_per_second,
        bytes_per_second=known.bytes_per_second,
        calibrated_on=known.calibrated_on,
        bandwidth_source=known.bandwidth_source,
    )


def cost_report(program: Program) -> dict[str, Any]:
    """Cost and the estimate for every device, for a report."""
    cost = program_cost(program)
    return {**cost.as_json(), "latency": [estimate_latency(cost, device).as_json() for device in DEVICES]}


def _kinds(program: Program) -> dict[str, ValueType]:
    computed = {name: kind for operation in program.operations for name, kind in operation.outputs}
    return {**program.inputs, **computed}


def _constants(operation: Operation) -> list[Constant]:
    """Weights, palettes, indices and scales; not the strides, axes and shapes, which are int32."""
    found = [one for given in operation.arguments.values() for one in given if isinstance(one, Constant)]
    return [
        one for one in found if one.type.elements > 1 and one.type.dtype not in ("int32", "bool", "string")
    ]


def _stored(constant: Constant) -> int:
    return 0 if isinstance(constant.data, str) else constant.data.nbytes


def _bytes(kind: ValueType) -> int:
    widths = {"fp32": 4, "int32": 4, "uint32": 4, "bool": 1, "int8": 1, "uint8": 1}
    return kind.elements * widths.get(kind.dtype, 2)


def _shape(operation: Operation, parameter: str, kinds: Mapping[str, ValueType]) -> tuple[int, ...]:
    (argument,) = operation.arguments[parameter]
    return argument.type.shape if isinstance(argument, Constant) else kinds[argument].shape


def _macs(operation: Operation, kinds: Mapping[str, ValueType]) -> int:
    result = operation.outputs[0][1]
    if operation.type == "conv":
        # [out, in / groups, kernel ...]
        return result.elements * math.prod(_shape(operation, "weight", kinds)[1:])
    if operation.type == "conv_transpose":
        # [in, out / groups, kernel ...]: each input value meets all of its filter.
        source = math.prod(_shape(operation, "x", kinds))
        return source * math.prod(_shape(operation, "weight", kinds)[1:])
    if operation.type == "linear":
        return result.elements * _shape(operation, "weight", kinds)[1]
    if operation.type == "matmul":
        shape = _shape(operation, "x", kinds)
        return result.elements * (shape[-2] if _flag(operation, "transpose_x") else shape[-1])
    if operation.type == "scaled_dot_product_attention":
        query, key = _shape(operation, "query", kinds), _shape(operation, "key", kinds)
        scores = math.prod(query[:-1]) * key[-2]
        return scores * (query[-1] + result.shape[-1])
    return 0


def _flag(operation: Operation, parameter: str) -> bool:
    given = operation.arguments.get(parameter, ())
    return bool(given) and isinstance(given[0], Constant) and bool(given[0].array().any())


def _peak(program: Program, kinds: Mapping[str, ValueType], weights: set[str]) -> tuple[int, str]:
    """A value lives from its operation (inputs: from the start) to its last reader (outputs: to the end)."""
    last = {name: -1 for name in program.inputs}
    for place, operation in enumerate(program.operations):
        for name in operation.operands():
            last[name] = place
    last.update(dict.fromkeys(program.outputs, len(program.operations)))
    alive = sum(_bytes(kind) for kind in program.inputs.values())
    peak, at = alive, ""
    for place, operation in enumerate(program.operations):
        if operation.type.startswith("constexpr_"):
            continue
        alive += sum(_bytes(kind) for _, kind in operation.outputs)
        if alive > peak:
            peak, at = alive, operation.name
        ended = {name for name in operation.operands() if last[name] == place and name not in weights}
        unread = {name for name, _ in operation.outputs if name not in last}
        alive -= sum(_bytes(kinds[name]) for name in ended | unread)
    return peak, at
