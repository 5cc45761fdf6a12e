"""What the command line asks about models, as JSON; `limbeck model` prints it as tables.

`describe PRESET [--latent-size N] [--text-tokens N] [--set PATH=VALUE ...]`: parameters and MACs by stage.
`ablation`: the same along SnapGen's design path, beside the reported changes.

Status 2 and one line where the preset, a path, a value or a size is not allowed.
"""

import argparse
import json
import sys
from dataclasses import asdict
from typing import NoReturn

from limbeck.models.presets import PresetError, load_preset, measured_at, with_overrides

LARGEST = {"--latent-size": 512, "--text-tokens": 8192}


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise PresetError(message)  # without the usage: one line, as every other error here


def override(text: str) -> tuple[str, object]:
    """ "expansion=1": the value is JSON where it can be read as such, else text."""
    path, found, value = text.partition("=")
    if not path or not found:
        raise PresetError(f'--set takes PATH=VALUE, got "{text}"')
    try:
        return path, json.loads(value)
    except json.JSONDecodeError:
        return path, value


def size(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LARGEST[option]:
        raise PresetError(f'{option} is "{text}"; allowed: a whole number from 1 to {LARGEST[option]}')
    return int(text)


def describe(arguments: argparse.Namespace) -> dict[str, object]:
    from limbeck.models.cost import measure  # torch takes seconds to import; a typing error need not wait

    latent_size = size("--latent-size", arguments.latent_size)
    text_tokens = size("--text-tokens", arguments.text_tokens)
    preset = with_overrides(load_preset(arguments.preset), dict(map(override, arguments.set)))
    preset = measured_at(preset, latent_size=latent_size, text_tokens=text_tokens)
    return {
        "name": arguments.preset,
        "latent_size": preset.latent_edge,
        "text_tokens": preset.text_tokens,
        **asdict(measure(preset)),
    }


def answer(argv: list[str]) -> dict[str, object]:
    parser = Parser(prog="limbeck.models", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("describe", allow_abbrev=False)
    one.add_argument("preset")
    one.add_argument("--latent-size")
    one.add_argument("--text-tokens")
    one.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    commands.add_parser("ablation")
    arguments = parser.parse_args(argv)
    if arguments.command == "describe":
        return describe(arguments)
    from limbeck.models.ablation import ablation

    return asdict(ablation())


def main(argv: list[str]) -> int:
    try:
        print(json.dumps(answer(argv)))
    except PresetError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
