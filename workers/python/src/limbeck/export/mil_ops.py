"""What each MIL operation computes, in torch: the semantics of coremltools' operation definitions.

Floats are float32 here whatever the file declares (the interpreter rounds results where asked),
integers int64, so that they index.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Value = Tensor | str
Result = Tensor | Sequence[Tensor]


@dataclass(frozen=True)
class Arguments:
    """The evaluated arguments of one operation; the accessors convert, and default where MIL does."""

    values: dict[str, tuple[Value, ...]]

    def tensor(self, name: str) -> Tensor:
        value = self.values[name][0]
        assert isinstance(value, Tensor), f"{name} is {value!r}"
        return value

    def tensors(self, name: str) -> list[Tensor]:
        return [value for value in self.values[name] if isinstance(value, Tensor)]

    def optional(self, name: str) -> Tensor | None:
        return self.tensor(name) if name in self.values else None

    def integers(self, name: str, default: Sequence[int] | None = None) -> list[int]:
        if name not in self.values and default is not None:
            return list(default)
        return [int(value) for value in self.tensor(name).flatten().tolist()]

    def integer(self, name: str, default: int | None = None) -> int:
        return self.integers(name, None if default is None else [default])[0]

    def number(self, name: str, default: float | None = None) -> float:
        return default if name not in self.values and default is not None else float(self.tensor(name))

    def flag(self, name: str) -> bool:
        """A boolean; all of MIL's used here are false when absent."""
        return name in self.values and bool(self.tensor(name))

    def text(self, name: str, default: str) -> str:
        return str(self.values[name][0]) if name in self.values else default


Kernel = Callable[[Arguments], Result]


def _unary(function: Callable[[Tensor], Tensor]) -> Kernel:
    return lambda a: function(a.tensor("x"))


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Kernel:
    return lambda a: function(a.tensor("x"), a.tensor("y"))


def _reduction(function: Callable[..., Tensor]) -> Kernel:
    def kernel(a: Arguments) -> Tensor:
        x = a.tensor("x")
        return function(x, dim=a.integers("axes", range(x.ndim)), keepdim=a.flag("keep_dims"))

    return kernel


def _cast(a: Arguments) -> Tensor:
    x, dtype = a.tensor("x"), a.text("dtype", "fp32")
    if dtype == "bool":
        return x != 0
    return x.float() if dtype.startswith("fp") else x.long()


def _gelu(a: Arguments) -> Tensor:
    x, mode = a.tensor("x"), a.text("mode", "EXACT")
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate="none" if mode == "EXACT" else "tanh")


