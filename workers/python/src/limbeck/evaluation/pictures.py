"""What scorers of pictures and their captions have in common: their check, and the mean over prompts.

Shapes: N images, uint8 [H, W, 3].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluation.bootstrap import Float64, Interval, Stratum, percentile_interval, resampled_means


@dataclass(frozen=True, kw_only=True)
class MeanScore:
    """Mean over images, with a bootstrap over prompts."""

    name: str
    value: float
    interval: Interval


def check_pictures(images: Sequence[NDArray[Any]], captions: Sequence[str]) -> None:
    """
    Raises:
        ValueError: not one caption for each image, or an image that is not uint8 [H, W, 3].
    """
    if len(images) != len(captions):
        raise ValueError(f"{len(images)} images for {len(captions)} captions")
    for place, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"image {place} is {image.dtype} of shape {image.shape}; allowed: uint8 [H, W, 3]"
            )


def mean_over_prompts(name: str, value_N: Float64, prompts: Sequence[str], seed: int = 0) -> MeanScore:
    """The mean over images; prompts are resampled whole, as for GenEval.

    Raises:
        ValueError: no image, or not one prompt for each.
    """
    if not len(value_N) or len(value_N) != len(prompts):
        raise ValueError(f"{len(value_N)} scores for {len(prompts)} prompts; at least one of each is needed")
    order = list(dict.fromkeys(prompts))
    place = {prompt: number for number, prompt in enumerate(order)}
    index = np.array([place[prompt] for prompt in prompts])
    sum_P = np.bincount(index, weights=value_N, minlength=len(order)).astype(np.float64)
    images_P = np.bincount(index, minlength=len(order)).astype(np.float64)
    replicas = resampled_means({name: Stratum(correct_P=sum_P, images_P=images_P)}, seed)[name]
    return MeanScore(name=name, value=float(np.mean(value_N)), interval=percentile_interval(replicas))
