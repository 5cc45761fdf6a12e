"""Ten deaths at random moments, and the digest of a run that nobody touched (issue 5).

Every attempt is a process of its own and goes on from the last complete checkpoint of those before, as
the agent does it. Some deaths are kill -9 a random moment after a step was reported, which is anywhere
in a step or in the writing of a checkpoint beside it; some are SIGTERM, which asks for a checkpoint.
"""

import random
import signal
from pathlib import Path

import pytest
from toys import distillation as toy
from toys.kill import digest, run_and_signal, run_to_the_end

KILLS = 10
STEPS = 60
GRID = [1.0, 0.75, 0.5, 0.25]

TRAINING = toy.training(STEPS, checkpoint_every=3, validate_every=25)
DISTILL = {"kind": "distill", "time": {}, "training": TRAINING, "scaling": {}}
LADD = {
    "kind": "distill_steps",
    "time": {},
    "grids": {"4": GRID},
    "training": TRAINING,
    "scaling": {},
    "ladd": {
        "taps": [0, 1],
        "head_channels": 8,
        "head_optimizer": toy.optimizer(),
        "discriminator_updates": 2,
    },
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return toy.write_inputs(tmp_path_factory.mktemp("kills"), GRID)


@pytest.mark.parametrize("spec", [DISTILL, LADD], ids=["distill", "distill_steps"])
def test_ten_deaths_leave_no_trace(tmp_path: Path, inputs: dict[str, Path], spec: dict[str, object]) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    draw = random.Random(seed)
    print(f"seed {seed}")
    untouched = run_to_the_end(tmp_path / "untouched", spec, inputs, None)

    checkpoint: Path | None = None
    for attempt in range(KILLS):
        # Each attempt may get a tenth further, so that the tenth still has something to lose.
        step = draw.randrange(1, STEPS // KILLS * (attempt + 1))
        how = signal.SIGTERM if attempt in (3, 7) else signal.SIGKILL
        found = run_and_signal(
            tmp_path / f"attempt-{attempt}", spec, inputs, checkpoint, step, how, draw.uniform(0, 0.05)
        )
        checkpoint = found or checkpoint
    last = run_to_the_end(tmp_path / "last", spec, inputs, checkpoint)
    assert digest(last) == digest(untouched)
