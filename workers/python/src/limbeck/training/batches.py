"""A step's samples, cut into what one process computes at a time."""

from collections.abc import Iterator

import numpy as np

from limbeck.contracts.context import StageFailure
from limbeck.contracts.generated import TrainingConfig
from limbeck.data.randomness import batch_positions
from limbeck.training.distributed import own_rows, world


def micro_batches(training: TrainingConfig, step: int) -> Iterator[tuple[np.ndarray, float]]:
    """(this process's positions, their share of the step's samples), part by part.

    The parts depend on `micro_batch` alone and not on the number of processes, which share each part:
    with other processes a step sees the same numbers, up to the order of summation.

    Raises:
        StageFailure: bad_config, where the sizes do not divide.
    """
    whole, part = training.batch_size, training.micro_batch or training.batch_size
    if whole % part:
        raise StageFailure("bad_config", f"micro_batch {part} does not divide batch_size {whole}")
    if part % world():
        raise StageFailure(
            "bad_config", f"{part} samples a forward do not divide over {world()} processes; see micro_batch"
        )
    positions = batch_positions(step, whole)
    for first in range(0, whole, part):
        rows = positions[first : first + part][own_rows(part)]
        yield rows, len(rows) / whole


def refuse_micro_batches(training: TrainingConfig, kind: str) -> None:
    """For stages whose step is not cut into parts: better no than silently the whole batch.

    Raises:
        StageFailure: bad_config, naming the field.
    """
    if training.micro_batch not in (0, training.batch_size):
        raise StageFailure(
            "bad_config",
            f"{kind} takes a batch in one forward: micro_batch is {training.micro_batch},"
            f" allowed are 0 and batch_size {training.batch_size}",
        )
