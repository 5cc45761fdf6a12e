"""Opening the denoisers that a distillation stage works with; what does not fit is a bad input.

Everything is checked before the first step: a mismatch of widths found inside a layer would be
reported as a shape error that names neither input.
"""

import torch

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import DistillSpec, DistillStepsSpec, Sd3Config, UnetConfig
from limbeck.data.features import FeatureSet
from limbeck.models.sd3 import FrozenTeacher
from limbeck.models.store import LoadedDenoiser, load_denoiser
from limbeck.models.text import encoder_dtype, load_text_encoder
from limbeck.training.distributed import device, world
from limbeck.training.precision import compiled


def open_student(ctx: StageContext, name: str) -> LoadedDenoiser:
    """The denoiser tree of input `name`, with its EMA weights.

    Raises:
        StageFailure: bad_input, naming the input and what is wrong with it.
    """
    folder = ctx.input(name)
    try:
        return load_denoiser(folder)
    except (FileNotFoundError, ValueError) as error:
        raise StageFailure("bad_input", f"input '{name}': {error}") from error


def open_teacher(
    ctx: StageContext, component: str, spec: DistillSpec | DistillStepsSpec | None = None
) -> FrozenTeacher:
    """A denoiser of the input `snapshot`, frozen, on this process's device; held as `spec` says."""
    folder = ctx.input("snapshot")
    half = spec is not None and spec.teacher_precision == "bf16"
    try:
        teacher = FrozenTeacher.load(folder, component, torch.bfloat16 if half else torch.float32, device())
    except (FileNotFoundError, ValueError, OSError) as error:
        raise StageFailure("bad_input", f"input 'snapshot': {error}") from error
    if spec is not None and spec.teacher_sharded and world() > 1:
        teacher.shard()
    if spec is not None and spec.training.compile_blocks:
        compiled(teacher, device())
    return teacher


def open_teacher_text(ctx: StageContext, spec: DistillSpec | DistillStepsSpec) -> FeatureSet:
    """The features with the teacher's text: stored, or made on the way by the snapshot's encoders."""
    if spec.teacher_text == "cached":
        return FeatureSet.load(ctx.input("features"), "teacher")
    on = device()
    try:
        encoder = load_text_encoder(ctx.input("snapshot"), encoder_dtype(on), on)
    except (FileNotFoundError, ValueError, OSError) as error:
        raise StageFailure("bad_input", f"teacher_text live: {error}") from error
    return FeatureSet.load(ctx.input("features"), "teacher", encoder)


def check_student(student: LoadedDenoiser, features: FeatureSet) -> None:
    """The student takes the features' latents and text states, and was trained on text of this kind."""
    check_denoiser("the student", student.card.config, features)
    check_text(student, features)


def check_text(student: LoadedDenoiser, features: FeatureSet) -> None:
    """The student was trained on text of the encoders that made the features', as far as both tell."""
    trained, found = student.card.text_digest, features.text_digest
    if trained and found and trained != found:
        raise StageFailure(
            "bad_input",
            f"the student was trained on text of the encoders {trained}, the features hold text of {found}",
        )


def check_denoiser(who: str, config: Sd3Config | UnetConfig, features: FeatureSet) -> None:
    """A denoiser of this configuration takes the features' latents and text states."""
    _check_latents(who, config.latent_channels, config.latent_size, features)
    width = config.context_width if isinstance(config, UnetConfig) else config.joint_width
    _check_width(f"{who}'s text", width, features)


def check_teacher(teacher: FrozenTeacher, features: FeatureSet, smaller: bool = False) -> None:
    """The teacher takes the same latents, element by element, and its own text states.

    `smaller`: latents below the size that the teacher was made for are taken too; SD3's position table
    is cropped to its middle for them.
    """
    config = teacher.config
    if not (smaller and below_native(teacher, features) and features.latent_shape[1] % config.patch == 0):
        _check_latents("the teacher", config.latent_channels, config.latent_size, features)
    _check_width("the teacher's text", config.joint_width, features)


def below_native(teacher: FrozenTeacher, features: FeatureSet) -> bool:
    """Whether the features hold latents of the teacher's kind, but smaller than it was made for."""
    channels, height, width = features.latent_shape
    config = teacher.config
    return channels == config.latent_channels and height == width < config.latent_size


def _check_latents(who: str, channels: int, size: int, features: FeatureSet) -> None:
    found = tuple(features.latent_shape)
    if found != (channels, size, size):
        raise StageFailure(
            "bad_input", f"{who} works on latents of {(channels, size, size)}, the features hold {found}"
        )


def _check_width(who: str, width: int, features: FeatureSet) -> None:
    found = features.batch([0]).text_BND.shape[-1]
    if found != width:
        raise StageFailure("bad_input", f"{who} is {width} wide, the features hold tokens of {found}")
