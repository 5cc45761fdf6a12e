"""From captions through SD3's and SnapGen's encoders to a distilled student: text of the paper's kind, in
a small size, through the stages."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load
from safetensors.torch import load_file, save_file
from toys import distillation as toy
from toys import text as toy_text
from toys.kill import weights

from limbeck.contracts.context import StageFailure
from limbeck.contracts.generated import Sd3Config, SnapgenTextConfig, TrainingConfig
from limbeck.data.features import FeatureBatch, FeatureSet, TextPart, drop_text
from limbeck.data.images import ImageSet
from limbeck.data.shards import DataError, ShardDataset
from limbeck.models.sd3 import build_sd3
from limbeck.models.store import load_card, write_component
from limbeck.models.text import load_text_encoder, open_student_text
from limbeck.stages import distill, extract_features, pretrain, render_dataset
from limbeck.training.seeding import seeded_build

torch.set_num_threads(1)

TEXT = {"encoder": "snapgen", "width": toy_text.GEMMA, "gemma_tokens": 16}
STUDENT = {**toy.STUDENT.model_dump(), "context_width": toy_text.GEMMA}
TEACHER = Sd3Config(
    **{
        **toy.TEACHER.model_dump(),
        "joint_width": toy_text.T5,
        "pooled_width": toy_text.CLIP_L + toy_text.CLIP_G,
    }
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("path")
    render = {"kind": "render_dataset", "source": "shapes", "samples": 24, "resolution": 16}
    data = toy.context(root / "render", render, {})
    render_dataset.run(data)
    snapshot = toy_text.write_text_encoders(toy.write_autoencoder(root / "snapshot"), gemma=False)
    write_component(snapshot, "transformer", seeded_build(5, lambda: build_sd3(TEACHER)))
    # Gemma is no part of SD3.5: it comes from a snapshot of its own.
    theirs = toy_text.write_text_encoders(root / "student", t5=False)
    given = {"dataset": data.output, "snapshot": snapshot, "student_snapshot": theirs}
    ctx = toy.context(root / "features", {"kind": "extract_features", "student_text": TEXT}, given)
    extract_features.run(ctx)
    return {**given, "features": ctx.output}


def base(inputs: dict[str, Path], workdir: Path, **training: object) -> Path:
    spec = {"kind": "pretrain", "model": STUDENT, "text": "student", "time": {}}
    ctx = toy.context(workdir, {**spec, "training": toy.training(3, **training)}, inputs)
    pretrain.run(ctx)
    return ctx.output


def test_features_hold_what_the_encoders_say(inputs: dict[str, Path]) -> None:
    captions = ImageSet.load(inputs["dataset"]).captions(range(24))
    config = SnapgenTextConfig.model_validate(TEXT)
    student = open_student_text(config, inputs["student_snapshot"])
    for role, encoder in (("student", student), ("teacher", load_text_encoder(inputs["snapshot"]))):
        features = FeatureSet.load(inputs["features"], role)  # type: ignore[arg-type]
        tokens, pooled = encoder.encode(captions)
        batch = features.batch(range(24))
        torch.testing.assert_close(batch.text_BND, tokens, atol=5e-3, rtol=5e-3)
        torch.testing.assert_close(batch.pooled_BP, pooled, atol=5e-3, rtol=5e-3)
        assert features.text_digest == encoder.digest() and features.text_parts == encoder.parts()
        # Masked positions are zeros again after the way through the cache, to the last one.
        assert torch.equal(batch.text_BND.abs().sum(-1) > 0, tokens.abs().sum(-1) > 0)


def test_gemma_is_stored_without_its_padding_and_t5_with_it(inputs: dict[str, Path]) -> None:
    dataset = ShardDataset(inputs["features"])
    shapes = [load(dataset.read(place)["safetensors"]) for place in range(24)]
    lengths = {arrays["student_text"].shape[0] for arrays in shapes}
    assert len(lengths) > 1 and max(lengths) < 77 + 16
    assert {arrays["teacher_text"].shape for arrays in shapes} == {(333, toy_text.T5)}


def test_a_student_is_trained_and_distilled_on_it(tmp_path: Path, inputs: dict[str, Path]) -> None:
    student = base(inputs, tmp_path / "base", encoder_dropout=0.464)
    card = load_card(student)
    assert card.text_digest == FeatureSet.load(inputs["features"], "student").text_digest
    spec = {"kind": "distill", "time": {}, "training": toy.training(3, encoder_dropout=0.464), "scaling": {}}
    ctx = toy.context(tmp_path / "kd", spec, {**inputs, "base": student})
    distill.run(ctx)
    assert all(torch.isfinite(t).all() for t in load_file(ctx.output / "ema.safetensors").values())
    assert load_card(ctx.output).text_digest == card.text_digest


def test_dropping_encoders_changes_what_is_learnt(tmp_path: Path, inputs: dict[str, Path]) -> None:
    kept, dropped = (weights(base(inputs, tmp_path / str(p), encoder_dropout=p)) for p in (0.0, 0.464))
    assert kept != dropped


def test_text_of_other_encoders_is_refused(tmp_path: Path, inputs: dict[str, Path]) -> None:
    student = base(inputs, tmp_path / "base")
    card = json.loads((student / "config.json").read_text())
    (student / "config.json").write_text(json.dumps({**card, "text_digest": "0" * 64}))
    spec = {"kind": "distill", "time": {}, "training": toy.training(1), "scaling": {}}
    with pytest.raises(
        StageFailure, match=r"trained on text of the encoders 0000.*the features hold"
    ) as caught:
        distill.run(toy.context(tmp_path / "kd", spec, {**inputs, "base": student}))
    assert caught.value.reason == "bad_input"


def test_a_snapshot_without_the_students_encoders_says_so(tmp_path: Path, inputs: dict[str, Path]) -> None:
    given = {name: inputs[name] for name in ("dataset", "snapshot")}
    spec = {"kind": "extract_features", "student_text": TEXT}
    with pytest.raises(StageFailure, match=r"student_text: .*lacks gemma/config.json; it") as caught:
        extract_features.run(toy.context(tmp_path, spec, given))
    assert caught.value.reason == "bad_input"


def test_values_that_float16_cannot_hold_are_no_features(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """Infinity in a cache would be found in a loss, hours later."""
    loud = tmp_path / "loud"
    shutil.copytree(inputs["student_snapshot"], loud)
    file = loud / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    (name,) = [name for name in tensors if name.endswith("text_projection.weight")]
    save_file({**tensors, name: tensors[name] * 1e6}, file, metadata={"format": "pt"})
    spec = {"kind": "extract_features", "student_text": TEXT}
    with pytest.raises(StageFailure, match=r"features reach .*; what is stored ends at 65504") as caught:
        extract_features.run(toy.context(tmp_path / "work", spec, {**inputs, "student_snapshot": loud}))
    assert caught.value.reason == "non_finite"


def test_text_of_the_teacher_is_kept_only_where_it_is_wanted(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """Task-only training stores 2.7 MB a caption less, and needs no T5 in its snapshot."""
    bare = toy.write_autoencoder(tmp_path / "bare")
    given = {**inputs, "snapshot": bare}
    spec = {"kind": "extract_features", "student_text": TEXT, "teacher_text": False}
    ctx = toy.context(tmp_path / "features", spec, given)
    extract_features.run(ctx)
    assert len(FeatureSet.load(ctx.output, "student")) == 24
    with pytest.raises(DataError, match="lacks teacher_text; it has"):
        FeatureSet.load(ctx.output, "teacher")
    samples = {"component": "transformer", "samples": 2, "steps": 2, "guidance_scale": 1}
    with pytest.raises(StageFailure, match="teacher_samples need the teacher's text"):
        extract_features.run(toy.context(tmp_path / "no", {**spec, "teacher_samples": samples}, given))


def test_live_text_is_the_cached_text(tmp_path: Path, inputs: dict[str, Path]) -> None:
    """Distilled once from stored text and once from captions, on features that hold no teacher's text."""
    student = base(inputs, tmp_path / "base")
    lean = toy.context(
        tmp_path / "lean", {"kind": "extract_features", "student_text": TEXT, "teacher_text": False}, inputs
    )
    extract_features.run(lean)
    spec = {"kind": "distill", "time": {}, "training": toy.training(3), "scaling": {}}
    outputs = []
    for source, features in (("cached", inputs["features"]), ("live", lean.output)):
        given = {**inputs, "features": features, "base": student}
        ctx = toy.context(tmp_path / source, {**spec, "teacher_text": source}, given)
        distill.run(ctx)
        outputs.append(load_file(ctx.output / "raw.safetensors"))
    cached, live = outputs
    # The encoders see batches of another size, which may move a last digit of their float16.
    assert all(torch.allclose(cached[name], live[name], atol=1e-5) for name in cached)
    stored = FeatureSet.load(inputs["features"], "teacher")
    made = FeatureSet.load(lean.output, "teacher", load_text_encoder(inputs["snapshot"]))
    assert made.text_digest == stored.text_digest and made.text_parts == stored.text_parts
    torch.testing.assert_close(
        made.batch([3, 1]).text_BND, stored.batch([3, 1]).text_BND, atol=2e-3, rtol=2e-3
    )


