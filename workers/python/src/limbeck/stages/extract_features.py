"""Images and captions to cached features: latents, text of student and teacher, teacher samples.

Inputs: dataset, snapshot (vae/, the teacher's text encoders; the component too when teacher samples are
asked), optionally student_snapshot (the student's text encoders, where the snapshot lacks them).
Output: tar shards with an index whose attributes name every encoder that had a part. Every sample
is accounted for: written, or quarantined with its reason.
"""

import hashlib
import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limbeck.contracts.context import StageContext, StageFailure, StopRequested, file_digest
from limbeck.contracts.generated import ExtractFeaturesSpec, StageResult, TeacherSamples
from limbeck.data.features import KIND, SAMPLE_NOISE, Arrays, add_features, without_padding
from limbeck.data.images import ImageSet
from limbeck.data.randomness import normal
from limbeck.data.shards import ShardWriter
from limbeck.evaluation.sampler import sample
from limbeck.models.autoencoder import FrozenAutoencoder, to_unit
from limbeck.models.sd3 import FrozenTeacher
from limbeck.models.text import TextEncoder, encoder_dtype, load_text_encoder, open_student_text
from limbeck.objectives.flow import even_grid
from limbeck.training.distributed import device

SAMPLE_OVERHEAD = 4096
"""Bytes of tar headers, padding and the safetensors header of one sample."""


def run(ctx: StageContext) -> StageResult:
    spec: ExtractFeaturesSpec = ctx.spec
    snapshot = ctx.input("snapshot")
    student_snapshot = ctx.input("student_snapshot") if "student_snapshot" in ctx.inputs else snapshot
    autoencoder, encoders, teacher = _open(snapshot, student_snapshot, spec)
    images = ImageSet.load(ctx.input("dataset"), spec.quarantine_share)
    _refuse_over_budget(spec, images, autoencoder, encoders)
    wanted = spec.teacher_samples.samples if spec.teacher_samples else 0
    if wanted > len(images):
        raise StageFailure("bad_config", f"teacher_samples asks for {wanted}, the data set has {len(images)}")

    # Pure functions of the inputs: an attempt that was killed starts over.
    shutil.rmtree(ctx.output)
    attributes = _attributes(spec, snapshot, autoencoder, encoders)
    with ShardWriter(ctx.output, spec.samples_per_shard, attributes) as writer:
        for key, reason in images.quarantined.items():
            writer.quarantine(key, reason)
        started = time.monotonic()
        for first in range(0, len(images), spec.batch_size):
            places = range(first, min(first + spec.batch_size, len(images)))
            captions = images.captions(places)
            columns: Arrays = {"latent": _half(autoencoder.encode(to_unit(images[places]).to(device())))}
            for role, encoder in encoders.items():
                tokens_BND, pooled_BP = encoder.encode(captions)
                columns |= {f"{role}_text": _half(tokens_BND), f"{role}_pooled": _half(pooled_BP)}
            rows = [{name: values[row] for name, values in columns.items()} for row in range(len(places))]
            for role, encoder in encoders.items():
                if encoder.cut:
                    for row in rows:
                        row[f"{role}_text"] = without_padding(row[f"{role}_text"])
            sampled = [place for place in places if place < wanted]
            if teacher is not None and spec.teacher_samples is not None and sampled:
                ends = _teacher_ends(teacher, spec.teacher_samples, encoders["teacher"], captions, sampled)
                for row, (place, end) in enumerate(zip(sampled, ends, strict=True)):
                    rows[row] |= {"sample": end, "noise_position": np.array([place])}
            for place, row in zip(places, rows, strict=True):
                add_features(writer, images.keys[place], row, json.dumps(images.metadata[place]).encode())
            ctx.progress(places.stop, len(images), places.stop / (time.monotonic() - started), None)
            if ctx.stop_requested():
                raise StopRequested("extraction starts over in the next attempt")
        index = writer.close()
    metrics = {
        "samples": float(index.total),
        "quarantined": float(len(index.quarantined)),
        "teacher_samples": float(wanted),
        "bytes": float(sum(shard.bytes for shard in index.shards)),
    }
    for key, reason in list(images.quarantined.items())[:20]:
        ctx.warn(f"{key} was quarantined: {reason}"[:1000])
    return StageResult(metrics=metrics)


