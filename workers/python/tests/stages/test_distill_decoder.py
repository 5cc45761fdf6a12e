from pathlib import Path

import pytest
import torch
from toys import distillation as toy
from toys.kill import run_and_kill, weights
from toys.metrics import scalars

from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageFailure
from limbeck.data.features import FeatureSet
from limbeck.data.randomness import normal
from limbeck.data.shapes.dataset import write_shapes
from limbeck.data.shards import ShardDataset
from limbeck.models.autoencoder import FrozenAutoencoder, to_bytes, to_unit
from limbeck.models.lpips import Lpips, save_lpips
from limbeck.models.tiny_decoder import load_decoder
from limbeck.stages import distill_decoder
from limbeck.stages.distill_decoder import _Critic, _TeacherImages
from limbeck.training.seeding import seeded_build

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("distill_decoder")
    write_shapes(root / "dataset", seed=0, split="train", count=24, resolution=16)
    dataset = ShardDataset(root / "dataset")
    keys = [dataset.key(place) for place in range(24)]
    return {
        "dataset": root / "dataset",
        # In another order than the images: they are matched by key.
        "features": toy.write_features(root / "features", samples=20, keys=keys[::-1][:20]),
        "snapshot": toy.write_autoencoder(root / "snapshot"),
    }


def spec(steps: int = 3, **changes: object) -> dict[str, object]:
    decoder = {"latent_channels": 2, "widths": [8, 8], "blocks": [1, 1], "norm_groups": 4}
    return {
        "kind": "distill_decoder",
        "decoder": decoder,
        "training": toy.training(steps, checkpoint_every=100),
        **changes,
    }


def test_writes_a_decoder_and_reports_psnr_against_images_and_teacher(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    ctx = toy.context(tmp_path, spec(), inputs)
    result = distill_decoder.run(ctx)
    decoder = load_decoder(ctx.output)
    assert decoder(torch.randn(1, *toy.LATENT)).shape == (1, 3, 16, 16)
    assert {
        "psnr_images_db",
        "psnr_teacher_decoder_db",
        "teacher_decoder_psnr_images_db",
    } <= result.metrics.keys()
    assert len(scalars(tmp_path, "loss/image_l1")) == len(scalars(tmp_path, "loss/teacher_l1")) == 3


def test_the_loss_falls(tmp_path: Path, inputs: dict[str, Path]) -> None:
    job = spec(training=toy.training(40, optimizer=toy.optimizer(1e-2), checkpoint_every=100))
    distill_decoder.run(toy.context(tmp_path, job, inputs))
    losses = scalars(tmp_path, "loss")
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_without_a_teacher_weight_the_teachers_images_do_not_matter(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    ctx = toy.context(tmp_path, spec(teacher_weight=0), inputs)
    distill_decoder.run(ctx)
    assert scalars(tmp_path, "loss/teacher_l1") == []


def test_resumed_gives_the_same_bits(tmp_path: Path, inputs: dict[str, Path]) -> None:
    outputs = []
    for name, every in (("whole", 100), ("parts", 2)):
        ctx = toy.context(tmp_path / name, spec(5, training=toy.training(5, checkpoint_every=every)), inputs)
        distill_decoder.run(ctx)
        outputs.append(weights(ctx.output))
    resumed = toy.context(
        tmp_path / "resumed",
        spec(training=toy.training(5)),
        inputs,
        resume=tmp_path / "parts/checkpoints/000000002",
    )
    distill_decoder.run(resumed)
    assert outputs[0] == outputs[1] == weights(resumed.output)


def test_a_teacher_image_is_the_same_whether_it_was_kept_or_not(inputs: dict[str, Path]) -> None:
    features = FeatureSet.load(inputs["features"], "teacher")
    autoencoder = FrozenAutoencoder.load(inputs["snapshot"])
    teacher = _TeacherImages(autoencoder, features, 16)
    latents = features.batch([3, 5]).latent_BCHW
    first = teacher.decode([3, 5], latents)
    assert torch.equal(first, to_unit(to_bytes(autoencoder.decode(latents))))
    assert torch.equal(teacher.decode([5, 3], latents.flip(0)), first.flip(0))


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({"latent_channels": 3}, "bad_config", "latent_channels is 3, the features have 2"),
        ({"widths": [8, 8, 8], "blocks": [1, 1, 1]}, "bad_input", "decode to 32 pixels, the images have 16"),
        ({"norm_groups": 3}, "bad_config", "widths holds 8"),
    ],
)
def test_a_decoder_that_does_not_fit_is_refused(
    tmp_path: Path, inputs: dict[str, Path], changes: dict[str, object], reason: str, message: str
) -> None:
    decoder = {**spec()["decoder"], **changes}  # type: ignore[dict-item]
    with pytest.raises(StageFailure, match=message) as failure:
        distill_decoder.run(toy.context(tmp_path, spec(decoder=decoder), inputs))
    assert failure.value.reason == reason


def test_features_of_another_data_set_are_refused_by_key(tmp_path: Path, inputs: dict[str, Path]) -> None:
    other = {**inputs, "features": toy.write_features(tmp_path / "features")}
    with pytest.raises(StageFailure, match=r"lacks 40 of the 40 samples.*toy-0000"):
        distill_decoder.run(toy.context(tmp_path / "run", spec(), other))


