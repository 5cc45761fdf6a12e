"""The closed-vocabulary encoder: order matters, nothing is hidden, another build is noticed."""

from pathlib import Path

import pytest
import torch

from limbeck.contracts.generated import WordTextConfig
from limbeck.data.shapes import VOCABULARY_V1
from limbeck.models.text import WordTextEncoder, load_text_encoder, save_text_config


def config(**changes: object) -> WordTextConfig:
    return WordTextConfig(
        **{"encoder": "words", "vocabulary": "shapes-v1", "width": 64, "tokens": 6, "seed": 11, **changes}
    )


CAPTION = "a red circle left of a blue square"
GOLDEN = (369.6292, -371.0519)
"""(sum of |token|, weighted sum of the pooled vector) of CAPTION."""


def test_golden_output() -> None:
    tokens_BND, pooled_BD = WordTextEncoder(config()).encode([CAPTION])
    weights = torch.arange(1, 65)
    found = (tokens_BND.abs().sum().item(), (pooled_BD[0] * weights).sum().item())
    assert found == pytest.approx(GOLDEN, rel=1e-4)


def test_shapes_and_padding() -> None:
    tokens_BND, pooled_BD = WordTextEncoder(config()).encode([CAPTION, "a star", ""])
    assert tokens_BND.shape == (3, 6, 64) and pooled_BD.shape == (3, 64)
    assert tokens_BND[1, 1:].abs().max() == 0
    assert tokens_BND[2].abs().max() == 0 and pooled_BD[2].abs().max() == 0
    assert tokens_BND[0, :5].square().mean(-1).min() > 0.5


def test_swapping_two_words_changes_tokens_and_pooled() -> None:
    tokens_BND, pooled_BD = WordTextEncoder(config()).encode(
        ["a circle left of a square", "a square left of a circle"]
    )
    # Not only in place: as a set of tokens too, since attention does not see places.
    sums = tokens_BND.sum(1)
    torch.testing.assert_close(sums[0], sums[1], atol=1e-4, rtol=0)
    assert (tokens_BND[0, 0] - tokens_BND[1, 2]).abs().max() > 0.1
    assert (pooled_BD[0] - pooled_BD[1]).abs().max() > 0.1


def test_words_and_places_are_orthogonal_where_they_fit() -> None:
    encoder = WordTextEncoder(config())
    rows = torch.cat([encoder.words_VD[1:], encoder.positions_ND])
    gram = rows @ rows.T / 64
    torch.testing.assert_close(gram, torch.eye(len(VOCABULARY_V1) + 6), atol=1e-5, rtol=0)


def test_a_narrow_encoder_still_tells_words_apart() -> None:
    tokens_BND, _ = WordTextEncoder(config(width=8)).encode(list(VOCABULARY_V1))
    distances = torch.cdist(tokens_BND[:, 0], tokens_BND[:, 0])
    assert distances[~torch.eye(len(VOCABULARY_V1), dtype=torch.bool)].min() > 0.1


def test_seed_makes_another_encoder_with_another_digest() -> None:
    one, other = WordTextEncoder(config()), WordTextEncoder(config(seed=12))
    assert (one.encode([CAPTION])[0] - other.encode([CAPTION])[0]).abs().max() > 0.1
    assert one.digest() != other.digest() and one.digest() == WordTextEncoder(config()).digest()


def test_unknown_words_and_long_captions_are_named() -> None:
    with pytest.raises(ValueError, match="dog"):
        WordTextEncoder(config()).encode(["a red dog"])
    with pytest.raises(ValueError, match="takes 2"):
        WordTextEncoder(config(tokens=2)).encode([CAPTION])


def test_a_snapshot_names_its_encoder(tmp_path: Path) -> None:
    save_text_config(config(), tmp_path)
    assert load_text_encoder(tmp_path).digest() == WordTextEncoder(config()).digest()
    with pytest.raises(FileNotFoundError, match=r"text/config\.json"):
        load_text_encoder(tmp_path / "elsewhere")
