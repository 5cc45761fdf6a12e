"""The shapes data set: purity, truth of the captions, what is held out, the closed vocabulary."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from limbeck.data.shapes import (
    HOLDOUT_V1,
    MAX_TOKENS,
    VOCABULARY_SIZE,
    VOCABULARY_V1,
    evaluation_prompts,
    pad_tokens,
    render_prompt,
    render_sample,
    tokenize,
)
from limbeck.data.shapes.captions import request_of
from limbeck.data.shapes.dataset import decode_image_text, write_shapes
from limbeck.data.shapes.prompts import distinct_requests
from limbeck.data.shapes.scene import BOUNDING_RADIUS, Scene, draw_request, keyed_generator, place
from limbeck.data.shapes.vocabulary import TAGS, UnknownWordError
from limbeck.data.shards import ShardDataset
from limbeck.evaluation.geneval import Detection, relations_between

PAIRS, RELATIONS = HOLDOUT_V1.pairs, HOLDOUT_V1.relations


def scenes(count: int, split: str, seed: int = 0) -> list[Scene]:
    generators = (keyed_generator(seed, split, index) for index in range(count))
    return [place(draw_request(rng), rng) for rng in generators]


def test_a_sample_is_a_function_of_its_key_alone() -> None:
    np.random.seed(0)  # noqa: NPY002 - shows that the global generator plays no part
    first = render_sample(7, 123)
    np.random.seed(1)  # noqa: NPY002
    for _ in range(3):
        render_sample(7, 124)
    again = render_sample(7, 123)
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.scene, first.caption, first.metadata) == (again.scene, again.caption, again.metadata)
    others = [render_sample(8, 123), render_sample(7, 124), render_sample(7, 123, split="validation")]
    assert all(other.scene != first.scene for other in others)


def test_the_scene_does_not_depend_on_the_resolution() -> None:
    small, large = render_sample(0, 5, resolution=32), render_sample(0, 5, resolution=128)
    assert small.scene == large.scene and small.caption == large.caption
    assert small.image.shape == (32, 32, 3) and large.image.shape == (128, 128, 3)
    shrunk = large.image.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small.image).mean() < 3


def test_the_first_scenes_are_those_of_version_1() -> None:
    """Guards against a silent change of the grammar; raise SCENE_VERSION with the digest."""
    drawn = scenes(200, "train")
    text = "\n".join(repr((s.request, [(o.shape, o.colour) for o in s.objects])) for s in drawn)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "e0564a7b332be3795a96d2a9a0e2cbe70c7efe7639419cd1cac897ccd58a2b28"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_nothing_held_out_is_ever_shown_or_said(split: str) -> None:
    seen: Counter[str] = Counter()
    for scene in scenes(4000, split):
        seen[scene.request.tag] += 1
        assert not {(item.shape, item.colour) for item in scene.objects} & PAIRS
        if scene.request.relation is not None:
            assert (scene.request.relation, *scene.request.shapes) not in RELATIONS
    assert set(seen) == set(TAGS) and min(seen.values()) > 100


def test_every_trained_combination_occurs() -> None:
    drawn = scenes(6000, "train")
    pairs = {(item.shape, item.colour) for scene in drawn for item in scene.objects}
    relations = {(s.request.relation, *s.request.shapes) for s in drawn if s.request.relation is not None}
    assert (len(pairs), len(relations)) == (20 - len(PAIRS), 48 - len(RELATIONS))


def test_held_out_relations_are_closed_under_the_converse() -> None:
    converse = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    assert {(converse[relation], b, a) for relation, a, b in RELATIONS} == RELATIONS


def test_objects_keep_apart_and_inside() -> None:
    for scene in scenes(1500, "train"):
        circles = [(o.x, o.y, o.size * BOUNDING_RADIUS[o.shape]) for o in scene.objects]
        for place_, (x, y, radius) in enumerate(circles):
            assert radius + 1.9 / 64 <= min(x, y, 1 - x, 1 - y)
            for other_x, other_y, other in circles[:place_]:
                assert np.hypot(x - other_x, y - other_y) >= radius + other + 3.9 / 64


def test_relations_hold_alone_and_with_room() -> None:
    """By GenEval's own rule, on bounding circles, which are never smaller than the boxes."""
    count = 0
    for scene in scenes(1500, "train"):
        if scene.request.relation is None:
            continue
        count += 1
        item, target = (
            Detection(class_name=o.shape, score=1, box=(o.x - r, o.y - r, o.x + r, o.y + r))
            for o in scene.objects
            for r in [64 * o.size * BOUNDING_RADIUS[o.shape] / 64]
        )
        assert relations_between(item, target) == (scene.request.relation,)
    assert count > 200


def test_captions_are_short_sentences_of_the_vocabulary() -> None:
    captions = {render_sample(1, index, 16).caption for index in range(1500)}
    captions |= {prompt.metadata["prompt"] for prompt in evaluation_prompts(60, 20, 0)}
    tokens = {caption: tuple(tokenize(caption)) for caption in captions}
    assert len(set(tokens.values())) == len(captions), "two captions have the same tokens"
    assert max(map(len, tokens.values())) <= MAX_TOKENS
    assert {token for sequence in tokens.values() for token in sequence} == set(range(1, VOCABULARY_SIZE))
    assert "a red circle and a blue triangle" in captions


