"""Rectified-flow training of any denoiser on cached features: base student, control, tiny teacher.

Inputs: features; optionally initial (a denoiser tree of the same configuration to go on from).
Output: a denoiser tree with raw and EMA weights and the optimizer's state.
"""

import torch

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import PretrainSpec, Sd3Config, StageResult, UnetConfig
from limbeck.data.features import FeatureSet, drop_text
from limbeck.data.randomness import normal, shuffled
from limbeck.models.store import (
    DenoiserCard,
    Trained,
    build_denoiser,
    load_weights,
    save_denoiser,
)
from limbeck.models.tensors import load_tensors
from limbeck.objectives.flow import draw_time, interpolate, velocity_target
from limbeck.stages.denoisers import check_denoiser, check_text, open_student
from limbeck.training.batches import micro_batches
from limbeck.training.distributed import device, world
from limbeck.training.loop import Learner, StepOutput, train
from limbeck.training.precision import compute_precision, prepared
from limbeck.training.seeding import seeded_build
from limbeck.training.statistics import BinMeans, HeldOutVelocity


def held_out_count(samples: int) -> int:
    """Last samples of a feature set that no training step sees: 320, or a tenth of a small set."""
    return min(320, max(1, samples // 10))


def run(ctx: StageContext) -> StageResult:
    spec: PretrainSpec = ctx.spec
    training, seed = spec.training, spec.training.seed
    features = FeatureSet.load(ctx.input("features"), spec.text)
    check_denoiser("the model", spec.model, features)
    on = device()
    denoiser = prepared(seeded_build(seed, lambda: build_denoiser(spec.model)), training, on)
    learner = Learner("denoiser", {"model": denoiser}, training.optimizer, training.steps, training.ema_decay)
    trained_before = _continue_from(ctx, learner, features) if "initial" in ctx.inputs else 0

    held_out = held_out_count(len(features))
    count = len(features) - held_out
    validation = HeldOutVelocity(
        lambda indices: features.batch([count + i for i in indices]),
        held_out,
        per_bin=training.validate_per_bin,
        device=on,
    )
    loss_by_t = BinMeans()

    def step(step: int) -> StepOutput:
        loss, seen = torch.zeros((), device=on), list[int]()
        for positions, share in micro_batches(training, step):
            chosen = shuffled(seed, "order", positions, count)
            batch, _ = drop_text(features.batch(chosen), features.text_parts, training, positions)
            batch = batch.to(on)
            t_B = draw_time(spec.time, seed, "t", positions).to(on)
            noise = normal(seed, "noise", positions, features.latent_shape).to(on)
            x_t = interpolate(batch.latent_BCHW, noise, t_B)
            with compute_precision(training, on):
                predicted = denoiser(x_t, t_B, batch.text_BND, batch.pooled_BP)
            error = predicted.float() - velocity_target(batch.latent_BCHW, noise)
            error_B = error.square().flatten(1).mean(1)
            loss_by_t.add(t_B, error_B)
            learner.accumulate(error_B.mean(), share)
            # Logged scalars are means over processes.
            loss = loss + error_B.detach().mean() * (share * world())
            seen += chosen.tolist()
        norm = learner.apply(step)
        return StepOutput(
            loss=loss,
            scalars={"loss/task": loss, "gradient_norm": norm},
            keys=[features.keys[place] for place in seen],
        )

    final: dict[str, float] = {}

    def validate(done: int) -> None:
        with learner.ema["model"].applied(denoiser), compute_precision(training, on):
            by_t = validation.error_by_t(validation.velocities(denoiser))
        final["validation_task"] = sum(by_t) / len(by_t)
        ctx.log_array(done, "validation/task_by_t", by_t)
        ctx.log_array(done, "training/task_by_t", loss_by_t.read())
        ctx.log_scalars(done, {"validation/task": final["validation_task"]})

    trained_loss = train(ctx=ctx, training=training, learners=[learner], step_fn=step, validate_fn=validate)
    card = DenoiserCard(
        config=spec.model,
        text=spec.text,
        text_digest=features.text_digest,
        time=spec.time,
        trained=Trained(stage="pretrain", steps=trained_before + training.steps),
    )
    save_denoiser(
        ctx.output,
        card,
        raw=dict(denoiser.state_dict()),
        ema=learner.ema["model"].weights,
        optimizer=learner.optimizer.state_tensors(),
    )
    trained = {} if trained_loss is None else {"loss_task": trained_loss}
    parameters = sum(p.numel() for p in denoiser.parameters())
    return StageResult(metrics={"parameters": float(parameters), **trained, **final})


def _resized(config: UnetConfig | Sd3Config, model: UnetConfig | Sd3Config) -> UnetConfig | Sd3Config:
    """A UNet at the resolution of another: no weight depends on it, and the rotary tables are rebuilt
    in token units. So training grows from 256 to 512 to 1024 px. (SD3's position table does depend on it.)"""
    if isinstance(config, UnetConfig) and isinstance(model, UnetConfig):
        return config.model_copy(update={"latent_size": model.latent_size})
    return config


def _continue_from(ctx: StageContext, learner: Learner, features: FeatureSet) -> int:
    """Loads the initial denoiser; returns the steps it was trained for.

    With `carry_optimizer` the raw weights, their EMA and the optimizer go on as if nothing had
    happened (a leg of a long training); without, a new training starts from the EMA.
    """
    spec: PretrainSpec = ctx.spec
    folder = ctx.input("initial")
    initial = open_student(ctx, "initial")
    card = initial.card
    if _resized(card.config, spec.model) != spec.model:
        raise StageFailure(
            "bad_input",
            f"the initial denoiser has another configuration: {card.config.model_dump_json()}, "
            f"the stage asks for {spec.model.model_dump_json()}",
        )
    if card.trained.few_step:
        raise StageFailure(
            "bad_input", "the initial denoiser was taken to few steps; pretrain needs one that was not"
        )
    check_text(initial, features)
    denoiser, ema = learner.modules["model"], learner.ema["model"]
    averaged = load_tensors(folder / "ema.safetensors")
    if spec.carry_optimizer:
        if not (folder / "optimizer.safetensors").is_file():
            raise StageFailure(
                "bad_input", "carry_optimizer: the initial denoiser has no optimizer.safetensors"
            )
        load_weights(denoiser, load_tensors(folder / "raw.safetensors"))
        learner.optimizer.load_state_tensors(load_tensors(folder / "optimizer.safetensors"))
        learner.ema_updates_before = card.trained.steps
    else:
        load_weights(denoiser, averaged)
    ema.load({name: value for name, value in averaged.items() if name in ema.weights})
    return card.trained.steps
