"""Tensors as safetensors files: weights, optimizer states, statistics."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]


def save_tensors(path: Path, tensors: Tensors) -> None:
    """Writes tensors to a safetensors file; parents are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, path)


def load_tensors(path: Path) -> Tensors:
    if not path.is_file():
        raise FileNotFoundError(f"the checkpoint lacks {path.name}: {path}")
    return load_file(path)
