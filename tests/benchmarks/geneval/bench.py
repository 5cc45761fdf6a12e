"""Time of `limbeck eval geneval` on N images, the whole command as a user runs it.

    python tests/benchmarks/geneval/bench.py [--images 10000] [--repeats 5]

The file is drawn: four images a prompt, all six tasks, up to 20 detections an image. No package scores
GenEval apart from the reference program, which reads masks of a detector of its own: there is nothing to
stand beside it.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CLASSES = ("person", "dog", "cat", "car", "bus", "chair", "cup")
COLOURS = ("red", "blue", "green", None)
TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")


def metadata(draw: random.Random, prompt: int) -> dict[str, object]:
    tag = TAGS[prompt % len(TAGS)]
    first, second = draw.sample(CLASSES, 2)
    include: list[dict[str, object]] = [
        {"class": first, "count": 3 if tag == "counting" else 1}
    ]
    if tag in ("two_object", "position", "color_attr"):
        include.append({"class": second, "count": 1})
    if tag == "position":
        include[1]["position"] = ["left of", 0]
    if tag in ("colors", "color_attr"):
        include[0]["color"] = "red"
    found: dict[str, object] = {
        "tag": tag,
        "include": include,
        "prompt": f"prompt {prompt}",
    }
    if tag == "counting":
        found["exclude"] = [{"class": first, "count": 4}]
    return found


def detection(draw: random.Random) -> dict[str, object]:
    x, y = draw.random() * 400, draw.random() * 400
    box = [x, y, x + draw.random() * 100, y + draw.random() * 100]
    return {
        "class": draw.choice(CLASSES),
        "score": draw.random(),
        "box": box,
        "colour": draw.choice(COLOURS),
    }


def write(path: Path, images: int) -> int:
    draw = random.Random(1)
    rows = 0
    with path.open("w") as file:
        for prompt in range(-(-images // 4)):
            asked = metadata(draw, prompt)
            for _ in range(min(4, images - 4 * prompt)):
                detections = [detection(draw) for _ in range(draw.randint(0, 20))]
                rows += len(detections)
                file.write(
                    json.dumps({"metadata": asked, "detections": detections}) + "\n"
                )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "detections.jsonl", Path(folder) / "scores.json"
        rows = write(file, arguments.images)
        seconds = []
        for _ in range(arguments.repeats):
            started = time.perf_counter()
            subprocess.run(
                [ROOT / "limbeck", "eval", "geneval", file, "--json", out],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            seconds.append(time.perf_counter() - started)
        judged = len(json.loads(out.read_text())["images"])
    print(
        f"{judged} images, {rows} detections: median {statistics.median(seconds):.2f} s"
        f" [{min(seconds):.2f}, {max(seconds):.2f}], {arguments.repeats} runs"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
