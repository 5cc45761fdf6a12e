"""Captions and GenEval metadata of a request, both ways."""

from __future__ import annotations

from typing import Any

from .scene import Request
from .vocabulary import COUNT_WORDS, Colour, Shape

Metadata = dict[str, Any]
"""One line of GenEval's metadata file: `tag`, `include`, optional `exclude`, `prompt`; no other key."""


def caption_of(request: Request) -> str:
    """The caption in words of the closed vocabulary; it names every object of the scene."""
    phrases = [_phrase(shape, colour) for shape, colour in zip(request.shapes, request.colours, strict=True)]
    if request.tag == "counting":
        count = len(request.shapes)
        return f"{COUNT_WORDS[count]} {phrases[0]}s"
    if request.relation is not None:
        return f"a {phrases[0]} {request.relation} a {phrases[1]}"
    return " and ".join(f"a {phrase}" for phrase in phrases)


def metadata_of(request: Request) -> Metadata:
    """GenEval's line for the request.

    In a position line the target is group 0 and the described object comes second, as in GenEval's own file;
    a counting line excludes count + 1.
    """
    groups = [_group(shape, colour) for shape, colour in zip(request.shapes, request.colours, strict=True)]
    metadata: Metadata = {"tag": request.tag, "include": groups}
    if request.tag == "counting":
        shape, count = request.shapes[0], len(request.shapes)
        metadata["include"] = [_group(shape, request.colours[0], count)]
        metadata["exclude"] = [{"class": shape, "count": count + 1}]
    elif request.relation is not None:
        described, target = groups
        metadata["include"] = [target, described | {"position": [request.relation, 0]}]
    metadata["prompt"] = caption_of(request)
    return metadata


def request_of(metadata: Metadata) -> Request:
    """The request behind a line that `metadata_of` made.

    Raises:
        ValueError: the line is not of this data set's grammar.
    """
    groups = metadata["include"]
    tag = metadata["tag"]
    shapes = tuple(group["class"] for group in groups for _ in range(group["count"]))
    colours = tuple(group.get("color") for group in groups for _ in range(group["count"]))
    relation = None
    if tag == "position":
        relation = groups[1]["position"][0]
        shapes, colours = shapes[::-1], colours[::-1]
    request = Request(tag=tag, shapes=shapes, colours=colours, relation=relation)
    if metadata_of(request) != metadata:
        raise ValueError(f"not a line of the shapes grammar: {metadata}")
    return request


def _phrase(shape: Shape, colour: Colour | None) -> str:
    return shape if colour is None else f"{colour} {shape}"


def _group(shape: Shape, colour: Colour | None, count: int = 1) -> dict[str, Any]:
    group: dict[str, Any] = {"class": shape, "count": count}
    return group if colour is None else group | {"color": colour}
