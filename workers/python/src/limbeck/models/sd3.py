"""The SD3 transformer at both ends: trainable in a tiny configuration, frozen as the teacher.

`Sd3Denoiser` gives diffusers' SD3Transformer2DModel the call that every denoiser of this project
has; `FrozenTeacher` holds one that is never trained, SD3.5-Large and a tiny one alike.

Shapes: x_BCHW latent; t_B in [0, 1]; text_BND token states; pooled_BP; features [B, T, D] with
T = (H / patch)(W / patch) image tokens and D the width of a block.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from diffusers import SD3Transformer2DModel
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.utils.checkpoint import checkpoint

from limbeck.contracts.generated import Sd3Config
from limbeck.models.loading import load_component

TIMESTEP_SCALE = 1000.0
"""The model's timestep input is 1000 t (training.md B.3)."""

SD35_LARGE = Sd3Config(
    architecture="sd3",
    layers=38,
    heads=38,
    head_width=64,
    patch=2,
    latent_channels=16,
    latent_size=128,
    joint_width=4096,
    pooled_width=2048,
    qk_norm="rms_norm",
    position_table=192,
)
"""SD3.5-Large and -Large-Turbo: 8,056,627,520 learned parameters (training.md B.1)."""

SD35_MEDIUM = SD35_LARGE.model_copy(
    update={"layers": 24, "heads": 24, "dual_attention_layers": 13, "position_table": 384}
)
"""SD3.5-Medium: 2.243 billion learned parameters (training.md B.1)."""


