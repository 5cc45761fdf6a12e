"""GenEval's detections by Mask2Former and the colour labels by CLIP, both of transformers.

GenEval's own detector is the same architecture in mmdet 2.x (Swin-S, COCO instances); this is the port, so
its results are named "GenEval (HF detector)" until the two are shown to agree on saved detections.

The snapshot holds detector/ (config.json, *.safetensors, preprocessor_config.json of a Mask2Former for
instances) and clip/ (as for CLIP score; GenEval's is ViT-L/14 of OpenAI).

Rows come as mmdet makes them: the MAX_ROWS largest class probabilities over all (query, class) pairs; a row's
score is its probability times the mean probability inside its mask, its box spans the mask.

Shapes: Q queries, K classes, R rows, H W pixels of the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPModel,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessorPil,
)

from limbeck.evaluation.geneval import SCORE_LIMIT, Detection
from limbeck.models.pretrained import folders_digest, load_whole

NAME: Final = "mask2former (transformers)"
MAX_ROWS: Final = 100
STORED_ROWS: Final = 5
"""Strongest rows of a stored picture that are compared."""
SCORE_TOLERANCE: Final = 5e-3
BOX_TOLERANCE: Final = 2.0
"""In pixels: what float32 on another machine may move an edge of a mask by."""
COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
TEMPLATES: Final = ("a photo of a {} {}", "a photo of a {}-colored {}", "a photo of a {} object")
BACKGROUND: Final = (0x99, 0x99, 0x99)
GENEVAL_NAMES: Final = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard"}
"""COCO's class names -> GenEval's, where they differ."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A detection with its mask [H, W]."""

    detection: Detection
    mask_HW: NDArray[np.bool_]