def test_clip_l_alone_is_the_imagenet_models_text(inputs: dict[str, Path]) -> None:
    config = SnapgenTextConfig(encoder="snapgen", clip="l", width=toy_text.CLIP_L, gemma_tokens=0)
    alone = open_student_text(config, inputs["student_snapshot"])
    both = open_student_text(SnapgenTextConfig.model_validate(TEXT), inputs["student_snapshot"])
    tokens, pooled = alone.encode(["a red circle"])
    joined, joined_pooled = both.encode(["a red circle"])
    assert torch.equal(tokens, joined[:, :77, : toy_text.CLIP_L])
    assert torch.equal(pooled, joined_pooled[:, : toy_text.CLIP_L])


PARTS = [
    TextPart(name="clip_l", tokens=(0, 2), channels=(0, 3), pooled=(0, 2)),
    TextPart(name="clip_g", tokens=(0, 2), channels=(3, 5), pooled=(2, 4)),
    TextPart(name="gemma", tokens=(2, 6), channels=(0, 8), pooled=(0, 0)),
]


def drop(count: int, **shares: float) -> tuple[FeatureBatch, torch.Tensor]:
    training = TrainingConfig(**toy.training(1, **shares))
    batch = FeatureBatch(
        latent_BCHW=torch.ones(count, 1, 1, 1),
        text_BND=torch.ones(count, 6, 8),
        pooled_BP=torch.ones(count, 4),
    )
    return drop_text(batch, PARTS, training, range(count))


def test_each_encoder_is_dropped_by_itself_with_zeros() -> None:
    count = 4000
    batch, gone = drop(count, encoder_dropout=0.464, caption_dropout=0.0)
    left = torch.stack(
        [batch.text_BND[:, slice(*part.tokens), slice(*part.channels)].flatten(1).mean(1) for part in PARTS]
    )
    assert set(left.unique().tolist()) == {0.0, 1.0}  # all of a part, or none
    shares = 1 - left.mean(1)
    assert torch.allclose(shares, torch.full((3,), 0.464), atol=0.03)
    # Independent: .464 ** 3 = .0999 lose everything, SD3's ten percent.
    assert torch.equal(gone, left.sum(0) == 0)
    assert gone.float().mean().item() == pytest.approx(0.464**3, abs=0.02)
    assert torch.equal(batch.pooled_BP[:, 0], left[0]) and torch.equal(batch.pooled_BP[:, 3], left[1])


def test_a_dropped_caption_leaves_nothing() -> None:
    batch, gone = drop(2000, encoder_dropout=0.0, caption_dropout=0.1)
    assert gone.float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert batch.text_BND[gone].abs().max() == batch.pooled_BP[gone].abs().max() == 0
    assert (batch.text_BND[~gone] == 1).all()
