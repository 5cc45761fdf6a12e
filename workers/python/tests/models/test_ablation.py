"""The design path against paper.md 1.2."""

import pytest

from limbeck.models.ablation import STEPS, ablation

COUNTED = {
    # millions of parameters, GMACs, changes in percent; paper.md 1.2
    "thin and short": (634.1, 1267, None, None),
    "self-attention lowest only": (623.6, 1052, -1.7, -17.0),
    "separable convolutions": (474.9, 652, -23.8, -38.0),
    "expansion 2": (532.5, 761, -14.6, -27.7),
    "FFN ratio 3": (466.8, 669, -12.3, -12.0),
    "MQA": (393.5, 630, -15.7, -5.9),
}


def test_the_table_is_that_of_the_reference_within_three_tenths_of_a_point() -> None:
    table = ablation()
    assert (table.latent_size, table.text_tokens) == (128, 77)
    assert [row.name for row in table.steps] == list(COUNTED)
    for row, step in zip(table.steps, STEPS, strict=True):
        millions, gmacs, parameters, macs = COUNTED[row.name]
        assert row.parameters / 1e6 == pytest.approx(millions, abs=0.05), row.name
        assert row.macs / 1e9 == pytest.approx(gmacs, abs=0.5), row.name
        for change, counted, reported in (
            (row.parameters_change, parameters, step.reported_parameters),
            (row.macs_change, macs, step.reported_macs),
        ):
            if counted is None:
                assert change is None
                continue
            assert change is not None
            assert change.counted == pytest.approx(counted, abs=0.3), row.name
            assert change.reported == reported
            assert change.difference == (None if reported is None else change.counted - reported)
