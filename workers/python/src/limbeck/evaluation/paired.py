"""Difference of two training arms over several training seeds, scored on the same prompts and noise.

Two things make such a difference uncertain: another training seed gives another model, and another set of
prompts asks other questions. Both are in the interval:

    d_s   = overall(A_s) - overall(B_s)                        for training seed s of S
    se^2  = var(d_s) / S + var over prompts of mean_s d        (second term: bootstrap inside each tag)
    d +- t(.975, S - 1) se

The spread between seeds holds some of the prompts' noise already, so the interval errs on the wide side. A
bootstrap over three or four seeds would err on the other: it cannot draw a seed that was not trained.
Names: `_SP` training seeds x prompts, `_B` replicates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from limbeck.contracts.generated import EvaluationProtocol, EvaluationResult
from limbeck.data.shapes import evaluation_prompts

from .bootstrap import LEVEL, Float64, Interval, Stratum, mean_over_strata, resampled_means


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """First arm minus second, in points of overall score (-1 .. 1)."""

    difference: float
    interval: Interval
    by_seed: list[float]
    standard_error_seeds: float
    standard_error_prompts: float
    images: int
    """Images of one model that the score is taken over."""

    @property
    def verdict(self) -> str:
        """ "better" or "worse" only where the interval excludes zero."""
        if self.interval.low > 0:
            return "better"
        return "worse" if self.interval.high < 0 else "no difference shown"

    def to_json(self) -> dict[str, object]:
        return {
            "difference": self.difference,
            "interval": self.interval.to_json(),
            "verdict": self.verdict,
            "by_seed": self.by_seed,
            "standard_error_seeds": self.standard_error_seeds,
            "standard_error_prompts": self.standard_error_prompts,
            "images": self.images,
        }


def paired_difference(
    first: Sequence[EvaluationResult],
    second: Sequence[EvaluationResult],
    seed: int = 0,
    *,
    across_sampling: bool = False,
) -> PairedDifference:
    """`first[s]` and `second[s]` come from the same training seed.

    Args:
        across_sampling: prompts and noise must agree, while steps, grid and guidance may differ between the
            arms: a few-step model beside the one it was made from.

    Raises:
        ValueError: fewer than two seeds, unequal numbers of them, or results under different protocols.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(
            f"a difference needs the same number of training seeds in both arms, at least two;"
            f" got {len(first)} and {len(second)}"
        )
    for group in (first, second) if across_sampling else ((*first, *second),):
        hashes = {result.protocol_hash for result in group}
        if len(hashes) > 1:
            raise ValueError(
                f"results of {len(hashes)} different protocols cannot be compared: {sorted(hashes)}"
            )
    asked, other = (_questions(arm[0].protocol) for arm in (first, second))
    if asked != other:
        raise ValueError(f"the arms were asked different questions: {asked} and {other}")
    strata = [(_by_prompt(a), _by_prompt(b)) for a, b in zip(first, second, strict=True)]
    by_seed = [_overall(a) - _overall(b) for a, b in strata]
    # The draws are keyed by stratum: every seed and both arms are resampled to the same prompts.
    replicates_SB = np.stack(
        [
            mean_over_strata(resampled_means(a, seed)) - mean_over_strata(resampled_means(b, seed))
            for a, b in strata
        ]
    )
    difference = float(np.mean(by_seed))
    seeds = float(np.std(by_seed, ddof=1)) / math.sqrt(len(by_seed))
    prompts = float(np.std(replicates_SB.mean(axis=0), ddof=1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(by_seed) - 1)) * math.hypot(seeds, prompts)
    return PairedDifference(
        difference=difference,
        interval=Interval(low=difference - half, high=difference + half),
        by_seed=by_seed,
        standard_error_seeds=seeds,
        standard_error_prompts=prompts,
        images=sum(int(stratum.images_P.sum()) for stratum in strata[0][0].values()),
    )


def _questions(protocol: EvaluationProtocol) -> dict[str, object]:
    """What decides prompts and starting noise."""
    return protocol.model_dump(
        include={"benchmark", "prompts_per_tag", "held_out_per_tag", "images_per_prompt", "seed"}
    )


def _overall(strata: dict[str, Stratum]) -> float:
    return float(np.mean([stratum.mean for stratum in strata.values()]))


def _by_prompt(result: EvaluationResult) -> dict[str, Stratum]:
    """Tag -> counts of its distinct prompts; images of one prompt stay together, held-out ones stay out."""
    protocol: EvaluationProtocol = result.protocol
    prompts = evaluation_prompts(protocol.prompts_per_tag, protocol.held_out_per_tag, protocol.seed)
    each = protocol.images_per_prompt
    if len(result.verdicts) != len(prompts) * each:
        raise ValueError(f"{len(result.verdicts)} verdicts for a protocol of {len(prompts) * each} images")
    counts: dict[str, dict[str, list[int]]] = {}
    for place, prompt in enumerate(prompts):
        if prompt.held_out:
            continue
        of_prompt = counts.setdefault(prompt.metadata["tag"], {}).setdefault(
            prompt.metadata["prompt"], [0, 0]
        )
        verdicts = result.verdicts[place * each : (place + 1) * each]
        of_prompt[0] += sum(verdicts)
        of_prompt[1] += each
    return {tag: _stratum(list(found.values())) for tag, found in counts.items()}


def _stratum(counts: list[list[int]]) -> Stratum:
    array: Float64 = np.array(counts, dtype=np.float64)
    return Stratum(correct_P=array[:, 0], images_P=array[:, 1])
