"""ONNX Runtime on the same module: an independent answer to whether torch's own result is what it should be.

It never sees the package. Where it agrees with torch and the package does not, the conversion is to blame;
where it disagrees with torch too, the module's arithmetic is.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.export.verify import Difference, difference


def compare_with_onnx(module: nn.Module, inputs_list: Sequence[Mapping[str, Tensor]]) -> Difference:
    """The worst of all cases, float32 in ONNX Runtime on one CPU thread against torch.

    Raises:
        ValueError: the module returns more than one tensor.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.onnx"
        # It notes at each export that torchvision, which nothing here needs, is not installed.
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            # The exporter's own deprecations, and its progress on stdout.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                tuple(inputs_list[0].values()),
                str(path),
                dynamo=True,
                opset_version=20,
                input_names=list(inputs_list[0]),
                external_data=True,
                verbose=False,
            )
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        worst: Difference | None = None
        for inputs in inputs_list:
            found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
            with torch.no_grad():
                expected = module(**inputs)
            if len(found) != 1 or not isinstance(expected, Tensor):
                raise ValueError(f"{type(module).__name__} returns {len(found)} tensors; compared is one")
            now = difference(torch.from_numpy(found[0]), expected)
            worst = now if worst is None or now.psnr_db < worst.psnr_db else worst
    if worst is None:
        raise ValueError("inputs_list is empty; at least one case is needed")
    return worst
