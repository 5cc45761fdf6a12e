"""Trains the tiny decoder: latents to images, beside the autoencoder's own decoder (paper.md section 2).

Inputs: features (latents), dataset (their images, matched by key), snapshot (vae/); perceptual (lpips/)
where LPIPS has a weight. Output: a decoder tree.

Loss: L1 to the image + teacher_weight x L1 to the teacher decoder's output on the same latent
    + lpips_weight x LPIPS to the image
    + late: gan.weight x r x hinge of a patch discriminator, r the ratio of the gradients of the rest and of
      the discriminator at the last layer (VQGAN's adaptive weight), detached.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import DistillDecoderSpec, PatchGanConfig, StageResult
from limbeck.data.arrays import RAM_LIMIT
from limbeck.data.features import FeatureSet
from limbeck.data.images import ImageSet
from limbeck.data.randomness import batch_positions, shuffled
from limbeck.models.autoencoder import FrozenAutoencoder, psnr, to_bytes, to_unit
from limbeck.models.lpips import Lpips
from limbeck.models.patch_discriminator import PatchDiscriminator
from limbeck.models.tiny_decoder import DecoderCard, TinyDecoder, save_decoder
from limbeck.stages.pretrain import held_out_count
from limbeck.training.batches import refuse_micro_batches
from limbeck.training.distributed import device
from limbeck.training.loop import Learner, StepOutput, train
from limbeck.training.precision import compute_precision, prepared
from limbeck.training.seeding import seeded_build
from limbeck.training.statistics import held_out_chunk

Places = Sequence[int] | NDArray[np.int64]

IMAGE_EDGE = 64
"""Up to there 64 held-out images are one forward; SD3's decoder takes a gigabyte for one of 1024 px."""

FP16_LARGEST = 65504.0
FP16_ROOM = FP16_LARGEST / 8
"""Above it the stage warns: other latents than the held-out ones may go further."""

GRADIENT_EPSILON = 1e-4
LARGEST_ADAPTIVE = 1e4


def run(ctx: StageContext) -> StageResult:
    spec: DistillDecoderSpec = ctx.spec
    training, seed = spec.training, spec.training.seed
    refuse_micro_batches(training, spec.kind)
    features = FeatureSet.load(ctx.input("features"), "student")
    images = _Images(features, ImageSet.load(ctx.input("dataset")))
    on = device()
    decoder = _build(spec, seed)
    _check(decoder, features, images)
    autoencoder = _open_autoencoder(ctx, decoder).to(on)
    perceptual = _open_perceptual(ctx, spec)
    teacher = _TeacherImages(autoencoder, features, images.edge)
    prepared(decoder, training, on)
    learner = Learner("decoder", {"decoder": decoder}, training.optimizer, training.steps, training.ema_decay)
    critic = _Critic(spec, spec.gan, images.edge) if spec.gan else None
    held_out = held_out_count(len(features))
    count = len(features) - held_out

    def step(step: int) -> StepOutput:
        chosen = shuffled(seed, "order", batch_positions(step, training.batch_size), count)
        z_BCHW = features.batch(chosen).latent_BCHW.to(on)
        real_BCHW = images[chosen].to(on)
        with compute_precision(training, on):
            made_BCHW = decoder(z_BCHW.contiguous(memory_format=torch.channels_last))
        made_BCHW = made_BCHW.float()
        image = (made_BCHW - real_BCHW).abs().mean()
        loss, scalars = image, {"loss/image_l1": image.detach()}
        if spec.teacher_weight > 0:
            follow = (made_BCHW - teacher.decode(chosen, z_BCHW)).abs().mean()
            loss, scalars["loss/teacher_l1"] = image + spec.teacher_weight * follow, follow.detach()
        if perceptual is not None:
            seen = perceptual(made_BCHW, real_BCHW).mean()
            loss, scalars["loss/lpips"] = loss + spec.lpips_weight * seen, seen.detach()
        if critic is not None and step >= critic.start:
            adversarial, found = critic.generator_loss(made_BCHW, loss, decoder.conv_out.weight)
            loss, scalars = loss + adversarial, scalars | found
        norm = learner.update(loss, step)
        if critic is not None and step >= critic.start:
            # Behind the decoder's backward pass, which goes through the discriminator as it was.
            scalars |= critic.train(step, real_BCHW, made_BCHW.detach())
        return StepOutput(
            loss=loss.detach(),
            scalars={**scalars, "gradient_norm": norm},
            keys=[features.keys[i] for i in chosen],
        )

    final: dict[str, float] = {}
    chunk = held_out_chunk(images.edge, IMAGE_EDGE)
    held_out_places = range(count, len(features))
    truth = images[held_out_places]
    z_held_out = features.batch(held_out_places).latent_BCHW.to(on)
    # Pictures gather on the CPU: 320 of 1024 px are 4 GB.
    reference = torch.cat([autoencoder.decode(part).cpu() for part in z_held_out.split(chunk)])

    def validate(done: int) -> None:
        with torch.no_grad(), learner.ema["decoder"].applied(decoder):
            made = torch.cat([decoder(part).clamp(-1, 1).cpu() for part in z_held_out.split(chunk)])
        final["psnr_images_db"] = psnr(made, truth)
        final["psnr_teacher_decoder_db"] = psnr(made, reference)
        if perceptual is not None:
            with torch.no_grad():
                pairs = zip(made.split(chunk), truth.split(chunk), strict=True)
                final["lpips_images"] = float(
                    torch.cat([perceptual(m.to(on), t.to(on)) for m, t in pairs]).mean()
                )
        ctx.log_scalars(done, {f"validation/{name}": value for name, value in final.items()})

    learners = [learner, *([critic.learner] if critic else [])]
    train(ctx=ctx, training=training, learners=learners, step_fn=step, validate_fn=validate)
    peak = _peak_activation(decoder, learner, z_held_out.split(chunk))
    if peak > FP16_ROOM:
        ctx.warn(f"activations reach {peak:.0f}: an fp16 file overflows at {FP16_LARGEST:.0f}")
    card = DecoderCard(config=spec.decoder, steps=training.steps)
    save_decoder(ctx.output, card, raw=dict(decoder.state_dict()), ema=learner.ema["decoder"].weights)
    parameters = float(sum(p.numel() for p in decoder.parameters()))
    own = {
        "teacher_decoder_psnr_images_db": psnr(reference, truth),
        "parameters": parameters,
        "peak_activation": peak,
    }
    return StageResult(metrics={**final, **own})


