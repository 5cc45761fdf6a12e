"""Bytes to log lines."""

from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.agent.text import LINE_UNITS, LineSplitter, cut, utf16_units


def split(*chunks: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.close()


@given(st.lists(st.text(alphabet="aä\U0001f600 ", max_size=20), max_size=8), st.integers(1, 7))
def test_lines_do_not_depend_on_how_they_arrive(lines: list[str], size: int) -> None:
    content = "".join(line + "\n" for line in lines).encode()
    chunks = [content[i : i + size] for i in range(0, len(content), size)]
    assert split(*chunks) == lines


def test_a_carriage_return_overwrites_the_line() -> None:
    assert split(b" 1%\r 2%\r", b"\r 3%", b"\nnext\r\n", b"last\r") == [" 3%", "next", "last"]


def test_a_progress_bar_takes_bounded_memory() -> None:
    splitter = LineSplitter()
    for percent in range(2000):
        assert splitter.feed(b"\r" + b"#" * 5000 + b"%d" % percent) == []
        assert len(splitter._held) < 6000
    assert splitter.close()[0].endswith("1999")


def test_a_long_line_is_cut_with_a_mark() -> None:
    [line] = split(*[b"x" * 50_000] * 4, b"\n")
    assert utf16_units(line) <= LINE_UNITS
    assert line.startswith("xxxx")
    assert line.endswith("[cut from 200000 characters]")


@settings(max_examples=50)
@given(st.text(max_size=60), st.integers(40, 60))
def test_cut_keeps_to_utf16_units(text: str, units: int) -> None:
    text = text.replace("\0", "")
    short = cut(text * 3, units)
    assert utf16_units(short) <= units
    assert short == text * 3 or short.endswith("characters]")


def test_what_postgres_cannot_store_is_replaced() -> None:
    assert split(b"a\0b\xff\n") == ["a\ufffdb\ufffd"]
