"""Each operation against torch, compressed weights against coremltools' own decompression, and errors."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limbeck.export.convert import convert
from limbeck.export.mil_interpreter import ExecutionError, MilProgram, UnsupportedOperation, load
from limbeck.export.mil_ops import KERNELS, Arguments
from limbeck.export.mil_program import ProgramError, read_program, weights_file
from limbeck.export.verify import difference

from .conftest import Converted, with_random_parameters


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": lambda x: x.abs() + 1,
    "attention": lambda x: F.scaled_dot_product_attention(x, 2 * x, x + 1),
    "attention_mask": lambda x: F.scaled_dot_product_attention(
        x, 2 * x, x + 1, attn_mask=torch.ones(6, 6).tril().log()
    ),
    "batch_norm": nn.BatchNorm2d(8).eval(),
    "cast": lambda x: (x > 0.2).float() * x,
    "clamp": lambda x: x.clamp(-0.5, 0.4),
    "comparisons": lambda x: torch.where(torch.logical_and(x > 0.1, x < 0.7), x, -2 * x),
    "comparisons_2": lambda x: torch.where(torch.logical_or(x >= 0.3, x <= -1.0), x * 3, x),
    "comparisons_3": lambda x: torch.where(torch.logical_not(x != x.abs()), x * 3, x),
    "concat": lambda x: torch.cat([x, x + 1], dim=2),
    "conv_1d": nn.Conv1d(6, 4, 3, padding=2, dilation=2),
    "conv_depthwise": nn.Conv2d(8, 8, 3, padding=1, groups=8),
    "conv_stride": nn.Conv2d(8, 4, 3, stride=2, padding=1),
    "conv_uneven": nn.Conv2d(8, 4, (2, 4), padding="same"),
    "embedding": lambda x: x[:, torch.tensor([3, 1, 1])],
    "equal": lambda x: torch.where(x == 1.0, 7 * x, x),
    "erf": lambda x: torch.erf(x),
    "exp": lambda x: torch.exp(x) / 3,
    "gelu": lambda x: F.gelu(x),
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "group_norm": nn.GroupNorm(4, 8),
    "hardswish": lambda x: F.hardswish(x),
    "instance_norm": nn.InstanceNorm2d(8, affine=True),
    "layer_norm": nn.LayerNorm(6),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "linear": nn.Linear(6, 5),
    "log": lambda x: torch.log(x.abs() + 0.5),
    "maximum": lambda x: torch.maximum(x, torch.minimum(x * x, 0.3 - x)),
    "pad": lambda x: F.pad(x, (1, 2, 0, 1), value=0.5),
    "pad_reflect": lambda x: F.pad(x, (1, 2, 0, 1), mode="reflect"),
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pow": lambda x: x.abs() ** 1.7,
    "reductions": lambda x: x.amax(dim=1) + x.amin(dim=1) + x.sum(dim=1) + x.mean(dim=1),
    "relu": lambda x: F.relu(x),
    "relu6": lambda x: F.relu6(4 * x),
    "remainder": lambda x: torch.remainder(x, 0.7),
    "reshape": lambda x: x.reshape(2, -1, 6) * 2,
    "rms_norm": nn.RMSNorm(6, eps=1e-6),
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 0.1),
    "sigmoid": lambda x: torch.sigmoid(x),
    "silu": lambda x: F.silu(x),
    "sin_cos": lambda x: torch.sin(x) + torch.cos(x),
    "slice": lambda x: x[:, 1:5:2, -3:, 2],
    "softmax": lambda x: x.softmax(dim=1),
    "softplus": lambda x: F.softplus(x),
    "split": lambda x: torch.mul(*x.split([3, 3], dim=2)),
    "sqrt": lambda x: torch.sqrt(x.abs()),
    "squeeze": lambda x: x.squeeze(0).unsqueeze(-1) * 2,
    "stack": lambda x: torch.stack([x, x + 1], dim=1),
    "tanh": lambda x: torch.tanh(x),
    "tile": lambda x: x.repeat(1, 2, 1, 1),
    "upsample": lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"),
}


class AllOperations(nn.Module):
    """Every case on one input, so that one conversion serves them all."""

    def __init__(self) -> None:
        super().__init__()
        self.modules_by_name = nn.ModuleDict(
            {f"case_{name}": one for name, one in CASES.items() if isinstance(one, nn.Module)}
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(one(x[0] if name == "conv_1d" else x).clone() for name, one in CASES.items())


@pytest.fixture(scope="module")
def all_operations(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[MilProgram, dict[str, Tensor], dict[str, Tensor]]:
    module = with_random_parameters(AllOperations(), seed=4)
    x = torch.randn(1, 8, 6, 6, generator=generator())
    x[0, 0, 0, :3] = torch.tensor([1.0, 0.0, -2.0])
    path = tmp_path_factory.mktemp("operations") / "all.mlpackage"
    convert(module, {"x": x}, [f"case_{name}" for name in CASES], path, precision="fp32")
    program = load(path)
    with torch.no_grad():
        expected = dict(zip(CASES, module(x), strict=True))
    return program, expected, program.run({"x": x})


@pytest.mark.parametrize("name", CASES)
def test_operation_equals_torch(
    name: str, all_operations: tuple[MilProgram, dict[str, Tensor], dict[str, Tensor]]
) -> None:
    _, expected, found = all_operations
    assert difference(found[f"case_{name}"], expected[name]).psnr_db > 115


class Compressible(nn.Module):
    """A convolution and a linear layer above coremltools' threshold of 2,048 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 32, 3, padding=1)
        self.linear = nn.Linear(32, 96)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.silu(self.conv(x)).permute(0, 2, 3, 1))


