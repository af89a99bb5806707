"""Xception's ImageNet weights: the public Keras file, downloaded or the user's own.

The layout is that of ``xception_weights_tf_dim_ordering_tf_kernels_notop.h5`` (Keras
applications): one group per layer, residual layers numbered without a meaning, kernels in the
order height, width, input, output. Pickled files (.pth) are refused: loading one runs its code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ebsdml.errors import DownloadError, ModelError
from napari_ebsdml.patterns.raw.xception import Xception

URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/xception/"
    "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
MD5 = "b0042744bf5b25fce3cb969f33bebb97"
"""As Keras itself checks it."""
_PLAIN = {"block1_conv1": "conv1", "block1_conv2": "conv2"}
_NORM = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
    "moving_variance": "running_var",
}  # fmt: skip
_SIDES = {128: "block2", 256: "block3", 728: "block4", 1024: "block13"}


def imagenet_weights(source: str | Path = "imagenet") -> dict[str, Tensor]:
    """Weights for `Xception(channels=3)`, all but the last layer.

    Parameters
    ----------
    source
        ``"imagenet"``: the public file, downloaded once (83 MB) and checked; or a file: Keras'
        ``.h5``, or ``.safetensors`` with this package's names.

    Raises
    ------
    DownloadError
        When the public file cannot be fetched or its checksum differs.
    ModelError
        When a file is missing, pickled, damaged, or of another network.
    """
    path = _download() if source == "imagenet" else Path(source)
    if not path.is_file():
        raise ModelError(f"{path}: no such file.")
    if path.suffix in (".h5", ".hdf5", ".keras"):
        weights = from_keras(path)
    elif path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            weights = load(path.read_bytes())
        except SafetensorError as error:
            raise ModelError(f"{path}: no valid safetensors file ({error}).") from None
        weights = {name: t for name, t in weights.items() if not name.startswith("head.")}
    else:
        raise ModelError(
            f"{path}: only Keras' .h5 and .safetensors files are read; pickled weights "
            "(.pth, .pt) can run code when loaded."
        )
    expected = Xception(1, 3).state_dict()
    wanted = {n for n in expected if not n.startswith("head.") and "num_batches" not in n}
    missing = sorted(wanted - set(weights))
    if missing:
        raise ModelError(
            f"{path}: {len(missing)} of Xception's weights are missing: {missing[0]} ..."
        )
    for name in sorted(wanted):
        if weights[name].shape != expected[name].shape:
            raise ModelError(
                f"{path}: {name} has shape {tuple(weights[name].shape)}, Xception's is "
                f"{tuple(expected[name].shape)}."
            )
    return {name: weights[name].float() for name in sorted(wanted)}


def _download() -> Path:
    import pooch

    try:
        return Path(
            pooch.retrieve(URL, f"md5:{MD5}", URL.rsplit("/", 1)[1], pooch.os_cache("ebsdml"))
        )
    except Exception as error:  # pooch and its HTTP library raise many kinds
        raise DownloadError(
            f"Xception's ImageNet weights could not be fetched from {URL} ({error}). Download the "
            "file elsewhere and give its path instead of 'imagenet'."
        ) from None


def from_keras(path: Path) -> dict[str, Tensor]:
    """Read Keras' HDF5 layout; the last layer is left out.

    Raises
    ------
    ModelError
        When the file is no HDF5 file or a layer cannot be placed.
    """
    import h5py

    layers: dict[str, dict[str, NDArray[Any]]] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim:
            parts = name.split("/")
            layer = next((p for p in parts if p != "model_weights"), parts[0])
            layers.setdefault(layer, {})[parts[-1].split(":")[0]] = np.asarray(item)

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as error:
        raise ModelError(f"{path}: no readable HDF5 file ({error}).") from None
    weights: dict[str, Tensor] = {}
    for layer, values in layers.items():
        if layer.startswith("predictions") or not values:
            continue
        try:
            weights |= _placed(layer, values)
        except (KeyError, ValueError, IndexError):
            raise ModelError(
                f"{path}: layer {layer!r} ({', '.join(sorted(values))}) is none of Xception's."
            ) from None
    return weights


def _placed(layer: str, values: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    is_norm = any(name.endswith("gamma") for name in values)
    if is_norm:
        sizes = {v.shape[0] for v in values.values()}
        base = layer.removesuffix("_bn")
        place = (
            f"{_SIDES[sizes.pop()]}.side_norm"
            if base.startswith("batch_normalization")
            else _unit(base).replace("conv", "norm")
        )
        return {
            f"{place}.{ours}": _tensor(next(v for n, v in values.items() if n.endswith(theirs)))
            for theirs, ours in _NORM.items()
        }
    if layer.startswith("conv2d"):
        kernel = next(iter(values.values()))
        return {f"{_SIDES[kernel.shape[3]]}.side_conv.weight": _tensor(kernel)}
    if layer in _PLAIN:
        kernel = next(iter(values.values()))
        return {f"{_PLAIN[layer]}.weight": _tensor(kernel)}
    unit = _unit(layer)
    found = {}
    for kernel in values.values():
        depthwise = kernel.shape[:2] == (3, 3)
        part = "depthwise" if depthwise else "pointwise"
        if depthwise:
            kernel = kernel.transpose(0, 1, 3, 2)
        found[f"{unit}.{part}.weight"] = _tensor(kernel)
    if len(found) != 2:
        raise ValueError(layer)
    return found


def _unit(layer: str) -> str:
    """Our name of a numbered layer."""
    if layer in _PLAIN:
        return _PLAIN[layer]
    match = re.fullmatch(r"block(\d+)_sepconv(\d)", layer)
    if match is None:
        raise ValueError(layer)
    block, number = int(match[1]), int(match[2])
    if block == 14:
        return f"conv{number + 2}"
    if 5 <= block <= 12:
        return f"middle.{block - 5}.conv{number}"
    return f"block{block}.conv{number}"


def _tensor(kernel: NDArray[Any]) -> Tensor:
    values = np.asarray(kernel, dtype=np.float32)
    if values.ndim == 4:
        values = values.transpose(3, 2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(values))
