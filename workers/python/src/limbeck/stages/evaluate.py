"""Scores a denoiser under fixed protocols: sample, decode, detect, judge by GenEval's rules.

Inputs: snapshot (vae/, text/, and the denoiser itself where the spec names a component); model unless
a component is named; optionally decoder (a tiny decoder in place of the snapshot's); optionally scorers (a
snapshot with clip/, image_reward/ or inception/) and reference (statistics.npz of real images): a score whose
weights are not there is reported as not run.
Output: report.json, and for each protocol `steps-<n>/` with sheet.png and sheet.json.

The result is named after the benchmark of its protocol, "shapes-geneval": the rules are GenEval's,
prompts and detector are not.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import rfc8785
import torch
from torch import Tensor

from limbeck.contracts.context import StageContext, StageFailure, StopRequested
from limbeck.contracts.generated import (
    EvaluateSpec,
    EvaluationProtocol,
    EvaluationResult,
    ExtraScore,
    StageResult,
    TagScore,
)
from limbeck.data.shapes import Prompt, evaluation_prompts
from limbeck.evaluation.extra_scores import ExtraScores
from limbeck.evaluation.geneval import GenEvalResult, Verdict, aggregate, score_image
from limbeck.evaluation.sampler import sample, starting_noise
from limbeck.evaluation.self_test import SelfTestFailed, self_test
from limbeck.evaluation.shapes_detector import detect
from limbeck.evaluation.sheet import save_sheet
from limbeck.models.autoencoder import FrozenAutoencoder, to_bytes
from limbeck.models.sd3 import FrozenTeacher
from limbeck.models.store import Denoiser, load_denoiser
from limbeck.models.text import TextEncoder, encoder_dtype, load_text_encoder, open_student_text
from limbeck.models.tiny_decoder import load_decoder
from limbeck.objectives.flow import even_grid
from limbeck.training.distributed import device


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is judged: a denoiser with its text encoder and a decoder to images."""

    denoiser: Denoiser
    parameters: int
    encoder: TextEncoder
    decode: Callable[[Tensor], Tensor]
    latent_shape: tuple[int, int, int]
    trained_grids: dict[str, list[float]] | None


def run(ctx: StageContext) -> StageResult:
    spec: EvaluateSpec = ctx.spec
    try:
        self_test()
    except SelfTestFailed as error:
        raise StageFailure("scorer_broken", str(error)) from error
    try:
        candidate = _candidate(ctx)
    except (FileNotFoundError, ValueError) as error:
        raise StageFailure("bad_input", str(error)) from error
    for protocol in spec.protocols:
        _check_grid(protocol, candidate)
    total = sum(len(_images(protocol)) for protocol in spec.protocols)
    evaluations: list[EvaluationResult] = []
    scores = _extra_scores(ctx)
    done = 0
    for protocol in spec.protocols:
        images = _images(protocol)
        pictures: list[np.ndarray] = []
        started = time.monotonic()
        for batch in _batches(images, spec.batch_size):
            pictures.extend(_draw(candidate, protocol, batch))
            done += len(batch)
            rate = len(pictures) / (time.monotonic() - started)
            ctx.progress(done, total, rate, None)
            if ctx.stop_requested():
                # Minutes of work at most: a new attempt draws the same pictures again.
                raise StopRequested
        verdicts = [
            score_image(prompt.metadata, detect(picture))
            for (prompt, _), picture in zip(images, pictures, strict=True)
        ]
        folder = ctx.output / f"steps-{protocol.steps}"
        save_sheet(np.stack(pictures), [_tile(*it) for it in zip(images, verdicts, strict=True)], folder)
        rate = len(pictures) / (time.monotonic() - started)
        extra = _measured(scores, images, pictures)
        evaluations.append(_result(spec, protocol, candidate, images, verdicts, rate, extra))
    report = [evaluation.model_dump(mode="json") for evaluation in evaluations]
    (ctx.output / "report.json").write_text(json.dumps(report, indent=1))
    metrics = {f"overall_{evaluation.protocol.steps}_steps": evaluation.overall for evaluation in evaluations}
    return StageResult(metrics=metrics, evaluations=evaluations)


