"""ImageReward on small random weights under the published names, against BLIP written out in plain torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from toys.scorers import EDGE, LAYERS, PATCH, bert_tokenizer, write_image_reward

from limbeck.evaluation.image_reward import DEVIATION, MEAN, ImageRewardScorer

CAPTIONS = ["a red circle", "two blue square left of a"]


def images() -> list[np.ndarray]:
    draw = np.random.default_rng(5)
    return [draw.integers(0, 256, (EDGE, EDGE, 3), dtype=np.uint8) for _ in CAPTIONS]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image_reward(tmp_path_factory.mktemp("scorers"))


class Blip:
    """BLIP's two networks as their papers draw them: a pre-norm ViT, and a post-norm BERT whose layers attend
    to the image after they attend to the text."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.of = tensors

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.of[f"{name}.weight"], self.of[f"{name}.bias"])

    def norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.of[f"{name}.weight"], self.of[f"{name}.bias"], eps)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[T, A K] each, two heads."""
        heads = [part.reshape(len(part), 2, -1).transpose(0, 1) for part in (q, k, v)]
        mixed = F.scaled_dot_product_attention(*heads)
        return mixed.transpose(0, 1).reshape(len(q), -1)

    def image(self, picture: np.ndarray) -> Tensor:
        mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
        deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711])
        pixels = ((torch.from_numpy(picture) / 255 - mean) / deviation).permute(2, 0, 1)[None]
        at = "blip.visual_encoder"
        weight, bias = self.of[f"{at}.patch_embed.proj.weight"], self.of[f"{at}.patch_embed.proj.bias"]
        x = F.conv2d(pixels, weight, bias, stride=PATCH)[0].flatten(1).T
        x = torch.cat([self.of[f"{at}.cls_token"][0], x]) + self.of[f"{at}.pos_embed"][0]
        for layer in range(LAYERS):
            block = f"{at}.blocks.{layer}"
            qkv = self.linear(f"{block}.attn.qkv", self.norm(f"{block}.norm1", x, 1e-6)).chunk(3, dim=-1)
            x = x + self.linear(f"{block}.attn.proj", self.attend(*qkv))
            hidden = self.linear(f"{block}.mlp.fc1", self.norm(f"{block}.norm2", x, 1e-6))
            x = x + self.linear(f"{block}.mlp.fc2", F.gelu(hidden))
        return self.norm(f"{at}.norm", x, 1e-6)

    def reward(self, picture: np.ndarray, ids: list[int]) -> float:
        image, at = self.image(picture), "blip.text_encoder"
        x = self.of[f"{at}.embeddings.word_embeddings.weight"][ids]
        x = x + self.of[f"{at}.embeddings.position_embeddings.weight"][: len(ids)]
        x = self.norm(f"{at}.embeddings.LayerNorm", x, 1e-12)
        for layer in range(LAYERS):
            block = f"{at}.encoder.layer.{layer}"
            for kind, other in (("attention", None), ("crossattention", image)):
                seen = x if other is None else other
                mixed = self.attend(
                    self.linear(f"{block}.{kind}.self.query", x),
                    self.linear(f"{block}.{kind}.self.key", seen),
                    self.linear(f"{block}.{kind}.self.value", seen),
                )
                x = self.norm(
                    f"{block}.{kind}.output.LayerNorm",
                    x + self.linear(f"{block}.{kind}.output.dense", mixed),
                    1e-12,
                )
            hidden = F.gelu(self.linear(f"{block}.intermediate.dense", x))
            x = self.norm(
                f"{block}.output.LayerNorm", x + self.linear(f"{block}.output.dense", hidden), 1e-12
            )
        y = x[0]
        for place in (0, 2, 4, 6, 7):
            y = self.linear(f"mlp.layers.{place}", y)
        return (float(y) - MEAN) / DEVIATION


def test_rewards_are_blips(snapshot: Path) -> None:
    blip = Blip(load_file(snapshot / "image_reward" / "model.safetensors"))
    tokenizer = bert_tokenizer()
    expected = [blip.reward(*pair) for pair in zip(images(), tokenizer(CAPTIONS).input_ids, strict=True)]
    found = ImageRewardScorer(snapshot).rewards(images(), CAPTIONS)
    assert np.allclose(found, expected, atol=2e-5)
    assert abs(expected[0] - expected[1]) > 0.01


def test_image_and_caption_both_matter(snapshot: Path) -> None:
    scorer = ImageRewardScorer(snapshot)
    one, other = images()
    own, image, caption = scorer.rewards([one, other, one], [CAPTIONS[0], CAPTIONS[0], CAPTIONS[1]])
    assert abs(own - image) > 1e-3
    assert abs(own - caption) > 1e-3


def test_a_picture_is_scaled_to_its_shorter_side_and_cut(snapshot: Path) -> None:
    scorer = ImageRewardScorer(snapshot)
    wide = np.random.default_rng(9).integers(0, 256, (2 * EDGE, 3 * EDGE, 3), dtype=np.uint8)
    small = np.asarray(Image.fromarray(wide).resize((3 * EDGE // 2, EDGE), Image.Resampling.BICUBIC))
    middle = small[:, EDGE // 4 : EDGE // 4 + EDGE]
    assert np.allclose(scorer.rewards([wide], ["a"]), scorer.rewards([np.ascontiguousarray(middle)], ["a"]))


def test_the_published_pickle_is_read_without_running_it(snapshot: Path, tmp_path: Path) -> None:
    write_image_reward(tmp_path)
    folder = tmp_path / "image_reward"
    torch.save(load_file(folder / "model.safetensors"), folder / "ImageReward.pt")
    (folder / "model.safetensors").unlink()
    found = ImageRewardScorer(tmp_path).rewards(images(), CAPTIONS)
    assert np.array_equal(found, ImageRewardScorer(snapshot).rewards(images(), CAPTIONS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("blip.visual_encoder.norm.weight", r"visual_encoder lacks 1 tensors: \['post_layernorm.weight'\]"),
        ("blip.visual_encoder.pos_embed", "pos_embed is missing; allowed: 3 dimensions"),
        ("blip.text_encoder.encoder.layer.1.output.dense.bias", "text_encoder lacks 1 tensors"),
        ("mlp.layers.4.bias", "mlp.layers lacks 1 tensors"),
        ("mlp.layers.", r"no tensor named mlp\.layers\.\*"),
    ],
)
def test_missing_weights_are_named(tmp_path: Path, change: str, message: str) -> None:
    write_image_reward(tmp_path)
    file = tmp_path / "image_reward" / "model.safetensors"
    kept = {name: value for name, value in load_file(file).items() if not name.startswith(change)}
    save_file(kept, file)
    with pytest.raises(ValueError, match=message):
        ImageRewardScorer(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"neither image_reward/model\.safetensors nor"):
        ImageRewardScorer(tmp_path)
    write_image_reward(tmp_path)
    (tmp_path / "image_reward" / "med_config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no image_reward/med_config\.json"):
        ImageRewardScorer(tmp_path)
