"""The design path from a thin SDXL UNet to SnapGen's, as switches (paper.md 1.1), counted (1.2).

Counted as the paper must have counted: 128x128 latents (1024 px) although its ablation trains at 256 px,
77 tokens of a 768-wide text. The percentages pin that down: at 32x32, dropping self-attention saves 5 % of
the MACs, not the reported 17 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from limbeck.models.cost import ModelCost, measure
from limbeck.models.presets import load_preset, with_overrides

BASE = "sdxl-thin"


@dataclass(frozen=True, kw_only=True)
class Step:
    name: str
    overrides: Mapping[str, object]
    """On top of every earlier step's."""
    against: str | None = None
    """Step that the change is relative to."""
    reported_parameters: float | None = None
    """Percent; None where nothing is reported."""
    reported_macs: float | None = None


STEPS = (
    Step(name="thin and short", overrides={}),
    Step(
        name="self-attention lowest only",
        overrides={"stages.1.self_attention": False},
        against="thin and short",
        reported_macs=-17,
    ),
    Step(
        name="separable convolutions",
        overrides={"separable_convolutions": True, "separable_samplers": True},
        against="self-attention lowest only",
        reported_parameters=-24,
    ),
    # Reported relative to the dense net, not to the step before: the two belong together.
    Step(
        name="expansion 2",
        overrides={"expansion": 2, "expansion_base": "max"},
        against="self-attention lowest only",
        reported_parameters=-15,
        reported_macs=-27,
    ),
    Step(
        name="FFN ratio 3",
        overrides={"ffn_ratio": 3},
        against="expansion 2",
        reported_parameters=-12,
        reported_macs=-12,
    ),
    Step(
        name="MQA",
        overrides={"attention": "mqa"},
        against="FFN ratio 3",
        reported_parameters=-16,
        reported_macs=-6,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """In percent; `difference` in points, ours minus reported."""

    counted: float
    reported: float | None
    difference: float | None


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    parameters: int
    macs: int
    against: str | None
    parameters_change: Change | None
    macs_change: Change | None


@dataclass(frozen=True, kw_only=True)
class Ablation:
    latent_size: int
    text_tokens: int | None
    steps: tuple[Row, ...]


def ablation() -> Ablation:
    preset = load_preset(BASE)
    costs: dict[str, ModelCost] = {}
    rows: list[Row] = []
    for step in STEPS:
        preset = with_overrides(preset, step.overrides)
        cost = costs[step.name] = measure(preset)
        before = None if step.against is None else costs[step.against]
        rows.append(
            Row(
                name=step.name,
                parameters=cost.parameters,
                macs=cost.macs,
                against=step.against,
                parameters_change=before
                and _change(before.parameters, cost.parameters, step.reported_parameters),
                macs_change=before and _change(before.macs, cost.macs, step.reported_macs),
            )
        )
    return Ablation(latent_size=preset.latent_edge, text_tokens=preset.text_tokens, steps=tuple(rows))


def _change(before: int, after: int, reported: float | None) -> Change:
    counted = 100 * (after / before - 1)
    return Change(
        counted=counted,
        reported=reported,
        difference=None if reported is None else counted - reported,
    )