@pytest.fixture(scope="module")
def compressible() -> tuple[nn.Module, dict[str, Tensor]]:
    module = with_random_parameters(Compressible(), seed=5)
    return module, {"x": torch.randn(1, 16, 6, 6, generator=generator())}


COMPRESSIONS = {
    # name: (target, config of the pass, kernel it leaves, dtype of the weights, PSNR range in dB)
    "palette_6_bit_groups": (
        "iOS18",
        {"palettize": {"mode": "kmeans", "nbits": 6, "granularity": "per_grouped_channel", "group_size": 16}},
        "constexpr_lut_to_dense",
        "uint6",
        (35, 55),
    ),
    "palette_6_bit_tensor_ios17": (
        "iOS17",
        {"palettize": {"mode": "kmeans", "nbits": 6}},
        "constexpr_lut_to_dense",
        "uint8",
        (33, 55),
    ),
    "int8_channels": (
        "iOS18",
        {"quantize": {"mode": "linear_symmetric", "dtype": "int8", "granularity": "per_channel"}},
        "constexpr_blockwise_shift_scale",
        "int8",
        (45, 65),
    ),
    "uint8_channels_ios17": (
        "iOS17",
        {"quantize": {"mode": "linear", "dtype": "uint8", "granularity": "per_channel"}},
        "constexpr_affine_dequantize",
        "uint8",
        (45, 65),
    ),
    "int4_blocks": (
        "iOS18",
        {"quantize": {"mode": "linear", "dtype": "int4", "granularity": "per_block", "block_size": 16}},
        "constexpr_blockwise_shift_scale",
        "int4",
        (20, 40),
    ),
    "sparse": (
        "iOS18",
        {"prune": {"target_sparsity": 0.5}},
        "constexpr_sparse_to_dense",
        "uint1",
        (8, 30),
    ),
}


