"""Is a folder a snapshot that workers can load? `python -m limbeck.models.check_snapshot FOLDER`

Prints {"components": {name: tensors}, "bytes": n} as JSON, or ends with status 2 and one line for each
thing that is wrong. Reads headers only: SD3.5-Large takes a second.

Of the diffusion components (transformer, transformer_turbo, vae) every tensor of the architecture must be
there in its shape. Of the text encoders, whose tensor names transformers translates between its
versions, files must be whole and complete by their index; a missing tensor is found on loading.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

TRANSFORMERS = ("transformer", "transformer_turbo")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
WRONG = 2
SHOWN = 20
"""Lines of what is wrong; a home folder given by mistake has thousands."""
NAMED = 3
"""Tensors named in a message; the count tells of the others."""

Shapes = dict[str, tuple[int, ...]]


def check(folder: Path) -> tuple[dict[str, int], list[str]]:
    """(tensors by component, what is wrong): a snapshot is good when the second is empty."""
    if not folder.is_dir():
        return {}, [f"{folder} is no folder"]
    wrong = list[str]()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            wrong.append(f"{name} is a link out of the folder")
        elif path.is_symlink() and not path.is_file():
            wrong.append(f"{name} is a link to no file; only files are followed")
        elif path.suffix in PICKLES:
            wrong.append(f"{name} is a pickle, which can run code when it is read; convert it to safetensors")
    found = dict[str, int]()
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        if not any(part.glob("*.safetensors*")) and not _promises_weights(part / "config.json"):
            continue
        held, problems = _component(part)
        found[part.name] = len(held)
        wrong += problems
    if not found and not wrong:
        wrong.append(
            f"{folder.name} holds no component: a component is a folder with config.json and *.safetensors"
        )
    return found, wrong


def _component(part: Path) -> tuple[Shapes, list[str]]:
    wrong = list[str]()
    held: Shapes = {}
    place: dict[str, str] = {}
    for file in sorted(part.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - no mapping
                    held[name] = tuple(opened.get_slice(name).get_shape())
                    place[name] = file.name
        except SafetensorError as error:
            wrong.append(f"{part.name}/{file.name} cannot be read: {error}")
    if not held and not wrong:
        wrong.append(f"{part.name} has no *.safetensors with a tensor in it")
    for index in sorted(part.glob("*.safetensors.index.json")):
        try:
            weight_map = dict(json.loads(index.read_text())["weight_map"])
        except (ValueError, KeyError, TypeError) as error:
            wrong.append(f"{part.name}/{index.name} is no index of weights: {error!r}")
            continue
        for name, file in weight_map.items():
            if place.get(name) != file:
                wrong.append(f"{part.name}/{index.name} promises {name} in {file}, which does not hold it")
                break
    config = part / "config.json"
    if not config.is_file():
        wrong.append(f"{part.name} lacks config.json")
    elif part.name in (*TRANSFORMERS, "vae") and not wrong:
        try:
            wrong += _against_architecture(part, dict(json.loads(config.read_text())), held)
        except (ValueError, TypeError) as error:
            wrong.append(f"{part.name}/config.json cannot be used: {error}")
    return held, wrong


def _promises_weights(config: Path) -> bool:
    """Of a model class, as its library writes it; the closed-vocabulary text/ has a config.json alone."""
    if not config.is_file():
        return False
    try:
        held = json.loads(config.read_text())
    except ValueError:
        return True
    return isinstance(held, dict) and ("_class_name" in held or "architectures" in held)


def _against_architecture(part: Path, config: dict[str, object], held: Shapes) -> list[str]:
    from diffusers import AutoencoderKL, SD3Transformer2DModel

    kind = SD3Transformer2DModel if part.name in TRANSFORMERS else AutoencoderKL
    written = config.get("_class_name", kind.__name__)
    if written != kind.__name__:
        return [f"{part.name}/config.json is of a {written}, expected {kind.__name__}"]
    with torch.device("meta"):
        model = kind.from_config(config)
    assert isinstance(model, torch.nn.Module)
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    differences = {
        "missing": sorted(wanted.keys() - held.keys()),
        "unknown": sorted(held.keys() - wanted.keys()),
        "of another shape": sorted(n for n in wanted.keys() & held.keys() if wanted[n] != held[n]),
    }
    return [
        f"{part.name}: {len(names)} tensors {how}: {', '.join(names[:NAMED])}"
        for how, names in differences.items()
        if names
    ]


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print("usage: python -m limbeck.models.check_snapshot FOLDER", file=sys.stderr)
        return WRONG
    folder = Path(argv[0])
    components, wrong = check(folder)
    if wrong:
        more = len(wrong) - SHOWN
        print("\n".join([*wrong[:SHOWN], *([f"and {more} more"] if more > 0 else [])]), file=sys.stderr)
        return WRONG
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(json.dumps({"components": components, "bytes": size}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
