"""Trains a small autoencoder for a data set of one's own, and measures its latents.

Output: `vae/` and `text/` of a snapshot and its limbeck.json; `pretrain` adds the transformer.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import PretrainAutoencoderSpec, StageResult
from limbeck.data.images import ImageSet
from limbeck.data.randomness import batch_positions, normal, shuffled
from limbeck.evaluation.geneval import score_image
from limbeck.evaluation.shapes_detector import detect
from limbeck.models.autoencoder import (
    FrozenAutoencoder,
    build_autoencoder,
    measure_latents,
    psnr,
    to_bytes,
    to_unit,
)
from limbeck.models.text import save_text_config
from limbeck.training.batches import refuse_micro_batches
from limbeck.training.loop import Learner, StepOutput, train
from limbeck.training.seeding import seeded_build

HELD_OUT = 256
"""Last images of the data set, never trained on."""
MEASURED = 2048
"""Images from which shift and scale of the latents are measured."""


def run(ctx: StageContext) -> StageResult:
    spec: PretrainAutoencoderSpec = ctx.spec
    images = ImageSet.load(ctx.input("dataset"))
    seed = spec.training.seed
    refuse_micro_batches(spec.training, spec.kind)
    vae: Any = seeded_build(seed, lambda: build_autoencoder(spec.autoencoder))
    vae.to(memory_format=torch.channels_last)
    if len(images) < 2:
        raise StageFailure(
            "bad_input", f"an autoencoder needs at least 2 images, the data set has {len(images)}"
        )
    count = len(images) - min(HELD_OUT, len(images) // 2)
    learner = Learner(
        "autoencoder", {"vae": vae}, spec.training.optimizer, spec.training.steps, spec.training.ema_decay
    )

    def step(step: int) -> StepOutput:
        positions = batch_positions(step, spec.training.batch_size)
        chosen = shuffled(seed, "order", positions, count)
        x_BCHW = to_unit(images[chosen]).to(memory_format=torch.channels_last)
        posterior = vae.encode(x_BCHW).latent_dist
        noise = normal(seed, "posterior", positions, tuple(posterior.mean.shape[1:]))
        error = vae.decode(posterior.mean + posterior.std * noise).sample - x_BCHW
        squared, absolute = error.square().mean(), error.abs().mean()
        # Per latent element, so that the weight means the same at every latent size.
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        loss = squared + spec.l1_weight * absolute + spec.kl_weight * kl
        norm = learner.update(loss, step)
        scalars = {"loss/mse": squared.detach(), "loss/l1": absolute.detach(), "loss/kl": kl.detach()}
        return StepOutput(
            loss=loss.detach(),
            scalars={**scalars, "gradient_norm": norm},
            keys=[images.keys[place] for place in chosen],
        )

    train(ctx=ctx, training=spec.training, learners=[learner], step_fn=step)
    with learner.ema["vae"].applied(vae):
        frozen = _save(vae, images, ctx.output)
        save_text_config(spec.text, ctx.output)
    held_out = range(count, len(images))
    original = to_unit(images[held_out])
    reconstructed = torch.cat([frozen.decode(frozen.encode(part)) for part in original.split(64)])
    metrics = {
        "reconstruction_psnr_db": psnr(reconstructed, original),
        "original_score": _score(images, held_out, original),
        "reconstruction_score": _score(images, held_out, reconstructed),
        "latent_shift": frozen.shift,
        "latent_scale": frozen.scale,
    }
    return StageResult(metrics=metrics)


def _save(vae: AutoencoderKL, images: ImageSet, snapshot: Path) -> FrozenAutoencoder:
    """Measures the latents, writes the files, and reads them back as every later stage will."""
    plain = FrozenAutoencoder(vae)
    indices = range(min(MEASURED, len(images)))
    latents = torch.cat([plain.encode(to_unit(images[part])) for part in _chunks(indices, 64)])
    shift, scale = measure_latents(latents)
    vae.register_to_config(shift_factor=shift, scaling_factor=scale)
    vae.save_pretrained(snapshot / "vae")
    limbeck = {"latent": {"shift": shift, "scale": scale}, "few_step": {}}
    (snapshot / "limbeck.json").write_text(json.dumps(limbeck, indent=1))
    return FrozenAutoencoder.load(snapshot)


def _score(images: ImageSet, places: range, x_BCHW: torch.Tensor) -> float:
    """Share of pictures that GenEval's rules accept for their own metadata line."""
    pictures = to_bytes(x_BCHW).numpy()
    verdicts = [
        score_image(images.metadata[place], detect(np.ascontiguousarray(picture))).correct
        for place, picture in zip(places, pictures, strict=True)
    ]
    return sum(verdicts) / len(verdicts)


def _chunks(indices: range, size: int) -> list[range]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]
