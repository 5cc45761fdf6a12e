"""From a scene to pixels: analytic signed distances, one bounding patch for each object.

Names: `_HW` a patch or a picture, `_HW3` with RGB last, all float32 in 0 .. 1 until the last line.
The same scene gives the same bytes on the same machine; between CPU types numpy's sine and exponential may
differ in the last bit, and so, rarely, may one grey level.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .captions import Metadata, caption_of, metadata_of, request_of
from .scene import (
    BOUNDING_RADIUS,
    Background,
    Scene,
    SceneObject,
    Split,
    draw_request,
    keyed_generator,
    place,
)
from .vocabulary import Colour, Shape

Float32 = NDArray[np.float32]

PALETTE: Final[dict[Colour, tuple[float, float, float]]] = {
    "red": (0.84, 0.17, 0.17),
    "green": (0.15, 0.60, 0.28),
    "blue": (0.15, 0.36, 0.82),
    "yellow": (0.95, 0.76, 0.12),
    "purple": (0.56, 0.22, 0.72),
}
"""sRGB in 0 .. 1; any two are at least 0.4 apart, more than twice the spread that shading makes."""

_SHADOW_SHIFT: Final = (1.0 / 64, 1.6 / 64)
_SHADOW_SOFTNESS: Final = 2.0 / 64
_SHADOW_DEPTH: Final = 0.28
_BEVEL_WIDTH: Final = 1.2 / 64
_STAR_SECTOR: Final = np.pi / 5


@dataclass(frozen=True, kw_only=True)
class Sample:
    """`image`: uint8 [resolution, resolution, 3]; `metadata`: GenEval's line; `caption` is its prompt."""

    image: NDArray[np.uint8]
    caption: str
    metadata: Metadata
    scene: Scene


def render_sample(seed: int, index: int, resolution: int = 64, split: Split = "train") -> Sample:
    """Sample `index` of a split: a pure function of (seed, split, index); the scene does not depend on the
    resolution.

    Raises:
        ValueError: a negative seed or index, a resolution below 16, an unknown split.
    """
    if split not in ("train", "validation"):
        raise ValueError(f"split must be train or validation, got {split!r}")
    rng = keyed_generator(seed, split, index)
    return _sample(place(draw_request(rng), rng), resolution)


def render_prompt(metadata: Metadata, seed: int, index: int, resolution: int = 64) -> Sample:
    """A true picture of an evaluation prompt, held out or not: the upper bound that a scorer must reach."""
    return _sample(place(request_of(metadata), keyed_generator(seed, "prompt", index)), resolution)


def _sample(scene: Scene, resolution: int) -> Sample:
    return Sample(
        image=render(scene, resolution),
        caption=caption_of(scene.request),
        metadata=metadata_of(scene.request),
        scene=scene,
    )


