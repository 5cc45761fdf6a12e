"""SnapGen's efficient UNet (paper.md section 1), one file, top to bottom.

Shape legend: B batch, C channels, H W latent edges, T = H*W image tokens, N text tokens, D width of a
transformer block, A heads, K channels of a head, E width of the time embedding, F sinusoidal features.

The net is written for three readers at once: autograd on a GPU, one CPU thread, and the Core ML
converter. Hence no tensor above four dimensions, no einsum, no SDPA (it tiles a shared K/V head), and
a time embedding whose sines can be computed outside (`forward_from_embedding`): inside an fp16 graph
they are off by up to 0.2 near t = 1 (feasibility.md).

Parameter counts that the published sizes fix (paper.md 1.4): 372.23M with a 768-wide context and a
4-channel latent, 379.17M with 2304 and 16; tests/models/test_unet.py asserts both.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from limbeck.contracts.generated import UnetConfig

NORM_EPS = 1e-6
"""Epsilon of every norm; explicit, because the converter refuses an RMSNorm without one."""

TIME_SCALE = 1000.0
"""t in [0, 1] is embedded as 1000 t, the convention of SD3 and SDXL."""


def time_features(t_B: Tensor, frequencies: int) -> Tensor:
    """Sinusoidal features of the time, in float32: cos in the first half, sin in the second.

    Args:
        t_B: [B], 0 data to 1 noise.
        frequencies: F, even.

    Returns:
        [B, F] float32.
    """
    half = frequencies // 2
    exponent = torch.arange(half, dtype=torch.float32, device=t_B.device) * (-math.log(10_000.0) / half)
    phase_BF = t_B.float()[:, None] * TIME_SCALE * exponent.exp()[None, :]
    return torch.cat([phase_BF.cos(), phase_BF.sin()], dim=1)


def axial_rope_tables(size: int, head_width: int) -> tuple[Tensor, Tensor]:
    """cos and sin of 2D axial rotary positions for a size x size grid, in token units.

    The first half of the rotated pairs turns with the row, the second with the column; pair i is
    (channel i, channel i + K/2). Positions are token indices, so a larger grid extends them.

    Returns:
        cos [T, 1, K] and sin [T, 1, K], to be broadcast over heads; the sign of the rotation is in
        the sines: - for the first half of the channels, + for the second.
    """
    quarter = head_width // 4
    frequency = 10_000.0 ** (-torch.arange(quarter, dtype=torch.float32) / quarter)
    position = torch.arange(size, dtype=torch.float32)
    row = (position[:, None] * frequency).repeat_interleave(size, dim=0)
    column = (position[:, None] * frequency).repeat(size, 1)
    angle_TK = torch.cat([row, column], dim=1)
    cos, sin = angle_TK.cos(), angle_TK.sin()
    return torch.cat([cos, cos], dim=1)[:, None, :], torch.cat([-sin, sin], dim=1)[:, None, :]


def rotate(x_BTAK: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns each pair (i, i + K/2) of the head vectors by its position's angle."""
    first, second = x_BTAK.chunk(2, dim=-1)
    return torch.addcmul(x_BTAK * cos, torch.cat([second, first], dim=-1), sin)


def activation(name: str) -> nn.Module:
    return nn.SiLU() if name == "silu" else nn.Hardswish()


class SeparableConv(nn.Sequential):
    """Depthwise 3x3, then pointwise 1x1, nothing between (paper.md 1.3); a bias in both, which the
    published counts need (public descendants differ: one has none, one has the depthwise bias alone)."""

    def __init__(self, inner: int, outer: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=inner),
            nn.Conv2d(inner, outer, 1),
        )


def convolution(inner: int, outer: int, separable: bool, stride: int = 1) -> nn.Module:
    return SeparableConv(inner, outer, stride) if separable else nn.Conv2d(inner, outer, 3, stride, padding=1)


class ResBlock(nn.Module):
    """GN, act, conv to the expanded width, + time, GN, act, conv to `outer`, + shortcut."""

    def __init__(self, config: UnetConfig, inner: int, outer: int) -> None:
        super().__init__()
        base = {"in": inner, "out": outer, "max": max(inner, outer)}[config.expansion_base]
        middle = round(config.expansion * base)
        if middle < 1 or middle % config.norm_groups:
            raise ValueError(
                f"expansion {config.expansion} of {base} channels is {middle},"
                f" no multiple of norm_groups {config.norm_groups}"
            )
        self.norm1 = nn.GroupNorm(config.norm_groups, inner, eps=NORM_EPS)
        self.conv1 = convolution(inner, middle, config.separable_convolutions)
        self.time = nn.Linear(config.time_width, middle)
        self.norm2 = nn.GroupNorm(config.norm_groups, middle, eps=NORM_EPS)
        self.conv2 = convolution(middle, outer, config.separable_convolutions)
        self.shortcut = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()
        self.act = activation(config.activation)

    def forward(self, x_BCHW: Tensor, time_BE: Tensor) -> Tensor:
        hidden = self.conv1(self.act(self.norm1(x_BCHW)))
        hidden = hidden + self.time(time_BE)[:, :, None, None]
        return self.conv2(self.act(self.norm2(hidden))) + self.shortcut(x_BCHW)