@pytest.fixture(scope="module")
def perceptual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LPIPS in a small size with random weights."""
    folder = tmp_path_factory.mktemp("perceptual")
    save_lpips(folder, dict(seeded_build(3, lambda: Lpips(SMALL)).state_dict()), SMALL)
    return folder


SMALL = [[4, 4], [6], [8]]
GAN = {"start_share": 0.5, "channels": 8, "layers": 2, "optimizer": toy.optimizer(1e-2)}


def test_lpips_is_a_loss_of_its_own(tmp_path: Path, inputs: dict[str, Path], perceptual: Path) -> None:
    given = {**inputs, "perceptual": perceptual}
    job = spec(60, lpips_weight=5.0, teacher_weight=0.0)
    job["training"] = toy.training(60, checkpoint_every=100, optimizer=toy.optimizer(1e-2), ema_decay=0.5)
    result = distill_decoder.run(toy.context(tmp_path, job, given))
    seen = scalars(tmp_path, "loss/lpips")
    assert len(seen) == 60 and sum(seen[-10:]) < 0.9 * sum(seen[:10])
    assert 0 < result.metrics["lpips_images"] < seen[0]


def test_the_discriminator_comes_late_and_pushes_as_hard_as_it_may(
    tmp_path: Path, inputs: dict[str, Path]
) -> None:
    distill_decoder.run(toy.context(tmp_path, spec(20, gan=GAN), inputs))
    lines = {name: scalars(tmp_path, name) for name in ("loss/discriminator", "weight/adversarial", "loss")}
    assert len(lines["loss"]) == 20
    assert len(lines["loss/discriminator"]) == len(lines["weight/adversarial"]) == 10
    assert lines["loss/discriminator"][0] == 2.0  # undecided
    assert lines["loss/discriminator"][-1] < 2.0
    for name in ("discriminator/accuracy_real", "discriminator/accuracy_fake"):
        assert all(0 <= share <= 1 for share in scalars(tmp_path, name))


def test_the_adversarial_gradient_is_scaled_to_the_rest(tmp_path: Path, inputs: dict[str, Path]) -> None:
    parsed = parse_stage_spec(spec(4, gan={**GAN, "weight": 0.25}))
    critic = _Critic(parsed, parsed.gan, 16)
    torch.nn.init.ones_(critic.network.logit.weight)
    layer = torch.nn.Conv2d(3, 3, 3, padding=1)
    made = layer(normal(1, "x", range(2), (3, 16, 16)))
    rest = made.abs().mean()
    adversarial, _ = critic.generator_loss(made, rest, layer.weight)
    norms = [
        torch.autograd.grad(loss, layer.weight, retain_graph=True)[0].norm() for loss in (adversarial, rest)
    ]
    assert float(norms[0] / norms[1]) == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize("step", [6, 14])
def test_killed_and_resumed_with_every_loss_gives_the_same_bits(
    tmp_path: Path, inputs: dict[str, Path], perceptual: Path, step: int
) -> None:
    """Before and behind the point where the discriminator starts."""
    given = {**inputs, "perceptual": perceptual}
    job = spec(20, gan=GAN, lpips_weight=1.0)
    job["training"] = toy.training(20, checkpoint_every=2)
    whole = toy.context(tmp_path / "whole", job, given)
    distill_decoder.run(whole)
    checkpoint = run_and_kill(tmp_path / "killed", job, given, after_step=step)
    resumed = toy.context(tmp_path / "resumed", job, given, checkpoint)
    distill_decoder.run(resumed)
    assert weights(resumed.output) == weights(whole.output)


def test_activations_near_the_end_of_fp16_are_told(
    tmp_path: Path, inputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = toy.context(tmp_path / "quiet", spec(), inputs)
    peak = distill_decoder.run(quiet).metrics["peak_activation"]
    assert 0 < peak < 100 and quiet.warnings == []
    monkeypatch.setattr(distill_decoder, "FP16_ROOM", peak / 2)
    loud = toy.context(tmp_path / "loud", spec(), inputs)
    distill_decoder.run(loud)
    assert loud.warnings == [f"activations reach {peak:.0f}: an fp16 file overflows at 65504"]


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({"lpips_weight": 1.0}, "bad_input", "needs the input 'perceptual'"),
        ({"gan": {**GAN, "layers": 5}}, "bad_config", "gan.layers 5 needs 64 pixels, the images have 16"),
        ({"gan": {**GAN, "channels": 12}}, "bad_config", "gan: channels 12 is no multiple of 8"),
        (
            {"training": toy.training(1, activation_checkpointing=True)},
            "bad_config",
            "a TinyDecoder cannot recompute activations",
        ),
        ({"training": toy.training(1, micro_batch=2)}, "bad_config", "takes a batch in one forward"),
    ],
)
def test_losses_that_cannot_be_are_refused(
    tmp_path: Path, inputs: dict[str, Path], changes: dict[str, object], reason: str, message: str
) -> None:
    with pytest.raises(StageFailure, match=message) as caught:
        distill_decoder.run(toy.context(tmp_path, spec(**changes), inputs))
    assert caught.value.reason == reason