class Sd3Denoiser(nn.Module):
    """SD3Transformer2DModel as `denoiser(x_BCHW, t_B, text_BND, pooled_BP) -> v_BCHW`."""

    def __init__(self, transformer: SD3Transformer2DModel) -> None:
        super().__init__()
        self.transformer = transformer

    def checkpoint_activations(self) -> None:
        """From now on a block's activations are computed again in the backward pass instead of kept."""
        self.transformer.enable_gradient_checkpointing()

    def repeated_blocks(self) -> list[nn.Module]:
        """What regional compilation compiles."""
        return list(self.transformer.transformer_blocks)

    def forward(self, x_BCHW: Tensor, t_B: Tensor, text_BND: Tensor, pooled_BP: Tensor) -> Tensor:
        return self.transformer(
            hidden_states=x_BCHW,
            encoder_hidden_states=text_BND,
            pooled_projections=pooled_BP,
            timestep=t_B * TIMESTEP_SCALE,
            return_dict=False,
        )[0]

    def forward_with_features(
        self, x_BCHW: Tensor, t_B: Tensor, text_BND: Tensor, pooled_BP: Tensor, layers: Sequence[int]
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Velocity and the image stream after the chosen blocks, before the final norm."""
        with self._tapped(layers) as features:
            velocity = self(x_BCHW, t_B, text_BND, pooled_BP)
        return velocity, features

    def features(
        self, x_BCHW: Tensor, t_B: Tensor, text_BND: Tensor, pooled_BP: Tensor, layers: Sequence[int]
    ) -> dict[int, Tensor]:
        """Image stream after the chosen blocks; nothing after the last of them is computed.

        Taps up to block 27 of 38 save a quarter of the work (training.md B.1).
        """
        self._check_layers(layers)
        model = self.transformer
        image_BTD = model.pos_embed(x_BCHW)
        condition_BD = model.time_text_embed(t_B * TIMESTEP_SCALE, pooled_BP)
        joint_BND = model.context_embedder(text_BND)
        found: dict[int, Tensor] = {}
        recompute = model.gradient_checkpointing and torch.is_grad_enabled()
        for index, block in enumerate(model.transformer_blocks[: max(layers) + 1]):
            if recompute:
                joint_BND, image_BTD = checkpoint(
                    block, image_BTD, joint_BND, condition_BD, use_reentrant=False
                )
            else:
                joint_BND, image_BTD = block(
                    hidden_states=image_BTD, encoder_hidden_states=joint_BND, temb=condition_BD
                )
            if index in layers:
                found[index] = image_BTD
        return found

    @contextmanager
    def _tapped(self, layers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
        """Stores outputs of blocks while the body runs.

        By index, never appended: under gradient checkpointing a hook fires again in the recompute.
        A block returns (text, image); item 1 is the image stream.
        """
        self._check_layers(layers)
        found: dict[int, Tensor] = {}

        def keep(index: int):
            def hook(_module: nn.Module, _inputs: object, out: tuple[Tensor | None, Tensor]) -> None:
                found[index] = out[1]

            return hook

        handles = [self.transformer.transformer_blocks[i].register_forward_hook(keep(i)) for i in layers]
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()

    def _check_layers(self, layers: Sequence[int]) -> None:
        count = len(self.transformer.transformer_blocks)
        wrong = [layer for layer in layers if not 0 <= layer < count]
        if wrong or not layers:
            raise ValueError(f"taps must name blocks 0..{count - 1}, got {list(layers)}")


def build_transformer(config: Sd3Config) -> SD3Transformer2DModel:
    """A fresh transformer. A position table larger than the latent is cropped to its middle."""
    return SD3Transformer2DModel(
        sample_size=config.latent_size,
        patch_size=config.patch,
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        num_layers=config.layers,
        num_attention_heads=config.heads,
        attention_head_dim=config.head_width,
        joint_attention_dim=config.joint_width,
        caption_projection_dim=config.heads * config.head_width,
        pooled_projection_dim=config.pooled_width,
        pos_embed_max_size=config.position_table or config.latent_size // config.patch,
        # diffusers annotates an empty tuple.
        dual_attention_layers=tuple(range(config.dual_attention_layers)),  # pyright: ignore[reportArgumentType]
        qk_norm=None if config.qk_norm == "none" else config.qk_norm,
    )


def build_sd3(config: Sd3Config) -> Sd3Denoiser:
    """A trainable SD3 denoiser (tiny-teacher, tiny-turbo), initialised as DiT does (adaLN-zero).

    diffusers leaves torch's default initialisation, because it only ever loads SD3; with every gate
    and the output at zero each block starts as the identity and the first prediction is zero.
    """
    transformer = build_transformer(config)
    zeroed = {"proj_out", "norm_out.linear"} | {
        f"transformer_blocks.{index}.{norm}.linear"
        for index in range(config.layers)
        for norm in ("norm1", "norm1_context")
    }
    for name in zeroed:
        for parameter in transformer.get_submodule(name).parameters():
            nn.init.zeros_(parameter)
    return Sd3Denoiser(transformer)


def load_transformer(folder: Path, dtype: torch.dtype) -> SD3Transformer2DModel:
    """A component of a snapshot, at once in `dtype`.

    Raises:
        ValueError: tensors are missing, unknown or of another shape; names them.
    """
    model = load_component(SD3Transformer2DModel, folder, dtype)
    assert isinstance(model, SD3Transformer2DModel)
    return model


def config_of(transformer: SD3Transformer2DModel) -> Sd3Config:
    """The project's configuration of a loaded transformer."""
    held = dict(transformer.config)
    table = held["pos_embed_max_size"]
    return Sd3Config(
        architecture="sd3",
        layers=held["num_layers"],
        heads=held["num_attention_heads"],
        head_width=held["attention_head_dim"],
        patch=held["patch_size"],
        latent_channels=held["in_channels"],
        latent_size=held["sample_size"],
        joint_width=held["joint_attention_dim"],
        pooled_width=held["pooled_projection_dim"],
        qk_norm=held["qk_norm"] or "none",
        dual_attention_layers=len(held["dual_attention_layers"]),
        position_table=0 if table == held["sample_size"] // held["patch_size"] else table,
    )


class FrozenTeacher:
    """A denoiser that is only ever asked: no optimizer, no parameter gradient.

    Gradients with respect to the *inputs* flow when the inputs ask for them: LADD's generator
    needs them. Not an nn.Module, so that it cannot slip into a learner's parameters.
    """

    def __init__(self, denoiser: Sd3Denoiser, few_step_grid: Sequence[float] | None = None) -> None:
        self._denoiser = denoiser.eval().requires_grad_(False)
        self.config = config_of(denoiser.transformer)
        self.few_step_grid = list(few_step_grid) if few_step_grid is not None else None

    @classmethod
    def load(
        cls,
        snapshot: Path,
        component: str = "transformer",
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> "FrozenTeacher":
        """`transformer` or `transformer_turbo` of a snapshot folder laid out as SD3.5's.

        Raises:
            FileNotFoundError: the snapshot lacks the component; lists what it holds.
            ValueError: tensors are missing, unknown or of another shape; names them.
        """
        folder = snapshot / component
        if not (folder / "config.json").is_file():
            held = ", ".join(sorted(p.name for p in snapshot.iterdir())) if snapshot.is_dir() else "nothing"
            raise FileNotFoundError(
                f"snapshot {snapshot.name} lacks {component}/config.json; it holds: {held}"
            )
        transformer = load_transformer(folder, dtype)
        notes = snapshot / "limbeck.json"
        few_step = json.loads(notes.read_text()).get("few_step", {}) if notes.is_file() else {}
        return cls(Sd3Denoiser(transformer).to(device), few_step.get(component, {}).get("grid"))

    @property
    def few_step(self) -> bool:
        """Whether the snapshot marks this component as made for few guidance-free steps."""
        return self.few_step_grid is not None

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self._denoiser.parameters())

    def velocity(self, x_BCHW: Tensor, t_B: Tensor, text_BND: Tensor, pooled_BP: Tensor) -> Tensor:
        with self._asked(x_BCHW):
            return self._denoiser(*self._cast(x_BCHW, t_B, text_BND, pooled_BP)).float()

    def features(
        self, x_BCHW: Tensor, t_B: Tensor, text_BND: Tensor, pooled_BP: Tensor, layers: Sequence[int]
    ) -> dict[int, Tensor]:
        """Block index -> image stream [B, T, D]; stops after the last tap."""
        with self._asked(x_BCHW):
            found = self._denoiser.features(*self._cast(x_BCHW, t_B, text_BND, pooled_BP), layers)
        return {layer: tokens.float() for layer, tokens in found.items()}

    def forward_with_features(
        self, x_BCHW: Tensor, t_B: Tensor, text_BND: Tensor, pooled_BP: Tensor, layers: Sequence[int]
    ) -> tuple[Tensor, dict[int, Tensor]]:
        with self._asked(x_BCHW):
            inputs = self._cast(x_BCHW, t_B, text_BND, pooled_BP)
            velocity, found = self._denoiser.forward_with_features(*inputs, layers)
        return velocity.float(), {layer: tokens.float() for layer, tokens in found.items()}

    def checkpoint_activations(self) -> None:
        """For gradients with respect to the inputs: recomputes blocks instead of keeping them."""
        self._denoiser.checkpoint_activations()

    def repeated_blocks(self) -> list[nn.Module]:
        return self._denoiser.repeated_blocks()

    def shard(self) -> None:
        """Spreads the blocks over the process group (FSDP2): each process keeps its part of every block
        and gathers a block for as long as it computes.

        The rest (embeddings and the last norm, 0.6 % of SD3.5-Large) stays whole in each process, since
        `features` calls blocks one by one and never passes the root's hooks.
        """
        for block in self._denoiser.transformer.transformer_blocks:
            fully_shard(block)

    @contextmanager
    def _asked(self, x_BCHW: Tensor) -> Iterator[None]:
        """Frozen, in the precision of its own weights, with a graph only where the input asks for one."""
        if any(p.requires_grad for p in self._denoiser.parameters()):
            raise AssertionError("a teacher's parameters must not require gradients; something unfroze them")
        wanted = torch.is_grad_enabled() and x_BCHW.requires_grad
        with torch.autocast(x_BCHW.device.type, enabled=False), torch.set_grad_enabled(wanted):
            yield

    def _cast(
        self, x_BCHW: Tensor, t_B: Tensor, text_BND: Tensor, pooled_BP: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # The time stays float32: bf16 could not tell 1000 t from its neighbours.
        dtype = self._denoiser.transformer.dtype
        return x_BCHW.to(dtype), t_B, text_BND.to(dtype), pooled_BP.to(dtype)

    # The sampler takes any denoiser; a teacher is one.
    __call__ = velocity
