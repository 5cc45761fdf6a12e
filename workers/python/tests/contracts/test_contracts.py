"""The wire types refuse what the schemas refuse, and both languages hash the same value alike."""

import hashlib

import pytest
import rfc8785
from pydantic import ValidationError

from limbeck.contracts import parse_stage_spec


def test_kind_chooses_the_model_and_defaults_are_filled() -> None:
    spec = parse_stage_spec({"kind": "render_dataset", "source": "shapes", "samples": 10})
    assert (spec.kind, spec.samples, spec.resolution) == ("render_dataset", 10, 64)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "rendr"}, "rendr"),
        ({"sampels": 1}, "sampels"),
        ({"samples": 0}, "samples"),
        ({"samples": "many"}, "samples"),
    ],
)
def test_nonsense_is_refused_by_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        parse_stage_spec({"kind": "render_dataset", "source": "shapes", "samples": 10} | change)


def test_canonical_json_has_the_digest_that_the_control_plane_computes() -> None:
    # The other half is packages/core/test/cache-key.test.ts: the same value, the same golden digest.
    digest = hashlib.sha256(rfc8785.dumps({"grid": [1.0, 0.75], "steps": 4})).hexdigest()
    assert digest == "4f60a59a4e3eba211244417faafbfefa2aa9dd711f61743b403f0e79f72c29ae"
