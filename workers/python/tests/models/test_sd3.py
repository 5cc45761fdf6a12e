"""The SD3 wrapper: the published count, taps, early exit, what frozen means."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers.utils.constants import SAFETENSORS_WEIGHTS_NAME
from torch import Tensor
from toys import distillation as toy

from limbeck.data.randomness import normal
from limbeck.models.sd3 import (
    SD35_LARGE,
    SD35_MEDIUM,
    FrozenTeacher,
    Sd3Denoiser,
    build_sd3,
    build_transformer,
    config_of,
    load_transformer,
)
from limbeck.models.snapshot import assemble_snapshot
from limbeck.models.store import load_denoiser, write_component
from limbeck.models.tensors import load_tensors, save_tensors
from limbeck.training.seeding import seeded_build

torch.set_num_threads(1)


@pytest.fixture
def denoiser() -> Sd3Denoiser:
    built = seeded_build(0, lambda: build_sd3(toy.TEACHER))
    with torch.no_grad():
        for index, parameter in enumerate(built.parameters()):
            parameter.add_(0.1 * normal(0, "lift", [index], tuple(parameter.shape))[0])
    return built


def inputs(batch: int = 2) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    places = range(batch)
    return (
        normal(1, "x", places, toy.LATENT),
        torch.linspace(0.2, 0.9, batch),
        normal(1, "text", places, (toy.TOKENS, toy.TEACHER_WIDTH)),
        normal(1, "pooled", places, (toy.TEACHER_WIDTH,)),
    )


def test_sd35_large_has_the_published_count() -> None:
    with torch.device("meta"):
        transformer = build_transformer(SD35_LARGE)
    assert sum(p.numel() for p in transformer.parameters()) == 8_056_627_520


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_are_held_in_the_dtype_that_was_asked_for(tmp_path: Path, dtype: torch.dtype) -> None:
    """diffusers' loading keeps the file's dtype, and a bf16 teacher then takes twice its memory."""
    folder = toy.write_snapshot(tmp_path / "snapshot") / "transformer"
    loaded = load_transformer(folder, dtype)
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    assert not any(value.is_meta for value in loaded.state_dict().values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda held: held.pop("proj_out.bias"), r"1 tensors missing \['proj_out.bias'\]"),
        (lambda held: held.update(extra=torch.zeros(1)), r"1 unknown \['extra'\]"),
        (
            lambda held: held.update({"proj_out.bias": torch.zeros(3)}),
            r"1 of another shape \['proj_out.bias'\]",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    tmp_path: Path, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    snapshot = toy.write_snapshot(tmp_path / "snapshot")
    file = snapshot / "transformer" / SAFETENSORS_WEIGHTS_NAME
    held = load_tensors(file)
    change(held)
    save_tensors(file, held)
    with pytest.raises(ValueError, match=message):
        FrozenTeacher.load(snapshot)


def test_sd35_medium_has_the_published_count() -> None:
    with torch.device("meta"):
        transformer = build_transformer(SD35_MEDIUM)
    assert sum(p.numel() for p in transformer.parameters()) / 1e9 == pytest.approx(2.243, abs=0.001)
    table = transformer.get_buffer("pos_embed.pos_embed").numel()
    assert (sum(p.numel() for p in transformer.parameters()) + table) / 1e9 == pytest.approx(2.47, abs=0.005)
    assert config_of(transformer) == SD35_MEDIUM


@pytest.mark.parametrize("recompute", [False, True])
def test_taps_of_blocks_with_two_attentions(recompute: bool) -> None:
    """As in SD3.5-Medium; the early exit and the hooks see the same, also when blocks are recomputed."""
    config = toy.TEACHER.model_copy(update={"dual_attention_layers": 1, "position_table": 8})
    dual = seeded_build(0, lambda: build_sd3(config))
    with torch.no_grad():
        for index, parameter in enumerate(dual.parameters()):
            parameter.add_(0.1 * normal(0, "lift", [index], tuple(parameter.shape))[0])
    assert config_of(dual.transformer) == config
    plain_early = dual.features(*inputs(), [0, 1])
    if recompute:
        dual.checkpoint_activations()
    x, *rest = inputs()
    velocity, hooked = dual.forward_with_features(x.requires_grad_(), *rest, [0, 1])
    early = dual.features(x, *rest, [0, 1])
    for layer in (0, 1):
        torch.testing.assert_close(hooked[layer], early[layer])
        torch.testing.assert_close(early[layer], plain_early[layer])
    # The hook fires again while gradients are taken; what it holds stays the block's own output.
    (gradient,) = torch.autograd.grad(velocity.square().sum() + early[1].square().sum(), x)
    assert gradient.abs().max() > 0
    torch.testing.assert_close(hooked[1], plain_early[1])


def test_a_fresh_denoiser_predicts_zero() -> None:
    """adaLN-zero: gates and output start at 0."""
    assert build_sd3(toy.TEACHER)(*inputs()).abs().max() == 0


def test_time_reaches_the_model_as_a_thousand_t(denoiser: Sd3Denoiser) -> None:
    x, t, text, pooled = inputs()
    expected = denoiser.transformer(
        hidden_states=x, encoder_hidden_states=text, pooled_projections=pooled, timestep=1000 * t
    ).sample
    assert torch.equal(denoiser(x, t, text, pooled), expected)


def test_text_pooled_and_time_all_matter(denoiser: Sd3Denoiser) -> None:
    x, t, text, pooled = inputs()
    velocity = denoiser(x, t, text, pooled)
    for other in (
        denoiser(x, t + 0.05, text, pooled),
        denoiser(x, t, text.flip(1) * 2, pooled),
        denoiser(x, t, text, -pooled),
    ):
        assert (velocity - other).abs().max() > 1e-4


def test_early_exit_gives_the_features_of_the_whole_forward(denoiser: Sd3Denoiser) -> None:
    velocity, tapped = denoiser.forward_with_features(*inputs(), layers=[0, 1])
    assert torch.equal(velocity, denoiser(*inputs()))
    early = denoiser.features(*inputs(), layers=[0, 1])
    assert tapped[0].shape == (2, 16, 16)  # [B, T, D]: 8 x 8 latents in patches of 2, 2 heads x 8
    assert torch.equal(early[0], tapped[0]) and torch.equal(early[1], tapped[1])


def test_early_exit_does_not_run_later_blocks(denoiser: Sd3Denoiser) -> None:
    ran: list[int] = []
    for index, block in enumerate(denoiser.transformer.transformer_blocks):
        block.register_forward_hook(lambda *_, index=index: ran.append(index))
    denoiser.features(*inputs(), layers=[0])
    assert ran == [0]


def test_taps_survive_gradient_checkpointing(denoiser: Sd3Denoiser) -> None:
    plain = denoiser.forward_with_features(*inputs(), layers=[0])[1][0]
    denoiser.train()
    denoiser.transformer.enable_gradient_checkpointing()
    velocity, tapped = denoiser.forward_with_features(*inputs(), layers=[0])
    velocity.square().mean().backward()  # the hook is gone, so the recompute cannot touch the taps
    assert list(tapped) == [0]
    torch.testing.assert_close(tapped[0], plain)


def test_unknown_taps_are_named(denoiser: Sd3Denoiser) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        denoiser.features(*inputs(), layers=[2])
    with pytest.raises(ValueError, match="taps"):
        denoiser.forward_with_features(*inputs(), layers=[])


def test_a_teacher_is_frozen_but_lets_input_gradients_through(denoiser: Sd3Denoiser) -> None:
    teacher = FrozenTeacher(denoiser)
    assert not any(p.requires_grad for p in denoiser.parameters())
    assert not teacher.velocity(*inputs()).requires_grad
    x, t, text, pooled = inputs()
    x.requires_grad_(True)
    teacher.features(x, t, text, pooled, [1])[1].square().mean().backward()
    assert x.grad is not None and x.grad.abs().max() > 0
    assert all(p.grad is None for p in denoiser.parameters())


def test_an_unfrozen_teacher_is_noticed(denoiser: Sd3Denoiser) -> None:
    teacher = FrozenTeacher(denoiser)
    next(denoiser.parameters()).requires_grad_(True)
    with pytest.raises(AssertionError, match="unfroze"):
        teacher.velocity(*inputs())


def test_a_component_comes_back_from_half_precision(tmp_path: Path, denoiser: Sd3Denoiser) -> None:
    write_component(tmp_path, "transformer", denoiser, half=True)
    write_component(tmp_path, "transformer_turbo", denoiser, grid=[1.0, 0.5])
    half, full = FrozenTeacher.load(tmp_path), FrozenTeacher.load(tmp_path, "transformer_turbo")
    torch.testing.assert_close(half.velocity(*inputs()), denoiser(*inputs()), atol=1e-2, rtol=1e-2)
    assert torch.equal(full.velocity(*inputs()), denoiser(*inputs()))
    assert half.velocity(*inputs()).dtype == torch.float32
    assert (half.few_step, full.few_step, full.few_step_grid) == (False, True, [1.0, 0.5])
    assert half.config == toy.TEACHER


def test_a_missing_component_lists_what_is_there(tmp_path: Path) -> None:
    toy.write_snapshot(tmp_path / "snapshot")
    with pytest.raises(FileNotFoundError, match=r"lacks other/config.json; it holds: .*transformer"):
        FrozenTeacher.load(tmp_path / "snapshot", "other")


def test_a_snapshot_is_assembled_from_trees(tmp_path: Path) -> None:
    base = toy.write_autoencoder(tmp_path / "base")
    tree = toy.write_student(tmp_path / "tree", toy.TEACHER)
    turbo = toy.write_student(tmp_path / "turbo", toy.TEACHER, few_step=True, grids={"2": [1.0, 0.5]})
    assemble_snapshot(tmp_path / "out", base, {"transformer": tree, "transformer_turbo": turbo}, half=False)
    expected = load_denoiser(tree).denoiser(*inputs())
    assert torch.equal(FrozenTeacher.load(tmp_path / "out").velocity(*inputs()), expected)
    assert FrozenTeacher.load(tmp_path / "out", "transformer_turbo").few_step_grid == [1.0, 0.5]
    assert (tmp_path / "out" / "vae" / "config.json").is_file()
    with pytest.raises(ValueError, match="SD3"):
        assemble_snapshot(tmp_path / "bad", base, {"transformer": toy.write_student(tmp_path / "unet")})
