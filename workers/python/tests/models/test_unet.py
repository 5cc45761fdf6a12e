import math

import pytest
import torch
from torch import nn

from limbeck.contracts.generated import UnetConfig, UnetStage
from limbeck.models.presets import load_preset
from limbeck.models.unet import (
    Attention,
    EfficientUNet,
    FeedForward,
    ResBlock,
    SeparableConv,
    axial_rope_tables,
    rotate,
    time_features,
)


def snapgen(**changes: object) -> UnetConfig:
    """The configuration of paper.md 1.4; the context's width tells the two published counts apart."""
    config = load_preset("snapgen-1024").model
    assert isinstance(config, UnetConfig)
    return config.model_copy(update=changes)


def toy(**changes: object) -> UnetConfig:
    stages = [
        UnetStage(
            channels=8, heads=1, down_blocks=1, up_blocks=2, transformer_blocks=1, self_attention=False
        ),
        UnetStage(
            channels=16, heads=2, down_blocks=1, up_blocks=2, transformer_blocks=1, self_attention=True
        ),
    ]
    defaults = {
        "architecture": "unet",
        "latent_channels": 4,
        "latent_size": 8,
        "context_width": 12,
        "stages": stages,
        "middle_transformer_blocks": 1,
        "head_width": 8,
        "time_width": 16,
        "time_frequencies": 16,
        "norm_groups": 4,
    }
    return UnetConfig(**{**defaults, **changes})


def build(config: UnetConfig, seed: int = 0) -> EfficientUNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EfficientUNet(config)


def parameters_on_meta(config: UnetConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in EfficientUNet(config).parameters())


def inputs(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(batch, 4, 8, 8, generator=generator),
        torch.rand(batch, generator=generator),
        torch.randn(batch, 5, 12, generator=generator),
    )


@pytest.mark.parametrize(
    ("context", "channels", "millions"),
    [(768, 4, 372.23), (2304, 16, 379.17)],
    ids=["imagenet-372M", "text-to-image-379M"],
)
def test_published_parameter_counts(context: int, channels: int, millions: float) -> None:
    count = parameters_on_meta(snapgen(context_width=context, latent_channels=channels))
    assert abs(count / 1e6 - millions) < 0.01, count


def test_the_context_alone_makes_the_two_counts_differ() -> None:
    # 35 cross-attentions with a key and a value of 64 channels each.
    wide, narrow = (parameters_on_meta(snapgen(context_width=w)) for w in (2304, 768))
    assert wide - narrow == 35 * 2 * 64 * (2304 - 768)


def test_self_attention_stands_in_the_lowest_stage_and_the_middle_alone_on_both_paths() -> None:
    with torch.device("meta"):
        model = EfficientUNet(snapgen())
    owners = {name.split(".attn1")[0] for name, _ in model.named_modules() if ".attn1" in name}
    assert owners
    for name in owners:
        assert name.startswith(("down.2.", "up.0.", "middle_in.")), name
    crossing = sum(isinstance(m, Attention) and not m.rope_keys for m in model.modules())
    assert crossing == 35


def test_text_enters_in_the_first_stage_already() -> None:
    with torch.device("meta"):
        model = EfficientUNet(snapgen())
    first = model.down[0][0].transformer
    assert first is not None and len(first.blocks) == 1 and not first.blocks[0].self_attention


@pytest.mark.parametrize("attention", ["mqa", "mha"])
@pytest.mark.parametrize("rope", [True, False])
def test_forward_gives_a_velocity_of_the_latents_shape(attention: str, rope: bool) -> None:
    model = build(toy(attention=attention, rope=rope))
    x_BCHW, t_B, text_BNC = inputs()
    assert model(x_BCHW, t_B, text_BNC).shape == x_BCHW.shape


def test_forward_from_embedding_and_with_features_agree_with_forward() -> None:
    model = build(toy())
    x_BCHW, t_B, text_BNC = inputs()
    velocity = model(x_BCHW, t_B, text_BNC)
    assert torch.equal(model.forward_from_embedding(x_BCHW, model.time_features(t_B), text_BNC), velocity)
    again, features_BCHW = model.forward_with_features(x_BCHW, t_B, text_BNC)
    assert torch.equal(again, velocity)
    assert features_BCHW.shape == (3, 8, 8, 8)
    assert torch.equal(model.head(features_BCHW), velocity)


def test_memory_format_does_not_change_the_answer() -> None:
    model = build(toy())
    x_BCHW, t_B, text_BNC = inputs()
    last = model(x_BCHW.contiguous(memory_format=torch.channels_last), t_B, text_BNC)
    torch.testing.assert_close(last, model(x_BCHW, t_B, text_BNC), rtol=1e-4, atol=1e-5)


