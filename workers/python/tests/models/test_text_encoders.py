"""SD3's and SnapGen's text against what they must equal, in a small size of the same classes."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, StableDiffusion3Pipeline
from safetensors.torch import load_file, save_file
from torch import Tensor
from toys import distillation
from toys import text as toy
from transformers import AutoTokenizer, CLIPTextModelWithProjection, T5EncoderModel

from limbeck.contracts.generated import SnapgenTextConfig, WordTextConfig
from limbeck.models.sd3 import build_transformer
from limbeck.models.text import WordTextEncoder, load_text_encoder, open_student_text
from limbeck.models.text_encoders import CLIP_TOKENS, T5_TOKENS, Sd3TextEncoder, SnapgenTextEncoder

torch.set_num_threads(1)

CAPTIONS = ["a red circle left of a blue square", "two squares", "", "a " * 400]
STUDENT = SnapgenTextConfig(encoder="snapgen", width=toy.GEMMA, gemma_tokens=12)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.write_text_encoders(tmp_path_factory.mktemp("text") / "snapshot")


@pytest.fixture(scope="module")
def teacher(snapshot: Path) -> Sd3TextEncoder:
    return Sd3TextEncoder(snapshot)


@pytest.fixture(scope="module")
def student(snapshot: Path) -> SnapgenTextEncoder:
    return SnapgenTextEncoder(STUDENT, snapshot)


def pipeline_text(snapshot: Path) -> tuple[Tensor, Tensor]:
    """What SD3's own pipeline makes of the captions, without guidance."""
    local = {"local_files_only": True}
    clips = [
        CLIPTextModelWithProjection.from_pretrained(snapshot / f"text_encoder{n}", **local)
        for n in ("", "_2")
    ]
    tokenizers = [
        AutoTokenizer.from_pretrained(snapshot / f"tokenizer{n}", **local) for n in ("", "_2", "_3")
    ]
    pipeline = StableDiffusion3Pipeline(
        transformer=build_transformer(distillation.TEACHER),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=AutoencoderKL(),
        text_encoder=clips[0].eval(),
        tokenizer=tokenizers[0],
        text_encoder_2=clips[1].eval(),
        tokenizer_2=tokenizers[1],
        text_encoder_3=T5EncoderModel.from_pretrained(snapshot / "text_encoder_3", **local).eval(),
        tokenizer_3=tokenizers[2],
    )
    with torch.no_grad():
        tokens, _, pooled, _ = pipeline.encode_prompt(
            CAPTIONS, None, None, do_classifier_free_guidance=False, max_sequence_length=T5_TOKENS
        )
    return tokens, pooled


def test_the_teachers_text_is_the_pipelines_own(snapshot: Path, teacher: Sd3TextEncoder) -> None:
    tokens, pooled = teacher.encode(CAPTIONS)
    expected_tokens, expected_pooled = pipeline_text(snapshot)
    assert tokens.shape == (4, 333, toy.T5) and pooled.shape == (4, toy.CLIP_L + toy.CLIP_G)
    assert torch.equal(tokens, expected_tokens)
    assert torch.equal(pooled, expected_pooled)
    # Padding is part of it: no position of T5 is zero, and captions differ.
    assert (tokens[:, CLIP_TOKENS:].abs().sum(-1) > 0).all()
    assert (tokens[0] - tokens[1]).abs().max() > 1e-3


def test_an_absent_t5_leaves_zeros_and_the_length(
    tmp_path: Path, snapshot: Path, teacher: Sd3TextEncoder
) -> None:
    bare = toy.write_text_encoders(tmp_path / "bare", t5=False)
    (bare / "transformer").mkdir()
    (bare / "transformer" / "config.json").write_text(json.dumps({"joint_attention_dim": toy.T5}))
    found, _ = Sd3TextEncoder(bare).encode(CAPTIONS)
    whole, _ = teacher.encode(CAPTIONS)
    assert found.shape == whole.shape
    assert torch.equal(found[:, :CLIP_TOKENS], whole[:, :CLIP_TOKENS])
    assert found[:, CLIP_TOKENS:].abs().max() == 0


def test_the_students_text_joins_clip_and_gemma(student: SnapgenTextEncoder, teacher: Sd3TextEncoder) -> None:
    tokens, pooled = student.encode(CAPTIONS)
    assert tokens.shape == (4, 77 + 12, toy.GEMMA) and student.tokens == 89
    clip = toy.CLIP_L + toy.CLIP_G
    theirs, their_pooled = teacher.encode(CAPTIONS)
    assert torch.equal(tokens[:, :77, :clip], theirs[:, :77, :clip]) and torch.equal(pooled, their_pooled)
    assert tokens[:, :77, clip:].abs().max() == 0
    # Caption 0 has eight words behind <bos>; an empty one still has <bos>; the long one fills its places.
    used = (tokens[:, 77:].abs().sum(-1) > 0).sum(1).tolist()
    assert used == [9, 3, 1, 12]
    # Gemma comes at an RMS of 1 in every position, whatever its own scale.
    rms = tokens[:, 77:].square().mean(-1).sqrt()
    assert torch.allclose(rms[rms > 0], torch.ones(()), atol=1e-3)


