"""What the command line asks of the evaluators.

`geneval FILE.jsonl [--against FILE.jsonl]`, `frechet A.npz B.npz`, `dpg QUESTIONS.csv ANSWERS.csv`: scores of
files, for models that this project never trained. `--json OUT` writes everything; what is printed is the
same JSON without its long lists.

`grid OUT.png TITLE=FOLDER ... [--prompts N]`: a picture that compares models. Each FOLDER holds the sheet of
one evaluation; the rows are N prompts spread over the tags.

`paired FIRST.json SECOND.json [--across-sampling]`: the difference of two arms as JSON. Each file is a list
of evaluation results, one for each training seed, in the same order.

Status 2 and one line where an input is not allowed. Each command imports what it needs: scoring a file of
detections waits for no torch.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from limbeck.evaluation import files

LONG = ("images", "items")
"""Keys whose lists have an entry for each image: in the file, not on the screen."""


class Unusable(ValueError):
    """Arguments or inputs that a command cannot work with; one line."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Unusable(message)  # without the usage: one line, as every other error here


def spread(tiles: list[dict[str, object]], count: int) -> list[str]:
    """`count` different prompts, taking the tags in turn, trained combinations before held-out ones."""
    queues: dict[tuple[bool, str], list[str]] = {}
    for tile in tiles:
        queue = queues.setdefault((bool(tile["held_out"]), str(tile["tag"])), [])
        if tile["prompt"] not in queue:
            queue.append(str(tile["prompt"]))
    chosen: list[str] = []
    while len(chosen) < count and any(queues.values()):
        for key in sorted(queues):
            if queues[key] and len(chosen) < count:
                prompt = queues[key].pop(0)
                if prompt not in chosen:
                    chosen.append(prompt)
    return chosen


def paired(arguments: argparse.Namespace) -> dict[str, Any]:
    from pydantic import TypeAdapter, ValidationError

    from limbeck.contracts.generated import EvaluationResult
    from limbeck.evaluation.paired import paired_difference

    results = TypeAdapter(list[EvaluationResult])
    arms: list[list[EvaluationResult]] = []
    for path in (arguments.first, arguments.second):
        try:
            arms.append(results.validate_json(path.read_bytes()))
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            raise Unusable(f"{path.name} holds no evaluation results: {where}: {problem['msg']}") from error
    first, second = arms
    return paired_difference(first, second, across_sampling=arguments.across_sampling).to_json()


def grid(arguments: argparse.Namespace) -> None:
    from limbeck.evaluation.sheet import comparison_grid, load_sheet

    columns: dict[str, Path] = {}
    for column in arguments.columns:
        title, found, folder = column.partition("=")
        if not found:
            raise Unusable(f"a column is TITLE=FOLDER, got {column!r}")
        columns[title] = Path(folder)
    _, tiles = load_sheet(next(iter(columns.values())))
    comparison_grid(columns, spread(tiles, arguments.prompts)).save(arguments.out)


def shown(report: dict[str, Any]) -> dict[str, Any]:
    """The report without its lists by image."""
    return {
        key: shown(value) if isinstance(value, dict) else value
        for key, value in report.items()
        if not (key in LONG and isinstance(value, list))
    }


def write(report: dict[str, Any], path: Path) -> None:
    """
    Raises:
        Unusable: the file cannot be written.
    """
    from limbeck.contracts.context import write_atomically

    try:
        write_atomically(path, json.dumps(report, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise Unusable(f"--json: {path} cannot be written ({error.strerror})") from error


def parser() -> argparse.ArgumentParser:
    root = Parser(prog="limbeck.evaluation", allow_abbrev=False)
    commands = root.add_subparsers(dest="command", required=True)
    one = commands.add_parser("geneval", allow_abbrev=False)
    one.add_argument("file", type=Path)
    one.add_argument("--against", type=Path)
    one.add_argument("--json", type=Path)
    one = commands.add_parser("frechet", allow_abbrev=False)
    one.add_argument("first", type=Path)
    one.add_argument("second", type=Path)
    one.add_argument("--json", type=Path)
    one = commands.add_parser("dpg", allow_abbrev=False)
    one.add_argument("questions", type=Path)
    one.add_argument("answers", type=Path)
    one.add_argument("--json", type=Path)
    one = commands.add_parser("paired")
    one.add_argument("first", type=Path)
    one.add_argument("second", type=Path)
    one.add_argument("--across-sampling", action="store_true")
    one = commands.add_parser("grid")
    one.add_argument("out", type=Path)
    one.add_argument("columns", nargs="+", metavar="TITLE=FOLDER")
    one.add_argument("--prompts", type=int, default=9)
    return root


COMMANDS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "geneval": lambda a: files.geneval(a.file, a.against),
    "frechet": lambda a: files.frechet(a.first, a.second),
    "dpg": lambda a: files.dpg(a.questions, a.answers),
    "paired": paired,
}


def main(argv: list[str]) -> int:
    try:
        arguments = parser().parse_args(argv)
        if arguments.command == "grid":
            grid(arguments)
            return 0
        report = COMMANDS[arguments.command](arguments)
        if getattr(arguments, "json", None) is not None:
            write(report, arguments.json)
        print(json.dumps(shown(report), allow_nan=False))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