class Attention(nn.Module):
    """Self- or cross-attention with one shared K/V head (MQA) or one per query head (MHA).

    With one K/V head no transpose is needed: queries [B, T*A, K] against keys [B, N, K] is one
    batched matmul, and its result is already in token order.
    """

    rope_cos: Tensor
    rope_sin: Tensor

    def __init__(
        self, config: UnetConfig, width: int, context: int, heads: int, size: int, rope_keys: bool
    ) -> None:
        super().__init__()
        self.heads, self.head_width = heads, config.head_width
        self.kv_heads = 1 if config.attention == "mqa" else heads
        self.rope_keys = rope_keys
        self.to_q = nn.Linear(width, heads * config.head_width, bias=False)
        self.to_k = nn.Linear(context, self.kv_heads * config.head_width, bias=False)
        self.to_v = nn.Linear(context, self.kv_heads * config.head_width, bias=False)
        self.to_out = nn.Linear(heads * config.head_width, width)
        normalize = config.qk_norm == "rms_norm"
        self.norm_q = nn.RMSNorm(config.head_width, eps=NORM_EPS) if normalize else nn.Identity()
        self.norm_k = nn.RMSNorm(config.head_width, eps=NORM_EPS) if normalize else nn.Identity()
        self.rope = config.rope
        if config.rope:
            cos, sin = axial_rope_tables(size, config.head_width)
            # Not saved: a function of the configuration, rebuilt per resolution.
            self.register_buffer("rope_cos", cos, persistent=False)
            self.register_buffer("rope_sin", sin, persistent=False)

    def forward(self, x_BTD: Tensor, context_BNC: Tensor) -> Tensor:
        batch, tokens, _ = x_BTD.shape
        heads, width = self.heads, self.head_width
        query = self.norm_q(self.to_q(x_BTD).reshape(batch, tokens, heads, width))
        key = self.norm_k(self.to_k(context_BNC).reshape(batch, -1, self.kv_heads, width))
        value = self.to_v(context_BNC)
        if self.rope:
            query = rotate(query, self.rope_cos, self.rope_sin)
            if self.rope_keys:
                key = rotate(key, self.rope_cos, self.rope_sin)
        key = key * width**-0.5  # of the two factors of the scores the smaller tensor
        if self.kv_heads == 1:
            query, key = query.reshape(batch, tokens * heads, width), key.reshape(batch, -1, width)
            weights = torch.matmul(query, key.transpose(1, 2)).softmax(dim=-1)
            mixed = torch.matmul(weights, value).reshape(batch, tokens, heads * width)
        else:
            weights = torch.matmul(query.transpose(1, 2), key.permute(0, 2, 3, 1)).softmax(dim=-1)
            value = value.reshape(batch, -1, heads, width).transpose(1, 2)
            mixed = torch.matmul(weights, value).transpose(1, 2).reshape(batch, tokens, heads * width)
        return self.to_out(mixed)


