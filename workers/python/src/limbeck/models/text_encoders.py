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

from limbeck.contracts.generated import SnapgenTextConfig
from limbeck.data.features import TextPart
from limbeck.models.pretrained import folders_digest, load_whole

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
        self.model = load_whole(kind, snapshot / model, dtype, device)
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
        """Of the files that decide the output."""
        return folders_digest(self.folders)


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


class _ClipAndMore:
    """CLIP's 77 tokens, and behind them those of a second encoder, which may be absent."""

    def __init__(
        self, clip: _ClipPair, width: int, name: str, tokens: int, encoder: _Encoder | None, of: str
    ) -> None:
        if sum(clip.widths) > width:
            raise ValueError(
                f"CLIP's joined states are {sum(clip.widths)} wide, more than the {width} of {of}"
            )
        self.width = width
        self.tokens = CLIP_TOKENS + tokens
        self.pooled_width = sum(clip.pooled_widths)
        self._clip, self._second, self._name = clip, encoder, name

    def parts(self) -> list[TextPart]:
        if self._second is None:
            return self._clip.parts()
        tokens, channels = (CLIP_TOKENS, self.tokens), (0, self.width)
        second = TextPart(name=self._name, tokens=tokens, channels=channels, pooled=(0, 0))
        return [*self._clip.parts(), second]

    def _digest(self, configuration: object) -> str:
        digests = [encoder.digest for encoder in (*self._clip.encoders, self._second) if encoder]
        return hashlib.sha256(json.dumps([configuration, *digests], sort_keys=True).encode()).hexdigest()


class Sd3TextEncoder(_ClipAndMore):
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
        t5 = (
            _Encoder(snapshot, "text_encoder_3", "tokenizer_3", T5EncoderModel, dtype, device)
            if (snapshot / "text_encoder_3").is_dir()
            else None
        )
        width = int(t5.model.config.d_model) if t5 else _joint_width(snapshot)
        super().__init__(_ClipPair(snapshot, dtype, device), width, "t5", T5_TOKENS, t5, "T5")

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(tokens_BND, pooled_BD), float32."""
        clip_BND, pooled_BP = self._clip.encode(captions, self.width)
        t5_BND = clip_BND.new_zeros(len(captions), T5_TOKENS, self.width)
        if self._second is not None:
            ids, _ = self._second.ids(captions, T5_TOKENS)
            t5_BND = self._second.model(ids)[0].float()
        return torch.cat([clip_BND, t5_BND], dim=1), pooled_BP

    def digest(self) -> str:
        return self._digest(["sd3", T5_TOKENS])


class SnapgenTextEncoder(_ClipAndMore):
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
        gemma = (
            _Encoder(snapshot, "gemma", "tokenizer_gemma", Gemma2Model, dtype, device)
            if config.gemma_tokens
            else None
        )
        if gemma is not None and gemma.model.config.hidden_size != config.width:
            raise ValueError(
                f"{snapshot.name}/gemma is {gemma.model.config.hidden_size} wide,"
                f" the student's text is {config.width}"
            )
        clip = _ClipPair(snapshot, dtype, device, alone=config.clip == "l")
        super().__init__(clip, config.width, "gemma", config.gemma_tokens, gemma, "the student's text")

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(tokens_BND, pooled_BD), float32; masked positions are zeros."""
        clip_BND, pooled_BP = self._clip.encode(captions, self.width)
        if self._second is None:
            return clip_BND, pooled_BP
        ids, mask = self._second.ids([self.config.prefix + c for c in captions], self.config.gemma_tokens)
        states_BND = self._second.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        normed_BND = F.rms_norm(states_BND, (self.width,), eps=NORM_EPS) * mask[..., None]
        return torch.cat([clip_BND, normed_BND], dim=1), pooled_BP

    def digest(self) -> str:
        return self._digest(self.config.model_dump())

    @property
    def clip_encoders(self) -> list[_Encoder]:
        """CLIP-L, and CLIP-G where the configuration has it: for the export."""
        return self._clip.encoders


def _joint_width(snapshot: Path) -> int:
    """Width of the absent T5, from the transformer that would read it."""
    path = snapshot / "transformer" / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"snapshot {snapshot.name} lacks text_encoder_3, and transformer/config.json,"
            " which would tell its width"
        )
    return int(json.loads(path.read_text())["joint_attention_dim"])