def test_padding_and_neighbours_do_not_change_a_caption(snapshot: Path, student: SnapgenTextEncoder) -> None:
    alone, _ = student.encode(CAPTIONS[:1])
    together, _ = student.encode(CAPTIONS)
    longer, _ = SnapgenTextEncoder(STUDENT.model_copy(update={"gemma_tokens": 40}), snapshot).encode(
        CAPTIONS[:1]
    )
    assert torch.allclose(alone[0], together[0], atol=1e-5)
    assert torch.allclose(alone[0], longer[0, : student.tokens], atol=1e-5)


def test_a_prefix_is_gemmas_alone(snapshot: Path, student: SnapgenTextEncoder) -> None:
    led = SnapgenTextEncoder(STUDENT.model_copy(update={"prefix": "three "}), snapshot)
    plain, _ = student.encode(CAPTIONS[:1])
    changed, _ = led.encode(CAPTIONS[:1])
    assert torch.equal(plain[:, :77], changed[:, :77])
    assert not torch.allclose(plain[:, 77:], changed[:, 77:])
    assert led.digest() != student.digest()


def test_the_phones_path_is_clip_alone(tmp_path: Path, student: SnapgenTextEncoder) -> None:
    bare = toy.write_text_encoders(tmp_path / "bare", t5=False, gemma=False)
    phone = open_student_text(STUDENT.model_copy(update={"gemma_tokens": 0}), bare)
    tokens, pooled = phone.encode(CAPTIONS)
    whole, whole_pooled = student.encode(CAPTIONS)
    assert torch.equal(tokens, whole[:, :77]) and torch.equal(pooled, whole_pooled)
    assert [part.name for part in phone.parts()] == ["clip_l", "clip_g"]


def test_the_parts_cover_the_text_once(student: SnapgenTextEncoder, teacher: Sd3TextEncoder) -> None:
    words = WordTextEncoder(
        WordTextConfig(encoder="words", vocabulary="shapes-v1", width=64, tokens=6, seed=7)
    )
    for encoder, captions in ((student, CAPTIONS), (teacher, CAPTIONS), (words, ["a red circle"])):
        tokens, pooled = encoder.encode(captions)
        covered, covered_pooled = torch.zeros(tokens.shape[1:]), torch.zeros(pooled.shape[1:])
        for part in encoder.parts():
            covered[slice(*part.tokens), slice(*part.channels)] += 1
            covered_pooled[slice(*part.pooled)] += 1
        assert covered.max() == 1 and (covered_pooled == 1).all()
        assert (tokens[:, covered == 0] == 0).all()
        assert pooled.shape[-1] == encoder.pooled_width


def test_the_digest_follows_every_file(tmp_path: Path, snapshot: Path, teacher: Sd3TextEncoder) -> None:
    copy = toy.write_text_encoders(tmp_path / "copy")
    assert Sd3TextEncoder(copy).digest() == teacher.digest()  # the folder's name is no part of it
    for change in ("text_encoder_3/model.safetensors", "tokenizer_2/tokenizer.json"):
        file = copy / change
        kept = file.read_bytes()
        if file.suffix == ".json":
            file.write_text(json.dumps(json.loads(kept), indent=3))
        else:
            tensors = load_file(file)
            name = next(iter(tensors))
            save_file({**tensors, name: tensors[name] + 1}, file, metadata={"format": "pt"})
        assert Sd3TextEncoder(copy).digest() != teacher.digest(), change
        file.write_bytes(kept)


def test_a_missing_folder_or_tensor_is_named(tmp_path: Path, snapshot: Path) -> None:
    bare = toy.write_text_encoders(tmp_path / "bare", gemma=False)
    with pytest.raises(FileNotFoundError, match=r"lacks gemma/config.json; it holds: .*text_encoder_2"):
        open_student_text(STUDENT, bare)
    with pytest.raises(ValueError, match="gemma is 32 wide, the student's text is 2304"):
        open_student_text(SnapgenTextConfig(encoder="snapgen"), snapshot)
    file = bare / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    lost = next(name for name in tensors if name.endswith("final_layer_norm.weight"))
    del tensors[lost]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"text_encoder lacks 1 tensors: .*final_layer_norm.weight"):
        load_text_encoder(bare)
    with pytest.raises(
        FileNotFoundError, match=r"needs text/config.json or text_encoder/; empty holds: nothing"
    ):
        load_text_encoder(tmp_path / "empty")


def test_the_encoders_are_frozen(teacher: Sd3TextEncoder, student: SnapgenTextEncoder) -> None:
    for encoder in (teacher, student):
        tokens, pooled = encoder.encode(CAPTIONS[:1])
        assert not tokens.requires_grad and not pooled.requires_grad and tokens.dtype == torch.float32