def _padding(
    a: Arguments, spatial: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> list[int]:
    """Pads (before, after) per spatial dimension, from MIL's `pad_type`."""
    kind = a.text("pad_type", "valid")
    if kind == "custom":
        return a.integers("pad")
    if kind == "valid":
        return [0] * (2 * len(spatial))
    pads = []
    for size, width, stride in zip(spatial, kernel, strides, strict=True):
        total = max((math.ceil(size / stride) - 1) * stride + width - size, 0)
        less, more = total // 2, total - total // 2
        pads += [more, less] if kind == "same_lower" else [less, more]
    return pads


def _torch_padding(pads: Sequence[int]) -> list[int]:
    """MIL lists the first dimension first, torch the last."""
    pairs = [pads[i : i + 2] for i in range(0, len(pads), 2)]
    return [one for pair in reversed(pairs) for one in pair]


def _conv(a: Arguments) -> Tensor:
    x, weight = a.tensor("x"), a.tensor("weight")
    rank = x.ndim - 2
    strides, dilations = a.integers("strides", [1] * rank), a.integers("dilations", [1] * rank)
    reach = [(size - 1) * dilation + 1 for size, dilation in zip(weight.shape[2:], dilations, strict=True)]
    pads = _padding(a, x.shape[2:], reach, strides)
    function = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[rank]
    if pads[::2] == pads[1::2]:
        padding = pads[::2]
    else:
        x, padding = F.pad(x, _torch_padding(pads)), [0] * rank
    return function(x, weight, a.optional("bias"), strides, padding, dilations, a.integer("groups", 1))


def _pad(a: Arguments) -> Tensor:
    pads, mode = _torch_padding(a.integers("pad")), a.text("mode", "constant")
    if mode == "constant":
        return F.pad(a.tensor("x"), pads, value=a.number("constant_val", 0.0))
    while pads and pads[-2:] == [0, 0]:  # torch reflects trailing dimensions only
        del pads[-2:]
    return F.pad(a.tensor("x"), pads, mode=mode)


def _over(axes: Sequence[int], x: Tensor, parameter: Tensor) -> Tensor:
    """A parameter indexed by some axes of x, shaped so that it broadcasts."""
    axes = [axis % x.ndim for axis in axes]
    return parameter.reshape([x.shape[i] if i in axes else 1 for i in range(x.ndim)])


def _affine(a: Arguments, x: Tensor, axes: Sequence[int]) -> Tensor:
    gamma, beta = a.optional("gamma"), a.optional("beta")
    x = x if gamma is None else x * _over(axes, x, gamma)
    return x if beta is None else x + _over(axes, x, beta)


def _normalize(x: Tensor, axes: Sequence[int], epsilon: float) -> Tensor:
    centred = x - x.mean(dim=list(axes), keepdim=True)
    return centred * (centred.square().mean(dim=list(axes), keepdim=True) + epsilon).rsqrt()


def _layer_norm(a: Arguments) -> Tensor:
    x = a.tensor("x")
    axes = a.integers("axes", range(x.ndim))
    return _affine(a, _normalize(x, axes, a.number("epsilon", 1e-5)), axes)


def _instance_norm(a: Arguments) -> Tensor:
    x = a.tensor("x")
    return _affine(a, _normalize(x, range(2, x.ndim), a.number("epsilon", 1e-5)), [1])


def _batch_norm(a: Arguments) -> Tensor:
    x = a.tensor("x")
    deviation = (a.tensor("variance") + a.number("epsilon", 1e-5)).sqrt()
    return _affine(a, (x - _over([1], x, a.tensor("mean"))) / _over([1], x, deviation), [1])


def _matmul(a: Arguments) -> Tensor:
    x, y = a.tensor("x"), a.tensor("y")
    x = x.transpose(-1, -2) if a.flag("transpose_x") else x
    return x @ (y.transpose(-1, -2) if a.flag("transpose_y") else y)


def _attention(a: Arguments) -> Tensor:
    mask = a.optional("attn_mask")
    return F.scaled_dot_product_attention(
        a.tensor("query"), a.tensor("key"), a.tensor("value"), attn_mask=mask
    )


def _reshape(a: Arguments) -> Tensor:
    x = a.tensor("x")
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(a.integers("shape"))])


def _expand_dims(a: Arguments) -> Tensor:
    x, axes = a.tensor("x"), a.integers("axes")
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _squeeze(a: Arguments) -> Tensor:
    x = a.tensor("x")
    return x.squeeze(tuple(a.integers("axes"))) if "axes" in a.values else x.squeeze()


