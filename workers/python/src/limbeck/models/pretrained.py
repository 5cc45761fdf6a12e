"""Frozen transformers models from local folders: loaded whole or not at all, and named by their bytes."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from limbeck.contracts.context import file_digest


def load_whole(kind: Any, folder: Path, dtype: torch.dtype, device: torch.device | str) -> Any:
    """`kind.from_pretrained(folder)`, frozen and in eval mode, from the folder alone.

    Raises:
        ValueError: the files lack tensors; names them.
        OSError: the folder holds no such model.
    """
    loaded, info = kind.from_pretrained(folder, local_files_only=True, dtype=dtype, output_loading_info=True)
    missing = sorted(info["missing_keys"])
    if missing:
        # transformers would go on with random weights in their place.
        raise ValueError(f"{folder.parent.name}/{folder.name} lacks {len(missing)} tensors: {missing[:3]}")
    return loaded.eval().requires_grad_(False).to(device)


def folders_digest(folders: Iterable[Path]) -> str:
    """SHA-256 over (folder's name / path in it, SHA-256) of every file: what decides the output."""
    listing = [
        [path.relative_to(folder.parent).as_posix(), file_digest(path)]
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()
