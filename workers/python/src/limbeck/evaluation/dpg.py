"""DPG-Bench scores from a VQA model's answers: as they should be (strict), as the program has them (compat).

A prompt has questions in a graph: a question counts 0 where a parent's does. An image's score is the mean
over its questions, a prompt's the mean over its images, the total the mean over prompts; 0 .. 1 (papers print
100 times that). Source: TencentQQGYLab/ELLA, `dpg_bench/compute_dpg_bench.py`, rules as executed.

    questions   item_id, text, keywords, proposition_id, dependency, category_broad, category_detailed, tuple,
                question_natural_language; `dependency` holds proposition ids by commas, 0 for none
    answers     item_id, image, proposition_id, answer; `image` is the crop's number, 0 .. 3 of a 2 x 2 grid

Strict refuses what is wrong, with file and line. Compat reproduces what the program does with it:

* the first data row of the questions is ignored;
* an item whose rows are not adjacent keeps its last block alone;
* zeroing walks the questions once, in the order of the rows: a parent that is listed later, and is itself
  zeroed later, still counts as it was answered;
* an answer is right where it is "yes" to the letter;
* categories are read from the tuple ("entity - whole (cat)"), and score the answers of the last image as
  they were given, before zeroing;
* an item with an error (no such prompt, a parent or an answer that is missing) leaves the mean.

Another VQA model than mPLUG-large is another metric: its name belongs beside the figure.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from .bootstrap import Interval, Stratum, percentile_interval, resampled_means
from .inputs import InputError

STRICT_VERSION: Final = "dpg-strict-1"
COMPAT_VERSION: Final = "dpg-compat-1"
QUESTION_COLUMNS: Final = (
    "item_id",
    "text",
    "keywords",
    "proposition_id",
    "dependency",
    "category_broad",
    "category_detailed",
    "tuple",
    "question_natural_language",
)
ANSWER_COLUMNS: Final = ("item_id", "image", "proposition_id", "answer")
ROOT: Final = 0
"""As a dependency: no parent."""


@dataclass(frozen=True, kw_only=True)
class Question:
    line: int
    item: str
    proposition: int
    parents: tuple[int, ...]
    broad: str
    detailed: str
    tuple: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    line: int
    item: str
    image: int
    proposition: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """A prompt's score and those of its images, in their order."""

    item_id: str
    images: list[float]

    @property
    def score(self) -> float:
        return sum(self.images) / len(self.images)


@dataclass(frozen=True, kw_only=True)
class DpgScore:
    """`categories` and `detailed`: mean answer by category and how many answers it is taken over; `dropped`:
    item -> why it left the mean (compat)."""

    scorer: str
    items: list[Item]
    interval: Interval
    categories: dict[str, tuple[float, int]]
    detailed: dict[str, tuple[float, int]]
    dropped: dict[str, str]

    @property
    def score(self) -> float:
        return sum(item.score for item in self.items) / len(self.items)

    def to_json(self) -> dict[str, Any]:
        def table(means: Mapping[str, tuple[float, int]]) -> dict[str, Any]:
            return {name: {"score": mean, "answers": count} for name, (mean, count) in means.items()}

        return {
            "scorer": self.scorer,
            "score": self.score,
            "interval": self.interval.to_json(),
            "prompts": len(self.items),
            "images": sum(len(item.images) for item in self.items),
            "categories": table(self.categories),
            "detailed": table(self.detailed),
            "dropped": [{"item_id": item, "reason": reason} for item, reason in self.dropped.items()],
            "items": [
                {"item_id": item.item_id, "score": item.score, "images": item.images} for item in self.items
            ],
        }


def read_questions(path: Path, *, ignore_first: bool = False) -> list[Question]:
    """
    Args:
        ignore_first: leave the first row out unread, as the program does.

    Raises:
        InputError: no such file, other columns, an id that is no whole number; names the line.
    """
    questions: list[Question] = []
    for line, row in islice(_rows(path, QUESTION_COLUMNS), int(ignore_first), None):
        parents = [
            _whole(path, line, "dependency", part.strip(), ROOT) for part in row["dependency"].split(",")
        ]
        questions.append(
            Question(
                line=line,
                item=row["item_id"],
                proposition=_whole(path, line, "proposition_id", row["proposition_id"], 1),
                parents=tuple(parent for parent in parents if parent != ROOT),
                broad=row["category_broad"],
                detailed=row["category_detailed"],
                tuple=row["tuple"],
                text=row["question_natural_language"],
            )
        )
    return questions


def read_answers(path: Path) -> list[Answer]:
    """
    Raises:
        InputError: no such file, other columns, a number that is none; names the line.
    """
    return [
        Answer(
            line=line,
            item=row["item_id"],
            image=_whole(path, line, "image", row["image"], 0),
            proposition=_whole(path, line, "proposition_id", row["proposition_id"], 1),
            text=row["answer"],
        )
        for line, row in _rows(path, ANSWER_COLUMNS)
    ]


