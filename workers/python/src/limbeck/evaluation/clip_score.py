"""CLIP score: cosine of an image and its caption in CLIP's space, by transformers, from a local snapshot.

Papers print "CLIP score" for different backbones, caption templates and scales, which differ by more than
models do; here all three are part of the result's name:

    clip-score[backbone=<width>x<layers>/<patch>@<digest> template='{}' scale=cosine]

A pair's cosine is not clamped. (torchmetrics prints 100 times the mean, clamped at 0 after it; Hessel et al.
2.5 times each pair's, clamped before.)

The snapshot holds clip/: config.json, *.safetensors, preprocessor_config.json and the tokenizer's files, as
CLIP repositories hold them. Shapes: N images [H, W, 3] uint8; cosine_N float64.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

from limbeck.contracts.context import file_digest
from limbeck.evaluation.bootstrap import Float64, Interval, Stratum, percentile_interval, resampled_means

FOLDER: Final = "clip"
TEMPLATE: Final = "{}"
TOKENS: Final = 77
"""A longer caption is cut, as CLIP was trained."""


@dataclass(frozen=True, kw_only=True)
class ClipScore:
    """Mean cosine over images, with a bootstrap over prompts."""

    name: str
    cosine: float
    interval: Interval


class ClipScorer:
    """A frozen CLIP.

    Raises:
        FileNotFoundError: the snapshot has no clip/.
        ValueError: the files lack tensors; names them.
    """

    def __init__(self, snapshot: Path, device: torch.device | str = "cpu", template: str = TEMPLATE) -> None:
        folder = snapshot / FOLDER
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"snapshot {snapshot.name} has no {FOLDER}/config.json")
        kind: Any = CLIPModel  # with the loading information a pair comes back, which its types do not say
        loaded, info = kind.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
        missing = sorted(info["missing_keys"])
        if missing:
            # transformers would go on with random weights in their place.
            raise ValueError(f"{snapshot.name}/{FOLDER} lacks {len(missing)} tensors: {missing[:3]}")
        self.model = loaded.eval().requires_grad_(False).to(device)
        self.device = torch.device(device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self.template = template
        vision = self.model.config.vision_config
        listing = [[p.name, file_digest(p)] for p in sorted(folder.iterdir()) if p.is_file()]
        digest = hashlib.sha256(json.dumps(listing).encode()).hexdigest()
        backbone = f"{vision.hidden_size}x{vision.num_hidden_layers}/{vision.patch_size}@{digest[:12]}"
        self.name = f"clip-score[backbone={backbone} template={template!r} scale=cosine]"

    @torch.no_grad()
    def cosines(self, images: Sequence[NDArray[np.uint8]], captions: Sequence[str]) -> Float64:
        """Cosine of each image with its caption [N], in float64 from float32 embeddings.

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
        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        text = self.tokenizer(
            [self.template.format(caption) for caption in captions],
            padding="max_length",
            max_length=TOKENS,
            truncation=True,
            return_tensors="pt",
        )
        text = {name: value.to(self.device) for name, value in text.items()}
        found = self.model(pixel_values=pixels.to(self.device), **text)
        # Already of length 1.
        return (found.image_embeds.double() * found.text_embeds.double()).sum(-1).cpu().numpy()


def aggregate(name: str, cosine_N: Float64, prompts: Sequence[str], seed: int = 0) -> ClipScore:
    """The mean over images; prompts are resampled whole, as for GenEval.

    Raises:
        ValueError: no image, or not one prompt for each.
    """
    if not len(cosine_N) or len(cosine_N) != len(prompts):
        raise ValueError(f"{len(cosine_N)} scores for {len(prompts)} prompts; at least one of each is needed")
    order = list(dict.fromkeys(prompts))
    place = {prompt: number for number, prompt in enumerate(order)}
    index = np.array([place[prompt] for prompt in prompts])
    sum_P = np.bincount(index, weights=cosine_N, minlength=len(order)).astype(np.float64)
    images_P = np.bincount(index, minlength=len(order)).astype(np.float64)
    stratum = Stratum(correct_P=sum_P, images_P=images_P)
    replicas = resampled_means({"clip-score": stratum}, seed)["clip-score"]
    return ClipScore(
        name=name,
        cosine=float(np.mean(cosine_N)),
        interval=percentile_interval(replicas),
    )
