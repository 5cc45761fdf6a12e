"""Assembling a teacher snapshot from the outputs of its stages, laid out as SD3.5's."""

import json
import shutil
from pathlib import Path

from limbeck.models.sd3 import Sd3Denoiser
from limbeck.models.store import load_denoiser, write_component

COMPONENTS = ("transformer", "transformer_turbo")


def assemble_snapshot(target: Path, base: Path, denoisers: dict[str, Path], *, half: bool = True) -> None:
    """Writes a complete snapshot at `target` (replaced if it exists).

    Args:
        base: a snapshot to start from: the output of pretrain_autoencoder, or an earlier snapshot.
        denoisers: component name -> denoiser tree; its EMA becomes the component. A tree that was
            taken to few steps marks its component with the grid it was trained on.
        half: store transformers as fp16 (loaded as fp32).

    Raises:
        ValueError: an unknown component, a denoiser that is no SD3, or a few-step one with several grids.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(base, partial)
    for component, tree in denoisers.items():
        if component not in COMPONENTS:
            raise ValueError(f"a snapshot has the components {COMPONENTS}, got {component!r}")
        loaded = load_denoiser(tree)
        if not isinstance(loaded.denoiser, Sd3Denoiser):
            raise ValueError(f"{component} must be an SD3 denoiser, got {loaded.card.config.architecture!r}")
        write_component(
            partial, component, loaded.denoiser, grid=_grid(component, loaded.card.trained.grids), half=half
        )
    notes = partial / "limbeck.json"
    if not notes.is_file():
        notes.write_text(json.dumps({"few_step": {}}, indent=1))
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def _grid(component: str, grids: dict[str, list[float]] | None) -> list[float] | None:
    if grids is None:
        return None
    if len(grids) != 1:
        raise ValueError(f"{component} was trained on the grids {sorted(grids)}; a component has one")
    return next(iter(grids.values()))
