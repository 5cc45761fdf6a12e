"""Frechet distance, moments and KID of 2,048 features, beside what other programs compute them with.

    OMP_NUM_THREADS=1 PYTHONPATH=workers/python/src python tests/benchmarks/frechet/bench.py
        [--json FILE] [--repeats N]

1. The distance of two statistics in memory against the trace of `scipy.linalg.sqrtm` of the product, as
   pytorch-fid and those that follow it have it, and against the eigenvalues of the product, as
   torch-fidelity and torchmetrics have it. Packages that are installed are measured by themselves, too.
2. The whole command without its start: two files of statistics read, checked and compared.
3. How far each is from 0 for a set and itself, with more and with fewer samples than features.
4. The accumulator in batches of 64 and of 1,000 against one `numpy.cov` of everything.
5. KID of two sets of 5,000: 100 subsets of 1,000, all pairs once, against each subset by itself.

Sides alternate in one process on one thread; medians, and the quartiles of the ratio of neighbours.
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy
from limbeck.evaluation.feature_statistics import FeatureStatistics, MomentAccumulator
from limbeck.evaluation.frechet import compare, frechet_distance
from limbeck.evaluation.kernel_distance import kernel_distance, unbiased_mmd2
from limbeck.evaluation.statistics_file import load_statistics, save_statistics

WIDTH = 2048
SAMPLES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--repeats", type=int, default=5, help="of each side (5)")
    arguments = parser.parse_args()
    if (
        os.environ.get("OMP_NUM_THREADS") != "1"
    ):  # read by the BLAS when numpy is imported
        parser.error("OMP_NUM_THREADS must be 1: the sides are compared on one thread")
    about = {
        "cpu": cpu(),
        "threads": 1,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    first, second = features(1, SAMPLES), features(2, SAMPLES)
    figures = {
        "distance": distances(moments(first), moments(second), arguments.repeats),
        "zero": zeros(first),
        "accumulator": accumulators(first, arguments.repeats),
        "kid": kids(first[:5000], second[:5000], max(2, arguments.repeats // 2)),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps({**about, **figures}, indent=1) + "\n")


def features(seed: int, samples: int) -> np.ndarray:
    """Rectified and correlated, with variances over four decades: what a pooled layer gives."""
    rng = np.random.Generator(np.random.Philox(seed))
    shared = (
        np.random.Generator(np.random.Philox(0))
        .normal(size=(256, WIDTH))
        .astype(np.float32)
    )
    noise = rng.normal(size=(samples, WIDTH)).astype(np.float32)
    latent = rng.normal(size=(samples, 256)).astype(np.float32)
    scale = np.logspace(0, -2, WIDTH, dtype=np.float32)
    return np.maximum((latent @ shared / 16 + 0.3 * noise + 0.5) * scale, 0)


def moments(found: np.ndarray) -> FeatureStatistics:
    return replace(FeatureStatistics.from_features(found), features_ND=None)


def distances(
    first: FeatureStatistics, second: FeatureStatistics, repeats: int
) -> dict[str, object]:
    sides: dict[str, Callable[[], float]] = {
        "ours": lambda: frechet_distance(
            replace(first), replace(second)
        ),  # copies: factors are kept
        "sqrtm": lambda: with_trace(first, second, root_trace_sqrtm),
        "eigvals": lambda: with_trace(first, second, root_trace_eigvals),
        **packages(first, second),
    }
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "a.npz", Path(folder) / "b.npz"
        save_statistics(one, first)
        save_statistics(other, second)
        sides["command"] = lambda: (
            compare(load_statistics(one), load_statistics(other)).frechet_distance
        )
        values, times = alternate(sides, repeats)
    print(", ".join(f"{side} {value:.12g}" for side, value in values.items()))
    found: dict[str, object] = {"values": values}
    for side in sides:
        if side != "ours":
            found[side] = report(
                f"{side} over ours, two 2,048-d statistics", times, side, "ours"
            )
    return found


def with_trace(
    first: FeatureStatistics,
    second: FeatureStatistics,
    root_trace: Callable[[np.ndarray, np.ndarray], float],
) -> float:
    means = float(((first.mu_D - second.mu_D) ** 2).sum())
    traces = float(np.trace(first.sigma_DD) + np.trace(second.sigma_DD))
    return means + traces - 2 * root_trace(first.sigma_DD, second.sigma_DD)


def root_trace_sqrtm(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.real(np.trace(np.asarray(scipy.linalg.sqrtm(one @ other)))))


def root_trace_eigvals(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.real(np.sqrt(np.linalg.eigvals(one @ other).astype(complex))).sum())


def packages(
    first: FeatureStatistics, second: FeatureStatistics
) -> dict[str, Callable[[], float]]:
    """The distance of each package that is installed."""
    found: dict[str, Callable[[], float]] = {}
    theirs = (first.mu_D, first.sigma_DD, second.mu_D, second.sigma_DD)
    module = imported("pytorch_fid.fid_score")
    if module:
        found["pytorch-fid"] = lambda: float(module.calculate_frechet_distance(*theirs))
    fidelity = imported("torch_fidelity.metric_fid")
    if fidelity:
        pair = [{"mu": one.mu_D, "sigma": one.sigma_DD} for one in (first, second)]
        found["torch-fidelity"] = lambda: float(
            fidelity.fid_statistics_to_metric(*pair, False)[
                "frechet_inception_distance"
            ]
        )
    metrics = imported("torchmetrics.image.fid")
    if metrics:
        import torch

        tensors = [torch.from_numpy(array) for array in theirs]
        found["torchmetrics"] = lambda: float(metrics._compute_fid(*tensors))
    return found


def imported(name: str):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: not measured, {error}")
        return None


def zeros(found: np.ndarray) -> dict[str, object]:
    """Distance of a set from itself, as a share of its trace."""
    shares: dict[str, object] = {}
    for samples in (SAMPLES, 1000):
        one = moments(found[:samples])
        trace = float(np.trace(one.sigma_DD))
        shares[str(samples)] = {
            "ours": frechet_distance(one, replace(one)) / trace,
            "sqrtm": with_trace(one, one, root_trace_sqrtm) / trace,
            "eigvals": with_trace(one, one, root_trace_eigvals) / trace,
        }
        print(
            f"a set of {samples} from itself, of its trace: {shares[str(samples)]}",
            flush=True,
        )
    return shares


def accumulators(found: np.ndarray, repeats: int) -> dict[str, object]:
    def in_batches(size: int) -> float:
        moments = MomentAccumulator(WIDTH)
        for start in range(0, len(found), size):
            moments.update(found[start : start + size])
        return float(np.trace(moments.statistics().sigma_DD))

    sides: dict[str, Callable[[], float]] = {
        "batches of 64": lambda: in_batches(64),
        "batches of 1,000": lambda: in_batches(1000),
        "numpy.cov": lambda: float(
            np.trace(np.cov(found, rowvar=False, dtype=np.float64))
        ),
    }
    values, times = alternate(sides, repeats)
    figures: dict[str, object] = {"values": values, "samples": SAMPLES}
    for side in ("batches of 64", "batches of 1,000"):
        figures[side] = report(
            f"{side} over numpy.cov, {SAMPLES:,} samples", times, side, "numpy.cov"
        )
        print(f"  {SAMPLES / statistics.median(times[side]):,.0f} samples a second")
    return figures


def kids(first: np.ndarray, second: np.ndarray, repeats: int) -> dict[str, object]:
    def apart() -> float:
        rng = np.random.Generator(np.random.Philox(0))
        draws = [
            [rng.choice(len(one), 1000, replace=False) for one in (first, second)]
            for _ in range(100)
        ]
        return float(np.mean([unbiased_mmd2(first[i], second[j]) for i, j in draws]))

    values, times = alternate(
        {"ours": lambda: kernel_distance(first, second).mean, "apart": apart}, repeats
    )
    found = report(
        "KID, subsets apart over ours, 5,000 samples each", times, "apart", "ours"
    )
    return {"values": values, **found}


def alternate(
    sides: dict[str, Callable[[], float]], repeats: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """What each side says and its seconds, taken in turns after one unmeasured round."""
    values: dict[str, float] = {}
    times: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(repeats + 1):
        for side, call in sides.items():
            started = time.perf_counter()
            values[side] = call()
            if turn:
                times[side].append(time.perf_counter() - started)
    return values, times


def report(
    name: str, times: dict[str, list[float]], over: str, under: str
) -> dict[str, object]:
    ratios = [a / b for a, b in zip(times[over], times[under], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    medians = {side: statistics.median(times[side]) for side in (over, under)}
    spread = {side: [min(times[side]), max(times[side])] for side in (over, under)}
    shown = ", ".join(
        f"{side} {medians[side]:.2f} s [{spread[side][0]:.2f}, {spread[side][1]:.2f}]"
        for side in medians
    )
    print(
        f"{name}: {middle:.3f} [{low:.3f}, {high:.3f}] ({shown}; {len(ratios)} repeats)",
        flush=True,
    )
    return {
        "ratio": middle,
        "quartiles": [low, high],
        "median_seconds": medians,
        "seconds": spread,
    }


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