def score_strict(questions_path: Path, answers_path: Path) -> DpgScore:
    """All rows, zeroing through the whole graph, categories from zeroed answers of all images.

    Raises:
        InputError: whatever compat would let pass; names file, line and reason.
    """
    items = _checked_questions(questions_path, read_questions(questions_path))
    given = _checked_answers(answers_path, read_answers(answers_path), items)
    found: list[Item] = []
    broad, detailed = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for item_id, questions in items.items():
        scores: list[float] = []
        for image in sorted(given[item_id]):
            right = {
                proposition: answer.text == "yes" for proposition, answer in given[item_id][image].items()
            }
            counted = _zeroed(questions, right)
            scores.append(sum(counted.values()) / len(counted))
            for question in questions.values():
                broad[question.broad].append(counted[question.proposition])
                detailed[f"{question.broad} - {question.detailed}"].append(counted[question.proposition])
        found.append(Item(item_id=item_id, images=scores))
    return _result(STRICT_VERSION, found, broad, detailed, {})


def score_compat(questions_path: Path, answers_path: Path) -> DpgScore:
    """What the reference program prints for these answers.

    Raises:
        InputError: a file that cannot be read at all, or no item left.
    """
    blocks: dict[str, dict[int, Question]] = {}
    previous: str | None = None
    for question in read_questions(questions_path, ignore_first=True):
        if question.item != previous:
            blocks[question.item] = {}
        blocks[question.item][question.proposition] = question
        previous = question.item
    by_item: dict[str, dict[int, dict[int, str]]] = {}
    for answer in read_answers(answers_path):
        by_item.setdefault(answer.item, {}).setdefault(answer.image, {})[answer.proposition] = answer.text

    found: list[Item] = []
    dropped: dict[str, str] = {}
    broad, detailed = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for item_id, images in by_item.items():
        questions = blocks.get(item_id)
        if questions is None:
            dropped[item_id] = "no such prompt"
            continue
        scores: list[float] = []
        raw: dict[int, float] = {}
        try:
            for image in sorted(images):
                raw = _raw(questions, image, images[image])
                counted = _zeroed_once(questions, raw)
                scores.append(sum(counted.values()) / len(counted))
        except _Dropped as reason:
            dropped[item_id] = str(reason)
            continue
        for proposition, question in questions.items():
            category = question.tuple.split("(")[0].strip()
            detailed[category].append(raw[proposition])
            broad[category.split("-")[0].strip()].append(raw[proposition])
        found.append(Item(item_id=item_id, images=scores))
    if not found:
        raise InputError(answers_path, None, f"no item can be scored; the first: {_first(dropped)}")
    return _result(COMPAT_VERSION, found, broad, detailed, dropped)


def _first(dropped: Mapping[str, str]) -> str:
    return next((f"{item}: {reason}" for item, reason in dropped.items()), "there is no answer")


class _Dropped(Exception):
    """What the program fails on, for one item."""


def _raw(questions: Mapping[int, Question], image: int, answers: Mapping[int, str]) -> dict[int, float]:
    for proposition in questions:
        if proposition not in answers:
            raise _Dropped(f"image {image} has no answer to question {proposition}")
    return {proposition: float(answers[proposition] == "yes") for proposition in questions}


def _zeroed_once(questions: Mapping[int, Question], raw: Mapping[int, float]) -> dict[int, float]:
    """In the order of the rows; of a question's parents none is looked at behind the first that is zero."""
    counted = dict(raw)
    for proposition, question in questions.items():
        for parent in question.parents:
            if parent not in questions:
                raise _Dropped(f"question {proposition} depends on {parent}, which is missing")
            if counted[parent] == 0:
                counted[proposition] = 0.0
                break
    return counted


def _checked_questions(path: Path, questions: Sequence[Question]) -> dict[str, dict[int, Question]]:
    """Item -> proposition -> question, in the order of the file."""
    items: dict[str, dict[int, Question]] = {}
    previous: str | None = None
    for question in questions:
        if question.item != previous and question.item in items:
            raise InputError(path, question.line, f"item {question.item} again; its rows must be adjacent")
        of_item = items.setdefault(question.item, {})
        if question.proposition in of_item:
            first = of_item[question.proposition].line
            raise InputError(
                path,
                question.line,
                f"proposition {question.proposition} of {question.item} again; the first is in line {first}",
            )
        of_item[question.proposition] = question
        previous = question.item
    for of_item in items.values():
        for question in of_item.values():
            missing = [parent for parent in question.parents if parent not in of_item]
            if missing:
                raise InputError(
                    path,
                    question.line,
                    f"proposition {question.proposition} of {question.item} depends on {missing[0]};"
                    f" the item has {', '.join(map(str, of_item))}",
                )
            if _in_circle(of_item, question.proposition):
                raise InputError(
                    path,
                    question.line,
                    f"proposition {question.proposition} of {question.item} depends on itself",
                )
    return items


