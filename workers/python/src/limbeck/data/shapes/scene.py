"""Scene grammar: what may stand in a picture, and how a scene is drawn from keyed random numbers.

Coordinates are in units of the picture's side, x to the right, y down, the origin at the top left corner, so
that one scene renders at any resolution. The constants in pixels refer to a 64-pixel side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from .vocabulary import (
    COLOURS,
    HELD_OUT_PAIRS_V1,
    HELD_OUT_RELATIONS_V1,
    RELATIONS,
    SHAPES,
    TAGS,
    Colour,
    Relation,
    Shape,
    Tag,
)

_T = TypeVar("_T")
Split = Literal["train", "validation"]
SCENE_VERSION: Final = 1
"""Part of every key: a change of the grammar or of the order of draws is a new version."""

_PIXEL: Final = 1 / 64
_BORDER: Final = 2.0 * _PIXEL
_GAP: Final = 4.0 * _PIXEL
_SIZE_RANGE: Final = {1: (8.5, 12.5), 2: (7.0, 9.5), 3: (6.5, 8.5), 4: (6.0, 7.5)}
"""Objects in the scene -> smallest and largest size in pixels."""

BOUNDING_RADIUS: Final[dict[Shape, float]] = {"circle": 1.0, "square": 1.26, "triangle": 1.43, "star": 1.4}
"""Bounding radius over the size; at one size the four areas differ by less than a fifth."""

_TAG_WEIGHTS: Final[dict[Tag, float]] = {
    "single_object": 0.06, "two_object": 0.14, "counting": 0.20,
    "colors": 0.12, "position": 0.26, "color_attr": 0.22,
}  # fmt: skip
"""Relations, numbers and binding are learnt last (pilot), so they get more of the samples."""

_DETAILED_SHARE: Final = 1 / 3
"""Share of counting and position samples whose caption also names the colours: the words then explain more
of the picture, and binding is practised under every tag."""

_RELATION_AXIS: Final[dict[Relation, tuple[int, int]]] = {
    "left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1),
}  # fmt: skip
_MAX_TILT: Final = float(np.radians(20.0))
"""Largest angle between a relation's axis and the line of centres. GenEval asks for more than 0.5 after its
0.1 margin; cos 20 deg - 0.2 = 0.74 holds with room, and sin 20 deg = 0.34 keeps the other axis silent."""

_LAYOUT_BATCH: Final = 48
_SHRINK: Final = 0.97
"""Factor on all sizes after a batch of candidate layouts in which none keeps the distances."""

ALLOWED_PAIRS: Final[tuple[tuple[Shape, Colour], ...]] = tuple(
    (shape, colour) for shape in SHAPES for colour in COLOURS if (shape, colour) not in HELD_OUT_PAIRS_V1
)
ORDERED_SHAPES: Final[tuple[tuple[Shape, Shape], ...]] = tuple(permutations(SHAPES, 2))
ALLOWED_RELATIONS: Final[tuple[tuple[Relation, Shape, Shape], ...]] = tuple(
    (relation, first, second)
    for relation in RELATIONS
    for first, second in ORDERED_SHAPES
    if (relation, first, second) not in HELD_OUT_RELATIONS_V1
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a caption asks for, before anything is placed.

    `shapes` are in the order of the words. `colours` holds one entry for each shape, None where the caption
    is silent; a counting request repeats one shape. `relation` says how the first stands to the second.
    """

    tag: Tag
    shapes: tuple[Shape, ...]
    colours: tuple[Colour | None, ...]
    relation: Relation | None = None


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """One object: centre (x, y) and size (the radius of a circle of about its area), in picture sides;
    `tint` is added to the palette colour (RGB, small)."""

    shape: Shape
    colour: Colour
    x: float
    y: float
    size: float
    tint: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Background:
    """A low-saturation surface: base RGB in 0 .. 1, a coarse relief (5 x 5, row by row, -1 .. 1), a plane
    wave (cycles along x, along y, phase in turns), the relief's contrast and the strength of the light."""

    base: tuple[float, float, float]
    relief: tuple[float, ...]
    wave: tuple[float, float, float]
    contrast: float
    light: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A request with everything placed; `objects` follow the request's order."""

    request: Request
    objects: tuple[SceneObject, ...]
    background: Background


