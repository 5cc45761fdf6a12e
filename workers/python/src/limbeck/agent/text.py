"""Bytes of a child's stdout and stderr as log lines that every part of the system can store."""

LINE_UNITS = 8000
"""Longest log line in UTF-16 units, which is how the contract counts."""


def utf16_units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, units: int, missing: int = 0) -> str:
    """`text` in at most `units` UTF-16 units; a mark says what it was cut from.

    NUL cannot be stored by Postgres and becomes U+FFFD. `missing` characters were cut before.
    """
    text = text.replace("\0", "\ufffd")
    if utf16_units(text) <= units and not missing:
        return text
    mark = f" ... [cut from {len(text) + missing} characters]"
    head = text[: max(0, units - len(mark))]
    while utf16_units(head) + len(mark) > units:
        head = head[: len(head) - (utf16_units(head) + len(mark) - units + 1) // 2]
    return head + mark


class LineSplitter:
    """Splits a stream of bytes into lines with bounded memory.

    A carriage return overwrites the line, as on a terminal: a progress bar gives its last state
    only, not one line of megabytes.
    """

    # A character takes at most 4 bytes; what is beyond is counted and dropped.
    _KEPT_BYTES = 4 * LINE_UNITS

    def __init__(self) -> None:
        self._held = b""
        self._dropped = 0

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes."""
        *whole, rest = data.split(b"\n")
        lines = []
        for part in whole:
            self._hold(part)
            lines.append(self._take())
        self._hold(rest)
        return lines

    def close(self) -> list[str]:
        """The last line, if the stream did not end with a newline."""
        return [self._take()] if self._held else []

    def _hold(self, data: bytes) -> None:
        held = self._held + data
        if b"\r" in held:
            *before, last = held.split(b"\r")
            # With nothing after the return yet, the state before it still stands.
            held = last or next((state for state in reversed(before) if state), b"") + b"\r"
            self._dropped = 0
        self._dropped += max(0, len(held) - self._KEPT_BYTES)
        self._held = held[: self._KEPT_BYTES]

    def _take(self) -> str:
        text = self._held.removesuffix(b"\r").decode("utf-8", errors="replace")
        missing, self._held, self._dropped = self._dropped, b"", 0
        return cut(text, LINE_UNITS, missing)
