"""Evaluation prompts of the shapes data set, trained and held-out combinations apart."""

from __future__ import annotations

from dataclasses import dataclass

from .captions import Metadata, metadata_of
from .scene import (
    ALLOWED_PAIRS,
    ALLOWED_RELATIONS,
    ORDERED_SHAPES,
    Request,
    distinct_colours,
    keyed_generator,
)
from .vocabulary import COLOURS, COUNT_WORDS, HELD_OUT_PAIRS_V1, HELD_OUT_RELATIONS_V1, SHAPES, TAGS, Tag


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One image to make and score.

    `metadata` holds GenEval's keys only. Where a tag has fewer distinct prompts than were asked for, a prompt
    comes again: `repeat` counts its occurrences from 0, so that (prompt text, repeat) names the noise of the
    image. `id` is unique in the list, and the same for the same arguments of `evaluation_prompts`.
    """

    id: str
    metadata: Metadata
    held_out: bool
    repeat: int


def evaluation_prompts(per_tag: int, held_out_per_tag: int, seed: int) -> list[Prompt]:
    """`per_tag` prompts of each of the six tags over trained combinations, then `held_out_per_tag` of each of
    the three tags that have held-out ones (colors, position, color_attr).

    A pure function of its arguments. The distinct prompts of a tag are shuffled, then taken in turn, so each
    occurs equally often up to one.

    Raises:
        ValueError: a negative number.
    """
    if per_tag < 0 or held_out_per_tag < 0:
        raise ValueError(f"prompts per tag must be 0 or more, got {per_tag} and {held_out_per_tag} held out")
    prompts: list[Prompt] = []
    for held_out, wanted in ((False, per_tag), (True, held_out_per_tag)):
        for tag in TAGS:
            requests = distinct_requests(tag, held_out)
            if not requests:
                continue
            split = "held-out" if held_out else "trained"
            draws = keyed_generator(seed, f"prompts/{split}/{tag}", 0).random(len(requests))
            order = sorted(range(len(requests)), key=draws.__getitem__)
            prompts += (
                Prompt(
                    id=f"{split}/{tag}/{place:04d}",
                    metadata=metadata_of(requests[order[place % len(order)]]),
                    held_out=held_out,
                    repeat=place // len(order),
                )
                for place in range(wanted)
            )
    return prompts


def distinct_requests(tag: Tag, held_out: bool) -> list[Request]:
    """All different evaluation requests of a tag: over trained combinations, or those with a held-out one
    (none for single_object, two_object and counting, which name no colour and no relation)."""
    if tag == "colors":
        pairs = sorted(HELD_OUT_PAIRS_V1) if held_out else ALLOWED_PAIRS
        return [Request(tag=tag, shapes=(shape,), colours=(colour,)) for shape, colour in pairs]
    if tag == "position":
        relations = sorted(HELD_OUT_RELATIONS_V1) if held_out else ALLOWED_RELATIONS
        return [
            Request(tag=tag, shapes=(first, second), colours=(None, None), relation=relation)
            for relation, first, second in relations
        ]
    if tag == "color_attr":
        return [
            Request(tag=tag, shapes=shapes, colours=(one, other))
            for shapes in ORDERED_SHAPES
            for one in COLOURS
            for other in COLOURS
            if one != other and ((one, other) not in distinct_colours(*shapes)) == held_out
        ]
    if held_out:
        return []
    if tag == "single_object":
        return [Request(tag=tag, shapes=(shape,), colours=(None,)) for shape in SHAPES]
    if tag == "two_object":
        return [Request(tag=tag, shapes=shapes, colours=(None, None)) for shapes in ORDERED_SHAPES]
    return [
        Request(tag=tag, shapes=(shape,) * count, colours=(None,) * count)
        for shape in SHAPES
        for count in COUNT_WORDS
    ]
