"""docs/traps.md names tests: they exist, or the document lies."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
DOCUMENT = TESTS.parents[2] / "docs" / "traps.md"


def test_every_test_that_the_table_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", DOCUMENT.read_text())
    assert len(named) > 30
    functions: dict[str, set[str]] = {}
    for file, name in named:
        if file not in functions:
            tree = ast.parse((TESTS / file).read_text())
            functions[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in functions[file], f"{file} has no {name}"


def test_no_mistake_is_left_out() -> None:
    rows = [line.split("|")[1] for line in DOCUMENT.read_text().splitlines() if re.match(r"\| \d", line)]
    numbers = [int(number) for row in rows for number in row.split(",")]
    assert numbers == list(range(1, 35))
