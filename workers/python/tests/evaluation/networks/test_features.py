"""The feature network: NVIDIA's calling convention, provenance, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toys.scorers import write_inception

from limbeck.evaluation.networks.features import FeatureNetwork


def pictures(count: int = 40, edge: int = 48) -> list[np.ndarray]:
    draw = np.random.default_rng(7)
    return [draw.integers(0, 256, (edge, edge, 3), dtype=np.uint8) for _ in range(count)]


def test_features_are_asked_for_and_batches_do_not_matter(tmp_path: Path) -> None:
    network = FeatureNetwork(write_inception(tmp_path))
    found = network.features(pictures())
    assert found.shape == (40, 6)
    script = torch.jit.load(tmp_path / "inception" / "features.pt")
    pixels = torch.from_numpy(np.stack(pictures())).permute(0, 3, 1, 2)
    assert np.allclose(found, script(pixels, return_features=True).detach(), atol=1e-6)
    assert not np.allclose(found, script(pixels).detach(), atol=1e-2)  # the classes


def test_statistics_say_which_network_and_reference(tmp_path: Path) -> None:
    network = FeatureNetwork(write_inception(tmp_path))
    found = network.statistics(network.features(pictures()), "coco-val")
    assert (found.n, found.dataset, found.resize) == (40, "coco-val", "inside the network")
    assert found.extractor == network.name and network.name.startswith("torchscript:")
    assert network.name != FeatureNetwork(write_inception(tmp_path / "other", seed=1)).name


def test_what_is_no_network_or_no_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no inception/\*\.pt or \*\.pth"):
        FeatureNetwork(tmp_path)
    network = FeatureNetwork(write_inception(tmp_path))
    with pytest.raises(ValueError, match=r"sizes \[\(8, 8\), \(9, 9\)\]; allowed"):
        network.features([*pictures(1, 8), *pictures(1, 9)])
    with pytest.raises(ValueError, match="allowed: at least one"):
        network.features([])
    (tmp_path / "inception" / "other.pt").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"holds \['features.pt', 'other.pt'\]; allowed: one network"):
        FeatureNetwork(tmp_path)
    (tmp_path / "inception" / "features.pt").unlink()
    with pytest.raises(ValueError, match=r"inception/other\.pt cannot be loaded"):
        FeatureNetwork(tmp_path)


def test_weights_for_torch_fidelity_need_its_environment(tmp_path: Path) -> None:
    (tmp_path / "inception").mkdir()
    (tmp_path / "inception" / "pt_inception.pth").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"pt_inception\.pth cannot be loaded: .*torch_fidelity"):
        FeatureNetwork(tmp_path)
