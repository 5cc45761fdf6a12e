"""What an engineer needs beside the packages to run them on a phone: constants, text, a golden pair, a guide.

Tensors are raw little-endian float32, row-major, with name, shape and SHA-256 in golden.json.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from limbeck.contracts.generated import SnapgenTextConfig, WordTextConfig
from limbeck.data.shapes import VOCABULARY_V1
from limbeck.export.mil_program import Program
from limbeck.export.verify import difference, finite
from limbeck.models.text import WordTextEncoder
from limbeck.models.unet import TIME_SCALE

GUIDE = """# Running the packages

`unet.mlpackage` computes one step, `decoder.mlpackage` an image from a latent; variants of the first
(`unet-6bit`, ...) have the same inputs and outputs. Shapes are fixed, batch 1; `scheduler.json` has all
constants.

1. Text: {text}
2. Start with `x` = standard normal noise of the latent's shape times the first time of the grid, in Float32.
3. For each time `t` of the grid, with `next` the following one (0 behind the last):
   * `time_embedding` in Float32 on the CPU, never inside a Float16 graph: for i in 0 ..< {half},
     `w = exp(-ln(10000) * i / {half})`; element i is `cos({scale} * t * w)`, element {half} + i the sine.
   * `v = unet(latent: x, time_embedding, text)`, then `x += (next - t) * v`.
4. `image = decoder(latent: x)`, channels first, about -1 ... 1: a pixel is `(clamp(value, -1, 1) + 1) / 2`.

No guidance: the model runs once a step. Load with `computeUnits = .cpuAndNeuralEngine` first, and look at
the compute plan for operations that fall back.

Check: feed the tensors under `golden/` as `golden.json` names them. `expected` was computed in Float32 by
the model itself, `from_file` by running the package's program with Float16 storage; your output should be
as near to `expected` as that one (`psnr_db`, 20 log10(max|expected| / RMSE)), within a few dB. Float16
storage on a CPU is not the arithmetic of the Neural Engine: only a device tells.
"""


def write_phone_folder(
    folder: Path,
    *,
    unet: Program,
    decoder: Program,
    grids: Mapping[str, Sequence[float]],
    frequencies: int,
    text: WordTextConfig | SnapgenTextConfig,
    golden: Mapping[str, tuple[Mapping[str, Tensor], Tensor, Tensor]],
    tokenizers: Sequence[Path] = (),
) -> None:
    """
    Args:
        grids: step times by number of steps.
        frequencies: width of the time embedding.
        golden: by package, its inputs, the expected output in float32, and the file's own output.
        tokenizers: folders of the text package's tokenizers, CLIP-L's first; none where there is no such
            package.
    """
    (folder / "golden").mkdir(parents=True)
    scheduler = {
        "grids": {steps: list(grid) for steps, grid in grids.items()},
        "step": "x = x + (next - t) * velocity; next is 0 behind the last time",
        "time_embedding": {"width": frequencies, "scale": TIME_SCALE, "order": "cosines, then sines"},
        "guidance": None,
        "packages": {"unet": _signature(unet), "decoder": _signature(decoder)},
        "image_range": [-1, 1],
    }
    _write_json(folder / "scheduler.json", scheduler)
    pairs = {name: _golden_pair(folder / "golden", name, *pair) for name, pair in golden.items()}
    _write_json(folder / "golden.json", pairs)
    (folder / "GUIDE.md").write_text(
        GUIDE.format(text=_write_text(folder, text, tokenizers), half=frequencies // 2, scale=int(TIME_SCALE))
    )


def _write_text(folder: Path, config: WordTextConfig | SnapgenTextConfig, tokenizers: Sequence[Path]) -> str:
    """Writes what turns a caption into `text`; returns the guide's sentence about it."""
    if isinstance(config, SnapgenTextConfig):
        _write_json(folder / "text.json", config.model_dump())
        if tokenizers:
            for tokenizer in tokenizers:
                shutil.copytree(tokenizer, folder / tokenizer.name)
            names = " and ".join(f"`{tokenizer.name}/`" for tokenizer in tokenizers)
            return (
                f"`text.mlpackage` gives it. Cut the caption into tokens by {names} (byte pairs, 77 ids with"
                " begin, end and padding) and feed them as Int32: `ids_l` by CLIP-L's, `ids_g` by CLIP-G's."
            )
        return (
            "`text.json` names the encoders (CLIP-L and CLIP-G joined on channels, then Gemma-2, on tokens;"
            " unused positions are zeros). They are not part of this folder: tokenizers and weights have"
            " their own licences and come from the snapshot that the run names."
        )
    encoder = WordTextEncoder(config)
    _tensor(folder / "text", "words", encoder.words_VD)
    _tensor(folder / "text", "positions", encoder.positions_ND)
    table = {
        "vocabulary": {word: number for number, word in enumerate(VOCABULARY_V1, start=1)},
        "tokens": config.tokens,
        "width": config.width,
        "words": "text/words.f32",
        "positions": "text/positions.f32",
    }
    _write_json(folder / "text.json", table)
    return (
        "split the caption at spaces, look each word up in `text.json` (numbers from 1), and let `text[n] ="
        " words[number] + positions[n]`; unused positions are zeros."
    )


def _signature(program: Program) -> dict[str, Any]:
    kinds = {name: kind for one in program.operations for name, kind in one.outputs}
    return {
        "inputs": {name: {"dtype": k.dtype, "shape": list(k.shape)} for name, k in program.inputs.items()},
        "outputs": {
            name: {"dtype": kinds[name].dtype, "shape": list(kinds[name].shape)} for name in program.outputs
        },
    }


def _golden_pair(
    folder: Path, name: str, inputs: Mapping[str, Tensor], expected: Tensor, from_file: Tensor
) -> dict[str, Any]:
    return {
        "inputs": {one: _tensor(folder, f"{name}.{one}", value) for one, value in inputs.items()},
        "expected": _tensor(folder, f"{name}.expected", expected),
        "from_file": _tensor(folder, f"{name}.from_file", from_file),
        "psnr_db": finite(difference(from_file, expected).psnr_db),
    }


def _tensor(folder: Path, name: str, value: Tensor) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    data = value.detach().numpy().astype(np.dtype("<f4")).tobytes()
    file = folder / f"{name}.f32"
    file.write_bytes(data)
    return {
        "file": f"{folder.name}/{file.name}",
        "shape": list(value.shape),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def read_tensor(folder: Path, entry: Mapping[str, Any]) -> np.ndarray:
    """A tensor of golden.json.

    Raises:
        ValueError: the file's bytes are not those that were written.
    """
    data = (folder / entry["file"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ValueError(f"{entry['file']} has other bytes than golden.json says")
    return np.frombuffer(data, dtype="<f4").reshape(entry["shape"])


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
