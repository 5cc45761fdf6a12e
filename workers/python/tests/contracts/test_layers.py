"""Imports point inwards (design.md, section 3): a package reads from the ones below it alone."""

import ast
from pathlib import Path

import pytest

import limbeck

ROOT = Path(limbeck.__file__).parent

BELOW = {
    "contracts": set(),
    "data": {"contracts"},
    "models": {"contracts", "data"},
    "objectives": {"contracts", "data", "models"},
    "training": {"contracts", "data", "models", "objectives"},
    "evaluation": {"contracts", "data", "models", "objectives"},
    "export": {"contracts", "data", "models", "objectives"},
    "stages": {"contracts", "data", "models", "objectives", "training", "evaluation", "export"},
    # The agent starts stages as processes; it shares the contracts with them, and no import of torch.
    "agent": {"contracts"},
}


def imported(path: Path) -> set[str]:
    """Packages of limbeck that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        found |= {name.split(".")[1] for name in names if name.startswith("limbeck.")}
    return found


def test_every_package_has_its_place() -> None:
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} == set(BELOW)


@pytest.mark.parametrize("package", sorted(BELOW))
def test_imports_point_inwards(package: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {', '.join(sorted(upward))}"
        for path in (ROOT / package).rglob("*.py")
        if (upward := imported(path) - BELOW[package] - {package})
    }
    assert wrong == set()
