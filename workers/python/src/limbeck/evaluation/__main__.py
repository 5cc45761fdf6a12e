"""What the command line asks of the evaluators.

`grid OUT.png TITLE=FOLDER ... [--prompts N]`: a picture that compares models. Each FOLDER holds the sheet of
one evaluation; the rows are N prompts spread over the tags.

`paired FIRST.json SECOND.json [--across-sampling]`: the difference of two arms as JSON. Each file is a list
of evaluation results, one for each training seed, in the same order.
"""

import argparse
import json
import sys
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from limbeck.contracts.generated import EvaluationResult
from limbeck.evaluation.paired import paired_difference
from limbeck.evaluation.sheet import comparison_grid, load_sheet

_RESULTS = TypeAdapter(list[EvaluationResult])


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


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="limbeck.evaluation")
    commands = parser.add_subparsers(dest="command", required=True)
    grid = commands.add_parser("grid")
    grid.add_argument("out", type=Path)
    grid.add_argument("columns", nargs="+", metavar="TITLE=FOLDER")
    grid.add_argument("--prompts", type=int, default=9)
    paired = commands.add_parser("paired")
    paired.add_argument("first", type=Path)
    paired.add_argument("second", type=Path)
    paired.add_argument("--across-sampling", action="store_true")
    arguments = parser.parse_args(argv)
    if arguments.command == "paired":
        try:
            first, second = (
                _RESULTS.validate_json(path.read_bytes()) for path in (arguments.first, arguments.second)
            )
            found = paired_difference(first, second, across_sampling=arguments.across_sampling)
            print(json.dumps(found.to_json()))
        except (OSError, ValidationError, ValueError) as error:
            parser.error(str(error))
        return 0
    columns: dict[str, Path] = {}
    for column in arguments.columns:
        title, found, folder = column.partition("=")
        if not found:
            parser.error(f"a column is TITLE=FOLDER, got {column!r}")
        columns[title] = Path(folder)
    _, tiles = load_sheet(next(iter(columns.values())))
    comparison_grid(columns, spread(tiles, arguments.prompts)).save(arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
