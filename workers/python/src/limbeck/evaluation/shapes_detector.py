"""Detector for the shapes data set: connected components, template IoU, nearest palette colour.

It finds what the renderer draws, in generated pictures too: saturated blobs on a greyish ground. A component
is compared with the four outlines drawn at its own centre and area, so the test is of form alone, at
sub-pixel accuracy and for any resolution. Names: `_HW` a picture or a patch, float32.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from limbeck.data.shapes.render import PALETTE, STAR_NOTCH, signed_distance
from limbeck.data.shapes.scene import BOUNDING_RADIUS
from limbeck.data.shapes.vocabulary import SHAPES, Shape

from .geneval import Detection

Float32 = NDArray[np.float32]

DETECTOR_VERSION: Final = "shapes-detector-1"
"""Part of every protocol hash; a change of any constant below is a new version."""

MIN_IOU: Final = 0.72
"""Of the component with the best of the four templates; below, it is no shape."""

COLOUR_RADIUS: Final = 0.25
"""Largest RGB distance (0 .. 1 a channel) from a palette colour; farther away the colour is None."""

_MIN_SATURATION: Final = 0.35
"""About half of what the palette has (.69 to .87), so the outline lies where coverage is one half."""

_DARKEST: Final = 0.35
"""Value below which saturation is not divided out further: noise on black is not colour."""

_MIN_AREA_SHARE: Final = 0.005
"""Of the picture; the smallest object that the renderer draws has 0.02."""

_EIGHT_NEIGHBOURS: Final = np.ones((3, 3), dtype=np.int8)

_AREA: Final[dict[Shape, float]] = {
    "circle": float(np.pi),
    "square": 2 * BOUNDING_RADIUS["square"] ** 2,
    "triangle": float(3 * np.sqrt(3) / 4) * BOUNDING_RADIUS["triangle"] ** 2,
    "star": float(5 * STAR_NOTCH * np.sin(np.pi / 5)) * BOUNDING_RADIUS["star"] ** 2,
}
"""Area of each outline at size 1."""

_COLOURS: Final = tuple(PALETTE)
_PALETTE_C3: Final = np.array([PALETTE[colour] for colour in _COLOURS], dtype=np.float32)


def detect(image_HW3: NDArray[np.uint8]) -> list[Detection]:
    """Shapes in a picture, in raster order of their components; boxes in pixels of that picture.

    The IoU alone decides what is a shape, so the score of everything returned lies above GenEval's stricter
    limit: 0.91 at MIN_IOU, 1 for a perfect outline.

    Raises:
        ValueError: not a uint8 array [H, W, 3].
    """
    if image_HW3.dtype != np.uint8 or image_HW3.ndim != 3 or image_HW3.shape[2] != 3:
        raise ValueError(f"image must be uint8 [H, W, 3], got {image_HW3.dtype} {list(image_HW3.shape)}")
    rgb_HW3 = image_HW3.astype(np.float32) / np.float32(255)
    value_HW = rgb_HW3.max(axis=2)
    saturation_HW = (value_HW - rgb_HW3.min(axis=2)) / np.maximum(value_HW, np.float32(_DARKEST))
    label_HW = np.zeros(saturation_HW.shape, dtype=np.int32)
    ndimage.label(saturation_HW > _MIN_SATURATION, structure=_EIGHT_NEIGHBOURS, output=label_HW)
    height, width = value_HW.shape
    least = _MIN_AREA_SHARE * height * width
    detections: list[Detection] = []
    for label, box in enumerate(ndimage.find_objects(label_HW), start=1):
        rows, columns = box
        # One pixel more on each side holds the part of the soft edge below the limit.
        patch = (
            slice(max(0, rows.start - 1), rows.stop + 1),
            slice(max(0, columns.start - 1), columns.stop + 1),
        )
        member_HW = label_HW[patch] == label
        if np.count_nonzero(member_HW) < least:
            continue
        coverage_HW = _coverage(saturation_HW[patch], member_HW, label_HW[patch] == 0)
        shape, iou = _best_template(coverage_HW)
        if iou < MIN_IOU:
            continue
        core_HW = member_HW & (coverage_HW > 0.9)
        detections.append(
            Detection(
                class_name=shape,
                score=0.91 + 0.09 * (iou - MIN_IOU) / (1 - MIN_IOU),
                box=(float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)),
                colour=_nearest_colour(rgb_HW3[patch][core_HW].mean(axis=0)),
            )
        )
    return detections


def _coverage(saturation_HW: Float32, member_HW: NDArray[np.bool_], ground_HW: NDArray[np.bool_]) -> Float32:
    """Share of each pixel that the object covers: 0 at the saturation of the ground around it, 1 at its own
    (medians of both); pixels of other components count as not covered."""
    inside = np.median(saturation_HW[member_HW])
    outside = np.median(saturation_HW[ground_HW]) if ground_HW.any() else np.float32(0)
    return np.clip((saturation_HW - outside) / (inside - outside), 0, 1) * (member_HW | ground_HW)


def _best_template(coverage_HW: Float32) -> tuple[Shape, float]:
    """Shape with the largest soft IoU (minima over maxima) when drawn at the component's centre and area."""
    height, width = coverage_HW.shape
    area = float(coverage_HW.sum())
    x_W = np.arange(width, dtype=np.float32)
    y_H1 = np.arange(height, dtype=np.float32)[:, None]
    x_W = x_W - np.float32((coverage_HW * x_W).sum() / area)
    y_H1 = y_H1 - np.float32((coverage_HW * y_H1).sum() / area)
    best: tuple[Shape, float] = (SHAPES[0], -1.0)
    for shape in SHAPES:
        size = float(np.sqrt(area / _AREA[shape]))
        template_HW = np.clip(np.float32(0.5) - signed_distance(shape, x_W, y_H1, size), 0, 1)
        # What the template covers outside the patch is missing from the component: it belongs to the union.
        outside = max(0.0, area - float(template_HW.sum()))
        shared = float(np.minimum(coverage_HW, template_HW).sum())
        iou = shared / (float(np.maximum(coverage_HW, template_HW).sum()) + outside)
        if iou > best[1]:
            best = (shape, iou)
    return best


def _nearest_colour(rgb_3: Float32) -> str | None:
    distance_C = np.linalg.norm(_PALETTE_C3 - rgb_3, axis=1)
    nearest = int(distance_C.argmin())
    return _COLOURS[nearest] if distance_C[nearest] <= COLOUR_RADIUS else None
