"""The evaluate stage on random toy weights: same pictures whatever the batch, and clear refusals."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys.scorers import write_image_reward, write_inception
from toys.text import write_clip

from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import AutoencoderConfig, Sd3Config, WordTextConfig
from limbeck.evaluation import shapes_detector
from limbeck.evaluation.networks import stored_answers
from limbeck.evaluation.sheet import load_sheet
from limbeck.evaluation.statistics_file import save_statistics
from limbeck.models.autoencoder import build_autoencoder
from limbeck.models.sd3 import build_sd3
from limbeck.models.store import write_component
from limbeck.models.text import save_text_config
from limbeck.stages.evaluate import protocol_hash, run
from limbeck.training.seeding import seeded_build

TEXT = WordTextConfig(encoder="words", vocabulary="shapes-v1", width=32, tokens=6, seed=3)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("snapshot")
    config = AutoencoderConfig(channels=[8, 8], latent_channels=4, norm_groups=4)
    seeded_build(1, lambda: build_autoencoder(config)).save_pretrained(folder / "vae")
    save_text_config(TEXT, folder)
    denoiser = build_sd3(
        Sd3Config(
            architecture="sd3",
            layers=2,
            heads=2,
            head_width=8,
            patch=2,
            latent_channels=4,
            latent_size=8,
            joint_width=32,
            pooled_width=32,
        )
    )
    write_component(folder, "transformer", denoiser)
    write_component(folder, "transformer_turbo", denoiser, grid=[1.0, 0.5])
    return folder


def protocol(steps: int = 2, **changes: object) -> dict[str, object]:
    return {
        "benchmark": "shapes-geneval",
        "prompts_per_tag": 2,
        "held_out_per_tag": 1,
        "seed": 1,
        "steps": steps,
        "guidance_scale": 2.0,
    } | changes


def context(workdir: Path, snapshot: Path, **changes: object) -> StageContext:
    spec = {
        "kind": "evaluate",
        "role": "teacher",
        "component": "transformer",
        "text": "teacher",
        "protocols": [protocol()],
    }
    workdir.mkdir(parents=True, exist_ok=True)
    return StageContext(workdir, parse_stage_spec(spec | changes), {"snapshot": snapshot})


def test_pictures_do_not_depend_on_the_batch_and_every_prompt_is_judged(
    tmp_path: Path, snapshot: Path
) -> None:
    for name, size in (("a", 4), ("b", 15)):
        result = run(context(tmp_path / name, snapshot, batch_size=size))
    images, tiles = load_sheet(tmp_path / "a" / "output" / "steps-2")
    again, _ = load_sheet(tmp_path / "b" / "output" / "steps-2")
    # Another batch size may round a grey value differently; the pictures are the same.
    assert abs(images.astype(int) - again.astype(int)).max() <= 1
    (evaluation,) = result.evaluations
    assert len(tiles) == len(evaluation.verdicts) == 6 * 2 + 3
    assert set(evaluation.per_tag) == {
        "single_object",
        "two_object",
        "counting",
        "colors",
        "position",
        "color_attr",
    }
    assert evaluation.held_out is not None and evaluation.held_out.images == 3
    assert evaluation.protocol_hash == protocol_hash(evaluation.protocol)
    assert json.loads((tmp_path / "a" / "output" / "report.json").read_text())[0]["role"] == "teacher"


def test_a_few_step_model_is_judged_only_on_its_grid(tmp_path: Path, snapshot: Path) -> None:
    few = {"component": "transformer_turbo"}
    run(context(tmp_path / "own", snapshot, protocols=[protocol(2, grid=[1.0, 0.5])], **few))
    with pytest.raises(StageFailure, match=r"trained on the grids .*0\.5.*protocol has .*0\.25") as caught:
        run(context(tmp_path / "other", snapshot, protocols=[protocol(4)], **few))
    assert caught.value.reason == "bad_config"


def test_a_grid_of_another_length_than_the_steps_is_refused(tmp_path: Path, snapshot: Path) -> None:
    with pytest.raises(StageFailure, match="3 steps has a grid of 2 times"):
        run(context(tmp_path, snapshot, protocols=[protocol(3, grid=[1.0, 0.5])]))


def test_another_protocol_has_another_hash() -> None:
    def hash_of(**changes: object) -> str:
        spec = {"kind": "evaluate", "role": "teacher", "text": "teacher", "protocols": [protocol(**changes)]}
        return protocol_hash(parse_stage_spec(spec).protocols[0])

    assert hash_of() == hash_of()
    assert len({hash_of(), hash_of(seed=2), hash_of(guidance_scale=2.5), hash_of(steps=3)}) == 4


def test_a_snapshot_without_the_component_is_named(tmp_path: Path, snapshot: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(snapshot / "vae", bare / "vae")
    shutil.copytree(snapshot / "text", bare / "text")
    with pytest.raises(StageFailure, match=r"transformer/config\.json") as caught:
        run(context(tmp_path / "work", bare))
    assert caught.value.reason == "bad_input"


def test_a_scorer_that_fails_its_self_test_scores_nothing(
    tmp_path: Path, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes_detector, "COLOUR_RADIUS", 0.2)
    with pytest.raises(StageFailure, match="self-test of the detector, image") as failure:
        run(context(tmp_path, snapshot))
    assert failure.value.reason == "scorer_broken"


def test_extra_scores_say_why_they_were_not_run_or_hold_a_value(tmp_path: Path, snapshot: Path) -> None:
    plain = run(context(tmp_path / "plain", snapshot)).evaluations[0]
    named = ["clip-score", "image-reward", "frechet", "kid"]
    assert [(one.scorer, one.value) for one in plain.extra] == [(name, None) for name in named]
    assert all(str(one.not_run).startswith("weights missing: the input 'scorers'") for one in plain.extra)

    scorers = write_inception(write_image_reward(write_clip(tmp_path / "scorers")))
    network = stored_answers.open_network("inception", scorers)
    stored_answers.record(network, scorers)
    real = [np.random.default_rng(n).integers(0, 256, (16, 16, 3), dtype=np.uint8) for n in range(12)]
    (tmp_path / "reference").mkdir()
    statistics = network.statistics(network.features(real), "noise-12")
    save_statistics(tmp_path / "reference" / "statistics.npz", statistics)
    ctx = context(tmp_path / "scored", snapshot)
    ctx.inputs |= {"scorers": scorers, "reference": tmp_path / "reference"}
    scored = run(ctx).evaluations[0]
    clip, reward, frechet, kid = scored.extra
    for one in (clip, reward):
        assert one.not_run is None and one.value is not None and one.interval is not None
        assert one.interval[0] <= one.value <= one.interval[1]
    assert "template='{}'" in clip.name and reward.name.startswith("image-reward[weights=@")
    assert frechet.value is not None and frechet.value > 0 and kid.value is not None
    assert frechet.name.startswith("Frechet@") and frechet.name.endswith("reference=noise-12]")
    assert scored.overall == plain.overall  # the benchmark's own score is untouched

    ctx = context(tmp_path / "unreferenced", snapshot)
    ctx.inputs["scorers"] = write_clip(write_inception(tmp_path / "other"))
    _, reward, frechet, _ = run(ctx).evaluations[0].extra
    assert reward.not_run == "weights missing: the snapshot other has no image_reward/"
    assert str(frechet.not_run).startswith("reference missing: the input 'reference'")


def test_scorers_that_hold_nothing_or_do_not_fit_are_refused(tmp_path: Path, snapshot: Path) -> None:
    ctx = context(tmp_path / "empty", snapshot)
    ctx.inputs["scorers"] = snapshot
    with pytest.raises(StageFailure, match=r"input 'scorers' or 'reference': .* has none of clip/"):
        run(ctx)

    scorers = write_inception(tmp_path / "scorers")
    network = stored_answers.open_network("inception", scorers)
    (tmp_path / "reference").mkdir()
    real = [np.random.default_rng(n).integers(0, 256, (16, 16, 3), dtype=np.uint8) for n in range(12)]
    statistics = network.statistics(network.features(real), "noise-12")
    file = tmp_path / "reference" / "statistics.npz"
    save_statistics(file, statistics)
    ctx.inputs |= {"scorers": scorers, "reference": tmp_path / "reference"}
    with pytest.raises(StageFailure, match=r"no self_test/inception\.json"):
        run(ctx)
    stored_answers.record(network, scorers)
    save_statistics(file, replace(statistics, extractor="another"))
    with pytest.raises(StageFailure, match="reference statistics are of another, the snapshot's is torch"):
        run(ctx)
