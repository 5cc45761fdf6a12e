"""DPG's rules from both sides, by hand; what compat lets pass and strict refuses with its line."""

import csv
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from limbeck.evaluation.dpg import (
    ANSWER_COLUMNS,
    QUESTION_COLUMNS,
    DpgScore,
    read_answers,
    read_questions,
    score_compat,
    score_strict,
)
from limbeck.evaluation.inputs import InputError

DUMMY = ("dummy", 1, "0", "entity", "whole")
"""The program ignores the first row."""


def questions(folder: Path, *rows: tuple[str, int, str, str, str], dummy: bool = True) -> Path:
    path = folder / "questions.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(QUESTION_COLUMNS)
        for item, proposition, dependency, broad, detailed in (*([DUMMY] if dummy else []), *rows):
            tuple_ = f"{broad} - {detailed} (thing {proposition})"
            writer.writerow([item, "text", "", proposition, dependency, broad, detailed, tuple_, "Is it?"])
    return path


def answers(folder: Path, *rows: tuple[str, int, int, str]) -> Path:
    path = folder / "answers.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([ANSWER_COLUMNS, *rows])
    return path


def entity(item: str, proposition: int, dependency: str = "0") -> tuple[str, int, str, str, str]:
    return item, proposition, dependency, "entity", "whole"


def image(item: str, number: int, *given: str) -> list[tuple[str, int, int, str]]:
    return [(item, number, place, text) for place, text in enumerate(given, start=1)]


def figures(score: DpgScore) -> dict[str, list[float]]:
    return {item.item_id: item.images for item in score.items}


def both(folder: Path, rows: Iterable[Any], given: Iterable[Any]) -> tuple[DpgScore, DpgScore]:
    """(strict without the ignored row, compat with it)."""
    answered = answers(folder, *given)
    strict = score_strict(questions(folder, *rows, dummy=False), answered)
    return strict, score_compat(questions(folder, *rows), answered)


def test_mean_over_questions_then_images_then_prompts(tmp_path: Path) -> None:
    rows = [entity("a", 1), entity("a", 2), entity("b", 1)]
    given = [*image("a", 0, "yes", "no"), *image("a", 1, "yes", "yes"), *image("b", 0, "no")]
    for found in both(tmp_path, rows, given):
        assert figures(found) == {"a": [0.5, 1.0], "b": [0.0]}
        assert found.score == (0.75 + 0) / 2
        assert 0 <= found.interval.low <= found.score <= found.interval.high <= 0.75


def test_a_child_counts_nothing_where_a_parent_does(tmp_path: Path) -> None:
    rows = [entity("a", 1), entity("a", 2, "1"), entity("a", 3, "1,2")]
    for given, wanted in (
        (("no", "yes", "yes"), 0.0),
        (("yes", "no", "yes"), 1 / 3),
        (("yes", "yes", "no"), 2 / 3),
        (("yes", "yes", "yes"), 1.0),
    ):
        for found in both(tmp_path, rows, image("a", 0, *given)):
            assert found.score == pytest.approx(wanted)


def test_zeroing_is_transitive_in_strict_and_by_row_order_in_compat(tmp_path: Path) -> None:
    """3 depends on 2, 2 on 1, 1 is wrong; 3 is listed before 2, which is not zeroed yet at that time."""
    rows = [entity("a", 1), entity("a", 3, "2"), entity("a", 2, "1")]
    strict, compat = both(tmp_path, rows, image("a", 0, "no", "yes", "yes"))
    assert strict.score == 0
    assert compat.score == pytest.approx(1 / 3)


def test_a_zero_among_dependencies_is_no_parent(tmp_path: Path) -> None:
    rows = [entity("a", 1), entity("a", 2, "0, 1")]
    for found in both(tmp_path, rows, image("a", 0, "no", "yes")):
        assert found.score == 0


def test_categories_are_zeroed_answers_of_all_images_or_raw_ones_of_the_last(tmp_path: Path) -> None:
    rows = [
        ("a", 1, "0", "entity", "whole"),
        ("a", 2, "1", "attribute", "color"),
        ("a", 3, "1", "attribute", "size"),
    ]
    given = [*image("a", 0, "yes", "yes", "yes"), *image("a", 1, "no", "yes", "no")]
    strict, compat = both(tmp_path, rows, given)
    assert strict.categories == {"entity": (0.5, 2), "attribute": (0.5, 4)}
    assert strict.detailed["attribute - color"] == (0.5, 2)
    assert compat.categories == {"entity": (0.0, 1), "attribute": (0.5, 2)}
    assert compat.detailed == {
        "entity - whole": (0.0, 1),
        "attribute - color": (1.0, 1),
        "attribute - size": (0.0, 1),
    }


