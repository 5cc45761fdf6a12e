"""The text of SD3.5 (teacher) and of SnapGen (student), from local snapshots only (paper.md 1.5).

    SD3.5    [ CLIP-L ++ CLIP-G on channels, zeros up to T5's width | T5 ]     77 + 256 tokens
    SnapGen  [ CLIP-L ++ CLIP-G on channels, zeros up to Gemma's    | Gemma-2 ] 77 + n tokens

CLIP gives its second-to-last hidden states and T5 its last, both without a mask and with all their
padding, since that is what SD3's teacher was trained on. Gemma's last hidden states are far larger than
CLIP's and come under an RMSNorm without weights (so that it adds none to the UNet); it is masked.

Zeros stand for everything that is not there: a masked position, a dropped encoder, the unconditional
input. They mean the same in training and in inference, so neither the UNet nor the Core ML file takes
an attention mask. (The states of a blank prompt are something else: paper.md section 9, trap 10.)

A snapshot holds text_encoder/ and tokenizer/ (CLIP-L), text_encoder_2/ and tokenizer_2/ (CLIP-G),
text_encoder_3/ and tokenizer_3/ (T5-XXL), gemma/ and tokenizer_gemma/, each as its library saves it.

Shapes: B captions, N positions, D width.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoTokenizer, CLIPTextModelWithProjection, Gemma2Model, T5EncoderModel

from limbeck.contracts.context import file_digest
from limbeck.contracts.generated import SnapgenTextConfig
from limbeck.data.features import TextPart

CLIP_TOKENS = 77
T5_TOKENS = 256
NORM_EPS = 1e-6


class _Encoder:
    """A frozen transformers model with its tokenizer."""

    def __init__(
        self,
        snapshot: Path,
        model: str,
        tokenizer: str,
        kind: Any,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        for needed in (f"{model}/config.json", tokenizer):
            if not (snapshot / needed).exists():
                held = ", ".join(sorted(p.name for p in snapshot.iterdir())) if snapshot.is_dir() else ""
                raise FileNotFoundError(
                    f"snapshot {snapshot.name} lacks {needed}; it holds: {held or 'nothing'}"
                )
        self.folders = [snapshot / model, snapshot / tokenizer]
        self.tokenizer = AutoTokenizer.from_pretrained(snapshot / tokenizer, local_files_only=True)
        loaded, info = kind.from_pretrained(
            snapshot / model, local_files_only=True, dtype=dtype, output_loading_info=True
        )
        missing = sorted(info["missing_keys"])
        if missing:
            # transformers would go on with random weights in their place.
            raise ValueError(f"{snapshot.name}/{model} lacks {len(missing)} tensors: {missing[:3]}")
        self.model = loaded.eval().requires_grad_(False).to(device)
        self.device = torch.device(device)

    def ids(self, captions: Sequence[str], tokens: int) -> tuple[Tensor, Tensor]:
        """(ids, mask) [B, tokens], padded on the right and cut after `tokens`."""
        found = self.tokenizer(
            list(captions),
            padding="max_length",
            padding_side="right",
            max_length=tokens,
            truncation=True,
            return_tensors="pt",
        )
        return found.input_ids.to(self.device), found.attention_mask.to(self.device)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over (path, SHA-256) of the files that decide the output."""
        listing = [
            [path.relative_to(folder.parent).as_posix(), file_digest(path)]
            for folder in self.folders
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


class _ClipPair:
    """CLIP-L and CLIP-G as SD3 joins them; or CLIP-L by itself."""

    def __init__(
        self, snapshot: Path, dtype: torch.dtype, device: torch.device | str, *, alone: bool = False
    ) -> None:
        self.encoders = [
            _Encoder(
                snapshot,
                f"text_encoder{suffix}",
                f"tokenizer{suffix}",
                CLIPTextModelWithProjection,
                dtype,
                device,
            )
            for suffix in (("",) if alone else ("", "_2"))
        ]
        configs = [encoder.model.config for encoder in self.encoders]
        self.widths = [int(config.hidden_size) for config in configs]
        self.pooled_widths = [int(config.projection_dim) for config in configs]

    def encode(self, captions: Sequence[str], width: int) -> tuple[Tensor, Tensor]:
        """(tokens [B, 77, width], pooled [B, sum of the projections]), float32."""
        states, pooled = [], []
        for encoder in self.encoders:
            ids, _ = encoder.ids(captions, CLIP_TOKENS)
            found = encoder.model(ids, output_hidden_states=True)
            states.append(found.hidden_states[-2].float())
            pooled.append(found.text_embeds.float())
        joined_BND = torch.cat(states, dim=-1)
        return F.pad(joined_BND, (0, width - joined_BND.shape[-1])), torch.cat(pooled, dim=-1)

    def parts(self) -> list[TextPart]:
        found, channel, pooled = list[TextPart](), 0, 0
        sizes = zip(("clip_l", "clip_g"), self.widths, self.pooled_widths, strict=False)
        for name, width, pooled_width in sizes:
            found.append(
                TextPart(
                    name=name,
                    tokens=(0, CLIP_TOKENS),
                    channels=(channel, channel + width),
                    pooled=(pooled, pooled + pooled_width),
                )
            )
            channel, pooled = channel + width, pooled + pooled_width
        return found

    def check_width(self, width: int, of: str) -> None:
        if sum(self.widths) > width:
            raise ValueError(
                f"CLIP's joined states are {sum(self.widths)} wide, more than the {width} of {of}"
            )


class Sd3TextEncoder:
    """The teacher's text, as SD3's pipeline encodes it.

    Without text_encoder_3/ T5's positions are zeros: the sequence keeps its length.

    Raises:
        FileNotFoundError: a folder is missing; names it and what is there.
        ValueError: weights are missing, or widths do not fit.
    """

    cut = False

    def __init__(
        self, snapshot: Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> None:
        self._clip = _ClipPair(snapshot, dtype, device)
        self._t5 = (
            _Encoder(snapshot, "text_encoder_3", "tokenizer_3", T5EncoderModel, dtype, device)
            if (snapshot / "text_encoder_3").is_dir()
            else None
        )
        self.width = int(self._t5.model.config.d_model) if self._t5 else _joint_width(snapshot)
        self._clip.check_width(self.width, "T5")

    @property
    def tokens(self) -> int:
        return CLIP_TOKENS + T5_TOKENS

    @property
    def pooled_width(self) -> int:
        return sum(self._clip.pooled_widths)

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(tokens_BND, pooled_BD), float32."""
        clip_BND, pooled_BP = self._clip.encode(captions, self.width)
        t5_BND = clip_BND.new_zeros(len(captions), T5_TOKENS, self.width)
        if self._t5 is not None:
            ids, _ = self._t5.ids(captions, T5_TOKENS)
            t5_BND = self._t5.model(ids)[0].float()
        return torch.cat([clip_BND, t5_BND], dim=1), pooled_BP

    def parts(self) -> list[TextPart]:
        t5 = TextPart(name="t5", tokens=(CLIP_TOKENS, self.tokens), channels=(0, self.width), pooled=(0, 0))
        return [*self._clip.parts(), *([t5] if self._t5 is not None else [])]

    def digest(self) -> str:
        digests = [encoder.digest for encoder in self._clip.encoders]
        content = ["sd3", T5_TOKENS, *digests, self._t5.digest if self._t5 else None]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


class SnapgenTextEncoder:
    """The student's text. `gemma_tokens` 0 is the phone's path: CLIP alone, 77 tokens.

    Raises:
        FileNotFoundError: a folder is missing; names it and what is there.
        ValueError: weights are missing, or widths do not fit the configuration's.
    """

    cut = True
    """Masked positions stand at the end and need not be stored."""

    def __init__(
        self,
        config: SnapgenTextConfig,
        snapshot: Path,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self.width = config.width
        self._clip = _ClipPair(snapshot, dtype, device, alone=config.clip == "l")
        self._clip.check_width(self.width, "the student's text")
        self._gemma = (
            _Encoder(snapshot, "gemma", "tokenizer_gemma", Gemma2Model, dtype, device)
            if config.gemma_tokens
            else None
        )
        if self._gemma is not None and self._gemma.model.config.hidden_size != self.width:
            raise ValueError(
                f"{snapshot.name}/gemma is {self._gemma.model.config.hidden_size} wide,"
                f" the student's text is {self.width}"
            )

    @property
    def tokens(self) -> int:
        return CLIP_TOKENS + self.config.gemma_tokens

    @property
    def pooled_width(self) -> int:
        return sum(self._clip.pooled_widths)

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(tokens_BND, pooled_BD), float32; masked positions are zeros."""
        clip_BND, pooled_BP = self._clip.encode(captions, self.width)
        if self._gemma is None:
            return clip_BND, pooled_BP
        ids, mask = self._gemma.ids([self.config.prefix + c for c in captions], self.config.gemma_tokens)
        states_BND = self._gemma.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        normed_BND = F.rms_norm(states_BND, (self.width,), eps=NORM_EPS) * mask[..., None]
        return torch.cat([clip_BND, normed_BND], dim=1), pooled_BP

    def parts(self) -> list[TextPart]:
        gemma = TextPart(
            name="gemma", tokens=(CLIP_TOKENS, self.tokens), channels=(0, self.width), pooled=(0, 0)
        )
        return [*self._clip.parts(), *([gemma] if self._gemma is not None else [])]

    def digest(self) -> str:
        digests = [encoder.digest for encoder in self._clip.encoders]
        content = [self.config.model_dump(), *digests, self._gemma.digest if self._gemma else None]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _joint_width(snapshot: Path) -> int:
    """Width of the absent T5, from the transformer that would read it."""
    path = snapshot / "transformer" / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"snapshot {snapshot.name} lacks text_encoder_3, and transformer/config.json,"
            " which would tell its width"
        )
    return int(json.loads(path.read_text())["joint_attention_dim"])