class _Critic:
    """The patch discriminator with its learner, from update `start` on."""

    def __init__(self, spec: DistillDecoderSpec, config: PatchGanConfig, edge: int) -> None:
        training = spec.training
        self.config = config
        self.start = round(config.start_share * training.steps)
        smallest = 2 ** (config.layers + 1)
        if edge < smallest:
            raise StageFailure(
                "bad_config",
                f"gan.layers {config.layers} needs {smallest} pixels, the images have {edge}",
            )
        try:
            self.network = seeded_build(
                training.seed, lambda: PatchDiscriminator(config.channels, config.layers)
            ).to(device())
        except ValueError as error:
            raise StageFailure("bad_config", f"gan: {error}") from error
        steps = max(1, training.steps - self.start)
        self.learner = Learner("critic", {"patches": self.network}, config.optimizer, steps)

    def generator_loss(
        self, made: Tensor, rest: Tensor, last_layer: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted adversarial loss of the decoder; its gradient at the last layer is `weight` times
        as large as that of the other losses."""
        raw = -self.network(made).mean()
        others = torch.autograd.grad(rest, last_layer, retain_graph=True)[0].norm()
        own = torch.autograd.grad(raw, last_layer, retain_graph=True)[0].norm()
        adaptive = (others / (own + GRADIENT_EPSILON)).clamp(max=LARGEST_ADAPTIVE).detach()
        scalars = {"loss/adversarial": raw.detach(), "weight/adversarial": self.config.weight * adaptive}
        return self.config.weight * adaptive * raw, scalars

    def train(self, step: int, real: Tensor, made: Tensor) -> dict[str, Tensor]:
        """One update on detached images; its loss and accuracies before it."""
        real_BHW, fake_BHW = self.network(real), self.network(made)
        loss = F.relu(1 - real_BHW).mean() + F.relu(1 + fake_BHW).mean()
        self.learner.update(loss, step - self.start)
        return {
            "loss/discriminator": loss.detach(),
            "discriminator/accuracy_real": (real_BHW > 0).float().mean(),
            "discriminator/accuracy_fake": (fake_BHW < 0).float().mean(),
        }


@torch.no_grad()
def _peak_activation(decoder: TinyDecoder, learner: Learner, latents: Sequence[Tensor]) -> float:
    """Largest absolute output of any layer over the held-out latents: few norms are left in this net, and
    an fp16 file may overflow (paper.md section 9, trap 26)."""
    peak = 0.0

    def look(_module: nn.Module, _inputs: object, out: Tensor) -> None:
        nonlocal peak
        peak = max(peak, float(out.abs().max()))

    handles = [module.register_forward_hook(look) for module in decoder.modules()]
    try:
        with learner.ema["decoder"].applied(decoder):
            for part in latents:
                decoder(part)
    finally:
        for handle in handles:
            handle.remove()
    return peak


def _open_perceptual(ctx: StageContext, spec: DistillDecoderSpec) -> Lpips | None:
    if spec.lpips_weight == 0:
        return None
    try:
        return Lpips.load(ctx.input("perceptual")).to(device())
    except (FileNotFoundError, ValueError) as error:
        raise StageFailure("bad_input", f"input 'perceptual': {error}") from error


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
            self._kept[index[new]] = to_bytes(self._autoencoder.decode(z_BCHW[new.to(z_BCHW.device)])).cpu()
            self._known[index[new]] = True
        return to_unit(self._kept[index].to(z_BCHW.device))


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
