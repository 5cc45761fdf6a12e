"""What importing costs, and what a machine without coremltools is told."""

import logging
import os
import subprocess
import sys

import pytest

from limbeck.export.toolkit import CoremltoolsMissing, load_coremltools, no_progress_bars

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
"""Pytest puts the sources on its own path only."""


def test_importing_the_library_loads_no_coremltools() -> None:
    program = (
        "import sys, limbeck.export; assert 'torch' not in sys.modules;"
        "import limbeck.export.convert, limbeck.export.verify; print('coremltools' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=ENVIRONMENT,
    )
    assert done.stdout.strip() == "False"


def test_missing_package_is_named_with_its_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coremltools", None)  # what the import system reads as "not there"
    with pytest.raises(CoremltoolsMissing, match=r"coremltools \(9\.0\).*Linux x86_64 and macOS arm64"):
        load_coremltools()


def test_import_is_quiet_and_the_filter_does_not_stay() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from limbeck.export.toolkit import load_coremltools as f; f()"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=ENVIRONMENT,
    )
    assert done.stdout + done.stderr == ""
    load_coremltools()
    assert logging.getLogger("coremltools").filters == []


def test_progress_bars_are_off_inside_only(capsys: pytest.CaptureFixture[str]) -> None:
    from tqdm import tqdm

    with no_progress_bars():
        assert list(tqdm([1, 2], desc="hidden")) == [1, 2]
    assert list(tqdm([3], desc="shown")) == [3]
    assert "hidden" not in (shown := capsys.readouterr().err)
    assert "shown" in shown