def _split(a: Arguments) -> Sequence[Tensor]:
    x, axis = a.tensor("x"), a.integer("axis")
    if "split_sizes" in a.values:
        return torch.split(x, a.integers("split_sizes"), dim=axis)
    return torch.split(x, x.shape[axis] // a.integer("num_splits"), dim=axis)


def _concat(a: Arguments) -> Tensor:
    values, axis = a.tensors("values"), a.integer("axis")
    if not a.flag("interleave"):
        return torch.cat(values, dim=axis)
    axis %= values[0].ndim
    return torch.stack(values, dim=axis + 1).flatten(axis, axis + 1)


def _slice_by_index(a: Arguments) -> Tensor:
    x, begin, end = a.tensor("x"), a.integers("begin"), a.integers("end")
    rank = x.ndim
    strides = a.integers("stride", [1] * rank)
    masks = [a.integers(f"{one}_mask", [0] * rank) for one in ("begin", "end", "squeeze")]
    index = [
        slice(None if open_begin else first, None if open_end else last, step)
        if not squeezed
        else slice(first, None if first == -1 else first + 1)
        for first, last, step, open_begin, open_end, squeezed in zip(begin, end, strides, *masks, strict=True)
    ]
    for axis, one in enumerate(index):
        positions = range(*one.indices(x.shape[axis]))
        x = x.index_select(axis, torch.tensor(list(positions), dtype=torch.long))
    return x.squeeze(tuple(axis for axis in range(rank) if masks[2][axis]))


def _gather(a: Arguments) -> Tensor:
    x, indices, axis = a.tensor("x"), a.tensor("indices"), a.integer("axis", 0)
    if a.integer("batch_dims", 0):
        raise NotImplementedError("gather with batch_dims")
    axis %= x.ndim
    picked = x.index_select(axis, indices.flatten() % x.shape[axis])
    return picked.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def _upsample_nearest(a: Arguments) -> Tensor:
    factors = [a.number("scale_factor_height", 1.0), a.number("scale_factor_width", 1.0)]
    if any(factor != int(factor) for factor in factors):
        raise NotImplementedError(f"nearest upsampling by {factors}; whole factors are supported")
    return F.interpolate(a.tensor("x"), scale_factor=factors, mode="nearest")


def _blocks(parameter: Tensor, shape: Sequence[int]) -> Tensor:
    """A value a block, repeated over its block: dimension i of `shape` is a multiple of the parameter's."""
    for axis, size in enumerate(shape):
        parameter = parameter.repeat_interleave(size // parameter.shape[axis], dim=axis)
    return parameter


def _shift_scale(a: Arguments) -> Tensor:
    """scale * (data - offset), one scale and offset a block (iOS 18)."""
    data, scale, offset = a.tensor("data").float(), a.tensor("scale"), a.optional("offset")
    if offset is not None:
        data = data - _blocks(offset.float(), data.shape)
    return data * _blocks(scale, data.shape)


def _affine_dequantize(a: Arguments) -> Tensor:
    """scale * (data - zero point), per tensor or along one axis (iOS 16)."""
    data, axis = a.tensor("quantized_data").float(), a.integer("axis")
    scale, zero = a.tensor("scale"), a.tensor("zero_point").float()
    scale, zero = (_over([axis], data, one) if one.ndim else one for one in (scale, zero))
    return (data - zero) * scale


def _lut_to_dense(a: Arguments) -> Tensor:
    """Palettized weights. iOS 18: a table per block of the indices, entries scalars or vectors along an
    axis. iOS 16: one table for indices packed in bytes."""
    lut, indices = a.tensor("lut"), a.tensor("indices")
    if "shape" in a.values:
        bits = int(math.log2(lut.numel()))
        shifts = torch.arange(8)
        flags = ((indices[:, None] >> shifts) & 1).flatten()
        shape = a.integers("shape")
        flags = flags[: math.prod(shape) * bits].reshape(-1, bits)
        return lut[(flags << torch.arange(bits)).sum(dim=1)].reshape(shape)
    tables, (entries, vector) = lut.shape[:-2], lut.shape[-2:]
    number = _blocks(torch.arange(math.prod(tables)).reshape(tables), indices.shape)
    values = lut.reshape(-1, vector)[number * entries + indices]
    if vector == 1:
        return values.squeeze(-1)
    axis = a.integer("vector_axis") % indices.ndim
    return values.movedim(-1, axis + 1).flatten(axis, axis + 1)


def _sparse_to_dense(a: Arguments) -> Tensor:
    """Non-zero values under a bit mask: packed in bytes (iOS 16) or a tensor of uint1 (iOS 18)."""
    mask, values = a.tensor("mask"), a.tensor("nonzero_data")
    if "shape" in a.values:
        shape = a.integers("shape")
        mask = ((mask[:, None] >> torch.arange(8)) & 1).flatten()[: math.prod(shape)].reshape(shape)
    dense = torch.zeros(mask.shape, dtype=values.dtype)
    dense[mask.bool()] = values
    return dense


KERNELS: dict[str, Kernel] = {
    # elementwise, one operand
    "abs": _unary(torch.abs),
    "cast": _cast,
    "clip": lambda a: a.tensor("x").clamp(a.number("alpha"), a.number("beta")),
    "cos": _unary(torch.cos),
    "erf": _unary(torch.erf),
    "exp": _unary(torch.exp),
    "gelu": _gelu,
    "leaky_relu": lambda a: F.leaky_relu(a.tensor("x"), a.number("alpha", 0.01)),
    "log": lambda a: (a.tensor("x") + a.number("epsilon", 1e-45)).log(),
    "logical_not": _unary(torch.logical_not),
    "relu": _unary(torch.relu),
    "relu6": _unary(F.relu6),
    "rsqrt": lambda a: (a.tensor("x") + a.number("epsilon", 1e-12)).rsqrt(),
    "sigmoid": _unary(torch.sigmoid),
    "sigmoid_hard": lambda a: (a.number("alpha", 0.2) * a.tensor("x") + a.number("beta", 0.5)).clamp(0, 1),
    "silu": _unary(F.silu),
    "sin": _unary(torch.sin),
    "softplus": _unary(F.softplus),
    "sqrt": _unary(torch.sqrt),
    "tanh": _unary(torch.tanh),
    # elementwise, two operands, broadcast
    "add": _binary(torch.add),
    "sub": _binary(torch.sub),
    "mul": _binary(torch.mul),
    "real_div": _binary(torch.true_divide),
    "floor_div": _binary(torch.floor_divide),
    "pow": _binary(torch.pow),
    "maximum": _binary(torch.maximum),
    "minimum": _binary(torch.minimum),
    "equal": _binary(torch.eq),
    "not_equal": _binary(torch.ne),
    "greater": _binary(torch.gt),
    "greater_equal": _binary(torch.ge),
    "less": _binary(torch.lt),
    "less_equal": _binary(torch.le),
    "logical_and": _binary(torch.logical_and),
    "logical_or": _binary(torch.logical_or),
    "select": lambda a: torch.where(a.tensor("cond").bool(), a.tensor("a"), a.tensor("b")),
    # reductions and normalisation
    "reduce_max": _reduction(torch.amax),
    "reduce_mean": _reduction(torch.mean),
    "reduce_min": _reduction(torch.amin),
    "reduce_sum": _reduction(torch.sum),
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "layer_norm": _layer_norm,
    "softmax": lambda a: a.tensor("x").softmax(dim=a.integer("axis", -1)),
    # products
    "conv": _conv,
    "linear": lambda a: F.linear(a.tensor("x"), a.tensor("weight"), a.optional("bias")),
    "matmul": _matmul,
    "scaled_dot_product_attention": _attention,
    # shapes
    "concat": _concat,
    "expand_dims": _expand_dims,
    "gather": _gather,
    "pad": _pad,
    "pixel_shuffle": lambda a: F.pixel_shuffle(a.tensor("x"), a.integer("upscale_factor")),
    "reshape": _reshape,
    "slice_by_index": _slice_by_index,
    "split": _split,
    "squeeze": _squeeze,
    "stack": lambda a: torch.stack(a.tensors("values"), dim=a.integer("axis")),
    "tile": lambda a: a.tensor("x").repeat(a.integers("reps")),
    "transpose": lambda a: a.tensor("x").permute(a.integers("perm")),
    "upsample_nearest_neighbor": _upsample_nearest,
    # compressed weights
    "constexpr_affine_dequantize": _affine_dequantize,
    "constexpr_blockwise_shift_scale": _shift_scale,
    "constexpr_lut_to_dense": _lut_to_dense,
    "constexpr_sparse_to_dense": _sparse_to_dense,
}
"""Every operation that can be executed, by its MIL type."""