def test_every_parameter_gets_a_gradient() -> None:
    model = build(toy())
    x_BCHW, t_B, text_BNC = inputs()
    model(x_BCHW, t_B, text_BNC).square().sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_one_shared_key_value_head_equals_many_heads_with_the_same_keys_and_values() -> None:
    config = toy()
    mqa, mha = (Attention(toy(attention=a), 16, 12, 2, 4, rope_keys=False) for a in ("mqa", "mha"))
    state = mqa.state_dict()
    state["to_k.weight"], state["to_v.weight"] = (state[f"to_{n}.weight"].repeat(2, 1) for n in "kv")
    mha.load_state_dict(state)
    x_BTD, text_BNC = torch.randn(2, 16, 16), torch.randn(2, 5, config.context_width)
    torch.testing.assert_close(mqa(x_BTD, text_BNC), mha(x_BTD, text_BNC), rtol=1e-5, atol=1e-5)


def test_rope_scores_do_not_see_a_common_shift_of_all_positions() -> None:
    size, width = 6, 16
    cos, sin = axial_rope_tables(size, width)
    q, k = torch.randn(width, dtype=torch.float64), torch.randn(width, dtype=torch.float64)

    def score(a: tuple[int, int], b: tuple[int, int]) -> float:
        places = [row * size + column for row, column in (a, b)]
        turned = [
            rotate(v, cos[p, 0].double(), sin[p, 0].double()) for v, p in zip((q, k), places, strict=True)
        ]
        return float(turned[0] @ turned[1])

    assert score((1, 1), (2, 3)) == pytest.approx(score((3, 2), (4, 4)), rel=1e-5)
    # ... while rows and columns each matter.
    assert abs(score((1, 1), (2, 3)) - score((1, 1), (3, 2))) > 1e-3


def test_rope_turns_queries_and_keys_in_self_attention_and_queries_alone_in_cross_attention() -> None:
    plain = build(toy(rope=False))
    turned = build(toy(rope=True))
    turned.load_state_dict(plain.state_dict())  # the tables are no parameters and are not saved
    block = turned.middle_in.transformer.blocks[0]
    assert block.attn1.rope_keys and not block.attn2.rope_keys
    # Cross-attention over permuted text gives the same answer: keys carry no position.
    x_BTD, text_BNC = torch.randn(1, 16, 16), torch.randn(1, 5, 12)
    torch.testing.assert_close(block.attn2(x_BTD, text_BNC), block.attn2(x_BTD, text_BNC.flip(1)))


def test_the_position_tables_are_rebuilt_per_resolution_in_token_units() -> None:
    small, large = axial_rope_tables(4, 8), axial_rope_tables(8, 8)
    for row in range(4):
        torch.testing.assert_close(small[0][row * 4 : row * 4 + 4], large[0][row * 8 : row * 8 + 4])


def test_the_expanded_width_follows_its_base() -> None:
    for base, middle in (("in", 16), ("max", 32), ("out", 32)):
        block = ResBlock(toy(expansion_base=base), 8, 16)
        assert block.time.out_features == middle
    assert ResBlock(toy(expansion_base="out"), 16, 8).time.out_features == 16


def test_separable_convolution_has_nothing_between_depthwise_and_pointwise() -> None:
    kinds = [type(layer) for layer in SeparableConv(8, 16)]
    assert kinds == [nn.Conv2d, nn.Conv2d]


def test_the_feed_forward_is_gated_and_three_wide() -> None:
    block = FeedForward(10, 3.0)
    assert (block.project_value.out_features, block.project_gate.out_features) == (30, 30)
    assert block.project_out.in_features == 30


def test_time_features_are_those_of_1000_t_in_float32() -> None:
    features = time_features(torch.tensor([0.25], dtype=torch.float64), 8)
    expected = [250.0 * 10_000.0 ** (-i / 4) for i in range(4)]
    assert features.dtype == torch.float32
    assert features[0].tolist() == pytest.approx(
        [*map(math.cos, expected), *map(math.sin, expected)], abs=1e-4
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_size": 9}, "latent_size 9"),
        ({"head_width": 6}, "head_width 6"),
        ({"norm_groups": 3}, r"stages\[0\].channels 8"),
        ({"expansion": 1.2}, "expansion 1.2 of 8 channels is 10"),
        ({"time_frequencies": 7}, "time_frequencies 7"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EfficientUNet(toy(**changes))


def test_skips_that_do_not_match_the_up_path_are_refused() -> None:
    stages = [s.model_copy(update={"up_blocks": 3}) for s in toy().stages]
    with pytest.raises(ValueError, match="up_blocks is 3"):
        EfficientUNet(toy(stages=stages))
