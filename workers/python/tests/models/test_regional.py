"""Compiled blocks give what the plain ones give, and a tap that is new at every step compiles nothing again.

With the compiler's `aot_eager` backend: the whole way through the compiler but for writing kernels, so
that a test takes seconds. Its decompositions round differently: values agree to float32's precision.
"""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters
from toys.distillation import STUDENT, TEACHER

from limbeck.data.randomness import normal
from limbeck.models.regional import VARIANTS, compile_blocks
from limbeck.models.sd3 import FrozenTeacher, Sd3Denoiser, build_transformer
from limbeck.models.unet import EfficientUNet
from limbeck.training.seeding import seeded_build

torch.set_num_threads(1)

X = normal(0, "x", range(2), (2, 8, 8))
T = torch.tensor([0.2, 0.9])
TEXT = normal(0, "text", range(2), (6, TEACHER.joint_width))
POOLED = normal(0, "pooled", range(2), (TEACHER.pooled_width,))


def teacher() -> Sd3Denoiser:
    return seeded_build(3, lambda: Sd3Denoiser(build_transformer(TEACHER)))


@pytest.fixture(autouse=True)
def fresh_compiler() -> None:
    torch._dynamo.reset()
    counters.clear()


def gradients(module: nn.Module, ask: Callable[[], Tensor]) -> dict[str, Tensor]:
    module.zero_grad()
    ask().square().mean().backward()
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.allclose(one[name], other[name], rtol=1e-4, atol=1e-6) for name in one
    )


def test_a_compiled_unet_keeps_values_gradients_and_the_names_of_its_weights() -> None:
    plain = seeded_build(1, lambda: EfficientUNet(STUDENT))
    unet = deepcopy(plain)
    compile_blocks(unet.repeated_blocks(), "aot_eager")
    text = TEXT[..., : STUDENT.context_width]
    wanted = gradients(plain, lambda: plain(X, T, text))
    assert close(gradients(unet, lambda: unet(X, T, text)), wanted)
    assert counters["stats"]["unique_graphs"] > 0  # it was compiled indeed
    assert list(unet.state_dict()) == list(plain.state_dict())


def test_recomputing_and_compiling_go_together() -> None:
    plain = seeded_build(1, lambda: EfficientUNet(STUDENT))
    unet = deepcopy(plain)
    unet.checkpoint_activations()
    compile_blocks(unet.repeated_blocks(), "aot_eager")
    text = TEXT[..., : STUDENT.context_width]
    assert close(gradients(unet, lambda: unet(X, T, text)), gradients(plain, lambda: plain(X, T, text)))


def test_taps_of_a_compiled_teacher_are_those_of_the_plain_one_and_cost_no_compilation() -> None:
    plain, denoiser = teacher(), teacher()
    compile_blocks(denoiser.repeated_blocks(), "aot_eager")
    frozen, wanted = FrozenTeacher(denoiser), FrozenTeacher(plain)
    inputs = (X, T, TEXT, POOLED)
    frozen.forward_with_features(*inputs, [1])
    frozen.features(*inputs, [1])  # calls the blocks in another form
    after_first = counters["stats"]["unique_graphs"]
    for taps in ([1], [0, 1], [1]):
        velocity, features = frozen.forward_with_features(*inputs, taps)
        velocity_wanted, features_wanted = wanted.forward_with_features(*inputs, taps)
        assert torch.allclose(velocity, velocity_wanted, atol=1e-5)
        assert features.keys() == set(taps)
        assert all(torch.allclose(features[tap], features_wanted[tap], atol=1e-5) for tap in taps)
        assert close(
            {str(k): v for k, v in frozen.features(*inputs, taps).items()},
            {str(k): v for k, v in wanted.features(*inputs, taps).items()},
        )
    assert counters["stats"]["unique_graphs"] == after_first > 0


def test_gradients_at_the_inputs_of_a_compiled_teacher() -> None:
    """What LADD's generator needs; the teacher's own weights get none."""
    found = []
    for compiled in (False, True):
        denoiser = teacher()
        if compiled:
            compile_blocks(denoiser.repeated_blocks(), "aot_eager")
        x = X.clone().requires_grad_()
        features = FrozenTeacher(denoiser).features(x, T, TEXT, POOLED, [1])
        features[1].square().mean().backward()
        assert x.grad is not None and all(p.grad is None for p in denoiser.parameters())
        found.append(x.grad)
    assert torch.allclose(found[0], found[1], rtol=1e-4, atol=1e-7)


def test_more_variants_than_expected_are_an_error_and_no_silent_slow_path() -> None:
    block = nn.Linear(4, 4)
    compile_blocks([block], "aot_eager")
    with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit):
        for batch in range(1, VARIANTS + 3):
            block(torch.zeros(batch, 4))
