"""Large arrays of a data set: in RAM while they are small, in an unnamed file above that."""

import tempfile

import numpy as np
from numpy.typing import DTypeLike, NDArray

RAM_LIMIT = 2 * 1024**3
"""Bytes of one array that are still held in memory."""


def allocate(shape: tuple[int, ...], dtype: DTypeLike, ram_limit: int = RAM_LIMIT) -> NDArray:
    """A writable array, uninitialised.

    Above `ram_limit` it is mapped from a temporary file (in TMPDIR) that has no name: it vanishes
    with the process, also after kill -9, and never touches the input folders, which are shared.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= ram_limit:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
