"""The text package on small random CLIPs: the student's own text from token ids, from the written file."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from toys.text import write_text_encoders

from limbeck.contracts.generated import SnapgenTextConfig
from limbeck.export.checks import check_program
from limbeck.export.convert import convert
from limbeck.export.mil_program import read_program
from limbeck.export.text_modules import INPUTS, ClipText, text_graph
from limbeck.export.verify import difference, verify
from limbeck.models.text_encoders import CLIP_TOKENS, SnapgenTextEncoder

CAPTIONS = ["a red circle left of a blue square", "two", ""]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_encoders(tmp_path_factory.mktemp("snapshot"), t5=False)


def encoder(snapshot: Path, clip: str, width: int, gemma: int = 0) -> SnapgenTextEncoder:
    config = SnapgenTextConfig(encoder="snapgen", clip=clip, width=width, gemma_tokens=gemma)
    return SnapgenTextEncoder(config, snapshot)


def cases(text: SnapgenTextEncoder) -> list[dict[str, Tensor]]:
    return [
        {
            name: one.ids([caption], CLIP_TOKENS)[0].int()
            for name, one in zip(INPUTS, text.clip_encoders, strict=False)
        }
        for caption in CAPTIONS
    ]


@pytest.mark.parametrize(("clip", "width"), [("l", 8), ("l", 11), ("l+g", 20), ("l+g", 32)])
def test_the_text_is_the_students(snapshot: Path, clip: str, width: int) -> None:
    text = encoder(snapshot, clip, width)
    expected, _ = text.encode(CAPTIONS)
    module = ClipText(text).eval()
    graph = text_graph(module)
    for number, ids in enumerate(cases(text)):
        with torch.no_grad():
            assert torch.equal(module(**ids)[0], expected[number])
            assert difference(graph(**ids)[0], expected[number]).psnr_db > 110


def test_the_file_gives_the_same_text_and_looks_up_words_once_a_clip(snapshot: Path, tmp_path: Path) -> None:
    text = encoder(snapshot, "l+g", 32)
    module = ClipText(text).eval()
    graph = text_graph(module).requires_grad_(False)
    path = tmp_path / "text.mlpackage"
    convert(graph, cases(text)[0], ["text"], path)
    assert verify(path, module, cases(text), worst_ops=3, converted=graph).psnr_db > 50
    program = read_program(path)
    assert check_program(program, "iOS18", text=True) == []
    assert program.operation_census()["gather"] == 2
    # As a step's network it would be refused: words are looked up, which leaves the Neural Engine.
    assert "operation" in {finding.rule for finding in check_program(program, "iOS18")}


def test_gemma_is_not_exported(snapshot: Path) -> None:
    with pytest.raises(ValueError, match="has 4 tokens of Gemma-2; a package has CLIP alone"):
        ClipText(encoder(snapshot, "l+g", 32, gemma=4))


def test_ids_above_16_bits_are_looked_up(tmp_path: Path) -> None:
    """CLIP's vocabulary has 49,408 words, and the end of a text is the last of them."""

    class Words(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(49_408, 4)

        def forward(self, ids: Tensor) -> Tensor:
            return self.words(ids) * 2

    module = Words().eval().requires_grad_(False)
    ids = torch.tensor([[49_406, 5, 49_407, 40_000, 0]]).int()
    convert(module, {"ids": ids}, ["text"], tmp_path / "text.mlpackage")
    assert verify(tmp_path / "text.mlpackage", module, [{"ids": ids}]).psnr_db > 60
