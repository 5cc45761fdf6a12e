"""Scores of `evaluate` beside the benchmark's own: CLIP score, ImageReward, Frechet distance and KID.

Each stands behind the snapshot of its weights: what the input `scorers` does not hold is reported as not run,
with the reason, and never as a number.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.contracts.generated import ExtraScore
from limbeck.evaluation import clip_score, image_reward
from limbeck.evaluation.clip_score import ClipScorer
from limbeck.evaluation.feature_statistics import FeatureStatistics
from limbeck.evaluation.frechet import compare
from limbeck.evaluation.image_reward import ImageRewardScorer
from limbeck.evaluation.networks import features
from limbeck.evaluation.networks.features import FeatureNetwork
from limbeck.evaluation.networks.stored_answers import check
from limbeck.evaluation.pictures import mean_over_prompts
from limbeck.evaluation.statistics_file import load_statistics

BATCH: Final = 32
NO_SNAPSHOT: Final = "weights missing: the input 'scorers' is no part of this stage"

Pixels = NDArray[np.uint8]
Scorer = Literal["clip-score", "image-reward", "frechet", "kid"]


class ExtraScores:
    """What a snapshot of scorers, and the statistics of real images, allow to be measured.

    Raises:
        FileNotFoundError, ValueError: a network that is there, and is broken or not recorded.
        InputError: reference statistics that cannot be read, or are of another network.
        SelfTestFailed: the feature network answers otherwise than it once did.
    """

    def __init__(self, snapshot: Path | None, reference: Path | None, device: torch.device | str) -> None:
        def has(folder: str) -> Path | None:
            return snapshot if snapshot is not None and (snapshot / folder).is_dir() else None

        clip, reward, inception = (has(f) for f in (clip_score.FOLDER, image_reward.FOLDER, features.FOLDER))
        if snapshot is not None and clip is reward is inception is None:
            raise FileNotFoundError(
                f"snapshot {snapshot.name} has none of {clip_score.FOLDER}/, {image_reward.FOLDER}/,"
                f" {features.FOLDER}/"
            )
        self.snapshot = snapshot
        self.clip = ClipScorer(clip, device) if clip else None
        self.reward = ImageRewardScorer(reward, device) if reward else None
        self.network: FeatureNetwork | None = None
        self.reference: FeatureStatistics | None = None
        if inception and reference is not None:
            self.network = FeatureNetwork(inception, device)
            check(self.network, inception)
            self.reference = load_statistics(reference / "statistics.npz")
            if self.reference.extractor != self.network.name:
                raise ValueError(
                    f"the reference statistics are of {self.reference.extractor or 'a network not stated'},"
                    f" the snapshot's is {self.network.name}: another network is another distance"
                )
        self.inception_without_reference = inception is not None and reference is None

    def measure(self, images: Sequence[Pixels], prompts: Sequence[str]) -> list[ExtraScore]:
        """One entry for each score, whether it ran or not."""
        return [
            self._mean(
                "clip-score", self.clip and self.clip.name, self.clip and self.clip.cosines, images, prompts
            ),
            self._mean(
                "image-reward",
                self.reward and self.reward.name,
                self.reward and self.reward.rewards,
                images,
                prompts,
            ),
            *self._distances(images),
        ]

    def _mean(
        self,
        scorer: Scorer,
        name: str | None,
        score: Callable[[Sequence[Pixels], Sequence[str]], NDArray[np.float64]] | None,
        images: Sequence[Pixels],
        prompts: Sequence[str],
    ) -> ExtraScore:
        if score is None or name is None:
            return not_run(
                scorer, self._missing(clip_score.FOLDER if scorer == "clip-score" else image_reward.FOLDER)
            )
        parts = range(0, len(images), BATCH)
        values = np.concatenate([score(images[at : at + BATCH], prompts[at : at + BATCH]) for at in parts])
        found = mean_over_prompts(name, values, prompts)
        low, high = found.interval.to_json()
        return ExtraScore(
            scorer=scorer, name=found.name, value=found.value, interval=(low, high), not_run=None
        )

    def _distances(self, images: Sequence[Pixels]) -> list[ExtraScore]:
        if self.network is None or self.reference is None:
            reason = (
                "reference missing: the input 'reference' (statistics of real images) is not given"
                if self.inception_without_reference
                else self._missing(features.FOLDER)
            )
            return [not_run("frechet", reason), not_run("kid", reason)]
        try:
            drawn = self.network.statistics(self.network.features(images), self.reference.dataset)
            found = compare(drawn, self.reference)
        except ValueError as error:
            return [not_run("frechet", str(error)), not_run("kid", str(error))]
        where = f"[network={self.network.name[:40]} reference={self.reference.dataset or 'not stated'}]"
        distance = ExtraScore(
            scorer="frechet",
            name=found.label + where,
            value=found.frechet_distance,
            interval=None,
            not_run=None,
        )
        if found.kid is None:
            return [distance, not_run("kid", "the reference statistics hold no features")]
        kid = ExtraScore(scorer="kid", name=f"KID{where}", value=found.kid.mean, interval=None, not_run=None)
        return [distance, kid]

    def _missing(self, folder: str) -> str:
        if self.snapshot is None:
            return NO_SNAPSHOT
        return f"weights missing: the snapshot {self.snapshot.name} has no {folder}/"


def not_run(scorer: Scorer, reason: str) -> ExtraScore:
    return ExtraScore(scorer=scorer, name=scorer, value=None, interval=None, not_run=reason)
