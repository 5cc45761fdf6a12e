"""SnapGen's phone text (CLIP alone, paper.md 1.5) as a graph that ships: token ids in, the UNet's `text` out.

Two forms of the same: `ClipText` asks transformers' models, as the student was trained on them, and is the
reference; `ClipTextGraph` is what is converted: the layers up to the last but one, a causal mask that is a
constant, no pooling and no projection.

Shapes: B batch (1 in a package), N = 77 positions, D width of a CLIP, A heads, K channels of a head.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.models.text_encoders import CLIP_TOKENS, SnapgenTextEncoder

MASKED = -1e4
"""Added where a position may not look: far below any score, and finite in half precision."""


class ClipText(nn.Module):
    """The models themselves.

    Raises:
        ValueError: the text has tokens of Gemma, which are not exported.
    """

    def __init__(self, encoder: SnapgenTextEncoder) -> None:
        super().__init__()
        if encoder.config.gemma_tokens:
            raise ValueError(
                f"student_text has {encoder.config.gemma_tokens} tokens of Gemma-2; a package has CLIP alone"
                " (gemma_tokens 0); else the host computes the text (text_encoder false)"
            )
        self.models = nn.ModuleList(one.model for one in encoder.clip_encoders)
        self.width = encoder.width

    def forward(self, **ids_BN: Tensor) -> Tensor:
        """int [B, N] under INPUTS' names -> [B, N, width]."""
        states = [
            model(ids, output_hidden_states=True).hidden_states[-2]
            for model, ids in zip(self.models, ids_BN.values(), strict=True)
        ]
        joined = torch.cat(states, dim=-1)
        return F.pad(joined, (0, self.width - joined.shape[-1]))


INPUTS = ("ids_l", "ids_g")
"""Token ids by CLIP-L's and CLIP-G's tokenizers, int32 [1, 77]."""


def _untyped(module: nn.Module) -> Any:
    return module


class ClipTextGraph(nn.Module):
    """CLIP-L and CLIP-G, joined on channels and padded with zeros."""

    def __init__(self, text: ClipText) -> None:
        super().__init__()
        self.clips = nn.ModuleList(ClipStates(model) for model in text.models)
        widths: list[int] = [model.config.hidden_size for model in map(_untyped, text.models)]
        self.padding = text.width - sum(widths)

    def forward(self, ids_l: Tensor, ids_g: Tensor) -> Tensor:
        joined = torch.cat([self.clips[0](ids_l), self.clips[1](ids_g)], dim=-1)
        return F.pad(joined, (0, self.padding)) if self.padding else joined


class ClipLTextGraph(ClipTextGraph):
    """CLIP-L by itself."""

    def forward(self, ids_l: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        states = self.clips[0](ids_l)
        return F.pad(states, (0, self.padding)) if self.padding else states


class ClipStates(nn.Module):
    """Second-to-last hidden states of a CLIP text transformer [B, N, D]."""

    mask: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        transformer = model.text_model
        self.words = transformer.embeddings.token_embedding
        self.places = nn.Parameter(transformer.embeddings.position_embedding.weight.detach()[:CLIP_TOKENS])
        self.layers = nn.ModuleList(ClipLayer(layer) for layer in transformer.encoder.layers[:-1])
        self.register_buffer("mask", torch.full((CLIP_TOKENS, CLIP_TOKENS), MASKED).triu(1), persistent=False)

    def forward(self, ids_BN: Tensor) -> Tensor:
        x_BND = self.words(ids_BN) + self.places
        for layer in self.layers:
            x_BND = layer(x_BND, self.mask)
        return x_BND


class ClipLayer(nn.Module):
    """Pre-norm attention and MLP, with the weights of transformers' layer."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.norm1, self.norm2, self.mlp = layer.layer_norm1, layer.layer_norm2, layer.mlp
        own = layer.self_attn
        self.to_q, self.to_k, self.to_v, self.to_out = own.q_proj, own.k_proj, own.v_proj, own.out_proj
        self.heads, self.head_width = int(own.num_heads), int(own.head_dim)

    def forward(self, x_BND: Tensor, mask_NN: Tensor) -> Tensor:
        batch, tokens, width = x_BND.shape
        normed = self.norm1(x_BND)
        query, key, value = (
            part(normed).reshape(batch, tokens, self.heads, self.head_width).transpose(1, 2)
            for part in (self.to_q, self.to_k, self.to_v)
        )
        scores_BANN = torch.matmul(query * self.head_width**-0.5, key.transpose(2, 3)) + mask_NN
        mixed = torch.matmul(scores_BANN.softmax(-1), value).transpose(1, 2).reshape(batch, tokens, width)
        x_BND = x_BND + self.to_out(mixed)
        return x_BND + self.mlp(self.norm2(x_BND))


def text_graph(text: ClipText) -> ClipTextGraph:
    """The graph to convert for one or two CLIPs."""
    return (ClipLTextGraph if len(text.models) == 1 else ClipTextGraph)(text).eval()
