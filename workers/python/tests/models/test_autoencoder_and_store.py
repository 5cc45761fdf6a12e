"""Autoencoder conventions, and denoisers as folders."""

from pathlib import Path

import pytest
import torch
from diffusers.utils.constants import SAFETENSORS_WEIGHTS_NAME
from toys import distillation as toy

from limbeck.contracts.generated import AutoencoderConfig
from limbeck.data.randomness import normal
from limbeck.models.autoencoder import (
    FrozenAutoencoder,
    build_autoencoder,
    measure_latents,
    psnr,
    to_bytes,
    to_unit,
)
from limbeck.models.store import Denoiser, load_card, load_denoiser
from limbeck.models.tensors import load_tensors, save_tensors
from limbeck.training.seeding import seeded_build

torch.set_num_threads(1)
CONFIG = AutoencoderConfig(channels=[8, 16], latent_channels=3, norm_groups=4)


def test_no_quant_convolutions_and_no_middle_attention() -> None:
    names = [name for name, _ in build_autoencoder(CONFIG).named_parameters()]
    assert not any("quant" in name or "attention" in name for name in names)


def test_latents_are_normalised_and_decoding_undoes_it() -> None:
    vae = seeded_build(0, lambda: build_autoencoder(CONFIG))
    x_BCHW = normal(0, "x", range(8), (3, 16, 16)).clamp(-1, 1)
    plain = FrozenAutoencoder(vae)
    shift, scale = measure_latents(plain.encode(x_BCHW))
    vae.register_to_config(shift_factor=shift, scaling_factor=scale)
    frozen = FrozenAutoencoder(vae)
    z_BCHW = frozen.encode(x_BCHW)
    assert z_BCHW.shape == (8, 3, 8, 8) and frozen.factor == 2
    assert z_BCHW.mean().abs() < 1e-4 and z_BCHW.std().item() == pytest.approx(1, abs=1e-3)
    expected = vae.decode(vae.encode(x_BCHW).latent_dist.mean).sample.clamp(-1, 1)
    torch.testing.assert_close(frozen.decode(z_BCHW), expected, atol=1e-5, rtol=1e-4)


def test_sd3s_two_numbers_are_applied_once_on_each_side() -> None:
    """z = (raw - .0609) x 1.5305, and back (training.md B.2)."""
    vae = seeded_build(0, lambda: build_autoencoder(CONFIG))
    vae.register_to_config(shift_factor=0.0609, scaling_factor=1.5305)
    frozen = FrozenAutoencoder(vae)
    x_BCHW = normal(0, "x", range(2), (3, 16, 16)).clamp(-1, 1)
    raw = vae.encode(x_BCHW).latent_dist.mean
    torch.testing.assert_close(frozen.encode(x_BCHW), (raw - 0.0609) * 1.5305)
    torch.testing.assert_close(
        frozen.decode((raw - 0.0609) * 1.5305), vae.decode(raw).sample.clamp(-1, 1), atol=1e-5, rtol=1e-4
    )


def test_it_is_read_back_from_a_snapshot(tmp_path: Path) -> None:
    vae = seeded_build(0, lambda: build_autoencoder(CONFIG))
    vae.register_to_config(shift_factor=0.5, scaling_factor=2.0)
    vae.save_pretrained(tmp_path / "vae")
    loaded = FrozenAutoencoder.load(tmp_path)
    assert (loaded.shift, loaded.scale, loaded.latent_channels) == (0.5, 2.0, 3)
    assert not any(p.requires_grad for p in loaded.parameters())
    with pytest.raises(FileNotFoundError, match=r"vae/config\.json"):
        FrozenAutoencoder.load(tmp_path / "vae")


def test_a_snapshot_that_lacks_a_tensor_is_refused_and_not_filled_up(tmp_path: Path) -> None:
    seeded_build(0, lambda: build_autoencoder(CONFIG)).save_pretrained(tmp_path / "vae")
    file = tmp_path / "vae" / SAFETENSORS_WEIGHTS_NAME
    held = load_tensors(file)
    del held["decoder.conv_out.weight"]
    save_tensors(file, held)
    with pytest.raises(ValueError, match=r"1 tensors missing \['decoder.conv_out.weight'\]"):
        FrozenAutoencoder.load(tmp_path)


def test_bytes_survive_the_way_to_floats_and_back() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    assert torch.equal(to_bytes(to_unit(images)), images)
    assert to_unit(images).min() == -1 and to_unit(images).max() == 1


def test_psnr_of_a_known_error() -> None:
    x = torch.zeros(1, 3, 4, 4)
    assert psnr(x, x + 0.2) == pytest.approx(20.0, abs=1e-4)  # 20 log10(2 / 0.2)


@pytest.mark.parametrize("config", [toy.STUDENT, toy.TEACHER], ids=["unet", "sd3"])
def test_both_architectures_share_one_call(tmp_path: Path, config: object) -> None:
    loaded = load_denoiser(toy.write_student(tmp_path / "tree", config))
    denoiser: Denoiser = loaded.denoiser
    width = toy.STUDENT_WIDTH if config is toy.STUDENT else toy.TEACHER_WIDTH
    x = normal(0, "x", range(2), toy.LATENT)
    text = normal(0, "text", range(2), (toy.TOKENS, width))
    v = denoiser(x, torch.tensor([0.1, 0.9]), text, torch.zeros(2, width))
    assert v.shape == x.shape and torch.isfinite(v).all()
    assert loaded.card == load_card(tmp_path / "tree") and loaded.card.config == config


def test_a_tree_without_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        load_denoiser(tmp_path)


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    tree = toy.write_student(tmp_path / "tree")
    other = toy.write_student(tmp_path / "other", toy.TEACHER)
    (tree / "ema.safetensors").write_bytes((other / "ema.safetensors").read_bytes())
    with pytest.raises(ValueError, match="do not fit"):
        load_denoiser(tree)
