"""Files that people hand to a scorer: how an error names them, and JSON Lines read line by line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

MAX_LINE_BYTES = 16 * 2**20
"""Of one line; an image with 100,000 detections has about 10 MB."""


class InputError(ValueError):
    """A file that a scorer cannot read; one line, "FILE, line N: what was found, what is allowed"."""

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        where = path.name if line is None else f"{path.name}, line {line}"
        super().__init__(f"{where}: {reason}")


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number from 1, object) of a JSON Lines file.

    NaN and Infinity, which Python's parser takes and JSON does not know, are refused.

    Raises:
        InputError: no such file, not UTF-8, an empty or overlong line, not JSON, not an object.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(path, None, f"cannot be read ({error.strerror})") from error
    with file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) > MAX_LINE_BYTES:
                raise InputError(path, number, f"longer than {MAX_LINE_BYTES} bytes")
            if not raw.strip():
                raise InputError(path, number, "empty; every line is one JSON object")
            try:
                value = json.loads(raw.rstrip(), parse_constant=_no_constant)
            except UnicodeDecodeError as error:
                raise InputError(path, number, f"not UTF-8 ({error.reason} at byte {error.start})") from error
            except json.JSONDecodeError as error:
                raise InputError(path, number, f"not JSON: {error.msg} at column {error.colno}") from error
            except (ValueError, RecursionError) as error:
                raise InputError(path, number, f"not JSON: {error}") from error
            if not isinstance(value, dict):
                raise InputError(path, number, f"a {type(value).__name__}; every line is one JSON object")
            yield number, value
    if number == 0:
        raise InputError(path, None, "is empty; at least one line is needed")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not finite; numbers must be")
