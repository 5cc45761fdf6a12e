"""Features of pictures for FID and KID, from the snapshot's inception/.

Two forms of Google's 2015 Inception are in use, both with the old bilinear resize inside:
    inception-2015-12-05.pt                 a TorchScript file (StyleGAN, EDM); needs torch alone
    pt_inception-2015-12-05-6726825d.pth    weights for torch-fidelity, whose package makes the network
They are named apart in the statistics and never compared with each other. Any other TorchScript that takes
pictures [N, 3, H, W] uint8 and gives [N, D] is an extractor too, under its own digest.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.contracts.context import file_digest
from limbeck.evaluation.feature_statistics import FeatureStatistics
from limbeck.evaluation.pictures import check_pictures

FOLDER: Final = "inception"
BATCH: Final = 32
TOLERANCE: Final = 1e-3
"""Length of a difference from a stored vector, over that vector's."""
RESIZE: Final = "inside the network"


class FeatureNetwork:
    """A frozen feature network; a `stored_answers.Network`.

    Raises:
        FileNotFoundError: the snapshot has no inception/ with one .pt or .pth file.
        ValueError: more than one such file, or one that cannot be loaded; names it.
    """

    kind = "inception"

    def __init__(self, snapshot: Path, device: torch.device | str = "cpu") -> None:
        files = sorted((snapshot / FOLDER).glob("*.pt*"))
        if not files:
            raise FileNotFoundError(f"snapshot {snapshot.name} has no {FOLDER}/*.pt or *.pth")
        if len(files) > 1:
            raise ValueError(
                f"{snapshot.name}/{FOLDER} holds {[path.name for path in files]}; allowed: one network"
            )
        (file,) = files
        self.device = torch.device(device)
        try:
            kind, self._network = _scripted(file, device) if file.suffix == ".pt" else _fidelity(file, device)
        except (RuntimeError, ImportError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"{snapshot.name}/{FOLDER}/{file.name} cannot be loaded: {reason}") from error
        self.name = f"{kind}:{file_digest(file)}"
        """In the statistics as `extractor`."""

    @torch.no_grad()
    def features(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """[N, D] of pictures of one size.

        Raises:
            ValueError: no picture, pictures of different sizes, or an answer that is not [N, D].
        """
        check_pictures(images, [""] * len(images))
        sizes = sorted({image.shape[:2] for image in images})
        if len(sizes) != 1:
            raise ValueError(f"pictures of sizes {sizes[:5]}; allowed: at least one, all of one size")
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(images), BATCH):
            pixels = torch.from_numpy(np.stack(images[start : start + BATCH])).permute(0, 3, 1, 2)
            answer = self._network(pixels.contiguous().to(self.device)).float().cpu()
            if answer.ndim != 2 or len(answer) != len(pixels):
                raise ValueError(
                    f"the network gave {tuple(answer.shape)} for {len(pixels)} pictures; allowed: [N, D]"
                )
            found.append(answer.numpy())
        return np.concatenate(found)

    def statistics(self, features_ND: NDArray[np.float32], dataset: str | None) -> FeatureStatistics:
        """Statistics of this network's features, which are kept, and where they come from.

        Raises:
            ValueError: see `FeatureStatistics`.
        """
        found = FeatureStatistics.from_features(features_ND)
        return replace(found, extractor=self.name, resize=RESIZE, dataset=dataset)

    def answers(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Any]:
        return self.features(pictures).astype(float).tolist()

    def same(self, found: Any, stored: Any) -> bool:
        one, other = np.array(found), np.array(stored)
        if one.shape != other.shape:
            return False
        return bool(np.linalg.norm(one - other) <= TOLERANCE * np.linalg.norm(other))


Network = Callable[[Tensor], Tensor]


def _scripted(file: Path, device: torch.device | str) -> tuple[str, Network]:
    module = torch.jit.load(file, map_location=device).eval()
    # NVIDIA's file answers with class probabilities unless it is asked for features.
    takes = [argument.name for argument in module.forward.schema.arguments]
    options = {"return_features": True} if "return_features" in takes else {}
    return "torchscript", lambda pixels: module(pixels, **options)


def _fidelity(file: Path, device: torch.device | str) -> tuple[str, Network]:
    package = import_module("torch_fidelity.feature_extractor_inceptionv3")
    module = package.FeatureExtractorInceptionV3(
        "inception-v3-compat",
        ["2048"],
        feature_extractor_weights_path=str(file),
        feature_extractor_internal_dtype="float32",
    )
    module = module.eval().to(device)
    return "torch-fidelity", lambda pixels: module(pixels)[0]
