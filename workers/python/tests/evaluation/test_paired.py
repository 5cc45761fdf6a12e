"""Paired differences of training arms: closed cases, coverage, refusals."""

import json

import numpy as np
import pytest

from limbeck.contracts.generated import EvaluationProtocol, EvaluationResult
from limbeck.evaluation.__main__ import main
from limbeck.evaluation.paired import paired_difference

PROTOCOL = EvaluationProtocol(
    benchmark="shapes-geneval",
    prompts_per_tag=10,
    held_out_per_tag=4,
    seed=1,
    steps=28,
    shift=1,
    guidance_scale=2,
)
IMAGES = 6 * 10 + 3 * 4


def result(verdicts: list[bool], protocol_hash: str = "a" * 64) -> EvaluationResult:
    return EvaluationResult(
        role="distilled",
        protocol=PROTOCOL,
        protocol_hash=protocol_hash,
        parameters=1,
        overall=0.5,
        interval=(0.4, 0.6),
        per_tag={},
        held_out=None,
        verdicts=verdicts,
        images_per_second=1.0,
    )


def drawn(rng: np.random.Generator, share: float) -> EvaluationResult:
    return result((rng.random(IMAGES) < share).tolist())


def test_an_arm_against_itself_is_zero_with_an_interval_of_zero() -> None:
    rng = np.random.default_rng(0)
    arm = [drawn(rng, 0.5) for _ in range(3)]
    found = paired_difference(arm, arm)
    assert found.difference == 0
    assert (found.interval.low, found.interval.high) == (0, 0)
    assert found.verdict == "no difference shown"


def test_all_right_against_all_wrong_is_one_and_certain() -> None:
    right, wrong = [result([True] * IMAGES)] * 3, [result([False] * IMAGES)] * 3
    assert paired_difference(right, wrong).difference == 1
    assert paired_difference(right, wrong).verdict == "better"
    assert paired_difference(wrong, right).verdict == "worse"


def test_held_out_images_do_not_count() -> None:
    ordinary = [True] * 60
    with_held_out, without = result(ordinary + [True] * 12), result(ordinary + [False] * 12)
    found = paired_difference([with_held_out] * 2, [without] * 2)
    assert found.difference == 0
    assert found.images == 60


def test_seeds_that_disagree_widen_the_interval() -> None:
    """Same mean, same prompts: only the spread between training seeds differs."""
    half = result([index % 2 == 0 for index in range(IMAGES)])
    better, worse = result([True] * IMAGES), result([False] * IMAGES)
    steady = paired_difference([half, half], [half, half])
    erratic = paired_difference([better, worse], [half, half])
    assert steady.difference == pytest.approx(erratic.difference)
    assert erratic.interval.high > steady.interval.high + 1
    assert erratic.verdict == "no difference shown"


def test_two_arms_of_equal_quality_are_called_different_no_oftener_than_the_level_says() -> None:
    """100 studies of three seeds without any true difference: the 95 % interval may exclude zero in few."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(100):
        first = [drawn(rng, 0.6) for _ in range(3)]
        second = [drawn(rng, 0.6) for _ in range(3)]
        wrong += paired_difference(first, second).verdict != "no difference shown"
    assert wrong <= 5


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (1, 1, "at least two"),
        (3, 2, "got 3 and 2"),
    ],
)
def test_too_few_or_unequal_seeds_are_refused(first: int, second: int, message: str) -> None:
    arm = result([True] * IMAGES)
    with pytest.raises(ValueError, match=message):
        paired_difference([arm] * first, [arm] * second)


def test_another_protocol_is_refused() -> None:
    arm, other = result([True] * IMAGES), result([True] * IMAGES, "b" * 64)
    with pytest.raises(ValueError, match="different protocols"):
        paired_difference([arm, arm], [arm, other])


def test_sampling_may_differ_where_it_is_asked_for_but_never_the_questions() -> None:
    arm, fewer_steps = result([True] * IMAGES), result([True] * IMAGES, "b" * 64)
    found = paired_difference([fewer_steps] * 2, [arm] * 2, across_sampling=True)
    assert found.difference == 0
    asked_otherwise = fewer_steps.model_copy(update={"protocol": PROTOCOL.model_copy(update={"seed": 2})})
    with pytest.raises(ValueError, match="different questions"):
        paired_difference([asked_otherwise] * 2, [arm] * 2, across_sampling=True)
    with pytest.raises(ValueError, match="different protocols"):
        paired_difference([fewer_steps, arm], [arm] * 2, across_sampling=True)


def test_missing_verdicts_are_refused() -> None:
    short = result([True] * (IMAGES - 1))
    with pytest.raises(ValueError, match=f"{IMAGES - 1} verdicts for a protocol of {IMAGES}"):
        paired_difference([short] * 2, [short] * 2)


def test_the_command_prints_json_and_names_what_it_cannot_read(tmp_path, capsys) -> None:
    file, broken = tmp_path / "arm.json", tmp_path / "broken.json"
    arm = result([True] * IMAGES).model_dump(mode="json")
    file.write_text(json.dumps([arm, arm]))
    broken.write_text("[1]")
    assert main(["paired", str(file), str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "no difference shown"
    assert main(["paired", str(file), str(broken)]) == 2
    assert capsys.readouterr().err.startswith("broken.json holds no evaluation results: 0: Input should be")
