"""Loading a diffusion component of a snapshot, whole or not at all.

diffusers' own loading keeps the dtype of the file, and gives a tensor that the file lacks random values
with no more than a warning: a hidden draw in a frozen network.
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from torch import nn

from limbeck.models.tensors import load_tensors

NAMED = 3
"""Tensors named in a message; the count tells of the others."""


def load_component(
    kind: type[SD3Transformer2DModel] | type[AutoencoderKL], folder: Path, dtype: torch.dtype
) -> nn.Module:
    """The model of config.json with the weights of all *.safetensors, one file at a time: SD3.5-Large
    never takes more memory than its weights and one shard.

    Args:
        kind: what the folder's config.json builds.

    Raises:
        ValueError: tensors are missing, unknown or of another shape; names them.
    """
    with torch.device("meta"):
        model = kind.from_config(json.loads((folder / "config.json").read_text()))
    assert isinstance(model, nn.Module)
    wanted = model.state_dict()
    missing, unknown, misshapen = set(wanted), list[str](), list[str]()
    for file in sorted(folder.glob("*.safetensors")):
        tensors = load_tensors(file)
        unknown += [name for name in tensors if name not in wanted]
        fitting = {name: t for name, t in tensors.items() if name in wanted}
        misshapen += [name for name, t in fitting.items() if t.shape != wanted[name].shape]
        missing -= fitting.keys()
        if not (unknown or misshapen):
            model.load_state_dict({n: t.to(dtype) for n, t in fitting.items()}, strict=False, assign=True)
    if missing or unknown or misshapen:
        raise ValueError(
            f"the weights of {folder.name} do not fit its config.json: {len(missing)} tensors missing"
            f" {sorted(missing)[:NAMED]}, {len(unknown)} unknown {unknown[:NAMED]},"
            f" {len(misshapen)} of another shape {misshapen[:NAMED]}"
        )
    return model
