"""coremltools, imported when first needed and with its known, harmless messages silenced."""

import contextlib
import ctypes
import importlib
import logging
import platform
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

WHEELS = "Linux x86_64 and macOS arm64, Python 3.10 to 3.13"
"""Where coremltools 9.0 has wheels with the weight-file library; elsewhere it cannot save an ML program."""

_HARMLESS = (
    # coremltools 9.0 was tested up to torch 2.7; verify.py compares what is written, number by number.
    "Torch version ",
    # Concerns its scikit-learn *converter*; the k-means palettes run with this version.
    "scikit-learn version ",
    # The predictor, the compute devices and compute plans exist on macOS only.
    "Failed to load _ML",
    "Fail to import BlobReader",
)


_M_MMAP_THRESHOLD = -3
"""Of mallopt(3)."""


class CoremltoolsMissing(RuntimeError):
    """coremltools is not importable in this environment."""


def load_coremltools() -> ModuleType:
    """The coremltools package (3.3 s at the first call of a process).

    Raises:
        CoremltoolsMissing: naming the package, the platforms that have wheels, and this one.
    """
    if "coremltools" in sys.modules and sys.modules["coremltools"] is not None:
        return sys.modules["coremltools"]
    logger = logging.getLogger("coremltools")
    logger.addFilter(_is_news)
    try:
        return importlib.import_module("coremltools")
    except ModuleNotFoundError as error:
        if error.name != "coremltools":
            raise
        raise CoremltoolsMissing(
            "Core ML export needs the package coremltools (9.0), which is not installed here. "
            f"It has wheels for {WHEELS}; this is {platform.system()} {platform.machine()}, "
            f"Python {platform.python_version()}."
        ) from error
    finally:
        logger.removeFilter(_is_news)


@contextlib.contextmanager
def no_progress_bars() -> Iterator[None]:
    """Switches tqdm's bars off: in a worker's log each of their updates would be a line.

    coremltools has no option for it, and tqdm reads its environment variable when it is first
    imported, which may be long before. Process-wide while it lasts.
    """
    from tqdm import tqdm

    original = tqdm.__init__

    def quiet(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **{**options, "disable": True})

    tqdm.__init__ = quiet
    try:
        yield
    finally:
        tqdm.__init__ = original


def give_freed_memory_back() -> None:
    """From now on a freed tensor of a megabyte or more leaves the process at once (glibc; elsewhere nothing).

    A program frees thousands of tensors of different sizes, and glibc keeps blocks of up to 32 MB for later:
    at full size (379M parameters, 128 x 128) the heap grew to 9.1 GiB of mostly holes. So it is 3.0 GiB, for
    a tenth more time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_MMAP_THRESHOLD, 2**20)


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_HARMLESS)