Image = tuple[Prompt, int]
"""A prompt and the repeat index that keys its noise."""


def _images(protocol: EvaluationProtocol) -> list[Image]:
    prompts = evaluation_prompts(protocol.prompts_per_tag, protocol.held_out_per_tag, protocol.seed)
    each = protocol.images_per_prompt
    return [(prompt, prompt.repeat * each + number) for prompt in prompts for number in range(each)]


def _batches(images: list[Image], size: int) -> Iterator[list[Image]]:
    for start in range(0, len(images), size):
        yield images[start : start + size]


def _draw(candidate: Candidate, protocol: EvaluationProtocol, batch: list[Image]) -> list[np.ndarray]:
    """uint8 pictures [H, W, 3] of a batch."""
    captions = [str(prompt.metadata["prompt"]) for prompt, _ in batch]
    text, pooled = candidate.encoder.encode(captions)
    named = [(caption, repeat) for caption, (_, repeat) in zip(captions, batch, strict=True)]
    noise = starting_noise(named, protocol.seed, candidate.latent_shape)
    grid = protocol.grid if protocol.grid is not None else even_grid(protocol.steps, protocol.shift)
    on = device()
    latents = sample(
        candidate.denoiser,
        noise.to(on),
        text.to(on),
        pooled.to(on),
        grid=grid,
        guidance_scale=protocol.guidance_scale,
    )
    if not torch.isfinite(latents).all():
        raise StageFailure(
            "non_finite", f"sampling with {protocol.steps} steps gave latents that are not finite"
        )
    with torch.no_grad():
        return list(to_bytes(candidate.decode(latents)).cpu().numpy())


def _tile(image: Image, verdict: Verdict) -> dict[str, object]:
    prompt, repeat = image
    return {
        "id": prompt.id,
        "prompt": prompt.metadata["prompt"],
        "tag": prompt.metadata["tag"],
        "held_out": prompt.held_out,
        "repeat": repeat,
        "correct": verdict.correct,
        "reason": verdict.reason,
    }


def _extra_scores(ctx: StageContext) -> ExtraScores:
    try:
        return ExtraScores(ctx.inputs.get("scorers"), ctx.inputs.get("reference"), device())
    except SelfTestFailed as error:
        raise StageFailure("scorer_broken", str(error)) from error
    except (FileNotFoundError, ValueError, OSError) as error:
        raise StageFailure("bad_input", f"input 'scorers' or 'reference': {error}") from error


def _measured(scores: ExtraScores, images: list[Image], pictures: list[np.ndarray]) -> list[ExtraScore]:
    """Over the images of trained combinations, as the overall score is."""
    judged = [
        (picture, str(prompt.metadata["prompt"]))
        for (prompt, _), picture in zip(images, pictures, strict=True)
        if not prompt.held_out
    ]
    return scores.measure([picture for picture, _ in judged], [prompt for _, prompt in judged])


def protocol_hash(protocol: EvaluationProtocol) -> str:
    """SHA-256 of the protocol's canonical JSON: results with different hashes are not compared."""
    return hashlib.sha256(rfc8785.dumps(protocol.model_dump(mode="json"))).hexdigest()


def _result(
    spec: EvaluateSpec,
    protocol: EvaluationProtocol,
    candidate: Candidate,
    images: list[Image],
    verdicts: list[Verdict],
    rate: float,
    extra: list[ExtraScore],
) -> EvaluationResult:
    pairs = list(zip(images, verdicts, strict=True))
    trained = _aggregate([pair for pair in pairs if not pair[0][0].held_out])
    held_out = [pair for pair in pairs if pair[0][0].held_out]
    tags = {
        tag: _score(task.score, task.images, task.interval.to_json()) for tag, task in trained.tasks.items()
    }
    return EvaluationResult(
        role=spec.role,
        protocol=protocol,
        protocol_hash=protocol_hash(protocol),
        parameters=candidate.parameters,
        overall=trained.overall,
        interval=_pair(trained.overall_interval.to_json()),
        per_tag=tags,
        held_out=_held_out(held_out) if held_out else None,
        verdicts=[verdict.correct for verdict in verdicts],
        images_per_second=rate,
        extra=extra,
    )