def keyed_generator(seed: int, purpose: str, index: int) -> np.random.Generator:
    """Counter-based generator for (scene version, seed, purpose, index); equal keys give equal streams.

    Raises:
        ValueError: a negative seed or index.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index must be 0 or more, got seed {seed}, index {index}")
    key = np.random.SeedSequence([SCENE_VERSION, seed, int.from_bytes(purpose.encode(), "little"), index])
    return np.random.Generator(np.random.Philox(key))


def draw_request(rng: np.random.Generator) -> Request:
    """A training request; never a held-out pair, never a held-out relation."""
    # Only `random` is drawn from, in a fixed number and order: one value for each decision.
    tag_u, what_u, colour_u, detail_u = rng.random(4).tolist()
    tag = _weighted(tag_u)
    if tag in ("single_object", "colors"):
        shape, colour = _pick(ALLOWED_PAIRS, what_u)
        return Request(tag=tag, shapes=(shape,), colours=(colour if tag == "colors" else None,))
    detailed = detail_u < _DETAILED_SHARE
    if tag == "counting":
        shape = _pick(SHAPES, what_u)
        count = _pick((2, 3, 4), colour_u)
        # The low digits of `detail_u` choose the colour: uniform inside the share that names it.
        colour = _pick(allowed_colours(shape), detail_u / _DETAILED_SHARE) if detailed else None
        return Request(tag=tag, shapes=(shape,) * count, colours=(colour,) * count)
    relation: Relation | None = None
    if tag == "position":
        relation, first, second = _pick(ALLOWED_RELATIONS, what_u)
    else:
        first, second = _pick(ORDERED_SHAPES, what_u)
    if tag == "color_attr" or (tag == "position" and detailed):
        colours = _pick(distinct_colours(first, second), colour_u)
        return Request(tag=tag, shapes=(first, second), colours=colours, relation=relation)
    return Request(tag=tag, shapes=(first, second), colours=(None, None), relation=relation)


def place(request: Request, rng: np.random.Generator) -> Scene:
    """Fills in what the caption leaves open: colours, sizes, places, light and background.

    Colours that the request names are taken as they are, held out or not; open ones are never held out.
    Objects keep `_GAP` between their bounding circles and `_BORDER` from the edge.
    """
    colours = _fill_colours(request, float(rng.random()))
    count = len(request.shapes)
    low, high = _SIZE_RANGE[count]
    size_n = (low + (high - low) * rng.random(count)) * _PIXEL
    ratio_n = np.array([BOUNDING_RADIUS[shape] for shape in request.shapes])
    while (centres_n2 := _layout(size_n * ratio_n, request.relation, rng)) is None:
        size_n *= _SHRINK
    tint_n3 = (rng.random((count, 3)) - 0.5) * 0.06
    objects = tuple(
        SceneObject(shape=shape, colour=colour, x=x, y=y, size=size, tint=(r, g, b))
        for shape, colour, (x, y), size, (r, g, b) in zip(
            request.shapes, colours, centres_n2.tolist(), size_n.tolist(), tint_n3.tolist(), strict=True
        )
    )
    return Scene(request=request, objects=objects, background=_background(rng))


def allowed_colours(shape: Shape) -> tuple[Colour, ...]:
    """Colours that the shape has in training."""
    return _ALLOWED_COLOURS[shape]


def distinct_colours(first: Shape, second: Shape) -> tuple[tuple[Colour, Colour], ...]:
    """All pairs of two different training colours for two shapes."""
    return _DISTINCT_COLOURS[first, second]


_ALLOWED_COLOURS: Final[dict[Shape, tuple[Colour, ...]]] = {
    shape: tuple(colour for other, colour in ALLOWED_PAIRS if other == shape) for shape in SHAPES
}
_DISTINCT_COLOURS: Final[dict[tuple[Shape, Shape], tuple[tuple[Colour, Colour], ...]]] = {
    (first, second): tuple(
        (a, b) for a in _ALLOWED_COLOURS[first] for b in _ALLOWED_COLOURS[second] if a != b
    )
    for first, second in ORDERED_SHAPES
}


def _pick(options: Sequence[_T], u: float) -> _T:
    return options[int(u * len(options))]


def _weighted(u: float) -> Tag:
    for tag in TAGS:
        u -= _TAG_WEIGHTS[tag]
        if u < 0:
            return tag
    return TAGS[-1]


def _fill_colours(request: Request, u: float) -> tuple[Colour, ...]:
    named: tuple[Colour, ...] = tuple(colour for colour in request.colours if colour is not None)
    if len(named) == len(request.colours):
        return named
    if named:
        raise ValueError(f"a request names all its colours or none, got {request.colours}")
    first = request.shapes[0]
    if len(set(request.shapes)) == 1:  # one object, or a group that is counted: one colour
        return (_pick(allowed_colours(first), u),) * len(request.shapes)
    return _pick(distinct_colours(first, request.shapes[1]), u)


def _layout(
    radius_n: NDArray[np.float64], relation: Relation | None, rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """Centres [n, 2]: the first of `_LAYOUT_BATCH` candidate layouts that keeps all distances, or None."""
    count = len(radius_n)
    low_n1 = (radius_n + _BORDER)[:, None]
    first_k, second_k = np.triu_indices(count, k=1)
    apart_k = radius_n[first_k] + radius_n[second_k] + _GAP
    centres_cn2 = low_n1 + rng.random((_LAYOUT_BATCH, count, 2)) * (1 - 2 * low_n1)
    delta_ck2 = centres_cn2[:, first_k] - centres_cn2[:, second_k]
    distance_ck = np.hypot(delta_ck2[..., 0], delta_ck2[..., 1])
    good_c: NDArray[np.bool_] = np.all(distance_ck >= apart_k, axis=1)
    if relation is not None:
        along_ck = delta_ck2 @ np.array(_RELATION_AXIS[relation], dtype=np.float64)
        good_c &= np.all(along_ck >= distance_ck * np.cos(_MAX_TILT), axis=1)
    chosen = int(good_c.argmax())
    return centres_cn2[chosen] if good_c[chosen] else None


def _background(rng: np.random.Generator) -> Background:
    u = rng.random(37).tolist()
    # Brightness .70 .. .90 and a tint of at most +-.03: far below the chroma of any palette colour.
    value = 0.70 + 0.20 * u[0]
    red, green, blue = (value + 0.06 * (channel - 0.5) for channel in u[1:4])
    return Background(
        base=(red, green, blue),
        relief=tuple(2 * value - 1 for value in u[4:29]),
        wave=(1 + 4 * u[29], 8 * (u[30] - 0.5), u[31]),
        contrast=0.03 + 0.04 * u[32],
        light=0.10 + 0.12 * u[33],
    )
