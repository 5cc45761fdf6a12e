"""Weights as palettes: 2^bits values for a group of output channels, and an index for each weight.

The palettes are those of `palette_fit`; the file is written by coremltools, which asks for the palette of
each group through its `custom` mode.
"""

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from limbeck.export.mil_program import Constant, Program, read_program
from limbeck.export.palette_fit import Half, Indices, palette
from limbeck.export.save import save_package
from limbeck.export.toolkit import load_coremltools, no_progress_bars

WIDTHS: Final = (8, 6, 4)
"""Bits of an index."""

GROUP: Final = 16
"""Output channels that share a palette (iOS18; per tensor before)."""

SMALLEST: Final = 2048
"""Elements from which a weight is worth a palette: below, norms and biases among them, it stays fp16."""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A constant of the program that may become a palette."""

    name: str
    operation: str
    """the operation that reads it"""
    type: str
    shape: tuple[int, ...]
    kept: str
    """why it stays fp16; empty where it may be compressed"""

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape))

    def group(self, size: int) -> int:
        """Output channels of a palette: `size` where it divides them, else all (one palette)."""
        return size if size and self.shape[0] % size == 0 else self.shape[0]

    def stored_bytes(self, bits: int, group: int) -> int:
        """In the file: indices and fp16 palettes, or fp16 (bits 16)."""
        if bits == 16:
            return 2 * self.elements
        return -(-self.elements * bits // 8) + 2 * 2**bits * (self.shape[0] // self.group(group))


def find_weights(program: Program, entries: Sequence[str] = ("latent", "time_embedding")) -> list[Weight]:
    """The weights of convolutions and linear layers, in the program's order.

    First and last layers stay fp16: those that an input in `entries` reaches before any other weight, and
    those from which an output is reached without another weight.
    """
    first = _reached(program, set(entries) & set(program.inputs))
    last = _leading_out(program)
    found: list[Weight] = []
    for operation in program.operations:
        weight = _weight_of(operation.arguments.get("weight", ()))
        if operation.type not in ("conv", "linear") or weight is None:
            continue
        elements = weight.type.elements
        kept = (
            "first layer"
            if operation.name in first
            else "last layer"
            if operation.name in last
            else f"fewer than {SMALLEST} elements"
            if elements < SMALLEST
            else ""
        )
        found.append(
            Weight(
                name=weight.name,
                operation=operation.name,
                type=operation.type,
                shape=weight.type.shape,
                kept=kept,
            )
        )
    return found


def decompressed(weight: Constant, bits: int, group: int) -> NDArray[np.float32]:
    """The weight as its palettes give it back, in its shape."""
    return np.concatenate(
        [
            lut[indices].astype(np.float32).reshape(part.shape)
            for part in _groups(weight.array(), group)
            for lut, indices in [palette(part, bits)]
        ]
    )


def palettize(
    source: Path,
    target: Path,
    plan: Mapping[str, int],
    *,
    group: int = GROUP,
    workers: int = 1,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Program:
    """Writes a copy of the fp16 package `source` whose weights in `plan` (name -> bits) are palettes.

    Args:
        workers: processes that compute palettes, each with one thread.
        cache: folder that keeps computed palettes by the content of their weights: a run that was ended
            goes on from there.
        progress: called with (weights done, weights in all).

    Raises:
        ValueError: the plan names a weight that the package does not have, or bits that palettes do not.
        FileExistsError: something is at `target`.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; a package is never overwritten")
    weights = {weight.name: weight for weight in find_weights(read_program(source))}
    unknown = sorted(set(plan) - set(weights))
    if unknown:
        raise ValueError(f"{source.name} has no weights {unknown}")
    wrong = {name: bits for name, bits in plan.items() if bits not in WIDTHS}
    if wrong:
        raise ValueError(f"palettes have {', '.join(map(str, WIDTHS))} bits, the plan asks for {wrong}")
    jobs = [(source, name, bits, weights[name].group(group), cache) for name, bits in plan.items()]
    known: dict[bytes, tuple[Half, Indices]] = {}
    for done, found in enumerate(_computed(jobs, workers), start=1):
        known.update(found)
        if progress is not None:
            progress(done, len(jobs))
    return _write(source, target, {n: (plan[n], weights[n]) for n in plan}, group, known)