def test_compat_reads_the_category_from_the_tuple(tmp_path: Path) -> None:
    path = questions(tmp_path, entity("a", 1))
    path.write_text(path.read_text().replace("entity - whole (thing 1)", "other - count (thing == 2)"))
    found = score_compat(path, answers(tmp_path, *image("a", 0, "yes")))
    assert list(found.categories) == ["other"] and list(found.detailed) == ["other - count"]


def test_compat_ignores_the_first_row_and_strict_does_not(tmp_path: Path) -> None:
    path = questions(tmp_path, entity("a", 1), entity("a", 2), dummy=False)
    answered = answers(tmp_path, *image("a", 0, "no", "yes"))
    assert score_strict(path, answered).score == 0.5
    assert score_compat(path, answered).score == 1.0


def test_compat_keeps_the_last_block_of_an_item_and_strict_names_the_line(tmp_path: Path) -> None:
    rows = [entity("a", 1), entity("b", 1), entity("a", 2)]
    given = [*image("a", 0, "no", "yes"), *image("b", 0, "no")]
    path, answered = questions(tmp_path, *rows), answers(tmp_path, *given)
    assert figures(score_compat(path, answered)) == {"a": [1.0], "b": [0.0]}
    with pytest.raises(InputError, match=r"^questions.csv, line 5: item a again; its rows must be adjacent"):
        score_strict(path, answered)


def test_compat_drops_what_fails_and_says_so(tmp_path: Path) -> None:
    rows = [entity("a", 1), entity("b", 1, "7"), entity("c", 1), entity("c", 2)]
    given = [*image("a", 0, "yes"), *image("b", 0, "yes"), *image("c", 0, "yes"), *image("d", 0, "yes")]
    found = score_compat(questions(tmp_path, *rows), answers(tmp_path, *given))
    assert figures(found) == {"a": [1.0]}
    assert found.dropped == {
        "b": "question 1 depends on 7, which is missing",
        "c": "image 0 has no answer to question 2",
        "d": "no such prompt",
    }
    assert found.to_json()["dropped"][2] == {"item_id": "d", "reason": "no such prompt"}
    with pytest.raises(InputError, match="no item can be scored; the first: d: no such prompt"):
        score_compat(questions(tmp_path, *rows), answers(tmp_path, *image("d", 0, "yes")))


def test_compat_looks_no_further_than_the_first_parent_that_is_zero(tmp_path: Path) -> None:
    """A missing parent fails an item where the program reaches it, in any of its images."""
    path = questions(tmp_path, entity("a", 1), entity("a", 2, "1,7"), entity("b", 1))
    others = image("b", 0, "yes")
    skipped = score_compat(path, answers(tmp_path, *image("a", 0, "no", "yes"), *others))
    assert figures(skipped) == {"a": [0.0], "b": [1.0]} and not skipped.dropped
    given = [*image("a", 0, "no", "yes"), *image("a", 1, "yes", "yes")]
    reached = score_compat(path, answers(tmp_path, *given, *others))
    assert figures(reached) == {"b": [1.0]}
    assert reached.dropped == {"a": "question 2 depends on 7, which is missing"}


def test_a_chain_may_be_longer_than_the_recursion_limit(tmp_path: Path) -> None:
    count = sys.getrecursionlimit() + 1
    rows = [entity("a", number, str(number - 1)) for number in range(count, 0, -1)]
    path = questions(tmp_path, *rows, dummy=False)
    assert score_strict(path, answers(tmp_path, *image("a", 0, *["yes"] * count))).score == 1
    assert score_strict(path, answers(tmp_path, *image("a", 0, "no", *["yes"] * (count - 1)))).score == 0


@pytest.mark.parametrize(("text", "compat"), [("yes", 1.0), ("Yes", 0.0), ("yes ", 0.0), ("maybe", 0.0)])
def test_yes_is_yes_to_the_letter(tmp_path: Path, text: str, compat: float) -> None:
    path, answered = questions(tmp_path, entity("a", 1)), answers(tmp_path, *image("a", 0, text))
    assert score_compat(path, answered).score == compat
    if text != "yes":
        with pytest.raises(InputError, match=rf"^answers.csv, line 2: answer is '{text}'; allowed: yes, no"):
            score_strict(questions(tmp_path, entity("a", 1), dummy=False), answered)


