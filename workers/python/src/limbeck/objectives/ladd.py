"""Latent adversarial diffusion distillation: losses and noise of the discriminator (training.md C).

The discriminator is a frozen denoiser's feature blocks with small trained heads. Fake and real latents
are brought to the *same* noise level with the *same* noise before it sees them: otherwise the noise
level itself would tell them apart.

Shapes: B samples, h w the token grid; logits_BHW one value per token; a list holds one tensor a tap.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from limbeck.contracts.generated import LaddConfig
from limbeck.data.randomness import Positions, normal
from limbeck.objectives.flow import interpolate, shift_time


def draw_renoise_time(
    config: LaddConfig, shift: float, seed: int, positions: Positions, t_B: Tensor, times: Tensor
) -> Tensor:
    """t' of the discriminator [B], the same for fake and real.

    `logit_normal` (LADD): logit-normal(renoise_mean, renoise_std), then the resolution's shift; high t'
    judges structure, low t' texture. `next_grid_time` (diffusion GANs, and one reading of SnapGen;
    paper.md 5.1): the level that the sampler goes to from t, 0 behind the last.

    Args:
        t_B: the generator's step times.
        times: all step times, falling.
    """
    if config.renoise == "next_grid_time":
        following = torch.cat([times[1:], times.new_zeros(1)]).to(t_B)
        nearest = (t_B[:, None] - times.to(t_B)[None]).abs().argmin(dim=1)
        return following[nearest]
    z = normal(seed, "ladd renoise t", positions)
    return shift_time(torch.sigmoid(config.renoise_mean + config.renoise_std * z), shift).to(t_B.device)


def renoise(x0_BCHW: Tensor, t_B: Tensor, seed: int, positions: Positions) -> Tensor:
    """x_t' on the path from x0 to keyed noise; called for fake and real with the same positions."""
    noise = normal(seed, "ladd renoise noise", positions, tuple(x0_BCHW.shape[1:])).to(x0_BCHW)
    return interpolate(x0_BCHW, noise, t_B)


def mean_over_taps(values: Sequence[Tensor]) -> Tensor:
    """Per-sample mean [B] over tokens, then over taps: each tap weighs the same."""
    return torch.stack([value.flatten(1).mean(1) for value in values]).mean(0)


def discriminator_loss(kind: str, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Per-sample loss [B] of the heads. Hinge starts near 2 (1 for each side) and falls as they learn."""
    if kind == "hinge":
        return mean_over_taps([F.relu(1 - logit) for logit in real]) + mean_over_taps(
            [F.relu(1 + logit) for logit in fake]
        )
    return mean_over_taps([F.softplus(-logit) for logit in real]) + mean_over_taps(
        [F.softplus(logit) for logit in fake]
    )


def generator_loss(kind: str, fake: Sequence[Tensor]) -> Tensor:
    """Per-sample loss [B] of the student: raise the logits of its images."""
    if kind == "hinge":
        return -mean_over_taps(fake)
    return mean_over_taps([F.softplus(-logit) for logit in fake])


def r1_penalty(logits: Sequence[Tensor], inputs: Sequence[Tensor]) -> Tensor:
    """Per-sample squared gradient [B] of the real logits at the head inputs, per token, mean over taps.

    At the inputs of the heads, not through the teacher: exact (no finite difference), cheap, and of
    the re-noised real sample at its own t' (a clean sample labelled with a noisy t would be another
    question; training.md C.3, defect 1).
    """
    gradients = torch.autograd.grad([logit.sum() for logit in logits], list(inputs), create_graph=True)
    return torch.stack([g.square().sum(-1).mean(1) for g in gradients]).mean(0)


@torch.no_grad()
def decisions(logits: Sequence[Tensor]) -> Tensor:
    """Mean logit of each sample [B]: above 0 the discriminator calls it real."""
    return mean_over_taps(logits)


@torch.no_grad()
def health(real: Mapping[int, Tensor], fake: Mapping[int, Tensor]) -> dict[str, Tensor]:
    """Discriminator health as scalars: accuracy on each side and mean logits, overall and by tap."""
    real_B, fake_B = decisions(list(real.values())), decisions(list(fake.values()))
    scalars = {
        "discriminator/accuracy_real": (real_B > 0).float().mean(),
        "discriminator/accuracy_fake": (fake_B < 0).float().mean(),
        "discriminator/logit_real": real_B.mean(),
        "discriminator/logit_fake": fake_B.mean(),
    }
    for tap in real:
        scalars[f"discriminator/logit_real_tap{tap}"] = real[tap].mean()
        scalars[f"discriminator/logit_fake_tap{tap}"] = fake[tap].mean()
    return scalars
