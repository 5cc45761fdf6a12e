"""The UNet with its transformers in the layout that the Neural Engine likes: [B, C, 1, S].

Channels stand on axis 1 and tokens last from the convolutions on to the convolutions back; linear layers are
1x1 convolutions, norms run over axis 1, keys are transposed (evaluation.md E.2). Nothing is reshaped to
[tokens, channels] and back. The weights are the UNet's own, seen in another shape; the arithmetic is the same
but for rounding, which `verify` measures against the UNet as it was trained.

Shapes: B batch, C D widths, S image tokens (H * W), N text tokens, A heads, K channels of a head.
"""

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.export.graph import SMALLEST_PEAK
from limbeck.models.unet import (
    Attention,
    EfficientUNet,
    FeedForward,
    Transformer2D,
    TransformerBlock,
    Unit,
)


class PointwiseConv(nn.Conv2d):
    """A linear layer as a 1x1 convolution."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, 1, bias=linear.bias is not None)
        self.weight = nn.Parameter(linear.weight.detach()[:, :, None, None])
        if linear.bias is not None:
            self.bias = nn.Parameter(linear.bias.detach())


class ChannelNorm(nn.Module):
    """LayerNorm over axis 1 of [B, C, 1, S]. Scaled by its peak: the square of more than 255 is infinite in
    half precision."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.eps = norm.eps
        self.weight = nn.Parameter(norm.weight.detach()[:, None, None])
        self.bias = nn.Parameter(norm.bias.detach()[:, None, None])

    def forward(self, x_BC1S: Tensor) -> Tensor:
        centred = x_BC1S - x_BC1S.mean(dim=1, keepdim=True)
        return _over_root_mean_square(centred, 1, self.eps) * self.weight + self.bias


class HeadNorm(nn.Module):
    """RMSNorm over the channels of each head of [B, A, K, S]."""

    def __init__(self, norm: nn.RMSNorm) -> None:
        super().__init__()
        assert norm.eps is not None
        self.eps = norm.eps
        self.weight = nn.Parameter(norm.weight.detach()[:, None])

    def forward(self, x_BAKS: Tensor) -> Tensor:
        return _over_root_mean_square(x_BAKS, 2, self.eps) * self.weight