def _aggregate(pairs: list[tuple[Image, Verdict]]) -> GenEvalResult:
    return aggregate([prompt.metadata for (prompt, _), _ in pairs], [verdict for _, verdict in pairs])


def _held_out(pairs: list[tuple[Image, Verdict]]) -> TagScore:
    """Held-out combinations as one group: the mean over their tags, as the overall score is."""
    result = _aggregate(pairs)
    return _score(result.overall, len(pairs), result.overall_interval.to_json())


def _score(score: float, images: int, interval: list[float]) -> TagScore:
    return TagScore(score=score, images=images, interval=_pair(interval))


def _pair(interval: list[float]) -> tuple[float, float]:
    low, high = interval
    return low, high


def _candidate(ctx: StageContext) -> Candidate:
    spec: EvaluateSpec = ctx.spec
    snapshot = ctx.input("snapshot")
    on = device()
    autoencoder = FrozenAutoencoder.load(snapshot).to(on)
    encoder = _encoder(ctx)
    if spec.component is not None:
        teacher = FrozenTeacher.load(snapshot, spec.component, device=on)
        denoiser: Denoiser = teacher
        size, parameters = teacher.config.latent_size, teacher.parameters
        grids = (
            None
            if teacher.few_step_grid is None
            else {str(len(teacher.few_step_grid)): teacher.few_step_grid}
        )
    else:
        loaded = load_denoiser(ctx.input("model"), "ema")
        if loaded.card.text != spec.text:
            raise StageFailure(
                "bad_config",
                f"the model reads {loaded.card.text} text, the evaluation asks for {spec.text} text",
            )
        if loaded.card.text_digest not in (None, encoder.digest()):
            raise StageFailure(
                "bad_input",
                f"the model was trained on text of the encoders {loaded.card.text_digest},"
                f" the evaluation's are {encoder.digest()}",
            )
        denoiser = loaded.denoiser.to(on).eval().requires_grad_(False)
        size = loaded.card.config.latent_size
        parameters = sum(p.numel() for p in loaded.denoiser.parameters())
        grids = loaded.card.trained.grids
    return Candidate(
        denoiser=denoiser,
        parameters=parameters,
        encoder=encoder,
        decode=load_decoder(ctx.input("decoder")).to(on) if "decoder" in ctx.inputs else autoencoder.decode,
        latent_shape=(autoencoder.latent_channels, size, size),
        trained_grids=grids,
    )


def _encoder(ctx: StageContext) -> TextEncoder:
    spec: EvaluateSpec = ctx.spec
    if spec.text == "teacher":
        return load_text_encoder(ctx.input("snapshot"), encoder_dtype(device()), device())
    if spec.student_text is None:
        raise StageFailure("bad_config", "text is 'student': student_text must say which encoder that is")
    folder = ctx.input("student_snapshot" if "student_snapshot" in ctx.inputs else "snapshot")
    try:
        return open_student_text(spec.student_text, folder, encoder_dtype(device()), device())
    except (FileNotFoundError, ValueError) as error:
        raise StageFailure("bad_input", f"student_text: {error}") from error


def _check_grid(protocol: EvaluationProtocol, candidate: Candidate) -> None:
    """A few-step model is judged on a grid it was trained on (paper.md section 9, trap 30)."""
    if protocol.grid is not None and len(protocol.grid) != protocol.steps:
        raise StageFailure(
            "bad_config", f"a protocol of {protocol.steps} steps has a grid of {len(protocol.grid)} times"
        )
    if candidate.trained_grids is None:
        return
    grid = protocol.grid if protocol.grid is not None else even_grid(protocol.steps, protocol.shift)
    if not any(np.allclose(grid, own) for own in candidate.trained_grids.values() if len(own) == len(grid)):
        raise StageFailure(
            "bad_config",
            f"the model was trained on the grids {candidate.trained_grids}; the protocol has {list(grid)}",
        )
