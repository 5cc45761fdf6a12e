"""Tiny decoder, projector and discriminator heads."""

import pytest
import torch
import torch.nn.functional as F

from limbeck.contracts.generated import TinyDecoderConfig
from limbeck.models.ladd_heads import LaddHeads, head_inputs
from limbeck.models.presets import load_preset
from limbeck.models.projector import FeatureProjector, feature_loss, feature_target
from limbeck.models.tiny_decoder import TinyDecoder

SNAPGEN_DECODER = load_preset("tiny-decoder").model
assert isinstance(SNAPGEN_DECODER, TinyDecoderConfig)


def test_decoder_has_the_published_count() -> None:
    with torch.device("meta"):
        decoder = TinyDecoder(SNAPGEN_DECODER)
    assert sum(p.numel() for p in decoder.parameters()) == 1_377_603


def test_decoder_reduces_channels_before_each_upsampling() -> None:
    with torch.device("meta"):
        decoder = TinyDecoder(SNAPGEN_DECODER)
    assert [(c.in_channels, c.out_channels) for c in decoder.upsamplers] == [(256, 256), (128, 128), (64, 64)]


def test_decoder_blocks_have_one_norm_and_one_activation() -> None:
    block = TinyDecoder(
        TinyDecoderConfig(latent_channels=4, widths=[16, 8], blocks=[1, 1], norm_groups=4)
    ).stages[0][0]
    assert sum(isinstance(m, torch.nn.GroupNorm) for m in block.modules()) == 1
    assert sum(isinstance(m, torch.nn.SiLU) for m in block.modules()) == 1


def test_tiny_decoder_takes_16x16x4_to_64x64() -> None:
    decoder = TinyDecoder(
        TinyDecoderConfig(latent_channels=4, widths=[32, 24, 16], blocks=[1, 1, 1], norm_groups=8)
    )
    assert decoder.factor == 4
    assert decoder(torch.randn(2, 4, 16, 16)).shape == (2, 3, 64, 64)


def test_decoder_names_a_width_that_the_norm_cannot_group() -> None:
    with pytest.raises(ValueError, match="widths holds 12"):
        TinyDecoder(TinyDecoderConfig(latent_channels=4, widths=[16, 12], blocks=[1, 1], norm_groups=8))


def test_decoder_names_lists_of_different_length() -> None:
    with pytest.raises(ValueError, match="widths has 3 resolutions and blocks 2"):
        TinyDecoder(TinyDecoderConfig(latent_channels=4, widths=[16, 8, 8], blocks=[1, 1], norm_groups=8))


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_projector_lands_on_the_teachers_token_grid(patch: int) -> None:
    tokens = FeatureProjector(8, 20, patch)(torch.randn(2, 8, 16, 16))
    assert tokens.shape == (2, (16 // patch) ** 2, 20)


def test_projector_tokens_are_in_row_order() -> None:
    projector = FeatureProjector(3, 5, 2)
    features = torch.zeros(1, 3, 8, 8)
    reference = projector(features)
    features[0, :, 2, 7] = (
        100.0  # patch row 1, column 3 of 4; the 3x3 of its left and upper neighbours see it not
    )
    changed = (projector(features) - reference).abs().sum(-1)[0].nonzero().flatten().tolist()
    assert changed == [1 * 4 + 3]


def test_projector_refuses_a_grid_that_does_not_divide() -> None:
    with pytest.raises(ValueError, match="9x9"):
        FeatureProjector(3, 5, 2)(torch.zeros(1, 3, 9, 9))


def test_feature_target_is_a_layer_norm_without_affine() -> None:
    tokens = torch.randn(2, 6, 16) * 40 + 7
    target = feature_target(tokens)
    torch.testing.assert_close(target, F.layer_norm(tokens, (16,)))
    # The target's scale, and so the loss, does not depend on the teacher's.
    torch.testing.assert_close(feature_target(tokens * 100), target, rtol=1e-3, atol=1e-3)
    assert feature_loss(target, tokens).max() < 1e-10


def test_heads_start_undecided_and_see_noise_level_and_text() -> None:
    heads = LaddHeads([0, 2], teacher_width=12, pooled_width=6, channels=16)
    inputs = head_inputs({tap: torch.randn(3, 16, 12) for tap in (0, 2)})
    t_B, pooled = torch.tensor([0.1, 0.5, 0.9]), torch.randn(3, 6)
    logits = heads(inputs, t_B, pooled, (4, 4))
    assert {tap: value.shape for tap, value in logits.items()} == {0: (3, 4, 4), 2: (3, 4, 4)}
    assert all(not value.any() for value in logits.values())
    with torch.no_grad():
        for head in heads.heads.values():
            head.logit.weight.normal_()
    first = heads(inputs, t_B, pooled, (4, 4))[0]
    assert (heads(inputs, t_B.flip(0), pooled, (4, 4))[0] - first).abs().max() > 1e-4
    assert (heads(inputs, t_B, pooled.flip(0), (4, 4))[0] - first).abs().max() > 1e-4


def test_a_heads_verdict_does_not_depend_on_the_rest_of_the_batch() -> None:
    heads = LaddHeads([1], teacher_width=12, pooled_width=6, channels=16)
    torch.nn.init.normal_(heads.heads["1"].logit.weight)
    inputs = {1: torch.randn(4, 16, 12)}
    t_B, pooled = torch.rand(4), torch.randn(4, 6)
    together = heads(inputs, t_B, pooled, (4, 4))[1]
    alone = heads({1: inputs[1][:1]}, t_B[:1], pooled[:1], (4, 4))[1]
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-5)