def _over_root_mean_square(x: Tensor, axis: int, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) along an axis, as `graph` spells it for the last one."""
    peak = x.abs().amax(axis, keepdim=True).clamp(min=SMALLEST_PEAK)
    scaled = x / peak
    floor = peak.pow(-2.0) * eps
    return scaled * torch.rsqrt((scaled * scaled).mean(axis, keepdim=True) + floor)


class ChannelsFirstAttention(nn.Module):
    """Scores [B, A, N, S] from transposed keys [B, 1 or A, N, K] and queries [B, A, K, S].

    Heads are a batch of one matmul. A matmul for each (Apple's SPLIT_EINSUM) doubles the operations, and the
    time of the conversion at full size (docs/log.md); which a phone runs faster is a phone's to say.
    """

    rope_cos: Tensor
    rope_sin: Tensor

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads, self.kv_heads = attention.heads, attention.kv_heads
        self.head_width, self.rope_keys = attention.head_width, attention.rope_keys
        self.to_q, self.to_k = PointwiseConv(attention.to_q), PointwiseConv(attention.to_k)
        self.to_v, self.to_out = PointwiseConv(attention.to_v), PointwiseConv(attention.to_out)
        self.norm_q, self.norm_k = _head_norm(attention.norm_q), _head_norm(attention.norm_k)
        self.rope = attention.rope
        if attention.rope:
            # [S, 1, K] -> [K, S]
            self.register_buffer("rope_cos", attention.rope_cos[:, 0].T.contiguous(), persistent=False)
            self.register_buffer("rope_sin", attention.rope_sin[:, 0].T.contiguous(), persistent=False)

    def forward(self, x_BC1S: Tensor, context_BC1N: Tensor) -> Tensor:
        batch, _, _, tokens = x_BC1S.shape
        query = self.norm_q(self.to_q(x_BC1S).reshape(batch, self.heads, self.head_width, tokens))
        key = self.norm_k(self.to_k(context_BC1N).reshape(batch, self.kv_heads, self.head_width, -1))
        value = self.to_v(context_BC1N).reshape(batch, self.kv_heads, self.head_width, -1)
        if self.rope:
            query = _rotate(query, self.rope_cos, self.rope_sin)
            if self.rope_keys:
                key = _rotate(key, self.rope_cos, self.rope_sin)
        key = (key * self.head_width**-0.5).transpose(2, 3)
        mixed = torch.matmul(value, torch.matmul(key, query).softmax(2))
        return self.to_out(mixed.reshape(batch, self.heads * self.head_width, 1, tokens))


def _head_norm(norm: nn.Module) -> nn.Module:
    return HeadNorm(norm) if isinstance(norm, nn.RMSNorm) else nn.Identity()


def _rotate(x_BAKS: Tensor, cos_KS: Tensor, sin_KS: Tensor) -> Tensor:
    first, second = x_BAKS.chunk(2, dim=2)
    return x_BAKS * cos_KS + torch.cat([second, first], dim=2) * sin_KS


class PointwiseFeedForward(nn.Module):
    def __init__(self, ffn: FeedForward) -> None:
        super().__init__()
        self.project_value, self.project_gate = (
            PointwiseConv(ffn.project_value),
            PointwiseConv(ffn.project_gate),
        )
        self.project_out = PointwiseConv(ffn.project_out)

    def forward(self, x_BC1S: Tensor) -> Tensor:
        return self.project_out(self.project_value(x_BC1S) * F.gelu(self.project_gate(x_BC1S)))


class ChannelsFirstBlock(nn.Module):
    def __init__(self, block: TransformerBlock) -> None:
        super().__init__()
        self.self_attention = block.self_attention
        if block.self_attention:
            self.norm1, self.attn1 = ChannelNorm(block.norm1), ChannelsFirstAttention(block.attn1)
        self.norm2, self.attn2 = ChannelNorm(block.norm2), ChannelsFirstAttention(block.attn2)
        self.norm3, self.ffn = ChannelNorm(block.norm3), PointwiseFeedForward(block.ffn)

    def forward(self, x_BC1S: Tensor, text_BC1N: Tensor) -> Tensor:
        if self.self_attention:
            normed = self.norm1(x_BC1S)
            x_BC1S = x_BC1S + self.attn1(normed, normed)
        x_BC1S = x_BC1S + self.attn2(self.norm2(x_BC1S), text_BC1N)
        return x_BC1S + self.ffn(self.norm3(x_BC1S))


class ChannelsFirstTransformer(nn.Module):
    def __init__(self, transformer: Transformer2D) -> None:
        super().__init__()
        self.norm = transformer.norm
        self.project_in = PointwiseConv(transformer.project_in)
        self.blocks = nn.ModuleList(
            ChannelsFirstBlock(cast(TransformerBlock, block)) for block in transformer.blocks
        )
        self.project_out = PointwiseConv(transformer.project_out)

    def forward(self, x_BCHW: Tensor, text_BC1N: Tensor) -> Tensor:
        batch, width, height, breadth = x_BCHW.shape
        tokens = self.project_in(self.norm(x_BCHW).reshape(batch, width, 1, height * breadth))
        for block in self.blocks:
            tokens = block(tokens, text_BC1N)
        return x_BCHW + self.project_out(tokens).reshape(batch, width, height, breadth)


def channels_first(unet: EfficientUNet) -> EfficientUNet:
    """A copy of the UNet whose transformers take the text as [B, D, 1, N]; it shares the UNet's weights."""
    memo = {id(one): one for one in [*unet.parameters(), *unet.buffers()]}
    found = copy.deepcopy(unet, memo)
    for module in found.modules():
        if isinstance(module, Unit) and module.transformer is not None:
            # Typed as what it stands in for: the unit only calls it.
            module.transformer = cast(Transformer2D, ChannelsFirstTransformer(module.transformer))
    return found.eval().requires_grad_(False)
