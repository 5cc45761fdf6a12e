"""Weights as linear int8, one scale an output channel: cheaper to expand than palettes, and less exact."""

from collections.abc import Mapping
from pathlib import Path

from limbeck.export.mil_program import Program, read_program
from limbeck.export.palettes import find_weights
from limbeck.export.save import save_package
from limbeck.export.toolkit import load_coremltools, no_progress_bars


def quantize(source: Path, target: Path) -> tuple[Program, Mapping[str, str]]:
    """Writes a copy of the fp16 package `source` with int8 weights, symmetric; what palettes keep is kept.

    Returns:
        The program that was written, and why which weight stayed fp16.

    Raises:
        FileExistsError: something is at `target`.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; a package is never overwritten")
    weights = find_weights(read_program(source))
    coremltools = load_coremltools()
    optimize = coremltools.optimize.coreml
    linear = optimize.OpLinearQuantizerConfig(
        mode="linear_symmetric", dtype="int8", granularity="per_channel", weight_threshold=0
    )
    config = optimize.OptimizationConfig()
    for weight in weights:
        if not weight.kept:
            config.set_op_name(weight.name, linear)
    with no_progress_bars():
        model = coremltools.models.MLModel(str(source), skip_model_load=True)
        program = save_package(optimize.linear_quantize_weights(model, config), target)
    return program, {weight.name: weight.kept for weight in weights if weight.kept}
