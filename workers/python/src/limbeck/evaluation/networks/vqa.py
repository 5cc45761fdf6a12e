"""DPG-Bench's answers by mPLUG-large of ModelScope, from the snapshot's vqa/ (the folder as published).

Another VQA model is another metric: this one's name and digest stand beside its answers. Its package,
modelscope, lives in its own environment (infra/images/vqa). The network is modelscope's own; pictures and
questions go into it as its pipeline gives them: squeezed to a square, bicubic, lower case, 25 tokens. (The
pipeline itself also imports OFA, and with it fairseq, which no longer installs.)
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from limbeck.models.pretrained import folders_digest

FOLDER: Final = "vqa"
TOKENS: Final = 25
MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pictures."""
QUESTIONS: Final = ("is there a circle?", "is there a red object?", "is there a dog?")
"""Asked of every stored picture."""


class MplugVqa:
    """A frozen mPLUG; a `stored_answers.Network`.

    Raises:
        FileNotFoundError: the snapshot has no vqa/config.yaml.
        ValueError: modelscope is not installed, or refuses the folder; weights lack tensors.
    """

    kind = "vqa"

    def __init__(self, snapshot: Path, device: torch.device | str = "cpu") -> None:
        folder = snapshot / FOLDER
        for needed in ("config.yaml", "pytorch_model.bin", "vocab.txt"):
            if not (folder / needed).is_file():
                raise FileNotFoundError(f"snapshot {snapshot.name} has no {FOLDER}/{needed}")
        try:
            mplug = import_module("modelscope.models.multi_modal.mplug")
        except ImportError as error:
            raise ValueError(
                f"modelscope is not installed here: run this stage in its image ({error})"
            ) from error
        try:
            # Without its checkpoint: modelscope would go on where tensors are missing.
            self.model: Any = mplug.MPlug.from_pretrained(
                str(folder), task="visual-question-answering", load_checkpoint=False
            )
        except (AttributeError, KeyError, OSError, RuntimeError, AssertionError) as error:
            raise ValueError(f"{snapshot.name}/{FOLDER} is refused by modelscope: {error}") from error
        self._load(folder)
        self.model = self.model.eval().requires_grad_(False).to(device)
        self.device = torch.device(device)
        self.name = f"mplug (modelscope) @{folders_digest([folder])[:12]}"

    def _load(self, folder: Path) -> None:
        tensors: Any = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
        for key in ("model", "module"):
            tensors = tensors.get(key, tensors)
        renamed = {name.replace("model.", ""): value for name, value in tensors.items()}
        missing = [
            name
            for name in self.model.load_state_dict(renamed, strict=False).missing_keys
            if not name.endswith("position_ids")
        ]
        if missing:
            raise ValueError(f"{folder.parent.name}/{FOLDER} lacks {len(missing)} tensors: {missing[:3]}")

    @torch.no_grad()
    def answer(self, image: NDArray[np.uint8], question: str) -> str:
        """The model's words, as they are: only "yes" counts as yes (evaluation.md D.2)."""
        edge = int(self.model.config.image_res)
        squeezed = Image.fromarray(image).resize((edge, edge), Image.Resampling.BICUBIC)
        pixels_HWC = torch.from_numpy(np.asarray(squeezed, np.float32) / 255)
        pixels_HWC = (pixels_HWC - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
        text = self.model.tokenizer(
            question.lower(), padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
        ).to(self.device)
        found, _ = self.model(pixels_HWC.permute(2, 0, 1)[None].to(self.device), text, train=False)
        return str(self.model.tokenizer.decode(found[0][0], skip_special_tokens=True))

    def answers(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Any]:
        return [[self.answer(image, question) for question in QUESTIONS] for image in pictures]

    def same(self, found: Any, stored: Any) -> bool:
        return found == stored