def _open(
    snapshot: Path, student_snapshot: Path, spec: ExtractFeaturesSpec
) -> tuple[FrozenAutoencoder, dict[str, TextEncoder], FrozenTeacher | None]:
    """(autoencoder, text encoders by role, the teacher where its samples are asked)."""
    component = spec.teacher_samples.component if spec.teacher_samples else None
    if component and not spec.teacher_text:
        raise StageFailure("bad_config", "teacher_samples need the teacher's text, and teacher_text is false")
    on = device()
    dtype = encoder_dtype(on)
    try:
        autoencoder = FrozenAutoencoder.load(snapshot).to(on)
        encoders = {"student": _open_student(spec, student_snapshot, dtype, on)}
        if spec.teacher_text:
            encoders["teacher"] = load_text_encoder(snapshot, dtype, on)
        teacher = FrozenTeacher.load(snapshot, component, dtype, on) if component else None
        return autoencoder, encoders, teacher
    except (FileNotFoundError, ValueError, OSError) as error:
        raise StageFailure("bad_input", f"input 'snapshot': {error}") from error


def _open_student(
    spec: ExtractFeaturesSpec, snapshot: Path, dtype: torch.dtype, on: torch.device
) -> TextEncoder:
    try:
        return open_student_text(spec.student_text, snapshot, dtype, on)
    except (FileNotFoundError, ValueError, OSError) as error:
        raise StageFailure("bad_input", f"student_text: {error}") from error


def _half(value: torch.Tensor) -> np.ndarray:
    """As it is stored.

    Raises:
        StageFailure: non_finite, where a value is not finite, or too large for float16.
    """
    half = value.to(torch.float16)
    if not torch.isfinite(half).all():
        largest = float(value.abs().max())
        raise StageFailure("non_finite", f"features reach {largest:.4g}; what is stored ends at 65504")
    return half.cpu().numpy()


def _teacher_ends(
    teacher: FrozenTeacher,
    wanted: TeacherSamples,
    encoder: TextEncoder,
    captions: list[str],
    places: list[int],
) -> np.ndarray:
    """Guided Euler endpoints on an even grid, one per place, float16 [B, C, H, W]."""
    config = teacher.config
    shape = (config.latent_channels, config.latent_size, config.latent_size)
    text_BND, pooled_BP = encoder.encode(captions[: len(places)])
    ends = sample(
        teacher,
        normal(wanted.seed, SAMPLE_NOISE, places, shape).to(device()),
        text_BND.to(device()),
        pooled_BP.to(device()),
        grid=even_grid(wanted.steps),
        guidance_scale=wanted.guidance_scale,
    )
    return _half(ends)


def _refuse_over_budget(
    spec: ExtractFeaturesSpec,
    images: ImageSet,
    autoencoder: FrozenAutoencoder,
    encoders: dict[str, TextEncoder],
) -> None:
    """Fails before anything is computed when the cache would not fit (19.9 MB a tapped layer and sample
    at 1024 px is why features of layers are never cached, training.md F.4)."""
    edge = images.pixels_NHWC.shape[1] // autoencoder.factor
    latent = 2 * autoencoder.latent_channels * edge * edge
    # Text that is stored without its padding is counted as if captions filled it.
    text = sum(2 * (e.width * e.tokens + e.pooled_width) for e in encoders.values())
    samples = spec.teacher_samples.samples if spec.teacher_samples else 0
    total = len(images) * (latent + text + SAMPLE_OVERHEAD) + samples * latent
    if total > spec.budget_bytes:
        raise StageFailure(
            "bad_config",
            f"the feature cache takes about {total:,} bytes ({len(images):,} samples x ({latent:,} latent + "
            f"{text:,} text + {SAMPLE_OVERHEAD:,} headers)); budget_bytes allows {spec.budget_bytes:,}",
        )


def snapshot_digest(snapshot: Path) -> str:
    """SHA-256 over the sorted (path, SHA-256) list of a snapshot's files."""
    files = sorted(path for path in snapshot.rglob("*") if path.is_file())
    listing = [[path.relative_to(snapshot).as_posix(), file_digest(path)] for path in files]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _attributes(
    spec: ExtractFeaturesSpec,
    snapshot: Path,
    autoencoder: FrozenAutoencoder,
    encoders: dict[str, TextEncoder],
) -> dict[str, Any]:
    return {
        "kind": KIND,
        "snapshot": snapshot_digest(snapshot),
        "latent": {"shift": autoencoder.shift, "scale": autoencoder.scale, "factor": autoencoder.factor},
        **{f"{role}_text": _about(encoder) for role, encoder in encoders.items()},
        "teacher_samples": spec.teacher_samples.model_dump() if spec.teacher_samples else None,
    }


def _about(encoder: TextEncoder) -> dict[str, Any]:
    return {
        "digest": encoder.digest(),
        "tokens": encoder.tokens,
        "width": encoder.width,
        "parts": [asdict(part) for part in encoder.parts()],
    }
