"""What the command line asks of an export: `check FOLDER`, the folder that `export_coreml` wrote.

Needs no model and no Mac: rules and digests of every package, and the golden pair through the file. Prints
JSON; status 2 and one line where the folder is none, status 3 where something was found (1 is a crash).
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from limbeck.export.checks import Reported, check_package
from limbeck.export.convert import MinimumTarget

FOUND = 3
"""Exit status: something is wrong with the folder."""

GOLDEN_SLACK_DB = 0.01
"""The same program on the same inputs gives the same figure, up to the last digit of its float64 sum."""


class Package(BaseModel):
    conversion: Reported


class Report(BaseModel):
    """What is read of report.json."""

    minimum_target: MinimumTarget
    packages: dict[str, Package]


def check_folder(folder: Path, target: MinimumTarget | None = None) -> dict[str, Any]:
    """Findings by package, and the golden pairs.

    Raises:
        ValueError: the folder has no report that can be read.
    """
    try:
        report = Report.model_validate_json((folder / "report.json").read_bytes())
    except OSError as error:
        raise ValueError(f"{folder}: report.json cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"{folder}: report.json is no report of an export: {where}: {first['msg']}"
        ) from error
    found: dict[str, list[dict[str, Any]]] = {}
    for name, package in report.packages.items():
        path = folder / f"{name}.mlpackage"
        wanted = target or report.minimum_target
        found[name] = [one.as_json() for one in check_package(path, wanted, package.conversion)]
    for path in sorted(folder.glob("*.mlpackage")):
        if path.stem not in found:
            message = "stands in the folder and not in its report"
            found[path.stem] = [{"rule": "file", "operation": "", "message": message}]
    golden = _golden(folder, {name for name, findings in found.items() if not findings})
    return {
        "packages": found,
        "golden": golden,
        "sound": not any(found.values()) and all(one["as_reported"] for one in golden.values()),
    }


def _golden(folder: Path, sound: set[str]) -> dict[str, Any]:
    """The golden pair of each sound package, run again."""
    import torch

    from limbeck.export.mil_interpreter import load
    from limbeck.export.phone import read_tensor
    from limbeck.export.verify import difference, finite

    pairs = json.loads((folder / "ios" / "golden.json").read_text())
    found: dict[str, Any] = {}
    for name, pair in pairs.items():
        if name not in sound:
            continue
        inputs = {one: torch.tensor(read_tensor(folder / "ios", e)) for one, e in pair["inputs"].items()}
        (value,) = load(folder / f"{name}.mlpackage").run(inputs, "fp16_storage").values()
        psnr = difference(value, torch.tensor(read_tensor(folder / "ios", pair["expected"]))).psnr_db
        then = float(pair["psnr_db"])
        same = psnr == then or abs(psnr - then) <= GOLDEN_SLACK_DB
        found[name] = {"psnr_db": finite(psnr), "as_reported": same}
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="limbeck.export", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", allow_abbrev=False)
    check.add_argument("folder", type=Path)
    check.add_argument("--target", choices=["iOS17", "iOS18"])
    arguments = parser.parse_args(argv)
    try:
        found = check_folder(arguments.folder, arguments.target)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(found))
    return 0 if found["sound"] else FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