def render(scene: Scene, resolution: int) -> NDArray[np.uint8]:
    """The picture, uint8 [resolution, resolution, 3]: background, all shadows, then all objects."""
    if resolution < 16:
        raise ValueError(f"resolution must be at least 16 pixels, got {resolution}")
    picture_HW3 = _draw_background(scene.background, resolution)
    for item in scene.objects:
        _draw_shadow(picture_HW3, item, resolution)
    for item in scene.objects:
        _draw_object(picture_HW3, item, scene.background.light, resolution)
    return (np.clip(picture_HW3, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def signed_distance(shape: Shape, x_W: Float32, y_H1: Float32, size: float) -> Float32:
    """Distance to the outline, negative inside, [H, W], in the units of `size`; exact next to the edges, a
    lower bound outside beyond the corners. `x_W`, `y_H1`: relative to the object's centre, y down."""
    if shape == "circle":
        return np.sqrt(x_W * x_W + y_H1 * y_H1) - np.float32(size)
    radius = np.float32(size * BOUNDING_RADIUS[shape])
    if shape == "square":
        return np.maximum(np.abs(x_W), np.abs(y_H1)) - radius * np.float32(np.sqrt(0.5))
    if shape == "triangle":
        # Upright and equilateral: its lower side and, by symmetry, one slanted side; apothem = radius / 2.
        slanted_HW = np.abs(x_W) * np.float32(np.sqrt(0.75)) - y_H1 * np.float32(0.5)
        return np.maximum(y_H1, slanted_HW) - radius * np.float32(0.5)
    # Star: fold the angle into half a point, then the distance to the one edge from tip to notch.
    angle_HW = np.arctan2(x_W, -y_H1)
    folded_HW = np.abs(angle_HW - 2 * _STAR_SECTOR * np.round(angle_HW / (2 * _STAR_SECTOR)))
    rho_HW = np.sqrt(x_W * x_W + y_H1 * y_H1)
    normal = _star_edge_normal()
    along_HW = rho_HW * (np.cos(folded_HW) * normal[0] + np.sin(folded_HW) * normal[1])
    return (along_HW - radius * normal[0]).astype(np.float32)


STAR_NOTCH: Final = 0.52
"""Radius of the star's notches over that of its tips."""


@lru_cache(maxsize=1)
def _star_edge_normal() -> tuple[np.float32, np.float32]:
    tip = np.array([1.0, 0.0])
    notch = STAR_NOTCH * np.array([np.cos(_STAR_SECTOR), np.sin(_STAR_SECTOR)])
    edge = notch - tip
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    return np.float32(normal[0]), np.float32(normal[1])


@lru_cache(maxsize=8)
def _axis(resolution: int) -> Float32:
    return ((np.arange(resolution) + 0.5) / resolution).astype(np.float32)


@lru_cache(maxsize=8)
def _relief_weights(resolution: int) -> Float32:
    """Smooth interpolation from 5 knots to all pixels of an axis, [resolution, 5]."""
    place_H1 = _axis(resolution)[:, None] * 4
    distance_HK = np.clip(np.abs(place_H1 - np.arange(5, dtype=np.float32)), 0, 1)
    return (1 - distance_HK * distance_HK * (3 - 2 * distance_HK)).astype(np.float32)


def _draw_background(background: Background, resolution: int) -> Float32:
    axis_W = _axis(resolution)
    weights_HK = _relief_weights(resolution)
    relief_HW = weights_HK @ np.array(background.relief, dtype=np.float32).reshape(5, 5) @ weights_HK.T
    along_x, along_y, phase = background.wave
    turns_HW = axis_W * np.float32(along_x) + axis_W[:, None] * np.float32(along_y) + np.float32(phase)
    wave_HW = np.sin(turns_HW * np.float32(2 * np.pi))
    light_HW = np.float32(background.light / 2) * (np.float32(0.5) - (axis_W + axis_W[:, None]) / 2)
    factor_HW = 1 + np.float32(background.contrast) * (relief_HW + np.float32(0.4) * wave_HW) + light_HW
    picture_HW3 = factor_HW[..., None] * np.array(background.base, dtype=np.float32)
    return picture_HW3.astype(np.float32, copy=False)


def _patch(
    item: SceneObject, x: float, y: float, reach: float, resolution: int
) -> tuple[slice, slice, Float32, Float32]:
    """Rows, columns and the two relative axes (x [W], y [H, 1]) of the patch within `reach` of (x, y)."""
    extent = item.size * BOUNDING_RADIUS[item.shape] * 1.08 + reach
    left, right = max(0, int((x - extent) * resolution)), min(resolution, int((x + extent) * resolution) + 2)
    top, bottom = max(0, int((y - extent) * resolution)), min(resolution, int((y + extent) * resolution) + 2)
    axis = _axis(resolution)
    return (
        slice(top, bottom), slice(left, right),
        axis[left:right] - np.float32(x), axis[top:bottom, None] - np.float32(y),
    )  # fmt: skip


def _draw_shadow(picture_HW3: Float32, item: SceneObject, resolution: int) -> None:
    x, y = item.x + _SHADOW_SHIFT[0], item.y + _SHADOW_SHIFT[1]
    rows, columns, x_W, y_H1 = _patch(item, x, y, _SHADOW_SOFTNESS, resolution)
    distance_HW = signed_distance(item.shape, x_W, y_H1, item.size)
    inside_HW = np.clip(np.float32(0.5) - distance_HW / np.float32(2 * _SHADOW_SOFTNESS), 0, 1)
    shade_HW = 1 - np.float32(_SHADOW_DEPTH) * inside_HW * inside_HW * (3 - 2 * inside_HW)
    picture_HW3[rows, columns] *= shade_HW[..., None]


def _draw_object(picture_HW3: Float32, item: SceneObject, light: float, resolution: int) -> None:
    rows, columns, x_W, y_H1 = _patch(item, item.x, item.y, 1.0 / resolution, resolution)
    distance_HW = signed_distance(item.shape, x_W, y_H1, item.size)
    coverage_HW1 = np.clip(np.float32(0.5) - distance_HW * np.float32(resolution), 0, 1)[..., None]
    # Light from the upper left, and a bevel that darkens the rim.
    slope_HW = (x_W * np.float32(0.6) + y_H1 * np.float32(0.8)) * np.float32(light / item.size)
    rim_HW = np.exp(np.minimum(distance_HW, 0) * np.float32(1 / _BEVEL_WIDTH))
    shade_HW1 = (np.float32(1.05) - slope_HW - np.float32(0.22) * rim_HW)[..., None]
    colour_3 = np.array(PALETTE[item.colour], dtype=np.float32) + np.array(item.tint, dtype=np.float32)
    patch_HW3 = picture_HW3[rows, columns]
    patch_HW3 += coverage_HW1 * (shade_HW1 * colour_3 - patch_HW3)
