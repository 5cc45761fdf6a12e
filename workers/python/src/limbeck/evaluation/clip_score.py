"""CLIP score: cosine of an image and its caption in CLIP's space, by transformers, from a local snapshot.

Papers print "CLIP score" for different backbones, caption templates and scales, which differ by more than
models do; here all three are part of the result's name:

    clip-score[backbone=<width>x<layers>/<patch>@<digest> template='{}' scale=cosine]

A pair's cosine is not clamped. (torchmetrics prints 100 times the mean, clamped at 0 after it; Hessel et al.
2.5 times each pair's, clamped before.)

The snapshot holds clip/: config.json, *.safetensors, preprocessor_config.json and the tokenizer's files, as
CLIP repositories hold them. Shapes: N images [H, W, 3] uint8; cosine_N float64.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

from limbeck.evaluation.bootstrap import Float64
from limbeck.evaluation.pictures import check_pictures
from limbeck.models.pretrained import folders_digest, load_whole

FOLDER: Final = "clip"
TEMPLATE: Final = "{}"
TOKENS: Final = 77
"""A longer caption is cut, as CLIP was trained."""


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
        self.model = load_whole(CLIPModel, folder, torch.float32, device)
        self.device = torch.device(device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self.template = template
        vision = self.model.config.vision_config
        digest = folders_digest([folder])[:12]
        backbone = f"{vision.hidden_size}x{vision.num_hidden_layers}/{vision.patch_size}@{digest}"
        self.name = f"clip-score[backbone={backbone} template={template!r} scale=cosine]"

    @torch.no_grad()
    def cosines(self, images: Sequence[NDArray[np.uint8]], captions: Sequence[str]) -> Float64:
        """Cosine of each image with its caption [N], in float64 from float32 embeddings.

        Raises:
            ValueError: not one caption for each image, or an image that is not uint8 [H, W, 3].
        """
        check_pictures(images, captions)
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
