"""The graph of a module as the converter gets it, and the same graph run in torch, value by value.

The values of the package keep the names of this graph's nodes, so that each operation of the file can be
compared with what torch computes there, and an operation can be traced to the module that wrote it.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn


class ConversionError(RuntimeError):
    """A module that cannot become a package; says which operation or input, and why."""


class Graph:
    """`torch.export` of a module at the shapes of the inputs, with this project's decompositions.

    Raises:
        ConversionError: what the module does depends on its inputs' values, or torch cannot trace it.
    """

    def __init__(self, module: nn.Module, example_inputs: Mapping[str, Tensor]) -> None:
        try:
            with torch.no_grad():
                program = torch.export.export(module, tuple(example_inputs.values()))
                self.program = program.run_decompositions(_decompositions())
        except Exception as error:
            # torch raises what it likes here; the lines after the first are advice on its own debugging.
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            called = re.search(r'File "[^"]*", line \d+, in \w+\n.*', str(error))
            at = f" ({' '.join(called.group().split())})" if called else ""
            raise ConversionError(f"{type(module).__name__} cannot be converted: {reason}{at}") from error
        self.modules = {node.name: _module_of(node) for node in self.program.graph.nodes}
        """name of a value -> "path (class)" of the module that computes it"""

    def where(self, message: str) -> str:
        """ ", in PATH (CLASS)" of the first node that a converter's message names; "" where it names none."""
        named = [word for word in re.findall(r"\w+", message) if self.modules.get(word)]
        return f", in {self.modules[named[0]]}" if named else ""

    @torch.no_grad()
    def values(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every value by its node's name, all at once: the activations of one forward."""
        recorder = _Recorder(self.program.module())
        recorder.run(*inputs.values())
        return recorder.found


class _Recorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor) and n.op == "call_function":
            self.found[n.name] = value
        return value


def _module_of(node: fx.Node) -> str:
    stack = list(node.meta.get("nn_module_stack", {}).values())
    if not stack:
        return ""
    path, kind = stack[-1]
    return f"{path or 'the module itself'} ({str(kind).rsplit('.', 1)[-1]})"


def _decompositions() -> dict[Any, Callable[..., Any]]:
    """What is rewritten before coremltools sees the graph; everything else stays as it is."""
    from torch._decomp import get_decompositions

    aten = torch.ops.aten
    table = dict(get_decompositions([aten.addcmul]))  # without a counterpart in coremltools 9.0
    table[aten.group_norm.default] = _group_norm
    table[aten.gelu.default] = _gelu
    table[aten.rms_norm.default] = _rms_norm
    # coremltools adds a thresholded_relu: a jump at -3 where the factor is zero anyway.
    table[aten.hardswish.default] = lambda x: x * torch.nn.functional.hardsigmoid(x)
    return table


SMALLEST_PEAK = 2.0**-6
"""Floor of the peak that an RMSNorm is scaled by; far below any activation that matters."""


def _rms_norm(x: Tensor, shape: list[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """RMSNorm over the last dimension, scaled by the row's peak so that its squares fit into fp16.

    coremltools 9.0 scales by the bare peak: a row of zeros, as the keys of padded text are, becomes
    0/0, and every output of the network NaN. Here the peak has a floor.
    """
    if len(shape) != 1 or eps is None:
        raise ConversionError(
            f"RMSNorm is converted over the last dimension with an eps, got {shape}, eps {eps}"
        )
    peak = x.abs().amax(-1, keepdim=True).clamp(min=SMALLEST_PEAK)
    scaled = x / peak
    # Not eps / peak^2: a division of a number becomes MIL's `inverse`, which adds an epsilon of its own.
    floor = peak.pow(-2.0) * eps
    normed = scaled * torch.rsqrt((scaled * scaled).mean(-1, keepdim=True) + floor)
    return normed if weight is None else normed * weight


def _gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """GELU's tanh form spelled out: on this route coremltools 9.0 ignores the keyword and writes the
    exact form, 86 dB away."""
    if approximate == "none":
        return NotImplemented  # keep the operation as it is
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Group normalisation in four dimensions: coremltools' own has five, which the Neural Engine avoids."""
    batch, channels = x.shape[:2]
    x_BGCS = x.reshape(batch, num_groups, channels // num_groups, -1)
    centred = x_BGCS - x_BGCS.mean(dim=(2, 3), keepdim=True)
    variance = (centred * centred).mean(dim=(2, 3), keepdim=True)
    y = (centred * torch.rsqrt(variance + eps)).reshape(x.shape)
    per_channel = (1, channels, *[1] * (x.ndim - 2))
    if weight is not None:
        y = y * weight.reshape(per_channel)
    return y if bias is None else y + bias.reshape(per_channel)
