"""Features, or their mean and covariance, as a file that numpy writes (.npz)."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .feature_statistics import PROVENANCE, FeatureStatistics, check_floating
from .inputs import InputError


def load_statistics(path: Path) -> FeatureStatistics:
    """Statistics of an .npz with either `features` or all of `mu`, `sigma`, `n`; a file with both forms is
    refused, as nothing says which one holds. `extractor`, `resize` and `dataset`, one string each, are
    optional; other arrays are not looked at. Nothing is unpickled.

    Raises:
        InputError: naming file, array, what was found and what is allowed.
    """
    arrays = _arrays(path)
    try:
        return _parsed(arrays)
    except ValueError as error:
        raise InputError(path, None, str(error)) from error


def save_statistics(path: Path, statistics: FeatureStatistics) -> None:
    """Writes what `load_statistics` reads: the features where there are any, mean and covariance otherwise.
    The file appears complete or not at all."""
    if statistics.features_ND is not None:
        arrays: dict[str, Any] = {"features": statistics.features_ND}
    else:
        arrays = {"mu": statistics.mu_D, "sigma": statistics.sigma_DD, "n": np.int64(statistics.n)}
    for name in PROVENANCE:
        if getattr(statistics, name) is not None:
            arrays[name] = np.str_(getattr(statistics, name))
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)
    partial.replace(path)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the file that have a meaning here."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(path, None, f"cannot be read ({error.strerror})") from error
    with stream:
        if not zipfile.is_zipfile(stream):
            raise InputError(path, None, "is not an .npz; allowed: what numpy.savez writes")
        stream.seek(0)
        found: dict[str, NDArray[Any]] = {}
        name = "its index"
        try:
            with np.load(stream, allow_pickle=False) as archive:
                for name in ("features", "mu", "sigma", "n", *PROVENANCE):
                    if name in archive.files:
                        found[name] = np.asarray(archive[name])
        # A broken archive raises what zipfile, zlib, numpy and the tokenizer it reads headers with raise.
        except Exception as error:
            reason = " ".join(str(error).split())  # numpy's may span lines
            raise InputError(path, None, f"{name} cannot be read: {reason}") from error
    return found


def _parsed(arrays: Mapping[str, NDArray[Any]]) -> FeatureStatistics:
    moments = [name for name in ("mu", "sigma", "n") if name in arrays]
    if "features" in arrays and moments:
        raise ValueError(f"holds features and {', '.join(moments)}; allowed: features, or mu, sigma, n")
    if "features" not in arrays and len(moments) < 3:
        raise ValueError(f"holds {', '.join(moments) or 'none'} of mu, sigma, n; needs all, or features")
    if "features" in arrays:
        statistics = FeatureStatistics.from_features(arrays["features"])
    else:
        for name in ("mu", "sigma"):
            check_floating(name, arrays[name])
        statistics = FeatureStatistics(
            mu_D=arrays["mu"].astype(np.float64),
            sigma_DD=arrays["sigma"].astype(np.float64),
            n=_count(arrays["n"]),
        )
    statistics = replace(
        statistics,
        extractor=_string("extractor", arrays),
        resize=_string("resize", arrays),
        dataset=_string("dataset", arrays),
    )
    _ = statistics.factor_DR  # a sigma that is no covariance is refused here, where the file can be named
    return statistics


def _count(array: NDArray[Any]) -> int:
    if array.size != 1 or array.dtype.kind not in "iuf" or not float(array.item()).is_integer():
        found = f"{array.item()!r:.60}" if array.size == 1 else _kind(array)
        raise ValueError(f"n is {found}; allowed: one whole number")
    return int(array.item())


def _string(name: str, arrays: Mapping[str, NDArray[Any]]) -> str | None:
    array = arrays.get(name)
    if array is None:
        return None
    if array.ndim != 0 or array.dtype.kind != "U" or not array.item():
        raise ValueError(f"{name} is {_kind(array)}; allowed: one string that is not empty")
    return str(array.item())


def _kind(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}"
