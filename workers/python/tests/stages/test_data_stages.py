"""render_dataset, pretrain_autoencoder, extract_features: from pixels to features, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import distillation as toy
from toys.metrics import scalars

from limbeck.contracts.context import StageFailure
from limbeck.data.features import FeatureSet
from limbeck.data.images import ImageSet
from limbeck.data.shapes import render_sample
from limbeck.data.shards import DataError, ShardDataset
from limbeck.evaluation.sampler import sample
from limbeck.models.autoencoder import FrozenAutoencoder, to_unit
from limbeck.models.sd3 import FrozenTeacher, build_sd3
from limbeck.models.store import write_component
from limbeck.models.text import WordTextEncoder, load_text_encoder
from limbeck.objectives.flow import even_grid
from limbeck.stages import extract_features, pretrain_autoencoder, render_dataset
from limbeck.training.seeding import seeded_build

torch.set_num_threads(1)
RENDER = {
    "kind": "render_dataset",
    "source": "shapes",
    "samples": 20,
    "resolution": 16,
    "samples_per_shard": 8,
}
TEACHER_TEXT = {"encoder": "words", "vocabulary": "shapes-v1", "width": 16, "tokens": 6, "seed": 1}
STUDENT_TEXT = {**TEACHER_TEXT, "width": 12, "seed": 2}
AUTOENCODER = {
    "kind": "pretrain_autoencoder",
    "autoencoder": {"channels": [8, 8], "latent_channels": 2, "norm_groups": 4},
    "text": TEACHER_TEXT,
    "training": toy.training(12, checkpoint_every=5, optimizer=toy.optimizer(3e-3), ema_decay=0.5),
}
EXTRACT = {"kind": "extract_features", "student_text": STUDENT_TEXT, "samples_per_shard": 7, "batch_size": 6}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ctx = toy.context(tmp_path_factory.mktemp("render"), RENDER, {})
    result = render_dataset.run(ctx)
    assert result.metrics["samples"] == 20
    return ctx.output


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory, dataset: Path) -> Path:
    ctx = toy.context(tmp_path_factory.mktemp("autoencoder"), AUTOENCODER, {"dataset": dataset})
    result = pretrain_autoencoder.run(ctx)
    assert result.metrics["reconstruction_psnr_db"] > 0 and 0 <= result.metrics["original_score"] <= 1
    assert scalars(ctx.workdir, "loss/mse")[-1] < scalars(ctx.workdir, "loss/mse")[0]
    write_component(ctx.output, "transformer", seeded_build(5, lambda: build_sd3(toy.TEACHER)))
    return ctx.output


def test_the_data_set_is_the_renderer_s(dataset: Path) -> None:
    images = ImageSet.load(dataset)
    expected = render_sample(0, 13, 16)
    assert np.array_equal(images.pixels_NHWC[13], expected.image)
    assert images.captions([13]) == [expected.caption] and len(images) == 20
    assert len(ShardDataset(dataset).index.shards) == 3


def test_rendering_again_starts_over_and_gives_the_same_bytes(tmp_path: Path, dataset: Path) -> None:
    for _ in range(2):  # an attempt that died leaves files behind
        render_dataset.run(toy.context(tmp_path, RENDER, {}))
    for path in dataset.iterdir():
        assert (tmp_path / "output" / path.name).read_bytes() == path.read_bytes()


def test_latents_of_the_data_set_are_normalised(dataset: Path, snapshot: Path) -> None:
    latents = FrozenAutoencoder.load(snapshot).encode(to_unit(ImageSet.load(dataset)[range(20)]))
    assert latents.mean().abs() < 0.01 and latents.std().item() == pytest.approx(1, abs=0.01)
    notes = json.loads((snapshot / "limbeck.json").read_text())
    assert notes["latent"]["scale"] == FrozenAutoencoder.load(snapshot).scale


def test_features_are_what_the_encoders_say(tmp_path: Path, dataset: Path, snapshot: Path) -> None:
    ctx = toy.context(tmp_path, EXTRACT, {"dataset": dataset, "snapshot": snapshot})
    result = extract_features.run(ctx)
    assert (result.metrics["samples"], result.metrics["quarantined"]) == (20, 0)
    images = ImageSet.load(dataset)
    student, teacher = FeatureSet.load(ctx.output, "student"), FeatureSet.load(ctx.output, "teacher")
    assert student.keys == images.keys and student.latent_shape == (2, 8, 8) and student.sample_count == 0
    places = [19, 3]
    latents = FrozenAutoencoder.load(snapshot).encode(to_unit(images[places]))
    torch.testing.assert_close(student.batch(places).latent_BCHW, latents, atol=5e-3, rtol=5e-3)
    for features, config in ((student, ctx.spec.student_text), (teacher, None)):
        encoder = WordTextEncoder(config) if config else load_text_encoder(snapshot)
        tokens_BND, pooled_BP = encoder.encode(images.captions(places))
        torch.testing.assert_close(features.batch(places).text_BND, tokens_BND, atol=5e-3, rtol=5e-3)
        torch.testing.assert_close(features.batch(places).pooled_BP, pooled_BP, atol=5e-3, rtol=5e-3)


def test_memory_format_does_not_scramble_what_is_stored(tmp_path: Path) -> None:
    """safetensors writes a buffer as it lies; encoders return channels-last views."""
    from limbeck.data.features import KIND, add_features
    from limbeck.data.shards import ShardWriter

    latent = (
        torch.arange(2 * 3 * 4, dtype=torch.float16).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    )
    text = np.zeros((1, 1), np.float16)
    with ShardWriter(tmp_path / "f", 10, {"kind": KIND}) as writer:
        arrays = {"latent": latent.numpy()[0], "student_text": text, "student_pooled": text[0]}
        assert not arrays["latent"].flags.c_contiguous
        add_features(writer, "a", arrays, b"{}")
    assert torch.equal(FeatureSet.load(tmp_path / "f", "student").batch([0]).latent_BCHW, latent.float())


def test_dropped_captions_are_zeros(tmp_path: Path) -> None:
    features = FeatureSet.load(toy.write_features(tmp_path / "f"), "student")
    batch = features.batch([0, 1]).without_captions(torch.tensor([True, False]))
    assert batch.text_BND[0].abs().max() == 0 and batch.pooled_BP[0].abs().max() == 0
    assert torch.equal(batch.text_BND[1], features.batch([1]).text_BND[0])


def test_teacher_samples_are_guided_trajectories_of_keyed_noise(
    tmp_path: Path, dataset: Path, snapshot: Path
) -> None:
    wanted = {"component": "transformer", "samples": 8, "steps": 3, "guidance_scale": 2, "seed": 9}
    job = {**EXTRACT, "teacher_samples": wanted}
    ctx = toy.context(tmp_path, job, {"dataset": dataset, "snapshot": snapshot})
    assert extract_features.run(ctx).metrics["teacher_samples"] == 8
    features = FeatureSet.load(ctx.output, "teacher")
    assert features.sample_count == 8 and len(features) == 20
    noise, ends = features.teacher_pairs([7, 2])
    encoder = load_text_encoder(snapshot)
    text_BND, pooled_BP = encoder.encode(ImageSet.load(dataset).captions([7, 2]))
    expected = sample(
        FrozenTeacher.load(snapshot), noise, text_BND, pooled_BP, grid=even_grid(3), guidance_scale=2
    )
    torch.testing.assert_close(ends, expected, atol=5e-3, rtol=5e-3)


def _damage(dataset: Path, target: Path, places: int) -> Path:
    """A copy in which the first pictures of the first shard have a wrong byte."""
    target.mkdir()
    for path in dataset.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    shard = ShardDataset(dataset).index.shards[0]
    content = bytearray((target / shard.file).read_bytes())
    for entry in shard.samples[:places]:
        content[entry.members["png"].offset + 20] ^= 1
    (target / shard.file).write_bytes(content)
    return target


def test_corrupt_samples_are_accounted_for(tmp_path: Path, dataset: Path, snapshot: Path) -> None:
    damaged = _damage(dataset, tmp_path / "damaged", 2)
    job = {**EXTRACT, "quarantine_share": 0.1}
    ctx = toy.context(tmp_path / "work", job, {"dataset": damaged, "snapshot": snapshot})
    result = extract_features.run(ctx)
    assert (result.metrics["samples"], result.metrics["quarantined"]) == (18, 2)
    assert [entry.key for entry in ShardDataset(ctx.output).index.quarantined] == [
        "train-00000000",
        "train-00000001",
    ]
    assert "train-00000000" in ctx.warnings[0]


def test_too_many_corrupt_samples_fail(tmp_path: Path, dataset: Path, snapshot: Path) -> None:
    damaged = _damage(dataset, tmp_path / "damaged", 2)
    ctx = toy.context(tmp_path / "work", EXTRACT, {"dataset": damaged, "snapshot": snapshot})
    with pytest.raises(DataError, match="corrupt"):
        extract_features.run(ctx)


def test_a_cache_above_the_budget_is_refused_before_any_work(
    tmp_path: Path, dataset: Path, snapshot: Path
) -> None:
    job = {**EXTRACT, "budget_bytes": 10_000}
    ctx = toy.context(tmp_path, job, {"dataset": dataset, "snapshot": snapshot})
    with pytest.raises(StageFailure, match="budget_bytes allows 10,000") as caught:
        extract_features.run(ctx)
    assert caught.value.reason == "bad_config" and not any(ctx.output.iterdir())


def test_what_is_missing_is_named(tmp_path: Path, dataset: Path, snapshot: Path) -> None:
    with pytest.raises(StageFailure, match="needs the input 'snapshot'"):
        extract_features.run(toy.context(tmp_path / "a", EXTRACT, {"dataset": dataset}))
    with pytest.raises(StageFailure, match=r"vae/config\.json"):
        extract_features.run(toy.context(tmp_path / "b", EXTRACT, {"dataset": dataset, "snapshot": dataset}))
    too_many = {
        **EXTRACT,
        "teacher_samples": {"component": "transformer", "samples": 21, "steps": 1, "guidance_scale": 1},
    }
    with pytest.raises(StageFailure, match="asks for 21, the data set has 20"):
        extract_features.run(
            toy.context(tmp_path / "c", too_many, {"dataset": dataset, "snapshot": snapshot})
        )
    with pytest.raises(DataError, match="no feature tree"):
        FeatureSet.load(dataset, "student")