def _computed(jobs: list[Any], workers: int) -> Iterator[dict[bytes, tuple[Half, Indices]]]:
    if workers <= 1 or len(jobs) < 2:
        yield from map(_palettes_of, jobs)
        return
    # Not forked: this process may hold threads of torch.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_palettes_of, jobs)


def _palettes_of(job: tuple[Path, str, int, int, Path | None]) -> dict[bytes, tuple[Half, Indices]]:
    """Digest of a group and bits -> its palette, for all groups of a weight."""
    source, name, bits, group, cache = job
    constants = _constants(source, source.stat().st_mtime_ns)
    parts = _groups(constants[name].array(), group)
    keys = [_key(part, bits) for part in parts]
    kept = None if cache is None else cache / f"{hashlib.sha256(b''.join(keys)).hexdigest()}.npz"
    if kept is not None and kept.is_file():
        with np.load(kept, allow_pickle=False) as stored:
            return {key: (stored["luts"][i], stored["indices"][i].ravel()) for i, key in enumerate(keys)}
    found = [palette(part, bits) for part in parts]
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            np.savez(file, luts=np.stack([f[0] for f in found]), indices=np.stack([f[1] for f in found]))
        partial.rename(kept)
    return dict(zip(keys, found, strict=True))


@lru_cache(maxsize=1)
def _constants(source: Path, _changed_ns: int) -> dict[str, Constant]:
    """Weights by name; read once a process, since reading a program takes longer than fitting a weight."""
    found = (_weight_of(one.arguments.get("weight", ())) for one in read_program(source).operations)
    return {weight.name: weight for weight in found if weight is not None}


def _groups(array: NDArray[Any], group: int) -> list[Half]:
    half = np.ascontiguousarray(array, dtype=np.float16)
    return np.split(half, len(half) // group)


def _key(part: Half, bits: int) -> bytes:
    return hashlib.sha256(part.tobytes()).digest() + bytes([bits])


def _write(
    source: Path,
    target: Path,
    plan: Mapping[str, tuple[int, Weight]],
    group: int,
    known: Mapping[bytes, tuple[Half, Indices]],
) -> Program:
    coremltools = load_coremltools()
    optimize = coremltools.optimize.coreml
    config = optimize.OptimizationConfig()

    def table(bits: int) -> Callable[[Half], tuple[Half, Indices]]:
        return lambda part: known[_key(np.ascontiguousarray(part), bits)]

    for name, (bits, weight) in plan.items():
        size = weight.group(group)
        config.set_op_name(
            name,
            optimize.OpPalettizerConfig(
                mode="custom",
                lut_function=table(bits),
                granularity="per_tensor" if size == weight.shape[0] else "per_grouped_channel",
                group_size=size,
                channel_axis=0,
                weight_threshold=0,
            ),
        )
    with no_progress_bars():
        model = coremltools.models.MLModel(str(source), skip_model_load=True)
        return save_package(optimize.palettize_weights(model, config), target)


def _weight_of(arguments: Sequence[object]) -> Constant | None:
    one = arguments[0] if len(arguments) == 1 else None
    return one if isinstance(one, Constant) and one.name else None


def _carries(operation: Any) -> bool:
    return (
        operation.type in ("conv", "linear") and _weight_of(operation.arguments.get("weight", ())) is not None
    )


def _reached(program: Program, names: set[str]) -> set[str]:
    """Weight-bearing operations that a value in `names` reaches before any other of them."""
    open_names, found = set(names), set[str]()
    for operation in program.operations:
        if open_names.isdisjoint(operation.operands()):
            continue
        if _carries(operation):
            found.add(operation.name)
        else:
            open_names.update(name for name, _ in operation.outputs)
    return found


def _leading_out(program: Program) -> set[str]:
    """Weight-bearing operations from which an output is reached without another of them."""
    open_names, found = set(program.outputs), set[str]()
    for operation in reversed(program.operations):
        if open_names.isdisjoint(name for name, _ in operation.outputs):
            continue
        if _carries(operation):
            found.add(operation.name)
        else:
            open_names.update(operation.operands())
    return found
