"""The closed language of the shapes data set: its words, its tokens, what is held out.

Captions are plain English ("a red circle left of a blue star"). The token sequence keeps the words that
carry meaning: articles and "of" are silent, and a plural has its singular's token because the number word
already says it. So the longest caption has five tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Shape = Literal["circle", "square", "triangle", "star"]
Colour = Literal["red", "green", "blue", "yellow", "purple"]
Relation = Literal["left of", "right of", "above", "below"]
Tag = Literal["single_object", "two_object", "counting", "colors", "position", "color_attr"]

SHAPES: Final[tuple[Shape, ...]] = get_args(Shape)
COLOURS: Final[tuple[Colour, ...]] = get_args(Colour)
RELATIONS: Final[tuple[Relation, ...]] = get_args(Relation)
TAGS: Final[tuple[Tag, ...]] = get_args(Tag)
COUNT_WORDS: Final[dict[int, str]] = {2: "two", 3: "three", 4: "four"}

VOCABULARY_V1: Final[tuple[str, ...]] = (
    *SHAPES, *COLOURS, *COUNT_WORDS.values(), "left", "right", "above", "below", "and",
)  # fmt: skip
"""17 words. A word's token is its place here plus one; a new list is a new constant, never an edit: the
frozen text embedding of every trained model is indexed by it."""

PAD_TOKEN: Final = 0
VOCABULARY_SIZE: Final = len(VOCABULARY_V1) + 1
"""Rows of an embedding table: the words and the padding token."""

MAX_TOKENS: Final = 6
"""Longest token sequence that `tokenize` returns; the grammar's longest caption has five."""

SILENT_WORDS: Final[frozenset[str]] = frozenset({"a", "of"})

_TOKENS: Final[dict[str, int]] = {word: place for place, word in enumerate(VOCABULARY_V1, start=1)} | {
    f"{shape}s": place for place, shape in enumerate(SHAPES, start=1)
}

HELD_OUT_PAIRS_V1: Final[frozenset[tuple[Shape, Colour]]] = frozenset(
    {("square", "purple"), ("triangle", "yellow"), ("star", "blue")}
)
"""3 of the 20 shape-colour pairs: in no image of any split, whatever its tag."""

HELD_OUT_RELATIONS_V1: Final[frozenset[tuple[Relation, Shape, Shape]]] = frozenset(
    {
        ("left of", "circle", "star"),
        ("right of", "star", "circle"),
        ("left of", "triangle", "square"),
        ("right of", "square", "triangle"),
        ("above", "star", "triangle"),
        ("below", "triangle", "star"),
        ("above", "square", "circle"),
        ("below", "circle", "square"),
    }
)
"""8 of the 48 (relation, object, target) captions, closed under the converse: where "a circle left of a star"
is held out, so is "a star right of a circle". Scenes without a stated relation may show the arrangement."""


@dataclass(frozen=True, kw_only=True)
class HoldOut:
    """A versioned set of combinations; `name` is what recipes and data sets record."""

    name: str
    pairs: frozenset[tuple[Shape, Colour]]
    relations: frozenset[tuple[Relation, Shape, Shape]]


HOLDOUT_V1: Final = HoldOut(name="shapes-v1", pairs=HELD_OUT_PAIRS_V1, relations=HELD_OUT_RELATIONS_V1)
"""Everything that no training or validation sample contains; `evaluation_prompts` asks for it apart."""


class UnknownWordError(ValueError):
    """A caption holds a word outside the closed vocabulary."""


def tokenize(caption: str) -> list[int]:
    """Token ids of a caption, each in 1 .. VOCABULARY_SIZE - 1, at most MAX_TOKENS of them, not padded.

    The empty caption, the unconditional one, gives an empty list.

    Raises:
        UnknownWordError: naming the word and the vocabulary.
        ValueError: the caption has more than MAX_TOKENS tokens.
    """
    tokens: list[int] = []
    for word in caption.split():
        if word in SILENT_WORDS:
            continue
        token = _TOKENS.get(word)
        if token is None:
            known = ", ".join((*VOCABULARY_V1, *sorted(SILENT_WORDS)))
            message = f"unknown word {word!r} in caption {caption!r}; the vocabulary is: {known}"
            raise UnknownWordError(message)
        tokens.append(token)
    if len(tokens) > MAX_TOKENS:
        raise ValueError(f"caption {caption!r} has {len(tokens)} tokens; at most {MAX_TOKENS} are allowed")
    return tokens


def pad_tokens(tokens: list[int]) -> list[int]:
    """The sequence filled up with PAD_TOKEN to MAX_TOKENS."""
    if len(tokens) > MAX_TOKENS:
        raise ValueError(f"{len(tokens)} tokens given; at most {MAX_TOKENS} are allowed")
    return tokens + [PAD_TOKEN] * (MAX_TOKENS - len(tokens))