class FeedForward(nn.Module):
    """GEGLU: 2r times as wide going in, r times coming out (r = `ffn_ratio`).

    Value and gate come from two products rather than from halves of one: the halves would be strided,
    and on one thread the block then takes 1.7 times as long.
    """

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        inner = round(width * ratio)
        self.project_value = nn.Linear(width, inner)
        self.project_gate = nn.Linear(width, inner)
        self.project_out = nn.Linear(inner, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.project_out(self.project_value(x_BTD) * F.gelu(self.project_gate(x_BTD)))


class TransformerBlock(nn.Module):
    """[LN, SA], LN, CA, LN, FFN, each with its residual. SA only where the stage asks for it."""

    def __init__(self, config: UnetConfig, width: int, heads: int, size: int, self_attention: bool) -> None:
        super().__init__()
        self.self_attention = self_attention
        if self_attention:
            self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
            self.attn1 = Attention(config, width, width, heads, size, rope_keys=True)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn2 = Attention(config, width, config.context_width, heads, size, rope_keys=False)
        self.norm3 = nn.LayerNorm(width, eps=NORM_EPS)
        self.ffn = FeedForward(width, config.ffn_ratio)

    def forward(self, x_BTD: Tensor, text_BNC: Tensor) -> Tensor:
        if self.self_attention:
            normed_BTD = self.norm1(x_BTD)
            x_BTD = x_BTD + self.attn1(normed_BTD, normed_BTD)
        x_BTD = x_BTD + self.attn2(self.norm2(x_BTD), text_BNC)
        return x_BTD + self.ffn(self.norm3(x_BTD))


class Transformer2D(nn.Module):
    """GN, linear in, n transformer blocks over the H*W tokens, linear out, residual."""

    def __init__(
        self, config: UnetConfig, width: int, heads: int, size: int, blocks: int, self_attention: bool
    ) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(config.norm_groups, width, eps=NORM_EPS)
        self.project_in = nn.Linear(width, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(config, width, heads, size, self_attention) for _ in range(blocks)
        )
        self.project_out = nn.Linear(width, width)

    def forward(self, x_BCHW: Tensor, text_BNC: Tensor) -> Tensor:
        batch, width, height, breadth = x_BCHW.shape
        # [B, C, H, W] -> [B, T, C]; a view when the memory is channels-last.
        tokens_BTD = self.norm(x_BCHW).permute(0, 2, 3, 1).reshape(batch, height * breadth, width)
        tokens_BTD = self.project_in(tokens_BTD)
        for block in self.blocks:
            tokens_BTD = block(tokens_BTD, text_BNC)
        tokens_BTD = self.project_out(tokens_BTD)
        return x_BCHW + tokens_BTD.reshape(batch, height, breadth, width).permute(0, 3, 1, 2)


class Unit(nn.Module):
    """A ResBlock and the transformer behind it: the unit that a stage repeats."""

    def __init__(
        self,
        config: UnetConfig,
        inner: int,
        outer: int,
        heads: int,
        size: int,
        blocks: int,
        self_attention: bool,
    ) -> None:
        super().__init__()
        self.res = ResBlock(config, inner, outer)
        self.transformer = (
            Transformer2D(config, outer, heads, size, blocks, self_attention) if blocks else None
        )
        self.checkpointed = False

    def forward(self, x_BCHW: Tensor, time_BE: Tensor, text_BNC: Tensor) -> Tensor:
        if self.checkpointed and torch.is_grad_enabled():
            return checkpoint(self.compute, x_BCHW, time_BE, text_BNC, use_reentrant=False)
        return self.compute(x_BCHW, time_BE, text_BNC)

    def compute(self, x_BCHW: Tensor, time_BE: Tensor, text_BNC: Tensor) -> Tensor:
        x_BCHW = self.res(x_BCHW, time_BE)
        return x_BCHW if self.transformer is None else self.transformer(x_BCHW, text_BNC)


class EfficientUNet(nn.Module):
    """Velocity v = e - x0 from a noisy latent, its time and the text (t = 0 data, t = 1 noise)."""

    def __init__(self, config: UnetConfig) -> None:
        super().__init__()
        check(config)
        self.config = config
        stages = config.stages
        widths = [stage.channels for stage in stages]

        self.time_mlp = nn.Sequential(
            nn.Linear(config.time_frequencies, config.time_width),
            nn.SiLU(),
            nn.Linear(config.time_width, config.time_width),
        )
        self.conv_in = nn.Conv2d(config.latent_channels, widths[0], 3, padding=1)
        self.time_act = nn.SiLU()

        # Down: every unit and every sampler leaves a skip, conv_in the first one.
        skips, inner, size = [widths[0]], widths[0], config.latent_size
        self.down = nn.ModuleList()
        self.downsamplers = nn.ModuleList()
        sizes = []
        for index, stage in enumerate(stages):
            sizes.append(size)
            units = nn.ModuleList()
            for _ in range(stage.down_blocks):
                units.append(
                    Unit(
                        config,
                        inner,
                        stage.channels,
                        stage.heads,
                        size,
                        stage.transformer_blocks,
                        stage.self_attention,
                    )
                )
                inner = stage.channels
                skips.append(inner)
            self.down.append(units)
            if index + 1 < len(stages):
                self.downsamplers.append(convolution(inner, inner, config.separable_samplers, stride=2))
                skips.append(inner)
                size //= 2

        lowest = stages[-1]
        self.middle_in = Unit(
            config, inner, inner, lowest.heads, size, config.middle_transformer_blocks, self_attention=True
        )
        self.middle_out = ResBlock(config, inner, inner)

        # Up: each unit takes one skip, concatenated on channels.
        self.up = nn.ModuleList()
        self.upsamplers = nn.ModuleList()
        for index in reversed(range(len(stages))):
            stage = stages[index]
            units = nn.ModuleList()
            for _ in range(stage.up_blocks):
                units.append(
                    Unit(
                        config,
                        inner + skips.pop(),
                        stage.channels,
                        stage.heads,
                        sizes[index],
                        stage.transformer_blocks,
                        stage.self_attention,
                    )
                )
                inner = stage.channels
            self.up.append(units)
            if index > 0:
                self.upsamplers.append(convolution(inner, inner, config.separable_samplers))

        self.norm_out = nn.GroupNorm(config.norm_groups, widths[0], eps=NORM_EPS)
        self.act_out = activation(config.activation)
        self.conv_out = nn.Conv2d(widths[0], config.latent_channels, 3, padding=1)

    def checkpoint_activations(self) -> None:
        """From now on a unit's activations are computed again in the backward pass instead of kept."""
        for module in self.modules():
            if isinstance(module, Unit):
                module.checkpointed = True

    def repeated_blocks(self) -> list[nn.Module]:
        """What regional compilation compiles."""
        return [module for module in self.modules() if isinstance(module, ResBlock | TransformerBlock)]

    def forward(self, x_BCHW: Tensor, t_B: Tensor, text_BNC: Tensor) -> Tensor:
        """Velocity [B, C, H, W] at time t [B] in [0, 1] under the text states [B, N, context_width]."""
        return self.forward_from_embedding(x_BCHW, self.time_features(t_B), text_BNC)

    def forward_from_embedding(self, x_BCHW: Tensor, time_features_BF: Tensor, text_BNC: Tensor) -> Tensor:
        """The same from sinusoids [B, time_frequencies] computed outside, in float32: the exported graph."""
        return self.head(self.trunk(x_BCHW, time_features_BF, text_BNC))

    def forward_with_features(self, x_BCHW: Tensor, t_B: Tensor, text_BNC: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity, and the last stage's output [B, C1, H, W] before the output head (for feature KD)."""
        features_BCHW = self.trunk(x_BCHW, self.time_features(t_B), text_BNC)
        return self.head(features_BCHW), features_BCHW

    def time_features(self, t_B: Tensor) -> Tensor:
        """[B, time_frequencies] float32: what a host feeds `forward_from_embedding`."""
        return time_features(t_B, self.config.time_frequencies)

    def trunk(self, x_BCHW: Tensor, time_features_BF: Tensor, text_BNC: Tensor) -> Tensor:
        time_BE = self.time_act(self.time_mlp(time_features_BF))
        x_BCHW = self.conv_in(x_BCHW)
        skips = [x_BCHW]
        for index, units in enumerate(self.down):
            assert isinstance(units, nn.ModuleList)
            for unit in units:
                x_BCHW = unit(x_BCHW, time_BE, text_BNC)
                skips.append(x_BCHW)
            if index < len(self.downsamplers):
                x_BCHW = self.downsamplers[index](x_BCHW)
                skips.append(x_BCHW)
        x_BCHW = self.middle_out(self.middle_in(x_BCHW, time_BE, text_BNC), time_BE)
        for index, units in enumerate(self.up):
            assert isinstance(units, nn.ModuleList)
            for unit in units:
                x_BCHW = unit(torch.cat([x_BCHW, skips.pop()], dim=1), time_BE, text_BNC)
            if index < len(self.upsamplers):
                x_BCHW = self.upsamplers[index](F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest"))
        return x_BCHW

    def head(self, features_BCHW: Tensor) -> Tensor:
        return self.conv_out(self.act_out(self.norm_out(features_BCHW)))


def check(config: UnetConfig) -> None:
    """Refuses configurations that the schema cannot: they relate several fields.

    Raises:
        ValueError: naming the fields, what they hold and what is allowed.
    """
    stages = config.stages
    if config.latent_size % 2 ** (len(stages) - 1):
        raise ValueError(
            f"latent_size {config.latent_size} cannot be halved {len(stages) - 1} times,"
            f" as {len(stages)} stages need"
        )
    for index, stage in enumerate(stages):
        if stage.up_blocks != stage.down_blocks + 1:
            raise ValueError(
                f"stages[{index}].up_blocks is {stage.up_blocks};"
                f" it must be down_blocks + 1 = {stage.down_blocks + 1}"
                " (each up block takes one skip: the stage's blocks and its entry)"
            )
        if stage.channels % config.norm_groups:
            raise ValueError(
                f"stages[{index}].channels {stage.channels} is no multiple of"
                f" norm_groups {config.norm_groups}"
            )
    if config.rope and config.head_width % 4:
        raise ValueError(f"head_width {config.head_width} is no multiple of 4, which 2D axial rope needs")
    if config.time_frequencies % 2:
        raise ValueError(f"time_frequencies {config.time_frequencies} is odd; half are cosines, half sines")
