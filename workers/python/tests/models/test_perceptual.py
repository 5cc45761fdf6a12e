"""LPIPS and the patch discriminator: hand-made values, and what a loss must be."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from limbeck.data.randomness import normal
from limbeck.models.lpips import VGG16, Lpips, converted, save_lpips
from limbeck.models.patch_discriminator import PatchDiscriminator
from limbeck.training.seeding import seeded_build

torch.set_num_threads(1)

SMALL = [[4, 4], [6], [8]]


def images(count: int = 2, edge: int = 16, seed: int = 1) -> torch.Tensor:
    return normal(seed, "image", range(count), (3, edge, edge)).clamp(-1, 1)


@pytest.fixture
def distance() -> Lpips:
    return seeded_build(3, lambda: Lpips(SMALL))


def test_equal_images_have_no_distance_and_others_have_one(distance: Lpips) -> None:
    one, other = images(), images(seed=2)
    assert distance(one, one).tolist() == [0.0, 0.0]
    assert (distance(one, other) > 0).all()
    torch.testing.assert_close(distance(one, other), distance(other, one))
    # Per sample: a batch is its images.
    torch.testing.assert_close(distance(one, other)[1:], distance(one[1:], other[1:]))


def test_a_nearer_image_is_nearer(distance: Lpips) -> None:
    one, noise = images(), images(seed=2)
    distances = [float(distance(one + s * noise, one).mean()) for s in (0.01, 0.1, 0.5)]
    assert distances == sorted(distances)


def test_one_layer_by_hand() -> None:
    """One 3 x 3 convolution that copies the red and the green pixel: two channels, unit vectors, weights 1
    and 3 on their squared difference."""
    distance = Lpips([[2]])
    kernel = torch.zeros(2, 3, 3, 3)
    kernel[0, 0, 1, 1] = kernel[1, 1, 1, 1] = 1
    distance.blocks[0][0].weight.copy_(kernel)  # type: ignore[index]
    distance.blocks[0][0].bias.zero_()  # type: ignore[index]
    distance.weights[0].copy_(torch.tensor([1.0, 3.0]))
    red = torch.tensor([1.0, -1.0, 0.0])[None, :, None, None].expand(1, 3, 16, 16)
    green = torch.tensor([-1.0, 1.0, 0.0])[None, :, None, None].expand(1, 3, 16, 16)
    # After scaling and ReLU (1, 0) and (0, 1): 1 x 1 + 3 x 1 in every pixel.
    assert float(distance(red, green)) == pytest.approx(4.0)
    both = torch.tensor([0.458 - 0.030, 0.448 - 0.088, 0.0])[None, :, None, None].expand(1, 3, 16, 16)
    half = 2**-0.5  # (1, 1) becomes (1, 1) / sqrt 2
    assert float(distance(red, both)) == pytest.approx((1 - half) ** 2 + 3 * half**2, rel=1e-5)


def test_gradients_flow_to_the_first_image_alone(distance: Lpips) -> None:
    one, other = images().requires_grad_(), images(seed=2).requires_grad_()
    distance(one, other).sum().backward()
    assert one.grad is not None and one.grad.abs().max() > 0 and other.grad is None
    assert not any(p.requires_grad for p in distance.parameters())


def test_published_names_become_ours() -> None:
    """torchvision counts convolutions, ReLUs and poolings through: 0 2 | 5 7 | 10 12 14 | ..."""
    numbers = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    reference = Lpips().state_dict()
    flat = [(b, c) for b, block in enumerate(VGG16) for c in range(len(block))]
    vgg = {}
    for number, (b, c) in zip(numbers, flat, strict=True):
        for kind in ("weight", "bias"):
            vgg[f"features.{number}.{kind}"] = reference[f"blocks.{b}.{c}.{kind}"]
    linear = {f"lin{b}.model.1.weight": reference[f"weights.{b}"][None, :, None, None] for b in range(5)}
    found = converted(vgg, linear)
    assert found.keys() == reference.keys()
    assert all(torch.equal(found[name], reference[name]) for name in reference)
    assert sum(p.numel() for name, p in found.items() if name.startswith("blocks")) == 14_714_688
    with pytest.raises(KeyError, match=r"features\.28\.bias"):
        converted({name: t for name, t in vgg.items() if name != "features.28.bias"}, linear)


def test_what_is_stored_is_read_and_checked(tmp_path: Path, distance: Lpips) -> None:
    save_lpips(tmp_path, dict(distance.state_dict()), SMALL)
    one, other = images(), images(seed=2)
    assert torch.equal(Lpips.load(tmp_path)(one, other), distance(one, other))
    tensors = dict(distance.state_dict())
    save_lpips(tmp_path / "negative", {**tensors, "weights.1": -tensors["weights.1"]}, SMALL)
    with pytest.raises(ValueError, match="would reward a difference"):
        Lpips.load(tmp_path / "negative")
    del tensors["blocks.0.1.bias"]
    save_file(tensors, tmp_path / "lpips" / "lpips.safetensors")
    with pytest.raises(ValueError, match=r"blocks\.0\.1\.bias"):
        Lpips.load(tmp_path)
    (tmp_path / "lpips" / "lpips.safetensors").write_bytes(b"cut short")
    with pytest.raises(ValueError, match=r"lpips/lpips\.safetensors"):
        Lpips.load(tmp_path)
    (tmp_path / "negative" / "lpips" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="does not hold the widths"):
        Lpips.load(tmp_path / "negative")
    with pytest.raises(FileNotFoundError, match=r"lacks lpips/config\.json"):
        Lpips.load(tmp_path / "absent")
    assert json.loads((tmp_path / "lpips" / "config.json").read_text()) == {"widths": SMALL}


def test_patches_are_undecided_at_first_and_see_seventy_pixels() -> None:
    network = seeded_build(1, lambda: PatchDiscriminator(8, 3))
    x = images(1, 128)
    assert network(x).abs().max() == 0 and network(x).shape == (1, 14, 14)
    # Which pixels move one logit? Norms see the whole image, so they are taken out to look.
    torch.nn.init.ones_(network.logit.weight)
    for place in range(len(network.norms)):
        network.norms[place] = torch.nn.Identity()
    x.requires_grad_()
    network(x)[0, 7, 7].backward()
    assert x.grad is not None
    rows = x.grad[0].abs().sum((0, 2)).nonzero()[:, 0]
    assert int(rows.max() - rows.min()) + 1 == 70


def test_a_verdict_does_not_depend_on_neighbours() -> None:
    network = seeded_build(1, lambda: PatchDiscriminator(8, 2))
    torch.nn.init.ones_(network.logit.weight)
    x = images(3, 32)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]))
    with pytest.raises(ValueError, match="channels 12 is no multiple of 8"):
        PatchDiscriminator(12, 2)
