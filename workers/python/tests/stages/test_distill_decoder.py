from pathlib import Path

import pytest
import torch
from toys import distillation as toy
from toys.kill import weights
from toys.metrics import scalars

from limbeck.contracts.context import StageFailure
from limbeck.data.features import FeatureSet
from limbeck.data.shapes.dataset import write_shapes
from limbeck.data.shards import ShardDataset
from limbeck.models.autoencoder import FrozenAutoencoder, to_bytes, to_unit
from limbeck.models.tiny_decoder import load_decoder
from limbeck.stages import distill_decoder
from limbeck.stages.distill_decoder import _TeacherImages

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
