from collections.abc import Sequence

import pytest
import torch
from torch import nn

from limbeck.contracts.generated import LaddConfig, OptimizerConfig
from limbeck.models.ladd_heads import LaddHeads, head_inputs
from limbeck.objectives.ladd import (
    discriminator_loss,
    draw_renoise_time,
    generator_loss,
    health,
    r1_penalty,
    renoise,
)


def config(**changes: object) -> LaddConfig:
    optimizer = OptimizerConfig(kind="adamw", learning_rate=1e-3)
    return LaddConfig(**{"taps": [0], "head_channels": 8, "head_optimizer": optimizer, **changes})


TIMES = torch.tensor([1.0, 0.75, 0.5, 0.25])


def renoise_time(
    chosen: LaddConfig, shift: float, positions: Sequence[int], t_B: torch.Tensor | None = None
) -> torch.Tensor:
    at = torch.ones(len(positions)) if t_B is None else t_B
    return draw_renoise_time(chosen, shift, 0, positions, at, TIMES)


def test_the_neighbouring_level_is_the_samplers_next_one() -> None:
    t_B = torch.tensor([0.25, 1.0, 0.5, 0.75, 0.25])
    found = renoise_time(config(renoise="next_grid_time"), 3.0, range(5), t_B)
    # Behind the last step there is data; the shift is in the grid already.
    assert found.tolist() == [0.0, 0.75, 0.25, 0.5, 0.0]


def test_hinge_starts_at_two_and_rewards_separation() -> None:
    zeros = [torch.zeros(3, 4, 4)] * 2
    assert discriminator_loss("hinge", zeros, zeros).tolist() == [2.0, 2.0, 2.0]
    assert generator_loss("hinge", zeros).tolist() == [0.0, 0.0, 0.0]
    ones = [torch.ones(3, 4, 4)] * 2
    assert discriminator_loss("hinge", ones, [-x for x in ones]).tolist() == [0.0, 0.0, 0.0]
    # Past the margin nothing is gained.
    assert discriminator_loss("hinge", [5 * x for x in ones], [-5 * x for x in ones]).tolist() == [0.0] * 3


def test_softplus_is_the_non_saturating_form() -> None:
    logits = [torch.full((1, 2, 2), -3.0)]
    assert float(generator_loss("softplus", logits)) == pytest.approx(3.0486, abs=1e-3)
    assert float(discriminator_loss("softplus", logits, logits)) == pytest.approx(3.0486 + 0.0486, abs=1e-3)


@pytest.mark.parametrize("kind", ["hinge", "softplus"])
def test_the_generator_raises_its_logits_and_the_discriminator_lowers_them(kind: str) -> None:
    """KR's formula is garbled in sign (trap 29); these are the two directions."""
    fake = torch.full((1, 2, 2), 0.5, requires_grad=True)
    for_generator = torch.autograd.grad(generator_loss(kind, [fake]).sum(), fake)[0]
    for_discriminator = torch.autograd.grad(discriminator_loss(kind, [fake.detach()], [fake]).sum(), fake)[0]
    assert (for_generator < 0).all() and (for_discriminator > 0).all()


def test_each_tap_weighs_the_same_whatever_its_size() -> None:
    fake = [torch.full((1, 2, 2), 1.0), torch.full((1, 8, 8), 3.0)]
    assert float(generator_loss("hinge", fake)) == -2.0


def test_fake_and_real_get_the_same_time_and_noise() -> None:
    positions = range(5, 9)
    t_B = renoise_time(config(), 1.0, positions)
    assert torch.equal(t_B, renoise_time(config(), 1.0, positions))
    fake, real = torch.zeros(4, 2, 3, 3), torch.ones(4, 2, 3, 3)
    difference = renoise(real, t_B, 0, positions) - renoise(fake, t_B, 0, positions)
    expected = (1 - t_B)[:, None, None, None].expand_as(difference)
    torch.testing.assert_close(difference, expected)


def test_draws_belong_to_the_sample_and_not_to_the_batch() -> None:
    whole, part = (renoise_time(config(), 1.0, p) for p in (range(8), range(3, 6)))
    assert torch.equal(whole[3:6], part)
    images = torch.zeros(8, 2, 3, 3)
    assert torch.equal(renoise(images, whole, 0, range(8))[3:6], renoise(images[3:6], part, 0, range(3, 6)))


def test_renoising_follows_its_logit_normal() -> None:
    t_B = renoise_time(config(renoise_mean=1.0, renoise_std=1.0), 1.0, range(4000))
    logits = torch.logit(t_B)
    assert float(logits.mean()) == pytest.approx(1.0, abs=0.06)
    assert float(logits.std()) == pytest.approx(1.0, abs=0.05)
    assert float(renoise_time(config(), 3.0, range(100)).mean()) > float(t_B[:100].mean())


def test_r1_is_the_squared_gradient_at_the_inputs_per_token() -> None:
    weight = torch.tensor([1.0, -2.0, 2.0])
    inputs = torch.randn(2, 4, 3, requires_grad=True)
    penalty = r1_penalty([inputs @ weight], [inputs])
    assert penalty.tolist() == pytest.approx([9.0, 9.0])


def test_r1_has_a_gradient_for_the_heads() -> None:
    heads = LaddHeads([0], teacher_width=6, pooled_width=4, channels=8)
    nn.init.normal_(heads.heads["0"].logit.weight)
    tokens = torch.randn(2, 4, 6, requires_grad=True)
    logits = heads({0: tokens}, torch.rand(2), torch.randn(2, 4), (2, 2))
    r1_penalty(list(logits.values()), [tokens]).sum().backward()
    assert heads.heads["0"].project.weight.grad.abs().max() > 0


def test_heads_learn_to_tell_blurred_features_from_sharp_ones() -> None:
    """The loss starts at 2 and falls below it (paper.md 9, acceptance checks)."""
    torch.manual_seed(0)
    heads = LaddHeads([0], teacher_width=6, pooled_width=4, channels=16)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=1e-2, betas=(0.0, 0.99))
    t_B, pooled = torch.rand(16), torch.randn(16, 4)
    values = []
    for _ in range(90):
        real, other = torch.randn(2, 16, 6, 8, 8)
        fake = nn.functional.avg_pool2d(other, 3, 1, 1)
        real_logits, fake_logits = (
            heads(head_inputs({0: x.flatten(2).transpose(1, 2)}), t_B, pooled, (8, 8)) for x in (real, fake)
        )
        loss = discriminator_loss("hinge", list(real_logits.values()), list(fake_logits.values())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[0] == 2.0
    assert values[-1] < 1.0
    scalars = health(real_logits, fake_logits)
    assert scalars["discriminator/accuracy_real"] > 0.8
    assert scalars["discriminator/accuracy_fake"] > 0.8
    assert scalars["discriminator/logit_real_tap0"] > scalars["discriminator/logit_fake_tap0"]
