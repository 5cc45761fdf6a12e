"""Stages in a group of two processes against the same stage in one: the same training up to the order
of summation. A tolerance is stated where bits cannot be expected."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toys import distillation as toy
from toys.group import run_group, stop_group
from toys.kill import newest_checkpoint, weights
from toys.metrics import arrays, scalars

from limbeck.stages import distill, distill_steps, pretrain

torch.set_num_threads(1)

GRID = [1.0, 0.75, 0.5, 0.25]

ORDER_OF_SUMMATION = 5e-5
"""Largest difference of a weight after six updates of 1e-3. A gradient that differs in its last bit
moves a weight by the whole rate in AdamW's first updates only where it is about 0; none here is."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return toy.write_inputs(tmp_path_factory.mktemp("groups"), GRID)


def kd(**changes: object) -> dict[str, object]:
    return {"kind": "distill", "time": {}, "training": toy.training(6), "scaling": {}, **changes}


LADD = {
    "kind": "distill_steps",
    "time": {},
    "grids": {"4": GRID},
    "training": toy.training(6),
    "scaling": {},
    "ladd": {"taps": [0, 1], "head_channels": 8, "head_optimizer": toy.optimizer()},
}
PRETRAIN = {
    "kind": "pretrain",
    "model": toy.STUDENT.model_dump(),
    "text": "student",
    "time": {},
    "training": toy.training(6),
}


def distance(one: Path, other: Path) -> float:
    """Largest difference of a weight between two denoiser trees."""
    a, b = load_file(one / "raw.safetensors"), load_file(other / "raw.safetensors")
    assert a.keys() == b.keys()
    found = max(float((a[name] - b[name]).abs().max()) for name in a)
    print(f"largest difference {found:.2g}")
    return found


def moved(output: Path, start: Path) -> float:
    return distance(output, start)


def test_two_processes_distil_as_one(tmp_path: Path, inputs: dict[str, Path]) -> None:
    alone = toy.context(tmp_path / "alone", kd(), inputs)
    distill.run(alone)
    run_group(tmp_path / "group", 2, kd(), inputs)
    group = tmp_path / "group" / "output"
    assert distance(group, alone.output) < ORDER_OF_SUMMATION < 0.1 * moved(group, inputs["base"])
    # What is shown is of all processes, too.
    for name in ("loss", "loss/output_kd", "gradient_norm", "scaling/ratio_output"):
        own, shared = scalars(alone.workdir, name), scalars(tmp_path / "group", name)
        assert shared == pytest.approx(own, rel=1e-4), name
    own, shared = (arrays(w, "training/task_by_t")[-1] for w in (alone.workdir, tmp_path / "group"))
    assert [value is None for value in shared] == [value is None for value in own]
    filled = [value for value in shared if value is not None]
    assert filled == pytest.approx([value for value in own if value is not None], rel=1e-4)


def test_two_processes_distil_steps_as_one(tmp_path: Path, inputs: dict[str, Path]) -> None:
    alone = toy.context(tmp_path / "alone", LADD, inputs)
    distill_steps.run(alone)
    run_group(tmp_path / "group", 2, LADD, inputs)
    group = tmp_path / "group" / "output"
    assert distance(group, alone.output) < ORDER_OF_SUMMATION < 0.1 * moved(group, inputs["student"])


def test_one_then_two_then_one_process_train_as_one(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """A checkpoint knows nothing of the number of processes that wrote it."""
    whole = toy.context(tmp_path / "whole", PRETRAIN, inputs)
    pretrain.run(whole)
    two = {**PRETRAIN, "training": toy.training(6)}
    first = whole.checkpoints / "000000002"
    said = run_group(tmp_path / "group", 2, two, inputs, resume=first)
    assert "resumed from step 2" in said
    last = toy.context(tmp_path / "last", PRETRAIN, inputs, tmp_path / "group" / "checkpoints" / "000000004")
    pretrain.run(last)
    assert distance(last.output, whole.output) < ORDER_OF_SUMMATION


def test_a_group_stops_together_and_leaves_a_checkpoint(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """SIGTERM to the launcher reaches every process at another moment; they agree on the step."""
    long = {**PRETRAIN, "training": toy.training(100_000, checkpoint_every=50_000)}
    stop_group(tmp_path / "group", 2, long, inputs)
    checkpoint = newest_checkpoint(tmp_path / "group")
    assert checkpoint is not None and not (tmp_path / "group" / "result.json").exists()
    step = json.loads((checkpoint / "position.json").read_text())["step"]
    assert 0 < step < 50_000 and checkpoint.name == f"{step:09d}"


def test_a_sharded_teacher_answers_with_the_same_bits(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """FSDP2 gathers whole blocks before they compute: nothing is summed in another order."""
    run_group(tmp_path / "whole", 2, kd(), inputs)
    run_group(tmp_path / "sharded", 2, kd(teacher_sharded=True), inputs)
    whole, sharded = (weights(tmp_path / name / "output") for name in ("whole", "sharded"))
    assert sharded == whole


def test_gradients_flow_through_a_sharded_discriminator(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """LADD stops after the last tap and asks for gradients at the teacher's input."""
    run_group(tmp_path / "whole", 2, LADD, inputs)
    run_group(tmp_path / "sharded", 2, {**LADD, "teacher_sharded": True}, inputs)
    whole, sharded = (weights(tmp_path / name / "output") for name in ("whole", "sharded"))
    assert sharded == whole
