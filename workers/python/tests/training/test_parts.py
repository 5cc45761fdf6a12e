"""Schedule, EMA, optimizers, statistics: the loop's parts one by one."""

import pytest
import torch
from torch import nn

from limbeck.contracts.generated import OptimizerConfig
from limbeck.data.features import FeatureBatch
from limbeck.data.randomness import normal
from limbeck.training.ema import Ema
from limbeck.training.optimizers import NamedOptimizer, split_for_muon
from limbeck.training.schedule import learning_rate
from limbeck.training.seeding import seeded_build
from limbeck.training.statistics import BinMeans, HeldOutVelocity, even_bin, held_out_chunk

torch.set_num_threads(1)


def adamw(**changes: object) -> OptimizerConfig:
    return OptimizerConfig(**{"kind": "adamw", "learning_rate": 0.1, "warmup_steps": 4, **changes})


def test_rate_warms_up_stays_and_falls() -> None:
    rates = [learning_rate(adamw(decay_share=0.25), step, 20) for step in range(20)]
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert rates[4:16] == pytest.approx([0.1] * 12)
    # 5 of 20 steps fall: (total - step) / 5, so that the last update is not wasted.
    assert rates[15:] == pytest.approx([0.1, 0.08, 0.06, 0.04, 0.02])


def test_rate_without_warmup_or_decay_is_constant() -> None:
    rates = {learning_rate(adamw(warmup_steps=0, decay_share=0), step, 10) for step in range(10)}
    assert rates == {0.1}


def test_ema_follows_closely_when_young() -> None:
    module = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(module.weight)
    ema = Ema(module, 0.999)
    nn.init.ones_(module.weight)
    ema.update(module, 0)  # decay (1 + 0) / (10 + 0)
    assert ema.weights["weight"].mean().item() == pytest.approx(0.9)
    ema.update(module, 100_000)
    assert ema.weights["weight"].mean().item() == pytest.approx(0.9 + 0.1 * 0.001)


def test_ema_is_applied_and_taken_back_also_after_an_error() -> None:
    module = nn.Linear(2, 2)
    own = module.weight.detach().clone()
    ema = Ema(module, 0.5)
    ema.weights["weight"].fill_(7)
    with pytest.raises(RuntimeError), ema.applied(module):
        assert module.weight.detach().eq(7).all()
        raise RuntimeError
    assert torch.equal(module.weight, own)


def test_ema_refuses_foreign_weights() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Ema(nn.Linear(2, 2), 0.9).load({"other": torch.zeros(1)})


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 4)
        self.blocks = nn.ModuleList([nn.Linear(4, 4)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks[0](self.inner(x).relu())


def test_muon_takes_the_matrices_of_blocks_only() -> None:
    matrices, rest = split_for_muon(dict(Net().named_parameters()))
    assert list(matrices) == ["blocks.0.weight"]
    assert set(rest) == {"inner.weight", "inner.bias", "blocks.0.bias"}


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_optimizer_state_by_name_goes_on_bit_for_bit(kind: str) -> None:
    x = normal(0, "x", range(8), (3,))

    def steps(net: Net, optimizer: NamedOptimizer, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step(0.01)

    whole, halves = seeded_build(1, Net), seeded_build(1, Net)
    steps(whole, NamedOptimizer(adamw(kind=kind), dict(whole.named_parameters())), 6)
    first = NamedOptimizer(adamw(kind=kind), dict(halves.named_parameters()))
    steps(halves, first, 3)
    second = NamedOptimizer(adamw(kind=kind), dict(halves.named_parameters()))
    second.load_state_tensors(first.state_tensors())
    steps(halves, second, 3)
    for a, b in zip(whole.parameters(), halves.parameters(), strict=True):
        assert torch.equal(a, b)


def test_optimizer_refuses_the_state_of_another_model() -> None:
    optimizer = NamedOptimizer(adamw(), dict(Net().named_parameters()))
    with pytest.raises(ValueError, match=r"lacks.*ghost"):
        optimizer.load_state_tensors({"ghost|exp_avg": torch.zeros(1)})


def test_bin_means_are_means_and_start_again() -> None:
    means = BinMeans(4)
    means.add(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([1.0, 3.0, 5.0]))
    assert means.read() == [2.0, None, None, 5.0]
    assert means.read() == [None] * 4


def test_the_last_bin_holds_one() -> None:
    assert even_bin(torch.tensor([0.0, 0.999, 1.0]), 20).tolist() == [0, 19, 19]


def test_held_out_times_are_stratified_and_the_error_is_by_bin() -> None:
    def load(places: list[int]) -> FeatureBatch:
        return FeatureBatch(
            latent_BCHW=normal(0, "latent", places, (1, 2, 2)),
            text_BND=torch.zeros(len(places), 1, 1),
            pooled_BP=torch.zeros(len(places), 1),
        )

    held_out = HeldOutVelocity(load, 7, per_bin=3)
    assert torch.bincount(even_bin(held_out.t_B), minlength=20).tolist() == [3] * 20
    assert held_out.error_by_t(held_out.target) == [0.0] * 20
    # An error of t itself shows up as t^2 in its own bin.
    shifted = held_out.target + held_out.t_B[:, None, None, None]
    for bin_index, error in enumerate(held_out.error_by_t(shifted)):
        assert (bin_index / 20) ** 2 <= error <= ((bin_index + 1) / 20) ** 2 + 1e-6


def test_seeded_build_is_repeatable_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, two, other = (seeded_build(seed, lambda: nn.Linear(3, 3).weight.detach()) for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_larger_maps_are_measured_in_smaller_parts() -> None:
    assert [held_out_chunk(edge, 32) for edge in (8, 32, 64, 128)] == [64, 64, 16, 4]
    assert held_out_chunk(4096, 32) == 1