def test_tokens() -> None:
    assert len(VOCABULARY_V1) == 17 == VOCABULARY_SIZE - 1
    assert tokenize("") == []
    assert tokenize("two circles") == [VOCABULARY_V1.index("two") + 1, VOCABULARY_V1.index("circle") + 1]
    assert tokenize("a red star left of a circle") == tokenize("red star left circle")
    assert tokenize("a circle left of a star") != tokenize("a star left of a circle")
    assert pad_tokens([3, 1]) == [3, 1, 0, 0, 0, 0]
    with pytest.raises(UnknownWordError, match=r"'orange'.*circle, square") as caught:
        tokenize("a orange circle")
    assert "the vocabulary is" in str(caught.value)
    with pytest.raises(ValueError, match="7 tokens; at most 6"):
        tokenize("red " * 7)


def test_evaluation_prompts_are_balanced_and_keyed() -> None:
    prompts = evaluation_prompts(per_tag=30, held_out_per_tag=9, seed=0)
    assert prompts == evaluation_prompts(per_tag=30, held_out_per_tag=9, seed=0)
    assert len({prompt.id for prompt in prompts}) == len(prompts) == 6 * 30 + 3 * 9
    assert Counter(p.metadata["tag"] for p in prompts if not p.held_out) == dict.fromkeys(TAGS, 30)
    assert Counter(p.metadata["tag"] for p in prompts if p.held_out) == {
        "colors": 9,
        "position": 9,
        "color_attr": 9,
    }
    assert len({(str(p.metadata), p.repeat) for p in prompts}) == len(prompts)
    singles = Counter(p.metadata["prompt"] for p in prompts if p.metadata["tag"] == "single_object")
    assert sorted(singles.values()) == [7, 7, 8, 8]
    assert prompts != evaluation_prompts(per_tag=30, held_out_per_tag=9, seed=1)
    allowed = {"tag", "include", "exclude", "prompt"}
    assert all(set(prompt.metadata) <= allowed for prompt in prompts)


def test_held_out_prompts_name_something_held_out_and_the_others_do_not() -> None:
    for tag in TAGS:
        for held_out in (False, True):
            for request in distinct_requests(tag, held_out):
                named = set(zip(request.shapes, request.colours, strict=True)) & PAIRS
                if request.relation is not None and (request.relation, *request.shapes) in RELATIONS:
                    named.add(request.relation)  # type: ignore[arg-type]
                assert bool(named) == held_out


def test_metadata_follow_geneval() -> None:
    by_prompt = {p.metadata["prompt"]: p.metadata for p in evaluation_prompts(250, 0, 0)}
    assert by_prompt["three squares"] == {
        "tag": "counting",
        "include": [{"class": "square", "count": 3}],
        "exclude": [{"class": "square", "count": 4}],
        "prompt": "three squares",
    }
    assert by_prompt["a circle above a star"]["include"] == [
        {"class": "star", "count": 1},
        {"class": "circle", "count": 1, "position": ["above", 0]},
    ]
    assert by_prompt["a red circle and a green square"]["include"] == [
        {"class": "circle", "count": 1, "color": "red"},
        {"class": "square", "count": 1, "color": "green"},
    ]


def test_a_prompt_can_be_rendered_and_read_back() -> None:
    for prompt in evaluation_prompts(10, 10, 3):
        sample = render_prompt(prompt.metadata, 0, 0, 16)
        assert sample.metadata == prompt.metadata
    with pytest.raises(ValueError, match="not a line of the shapes grammar"):
        request_of({"tag": "colors", "include": [{"class": "circle", "count": 1}], "prompt": "a circle!"})


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="seed -1"):
        render_sample(-1, 0)
    with pytest.raises(ValueError, match="index -2"):
        render_sample(0, -2)
    with pytest.raises(ValueError, match="got 8"):
        render_sample(0, 0, resolution=8)
    with pytest.raises(ValueError, match="'test'"):
        render_sample(0, 0, split="test")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got -1"):
        evaluation_prompts(-1, 0, 0)


def test_wrong_captions_change_words_alone(tmp_path: Path) -> None:
    """A pure function of (seed, split, index): more wrong captions keep those that were wrong already."""

    def captions(share: float) -> list[str]:
        folder = tmp_path / str(share)
        write_shapes(folder, seed=3, split="train", count=200, wrong_captions=share)
        samples = [decode_image_text(members) for members in ShardDataset(folder)]
        for index, sample in enumerate(samples):
            truth = render_sample(3, index)
            np.testing.assert_array_equal(sample.image_HW3, truth.image)
            assert sample.metadata | {"prompt": truth.caption} == truth.metadata
        return [sample.caption for sample in samples]

    true, quarter, half = captions(0.0), captions(0.25), captions(0.5)
    assert true == [render_sample(3, index).caption for index in range(200)]
    wrong = {i for i in range(200) if quarter[i] != true[i]}
    assert 25 < len(wrong) < 75
    assert all(half[i] == quarter[i] for i in wrong)
    with pytest.raises(ValueError, match=r"wrong_captions must be 0 to 1, got 1\.5"):
        captions(1.5)