def _in_circle(questions: Mapping[int, Question], start: int) -> bool:
    open_ones, seen = list(questions[start].parents), set[int]()
    while open_ones:
        proposition = open_ones.pop()
        if proposition == start:
            return True
        if proposition not in seen:
            seen.add(proposition)
            open_ones.extend(questions[proposition].parents if proposition in questions else ())
    return False


def _checked_answers(
    path: Path, answers: Sequence[Answer], items: Mapping[str, Mapping[int, Question]]
) -> dict[str, dict[int, dict[int, Answer]]]:
    """Item -> image -> proposition -> answer; every image of every item is complete."""
    given: dict[str, dict[int, dict[int, Answer]]] = {item: {} for item in items}
    for answer in answers:
        if answer.item not in items:
            raise InputError(
                path, answer.line, f"item {answer.item} is not among the {len(items)} questioned"
            )
        if answer.proposition not in items[answer.item]:
            raise InputError(
                path,
                answer.line,
                f"an answer to the unknown question {answer.proposition} of {answer.item};"
                f" it has {', '.join(map(str, items[answer.item]))}",
            )
        if answer.text not in ("yes", "no"):
            raise InputError(path, answer.line, f"answer is {answer.text!r}; allowed: yes, no")
        of_image = given[answer.item].setdefault(answer.image, {})
        if answer.proposition in of_image:
            raise InputError(
                path,
                answer.line,
                f"question {answer.proposition} of image {answer.image} of {answer.item} again; the first"
                f" answer is in line {of_image[answer.proposition].line}",
            )
        of_image[answer.proposition] = answer
    for item, images in given.items():
        if not images:
            asked = next(iter(items[item].values())).line
            raise InputError(path, None, f"item {item} has no answer; it is questioned from line {asked} on")
        for image, of_image in images.items():
            missing = [proposition for proposition in items[item] if proposition not in of_image]
            if missing:
                last = max(answer.line for answer in of_image.values())
                raise InputError(
                    path, last, f"image {image} of {item} has no answer to question {missing[0]}"
                )
    return given


def _zeroed(questions: Mapping[int, Question], right: Mapping[int, bool]) -> dict[int, float]:
    """1 where a question and all that it depends on, at any distance, were answered with yes."""
    counted: dict[int, float] = {}
    open_ones = list(questions)
    while open_ones:  # A stack of its own: a chain may be longer than Python's recursion limit.
        proposition = open_ones.pop()
        parents = questions[proposition].parents
        waiting = [parent for parent in parents if parent not in counted]
        if waiting:
            open_ones += [proposition, *waiting]
        else:
            counted[proposition] = float(right[proposition] and all(counted[parent] for parent in parents))
    return counted


def _result(
    scorer: str,
    items: list[Item],
    broad: Mapping[str, Sequence[float]],
    detailed: Mapping[str, Sequence[float]],
    dropped: dict[str, str],
) -> DpgScore:
    def means(scores: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, int]]:
        return {name: (sum(values) / len(values), len(values)) for name, values in sorted(scores.items())}

    score_P = np.array([item.score for item in items])
    stratum = Stratum(correct_P=score_P, images_P=np.ones_like(score_P))
    return DpgScore(
        scorer=scorer,
        items=items,
        interval=percentile_interval(resampled_means({"dpg": stratum}, seed=0)["dpg"]),
        categories=means(broad),
        detailed=means(detailed),
        dropped=dropped,
    )


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column); the line is that on which the row begins."""
    try:
        file = path.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        raise InputError(path, None, f"cannot be read ({error.strerror})") from error
    with file:
        reader = csv.reader(file, strict=True)
        line, rows = 1, 0
        try:
            header = next(reader, None)
            if header is None or sorted(header) != sorted(columns):
                raise InputError(
                    path, 1, f"columns are {header}; allowed: {', '.join(columns)}, in any order"
                )
            line = reader.line_num + 1
            for cells in reader:
                if not cells:  # an empty line is no row, here and there
                    line = reader.line_num + 1
                    continue
                if len(cells) != len(header):
                    raise InputError(path, line, f"{len(cells)} cells; the header has {len(header)}")
                yield line, dict(zip(header, cells, strict=True))
                line, rows = reader.line_num + 1, rows + 1
        except csv.Error as error:
            raise InputError(path, line, f"not CSV: {error}") from error
        except UnicodeDecodeError as error:
            raise InputError(path, line, f"not UTF-8 ({error.reason})") from error
    if not rows:
        raise InputError(path, None, "has no row under its header")


def _whole(path: Path, line: int, column: str, text: str, least: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < least:
        raise InputError(path, line, f"{column} is {text!r}; allowed: a whole number from {least}")
    return int(text)