@pytest.mark.parametrize(
    ("rows", "given", "message"),
    [
        ([entity("a", 1), entity("a", 1)], [], r"questions.csv, line 3: proposition 1 of a again; .* line 2"),
        (
            [entity("a", 1, "2")],
            [],
            r"questions.csv, line 2: proposition 1 of a depends on 2; the item has 1",
        ),
        (
            [entity("a", 1, "2"), entity("a", 2, "1")],
            [],
            r"questions.csv, line 2: proposition 1 of a depends on itself",
        ),
        (
            [entity("a", 1)],
            image("b", 0, "yes"),
            r"answers.csv, line 2: item b is not among the 1 questioned",
        ),
        (
            [entity("a", 1)],
            [*image("a", 0, "yes"), ("a", 0, 2, "yes")],
            r"answers.csv, line 3: an answer to the unknown question 2 of a; it has 1",
        ),
        (
            [entity("a", 1)],
            [*image("a", 0, "yes"), *image("a", 0, "no")],
            r"answers.csv, line 3: question 1 of image 0 of a again; the first answer is in line 2",
        ),
        (
            [entity("a", 1), entity("a", 2)],
            image("a", 3, "yes"),
            r"answers.csv, line 2: image 3 of a has no answer to question 2",
        ),
        (
            [entity("a", 1), entity("b", 1)],
            image("a", 0, "yes"),
            r"answers.csv: item b has no answer; it is questioned from line 3",
        ),
    ],
)
def test_strict_refuses_with_line_and_reason(
    tmp_path: Path, rows: list[Any], given: list[Any], message: str
) -> None:
    answered = answers(tmp_path, *(given or image("a", 0, "yes", "yes")))
    with pytest.raises(InputError, match=f"^{message}"):
        score_strict(questions(tmp_path, *rows, dummy=False), answered)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "item_id,image\n",
            r"line 1: columns are \['item_id', 'image'\]; allowed: item_id, image, proposition",
        ),
        ("", "line 1: columns are None"),
        ("item_id,image,proposition_id,answer\n", "has no row under its header"),
        ("item_id,image,proposition_id,answer\na,0,1\n", "line 2: 3 cells; the header has 4"),
        (
            "item_id,image,proposition_id,answer\na,0,1,yes\na,x,1,yes\n",
            "line 3: image is 'x'; allowed: a whole",
        ),
        (f"item_id,image,proposition_id,answer\na,{'9' * 5000},1,yes\n", "line 2: image is '9+'; allowed: a"),
        ("item_id,image,proposition_id,answer\na,0,0,yes\n", "line 2: proposition_id is '0'; .* from 1"),
        ('item_id,image,proposition_id,answer\na,0,1,"yes\n', "line 2: not CSV: unexpected end of data"),
    ],
)
def test_answers_that_are_no_table(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=f"^answers.csv(, |: ){message}"):
        read_answers(path)


def test_questions_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"questions.csv, line 3: dependency is '-1'"):
        read_questions(questions(tmp_path, entity("a", 1, "-1")))
    with pytest.raises(InputError, match=r"absent.csv: cannot be read \(No such file"):
        read_questions(tmp_path / "absent.csv")
    (tmp_path / "latin.csv").write_bytes(b"item_id,\xe9\n")
    with pytest.raises(InputError, match=r"latin.csv, line 1: not UTF-8"):
        read_questions(tmp_path / "latin.csv")


def test_compat_does_not_read_the_row_that_it_ignores_and_empty_lines_are_none(tmp_path: Path) -> None:
    path = questions(tmp_path, entity("a", 1))
    path.write_text(path.read_text().replace("dummy,text,,1,0", "dummy,text,,one,-") + "\n\n")
    assert score_compat(path, answers(tmp_path, *image("a", 0, "yes"))).score == 1
    with pytest.raises(InputError, match="line 2: dependency is '-'"):
        score_strict(path, answers(tmp_path, *image("a", 0, "yes")))


def test_a_text_over_several_lines_and_columns_in_another_order_are_read(tmp_path: Path) -> None:
    order = list(reversed(QUESTION_COLUMNS))
    path = tmp_path / "questions.csv"
    cells = dict.fromkeys(order, "x") | {"item_id": "a", "proposition_id": "1", "dependency": "0"}
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(order)
        writer.writerow(({**cells, "text": "one\ntwo"})[column] for column in order)
        writer.writerow(({**cells, "proposition_id": "2"})[column] for column in order)
    assert [(one.item, one.proposition, one.line) for one in read_questions(path)] == [
        ("a", 1, 2),
        ("a", 2, 4),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_on_clean_input_both_agree(tmp_path: Path, seed: int) -> None:
    """Parents before children, adjacent rows, complete answers: nothing for a quirk to act on."""
    draw = random.Random(seed)
    rows, given = [], []
    for item in ("a", "b", "c"):
        count = draw.randint(1, 8)
        for proposition in range(1, count + 1):
            parents = [p for p in range(1, proposition) if draw.random() < 0.3]
            rows.append(entity(item, proposition, ",".join(map(str, parents)) or "0"))
        for number in range(draw.randint(1, 4)):
            given += image(item, number, *(draw.choice(["yes", "no"]) for _ in range(count)))
    strict, compat = both(tmp_path, rows, given)
    assert figures(strict) == figures(compat)
    assert strict.interval == compat.interval and strict.score == compat.score