class GenEvalDetector:
    """A frozen Mask2Former, and a CLIP for the colours; a `stored_answers.Network`.

    Raises:
        FileNotFoundError: the snapshot lacks detector/ or clip/.
        ValueError: weights lack tensors; names them.
    """

    kind = "detector"

    def __init__(self, snapshot: Path, device: torch.device | str = "cpu") -> None:
        folder = snapshot / "detector"
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"snapshot {snapshot.name} has no detector/config.json")
        self.model = load_whole(Mask2FormerForUniversalSegmentation, folder, torch.float32, device)
        self.processor = Mask2FormerImageProcessorPil.from_pretrained(folder, local_files_only=True)
        labels = self.model.config.id2label
        self.classes = [GENEVAL_NAMES.get(labels[place], labels[place]) for place in range(len(labels))]
        self.device = torch.device(device)
        self.colours = ColourClassifier(snapshot, device)
        self.name = f"{NAME} @{folders_digest([folder])[:12]} colours @{self.colours.digest[:12]}"

    def detect(self, image: Pixels, metadata: Mapping[str, Any]) -> list[Detection]:
        """Rows of a picture [H, W, 3]. Rows of a class whose colour the metadata ask for have a colour label
        where they can be inspected at all (above the lower score limit)."""
        asked = {clause["class"] for clause in metadata.get("include", ()) if "color" in clause}
        rows = self.rows(image)
        coloured = [
            place
            for place, row in enumerate(rows)
            if row.detection.class_name in asked and np.float32(row.detection.score) > SCORE_LIMIT
        ]
        labels = self.colours.label(image, [rows[place] for place in coloured])
        named = dict(zip(coloured, labels, strict=True))
        return [
            Detection(
                class_name=row.detection.class_name,
                score=row.detection.score,
                box=row.detection.box,
                colour=named.get(place),
            )
            for place, row in enumerate(rows)
        ]

    def answers(self, pictures: Sequence[Pixels]) -> list[Any]:
        """[class, colour, score, x0, y0, x1, y1] of the strongest rows."""
        found: list[Any] = []
        for image in pictures:
            rows = sorted(self.rows(image), key=lambda row: -row.detection.score)[:STORED_ROWS]
            seen = zip([row.detection for row in rows], self.colours.label(image, rows), strict=True)
            found.append([[one.class_name, colour, one.score, *one.box] for one, colour in seen])
        return found

    def same(self, found: Any, stored: Any) -> bool:
        if [row[:2] for row in found] != [row[:2] for row in stored]:
            return False
        return all(
            abs(one[2] - other[2]) <= SCORE_TOLERANCE
            and np.allclose(one[3:], other[3:], rtol=0, atol=BOX_TOLERANCE)
            for one, other in zip(found, stored, strict=True)
        )

    @torch.no_grad()
    def rows(self, image: Pixels) -> list[Row]:
        """The picture's rows with their masks; those whose mask is empty are left out."""
        height, width = image.shape[:2]
        given = self.processor(images=[Image.fromarray(image)], return_tensors="pt")
        # Padding on the right and below belongs to the batch, not to the picture.
        seen_HW = given["pixel_mask"][0].bool()
        inside = (int(seen_HW[:, 0].sum()), int(seen_HW[0].sum()))
        found = self.model(**{name: value.to(self.device) for name, value in given.items()})
        probability_QK = found.class_queries_logits[0].softmax(-1)[:, :-1]
        classes = probability_QK.shape[1]
        top_R, place_R = probability_QK.flatten().topk(min(MAX_ROWS, probability_QK.numel()))
        mask_RHW = self._masks(
            found.masks_queries_logits[0, place_R // classes], inside, (height, width), given
        )
        on_RHW = mask_RHW > 0
        area_R = on_RHW.flatten(1).sum(1)
        certainty_R = (mask_RHW.sigmoid() * on_RHW).flatten(1).sum(1) / (area_R + 1e-6)
        score_R = (top_R * certainty_R).cpu()
        return [
            Row(
                detection=Detection(
                    class_name=self.classes[int(place_R[number]) % classes],
                    score=float(score_R[number]),
                    box=_box(on_RHW[number]),
                ),
                mask_HW=on_RHW[number].cpu().numpy(),
            )
            for number in range(len(top_R))
            if area_R[number]
        ]

    def _masks(
        self, logits_Rhw: Tensor, inside: tuple[int, int], size: tuple[int, int], given: Mapping[str, Tensor]
    ) -> Tensor:
        """Mask logits at the picture's size: up to the padded input, cut to the picture, resized."""
        padded = tuple(int(edge) for edge in given["pixel_values"].shape[-2:])
        grown = F.interpolate(logits_Rhw[None], padded, mode="bilinear", align_corners=False)
        cut = grown[..., : inside[0], : inside[1]]
        return F.interpolate(cut, size, mode="bilinear", align_corners=False)[0]


class ColourClassifier:
    """Zero-shot colour of an object: CLIP on its crop, the rest of the picture grey.

    Raises:
        FileNotFoundError: the snapshot has no clip/.
        ValueError: the files lack tensors; names them.
    """

    def __init__(self, snapshot: Path, device: torch.device | str = "cpu") -> None:
        folder = snapshot / "clip"
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"snapshot {snapshot.name} has no clip/config.json: colours need it")
        self.model = load_whole(CLIPModel, folder, torch.float32, device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        self.device = torch.device(device)
        self.digest = folders_digest([folder])
        self._text: dict[str, Tensor] = {}

    @torch.no_grad()
    def label(self, image: Pixels, rows: Sequence[Row]) -> list[str]:
        """One of COLOURS for each row."""
        if not rows:
            return []
        crops = [crop(image, row) for row in rows]
        pixels = self.processor(images=crops, return_tensors="pt")["pixel_values"].to(self.device)
        features_RD = F.normalize(
            self.model.visual_projection(self.model.vision_model(pixels).pooler_output), dim=-1
        )
        return [
            COLOURS[int((features_RD[number] @ self._classes(row.detection.class_name)).argmax())]
            for number, row in enumerate(rows)
        ]

    def _classes(self, name: str) -> Tensor:
        """Text directions [D, 10] of a class's colours: the mean over the templates, of length 1."""
        if name not in self._text:
            captions = [template.format(colour, name) for colour in COLOURS for template in TEMPLATES]
            text = self.tokenizer(
                captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
            )
            text = {key: value.to(self.device) for key, value in text.items()}
            features = self.model.text_projection(self.model.text_model(**text).pooler_output)
            mean = F.normalize(features, dim=-1).reshape(len(COLOURS), len(TEMPLATES), -1).mean(1)
            self._text[name] = F.normalize(mean, dim=-1).T
        return self._text[name]


def crop(image: Pixels, row: Row) -> Image.Image:
    """The row's box of the picture, with grey wherever its mask is off."""
    cut = np.where(row.mask_HW[..., None], image, np.array(BACKGROUND, np.uint8))
    x0, y0, x1, y1 = (round(edge) for edge in row.detection.box)
    return Image.fromarray(cut).crop((x0, y0, x1, y1))


def _box(on_HW: Tensor) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of a mask; zeros where it is empty. The upper edges lie behind the last pixel."""
    ys, xs = torch.where(on_HW)
    if not len(ys):
        return (0.0, 0.0, 0.0, 0.0)
    return (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