@pytest.fixture(scope="module")
def originals(
    compressible: tuple[nn.Module, dict[str, Tensor]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    module, inputs = compressible
    folder = tmp_path_factory.mktemp("originals")
    paths = {target: folder / f"{target}.mlpackage" for target in ("iOS17", "iOS18")}
    for target, path in paths.items():
        convert(module, inputs, ["y"], path, minimum_target=target)
    return paths


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_compressed_weights(
    name: str,
    compressible: tuple[nn.Module, dict[str, Tensor]],
    originals: dict[str, Path],
    tmp_path: Path,
) -> None:
    import coremltools
    from coremltools.optimize import coreml as optimize

    from limbeck.export.toolkit import no_progress_bars

    target, settings, kernel, dtype, (low, high) = COMPRESSIONS[name]
    ((kind, options),) = settings.items()
    configuration, action = {
        "palettize": (optimize.OpPalettizerConfig, optimize.palettize_weights),
        "quantize": (optimize.OpLinearQuantizerConfig, optimize.linear_quantize_weights),
        "prune": (optimize.OpMagnitudePrunerConfig, optimize.prune_weights),
    }[kind]
    with no_progress_bars():
        original = coremltools.models.MLModel(str(originals[target]), skip_model_load=True)
        config = optimize.OptimizationConfig(global_config=configuration(**options))
        compressed = action(original, config)
        compressed.save(str(tmp_path / "compressed.mlpackage"))
        optimize.decompress_weights(compressed).save(str(tmp_path / "decompressed.mlpackage"))

    module, inputs = compressible
    program = load(tmp_path / "compressed.mlpackage")
    assert program.ops()[kernel] == 2
    stored = {
        argument.type.dtype
        for one in program.program.operations
        if one.type == kernel
        for given in one.arguments.values()
        for argument in given
        if not isinstance(argument, str)
    }
    assert dtype in stored
    found = program.run(inputs, "fp16_storage")["y"]
    # coremltools' own decompression of the same file; the same constants must come out.
    reference = load(tmp_path / "decompressed.mlpackage").run(inputs, "fp16_storage")["y"]
    assert difference(found, reference).psnr_db > 75
    with torch.no_grad():
        psnr = difference(found, module(**inputs)).psnr_db
    assert low < psnr < high
    torch.testing.assert_close(program.run(inputs, "fp16_storage")["y"], found, rtol=0, atol=0)


def test_palette_of_vectors_along_an_axis() -> None:
    lut = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)  # two entries of two numbers
    indices = torch.tensor([[0, 1, 1], [1, 0, 1]])
    found = [
        KERNELS["constexpr_lut_to_dense"](
            Arguments({"lut": (lut,), "indices": (indices,), "vector_axis": (torch.tensor(axis),)})
        )
        for axis in (0, 1)
    ]
    assert found[0].tolist() == [[1, 3, 3], [2, 4, 4], [3, 1, 3], [4, 2, 4]]
    assert found[1].tolist() == [[1, 2, 3, 4, 3, 4], [3, 4, 1, 2, 3, 4]]


def test_every_mode_of_gelu() -> None:
    x = torch.linspace(-4, 4, 33)

    def gelu(mode: str) -> Tensor:
        found = KERNELS["gelu"](Arguments({"x": (x,), "mode": (mode,)}))
        assert isinstance(found, Tensor)
        return found

    torch.testing.assert_close(gelu("EXACT"), F.gelu(x))
    torch.testing.assert_close(gelu("TANH_APPROXIMATION"), F.gelu(x, approximate="tanh"))
    torch.testing.assert_close(gelu("SIGMOID_APPROXIMATION"), x * torch.sigmoid(1.702 * x))


def test_operation_without_kernel_is_named(fp16_unet: Converted) -> None:
    program = read_program(fp16_unet.path)
    strange = replace(program.operations[-1], type="cumsum")
    with pytest.raises(
        UnsupportedOperation, match=r"'cumsum' \(output velocity\) has no kernel; supported: abs, add"
    ):
        MilProgram(replace(program, operations=(*program.operations[:-1], strange)))


def test_wrong_inputs_are_named(fp16_unet: Converted) -> None:
    program, inputs = load(fp16_unet.path), fp16_unet.inputs[0]
    with pytest.raises(ExecutionError, match=r"\['latent'\] were fed; the program takes \['latent', 'text'"):
        program.run({"latent": inputs["latent"]})
    with pytest.raises(
        ExecutionError, match=r"latent has shape \[1, 4, 4, 4\]; the program takes fp16\[1,4,8,8\]"
    ):
        program.run({**inputs, "latent": torch.zeros(1, 4, 4, 4)})


def test_result_that_contradicts_the_declared_shape_is_an_error(fp16_unet: Converted) -> None:
    program = read_program(fp16_unet.path)
    wrong = tuple(
        replace(one, type="silu") if one.type == "upsample_nearest_neighbor" else one
        for one in program.operations
    )
    with pytest.raises(ExecutionError, match=r"silu gave .* the file declares fp16\[1,16,8,8\]"):
        MilProgram(replace(program, operations=wrong)).run(fp16_unet.inputs[0])


def test_numpy_inputs_serve_as_well(fp16_unet: Converted) -> None:
    program, inputs = load(fp16_unet.path), fp16_unet.inputs[0]
    found = program.run({name: value.numpy() for name, value in inputs.items()})["velocity"]
    torch.testing.assert_close(found, program.run(inputs)["velocity"], rtol=0, atol=0)


def test_damaged_packages_are_refused(fp16_unet: Converted, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no Core ML package"):
        load(tmp_path)
    broken = tmp_path / "broken.mlpackage"
    shutil.copytree(fp16_unet.path, broken)
    weights = weights_file(broken)
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ProgramError, match="weights of "):
        load(broken)
    weights.write_bytes(whole[:64] + b"\0" * 4 + whole[68:])
    with pytest.raises(ProgramError, match="behind sentinel 0xdeadbeef, found"):
        load(broken)


def test_dynamic_shapes_are_refused(tmp_path: Path) -> None:
    import coremltools
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import get_new_symbol

    @Builder.program(
        input_specs=[Builder.TensorSpec(shape=(1, get_new_symbol()))], opset_version=coremltools.target.iOS18
    )
    def double(x: object) -> object:
        return Builder.mul(x=x, y=2.0)

    flexible = coremltools.TensorType(name="x", shape=(1, coremltools.RangeDim(1, 8, default=4)))
    model = coremltools.convert(
        double,
        inputs=[flexible],
        convert_to="mlprogram",
        minimum_deployment_target=coremltools.target.iOS18,
        skip_model_load=True,
    )
    model.save(str(tmp_path / "flexible.mlpackage"))
    with pytest.raises(ProgramError, match="input x has a flexible shape"):
        load(tmp_path / "flexible.mlpackage")


def test_every_kernel_is_executed_by_a_test(
    all_operations: tuple[MilProgram, dict[str, Tensor], dict[str, Tensor]], fp16_unet: Converted
) -> None:
    compressed = {kernel for _, _, kernel, _, _ in COMPRESSIONS.values()}
    assert set(KERNELS) - set(all_operations[0].ops()) - set(fp16_unet.report.op_counts) - compressed == set()
