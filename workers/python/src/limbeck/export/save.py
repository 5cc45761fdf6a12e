"""A coremltools model on disk: complete under its name, or not there."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from limbeck.export.mil_program import Program, read_program


def save_package(model: Any, path: Path) -> Program:
    """Saves beside the target and renames, so that a half-written package never has the final name.

    Returns:
        What was written, read back from the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", dir=path.parent))
    try:
        written = folder / path.name
        model.save(str(written))
        program = read_program(written)
        written.rename(path)
    finally:
        shutil.rmtree(folder)
    return program
