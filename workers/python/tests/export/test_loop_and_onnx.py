"""The loop on the files beside the loop in torch, and the module beside ONNX Runtime."""

import torch

from limbeck.export.loop import compare_loops
from limbeck.export.mil_interpreter import load
from limbeck.export.modules import DecoderStep, UnetStep
from limbeck.export.onnx_check import compare_with_onnx

from .conftest import Converted


def small(unet: Converted) -> UnetStep:
    assert isinstance(unet.module, UnetStep)
    return unet.module


def test_the_loop_on_the_files_draws_torchs_image(fp16_unet: Converted, decoder_8: Converted) -> None:
    assert isinstance(decoder_8.module, DecoderStep)
    generator = torch.Generator().manual_seed(9)
    starts = [
        (torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 5, 12, generator=generator))
        for _ in range(2)
    ]
    loop = compare_loops(
        load(fp16_unet.path),
        load(decoder_8.path),
        small(fp16_unet),
        decoder_8.module,
        starts,
        [1.0, 0.75, 0.5, 0.25],
    )
    assert loop.steps == 4 and loop.samples == 2 and len(loop.by_step) == 4
    assert loop.image.psnr_db >= 45
    assert all(one.psnr_db >= 45 for one in loop.by_step)
    # Another grid is another image: the comparison is not of two equal constants.
    exact = compare_loops(
        load(fp16_unet.path),
        load(decoder_8.path),
        small(fp16_unet),
        decoder_8.module,
        starts,
        [1.0, 0.5],
        "fp32",
    )
    assert exact.grid == [1.0, 0.5] and exact.image.psnr_db > loop.image.psnr_db


def test_a_step_that_is_wrong_shows_in_the_loop(fp16_unet: Converted, decoder_8: Converted) -> None:
    assert isinstance(decoder_8.module, DecoderStep)
    program = load(fp16_unet.path)
    starts = [(torch.randn(1, 4, 8, 8), torch.randn(1, 5, 12))]
    name = "p_unet_conv_out_weight_to_fp16"
    with program.replaced({name: torch.zeros(4, 8, 3, 3)}):
        loop = compare_loops(
            program, load(decoder_8.path), small(fp16_unet), decoder_8.module, starts, [1.0, 0.5]
        )
    assert loop.by_step[0].psnr_db < 30 and loop.image.psnr_db < 30


def test_onnx_runtime_agrees_with_torch(fp16_unet: Converted) -> None:
    found = compare_with_onnx(fp16_unet.module, fp16_unet.inputs)
    assert found.psnr_db > 100
    assert found.max_abs_error < 1e-3
