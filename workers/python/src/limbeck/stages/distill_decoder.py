"""Trains the tiny decoder: latents to images, beside the autoencoder's own decoder (paper.md section 2).

Inputs: features (latents), dataset (their images, matched by key), snapshot (vae/). Output: a decoder
tree. Loss: L1 to the image + teacher_weight x L1 to the teacher decoder's output on the same latent.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import DistillDecoderSpec, StageResult
from limbeck.data.arrays import RAM_LIMIT
from limbeck.data.features import FeatureSet
from limbeck.data.images import ImageSet
from limbeck.data.randomness import batch_positions, shuffled
from limbeck.models.autoencoder import FrozenAutoencoder, psnr, to_bytes, to_unit
from limbeck.models.tiny_decoder import DecoderCard, TinyDecoder, save_decoder
from limbeck.stages.pretrain import held_out_count
from limbeck.training.batches import refuse_micro_batches
from limbeck.training.loop import Learner, StepOutput, train
from limbeck.training.seeding import seeded_build

Places = Sequence[int] | NDArray[np.int64]

CHUNK = 64
"""Held-out images a forward."""


def run(ctx: StageContext) -> StageResult:
    spec: DistillDecoderSpec = ctx.spec
    training, seed = spec.training, spec.training.seed
    refuse_micro_batches(training, spec.kind)
    features = FeatureSet.load(ctx.input("features"), "student")
    images = _Images(features, ImageSet.load(ctx.input("dataset")))
    decoder = _build(spec, seed)
    _check(decoder, features, images)
    autoencoder = _open_autoencoder(ctx, decoder)
    teacher = _TeacherImages(autoencoder, features, images.edge)
    learner = Learner("decoder", {"decoder": decoder}, training.optimizer, training.steps, training.ema_decay)
    held_out = held_out_count(len(features))
    count = len(features) - held_out

    def step(step: int) -> StepOutput:
        chosen = shuffled(seed, "order", batch_positions(step, training.batch_size), count)
        z_BCHW = features.batch(chosen).latent_BCHW
        made_BCHW = decoder(z_BCHW.contiguous(memory_format=torch.channels_last))
        image = (made_BCHW - images[chosen]).abs().mean()
        loss, scalars = image, {"loss/image_l1": image.detach()}
        if spec.teacher_weight > 0:
            follow = (made_BCHW - teacher.decode(chosen, z_BCHW)).abs().mean()
            loss, scalars["loss/teacher_l1"] = image + spec.teacher_weight * follow, follow.detach()
        norm = learner.update(loss, step)
        return StepOutput(
            loss=loss.detach(),
            scalars={**scalars, "gradient_norm": norm},
            keys=[features.keys[i] for i in chosen],
        )

    final: dict[str, float] = {}
    held_out_places = range(count, len(features))
    truth = images[held_out_places]
    z_held_out = features.batch(held_out_places).latent_BCHW
    reference = torch.cat([autoencoder.decode(part) for part in z_held_out.split(CHUNK)])

    def validate(done: int) -> None:
        with torch.no_grad(), learner.ema["decoder"].applied(decoder):
            made = torch.cat([decoder(part).clamp(-1, 1) for part in z_held_out.split(CHUNK)])
        final["psnr_images_db"] = psnr(made, truth)
        final["psnr_teacher_decoder_db"] = psnr(made, reference)
        ctx.log_scalars(done, {f"validation/{name}": value for name, value in final.items()})

    train(ctx=ctx, training=training, learners=[learner], step_fn=step, validate_fn=validate)
    card = DecoderCard(config=spec.decoder, steps=training.steps)
    save_decoder(ctx.output, card, raw=dict(decoder.state_dict()), ema=learner.ema["decoder"].weights)
    parameters = float(sum(p.numel() for p in decoder.parameters()))
    own = {"teacher_decoder_psnr_images_db": psnr(reference, truth), "parameters": parameters}
    return StageResult(metrics={**final, **own})


class _Images:
    """Images [B, 3, H, W] in [-1, 1] by place in the features."""

    def __init__(self, features: FeatureSet, images: ImageSet) -> None:
        place_of = {key: place for place, key in enumerate(images.keys)}
        missing = [key for key in features.keys if key not in place_of]
        if missing:
            raise StageFailure(
                "bad_input",
                f"input 'dataset' lacks {len(missing)} of the {len(features)} samples that the features hold,"
                f" the first is {missing[0]}; the features were made from another data set",
            )
        self._images = images
        self._places = [place_of[key] for key in features.keys]
        self.edge = images.pixels_NHWC.shape[1]

    def __getitem__(self, places: Places) -> Tensor:
        return to_unit(self._images[[self._places[int(place)] for place in places]])


class _TeacherImages:
    """The teacher decoder's images, rounded to bytes and decoded once per sample while that fits RAM.

    Rounded always, so that a value does not depend on whether it was kept.
    """

    def __init__(self, autoencoder: FrozenAutoencoder, features: FeatureSet, edge: int) -> None:
        self._autoencoder = autoencoder
        total = len(features) * edge * edge * 3
        self._kept = (
            torch.empty(len(features), edge, edge, 3, dtype=torch.uint8) if total <= RAM_LIMIT else None
        )
        self._known = torch.zeros(len(features), dtype=torch.bool)

    def decode(self, places: Places, z_BCHW: Tensor) -> Tensor:
        index = torch.as_tensor(np.asarray(places))
        if self._kept is None:
            return to_unit(to_bytes(self._autoencoder.decode(z_BCHW)))
        new = ~self._known[index]
        if new.any():
            self._kept[index[new]] = to_bytes(self._autoencoder.decode(z_BCHW[new]))
            self._known[index[new]] = True
        return to_unit(self._kept[index])


def _build(spec: DistillDecoderSpec, seed: int) -> TinyDecoder:
    try:
        return seeded_build(seed, lambda: TinyDecoder(spec.decoder))
    except ValueError as error:
        raise StageFailure("bad_config", f"decoder: {error}") from error


def _open_autoencoder(ctx: StageContext, decoder: TinyDecoder) -> FrozenAutoencoder:
    try:
        autoencoder = FrozenAutoencoder.load(ctx.input("snapshot"))
    except (FileNotFoundError, ValueError, OSError) as error:
        raise StageFailure("bad_input", f"input 'snapshot': {error}") from error
    if autoencoder.factor != decoder.factor:
        raise StageFailure(
            "bad_config",
            f"the decoder enlarges by {decoder.factor} ({len(decoder.config.widths)} widths),"
            f" the autoencoder by {autoencoder.factor}",
        )
    return autoencoder


def _check(decoder: TinyDecoder, features: FeatureSet, images: _Images) -> None:
    channels, height, _ = features.latent_shape
    if channels != decoder.config.latent_channels:
        raise StageFailure(
            "bad_config",
            f"decoder.latent_channels is {decoder.config.latent_channels}, the features have {channels}",
        )
    if height * decoder.factor != images.edge:
        raise StageFailure(
            "bad_input",
            f"latents of edge {height} decode to {height * decoder.factor} pixels,"
            f" the images have {images.edge}",
        )
