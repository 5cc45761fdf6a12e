"""The sensitivity of layers, and the plan under a size."""

import math

import pytest

from limbeck.export.mil_interpreter import load
from limbeck.export.mil_program import read_program
from limbeck.export.palettes import Weight, find_weights
from limbeck.export.sensitivity import Row, measure, plan_under

from .conftest import Converted


def weight(name: str, elements: int = 32_000, kept: str = "") -> Weight:
    return Weight(name=name, operation=name, type="linear", shape=(32, elements // 32), kept=kept)


def rows(**psnr: dict[int, float]) -> list[Row]:
    return [
        Row(weight=name, bits=bits, psnr_db=value, stored_bytes=weight(name).stored_bytes(bits, 16))
        for name, table in psnr.items()
        for bits, value in table.items()
    ]


def test_one_weight_at_a_time_and_coarser_is_worse(fp16_unet: Converted) -> None:
    weights = [
        one.__class__(**{**one.__dict__, "kept": "" if one.elements >= 512 else "small"})
        for one in find_weights(read_program(fp16_unet.path))
    ]
    program = load(fp16_unet.path)
    seen: list[int] = []
    table = measure(
        program, weights, fp16_unet.inputs[:1], [8, 4], progress=lambda done, of: seen.append(done)
    )
    measured = {(row.weight, row.bits): row for row in table}
    names = [one.name for one in weights if not one.kept]
    assert set(measured) == {(name, bits) for name in names for bits in (8, 4)}
    assert seen == list(range(1, len(names) + 1))
    for name in names:
        assert measured[name, 4].psnr_db < measured[name, 8].psnr_db
        assert measured[name, 4].stored_bytes < measured[name, 8].stored_bytes
    # Nothing stays replaced.
    assert program.run(fp16_unet.inputs[0])["velocity"].equal(
        load(fp16_unet.path).run(fp16_unet.inputs[0])["velocity"]
    )


def test_stored_bytes_count_indices_and_palettes() -> None:
    one = weight("a", 32 * 1000)
    assert one.stored_bytes(16, 16) == 64_000
    assert one.stored_bytes(6, 16) == 24_000 + 2 * 64 * 2  # two groups of 16 channels
    assert one.stored_bytes(4, 0) == 16_000 + 2 * 16  # one palette
    assert one.stored_bytes(4, 24) == 16_000 + 2 * 16  # 24 does not divide 32: one palette


def test_the_layer_that_minds_most_keeps_most() -> None:
    table = rows(robust={8: 90, 6: 80, 4: 70}, fragile={8: 60, 6: 45, 4: 30})
    weights = [weight("robust"), weight("fragile"), weight("first", kept="first layer")]
    whole = 3 * 64_000
    assert plan_under(whole, weights, table).bits == {}
    assert plan_under(whole, weights, table).predicted_psnr_db == math.inf
    tight = plan_under(64_000 + 17_000 + 64_000, weights, table)
    assert tight.bits == {"robust": 4}
    assert tight.predicted_psnr_db == pytest.approx(70)
    tighter = plan_under(64_000 + 17_000 + 34_000, weights, table)
    assert tighter.bits == {"robust": 4, "fragile": 8}
    error = 10**-7 + 10**-6
    assert tighter.predicted_psnr_db == pytest.approx(-10 * math.log10(error))
    assert tighter.weight_bytes == 64_000 + sum(
        weight(name).stored_bytes(bits, 16) for name, bits in tighter.bits.items()
    )


def test_a_budget_below_the_smallest_plan_says_how_small_that_is() -> None:
    smallest = weight("a").stored_bytes(4, 16)
    with pytest.raises(ValueError, match=rf"take {smallest} bytes with every palette at 4 bits.* is 100$"):
        plan_under(100, [weight("a")], rows(a={8: 60, 4: 30}))
