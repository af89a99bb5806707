"""Label images edited by rule. Every tool gives a new image; 0 is unlabelled throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.inputs.channels import compute_channels
from napari_ebsdml.segmentation.labels.data import check_label_image

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

Labels = NDArray[np.integer]

_DISC = ndimage.generate_binary_structure(2, 1)
_MOST_STEPS = 1000


def _checked(labels: ArrayLike) -> Labels:
    array = np.asarray(labels)
    if array.ndim != 2 or array.dtype.kind not in "iub":
        raise InputError(
            f"labels must be a map (rows, columns) of whole numbers, not {array.dtype} of shape "
            f"{array.shape}."
        )
    if array.size and array.min() < 0:
        raise InputError("labels must not be negative (0 = unlabelled).")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _same_shape(labels: Labels, other: ArrayLike, what: str, kinds: str) -> NDArray[np.generic]:
    array = np.asarray(other)
    if array.shape != labels.shape or array.dtype.kind not in kinds:
        raise InputError(f"{what} must have the shape of the labels, {labels.shape}.")
    return array


def _steps(pixels: int) -> int:
    if not 0 <= pixels <= _MOST_STEPS:
        raise InputError(f"pixels must be 0 to {_MOST_STEPS}, not {pixels}.")
    return int(pixels)


def label_by_threshold(
    scan: Scan, channel: str, threshold: float, below: int = 2, above: int = 1
) -> NDArray[np.uint8]:
    """Label a map by a threshold on one channel, for a start.

    Parameters
    ----------
    scan
    channel
        Property or computed channel of one plane: ``"BS"``, ``"BC@grain"``, ``"KAM"``, ``"GOS"``.
    threshold
        In the channel's unit.
    below, above
        Label of pixels at or below it, and above; where the channel has no value it is 0.

    Raises
    ------
    InputError
        When the channel has several planes, or a label is not within 0 to 255.
    MissingDataError
        When the scan lacks the channel.
    """
    if not (0 <= below <= 255 and 0 <= above <= 255):
        raise InputError("Labels must lie within 0 to 255.")
    stack = compute_channels(scan, (channel,))
    if len(stack.planes) != 2:  # the second is "Indexed"
        raise InputError(f"Channel {channel!r} has several planes; a threshold needs one.")
    values = stack.values[0]
    out = np.where(values > threshold, above, below)
    there = np.isfinite(values)
    if stack.planes[0].role != "measured":
        there = there & scan.is_indexed
    return np.where(there, out, 0).astype(np.uint8)


def vote_per_grain(labels: ArrayLike, grains: ArrayLike, share: float = 0.0) -> Labels:
    """Give each grain the label that most of its labelled pixels have.

    Parameters
    ----------
    labels : (rows, columns) int
    grains : (rows, columns) int
        0 where there is none: such pixels keep their label.
    share
        A grain changes only where the winning label has more than this part of its labelled
        pixels, 0 to 1. Of two labels with equally many pixels the smaller wins.

    Raises
    ------
    InputError
        When shapes differ or `share` is out of range.
    """
    given = _checked(labels)
    ids = _same_shape(given, grains, "grains", "iu").astype(np.int64)
    if not 0 <= share < 1:
        raise InputError(f"share must lie in 0..1, not {share}.")
    use = (ids > 0) & (given > 0)
    if not use.any():
        return given.copy()
    values, index = np.unique(given[use], return_inverse=True)
    number = int(ids.max()) + 1
    votes = np.bincount(ids[use] * len(values) + index.ravel(), minlength=number * len(values))
    votes = votes.reshape(number, len(values))
    best, total = votes.argmax(axis=1), votes.sum(axis=1)
    sure = (total > 0) & (votes[np.arange(number), best] > share * total)
    here = (ids > 0) & sure[np.maximum(ids, 0)]
    return np.where(here, values[best][ids], given).astype(given.dtype)


def fill_not_indexed(labels: ArrayLike, scan: Scan, value: int | None = None) -> Labels:
    """Label pixels that are not indexed.

    Parameters
    ----------
    labels : (rows, columns) int
    scan
    value
        Label that all of them get, as the article gives them to martensite; None: each that of the
        nearest labelled pixel that is indexed.

    Raises
    ------
    InputError
        When shapes differ, or there is no labelled pixel to take a label from.
    """
    given = np.array(check_label_image(scan, labels))
    gone = ~scan.is_indexed
    if not gone.any():
        return given
    if value is not None:
        if not 0 <= value <= np.iinfo(given.dtype).max:
            raise InputError(f"value {value} is no label that {given.dtype} can hold.")
        given[gone] = value
        return given
    return _from_nearest(given, gone, gone | (given == 0))


def _from_nearest(labels: Labels, where: NDArray[np.bool_], unknown: NDArray[np.bool_]) -> Labels:
    if unknown.all():
        raise InputError("No labelled pixel is left to take a label from.")
    i, j = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
    out = labels.copy()
    out[where] = labels[i[where], j[where]]
    return out


def remove_small(labels: ArrayLike, min_pixels: int, value: int | None = None) -> Labels:
    """Give regions below a size the label of the nearest pixel of another region.

    Parameters
    ----------
    labels : (rows, columns) int
        A region is a connected set (over edges) of pixels of one label.
    min_pixels
        Smallest region that stays.
    value
        Only regions of this label; None: of every label. Unlabelled pixels stay as they are.

    Raises
    ------
    InputError
        When a number is out of range.
    """
    given = _checked(labels)
    if min_pixels < 0:
        raise InputError(f"min_pixels must not be negative, not {min_pixels}.")
    small = np.zeros(given.shape, dtype=bool)
    for one in np.unique(given[given > 0]) if value is None else (value,):
        regions, number = ndimage.label(given == one)
        size = np.bincount(regions.ravel(), minlength=number + 1)
        size[0] = min_pixels
        small |= size[regions] < min_pixels
    unknown = small | (given == 0)
    # Nothing but small regions: there is nobody to join.
    return given.copy() if unknown.all() else _from_nearest(given, small, unknown)


def erode_class(
    labels: ArrayLike, value: int, pixels: int = 1, among: ArrayLike | None = None
) -> Labels:
    """Take pixels off the edge of a class; they get the label of the nearest other class.

    Parameters
    ----------
    labels : (rows, columns) int
    value
        Label of the class.
    pixels
        So many rounds of one pixel.
    among : (rows, columns) bool, optional
        Only these pixels may change.

    Raises
    ------
    InputError
        When a shape or number does not fit.
    """
    given = _checked(labels)
    own = given == value
    kept = _eroded(own, pixels)
    lost = own & ~kept & _allowed(given, among)
    others = (given > 0) & ~own
    if not others.any() or not lost.any():
        return given.copy()
    return _from_nearest(given, lost, ~others)


def dilate_class(
    labels: ArrayLike, value: int, pixels: int = 1, among: ArrayLike | None = None
) -> Labels:
    """Let a class grow over its neighbours; the opposite of `erode_class`.

    Parameters
    ----------
    labels, value, pixels, among
        See `erode_class`.

    Raises
    ------
    InputError
        When a shape or number does not fit.
    """
    given = _checked(labels)
    own = given == value
    if not own.any() or not _steps(pixels):
        return given.copy()
    grown = ndimage.binary_dilation(own, _DISC, pixels) & _allowed(given, among)
    return np.where(grown, value, given).astype(given.dtype)


def erode_dilate(
    labels: ArrayLike, value: int, pixels: int = 1, among: ArrayLike | None = None
) -> Labels:
    """Erode a class and let it grow back: what is thinner than twice `pixels` goes.

    The article cleans seams of pixels that are not indexed between two ferrite grains so, which
    it had given to martensite: ``among=~scan.is_indexed``.

    Parameters
    ----------
    labels, value, pixels, among
        See `erode_class`.

    Raises
    ------
    InputError
        When a shape or number does not fit.
    """
    given = _checked(labels)
    own = given == value
    if not _steps(pixels) or not own.any():
        return given.copy()
    opened = ndimage.binary_dilation(_eroded(own, pixels), _DISC, pixels) & own
    lost = own & ~opened & _allowed(given, among)
    others = (given > 0) & ~own
    if not others.any() or not lost.any():
        return given.copy()
    return _from_nearest(given, lost, ~others)


def flip_grain(
    labels: ArrayLike, grains: ArrayLike, at: tuple[int, int], value: int | None = None
) -> Labels:
    """Give the grain at a pixel another label.

    Parameters
    ----------
    labels : (rows, columns) int
    grains : (rows, columns) int
    at
        Row and column.
    value
        New label; None: the next of those that occur, after the one that most of the grain has.

    Raises
    ------
    InputError
        When the pixel lies outside or in no grain, or there is no other label.
    """
    given = _checked(labels)
    ids = _same_shape(given, grains, "grains", "iu")
    row, column = at
    if not (0 <= row < given.shape[0] and 0 <= column < given.shape[1]):
        raise InputError(f"There is no pixel ({row}, {column}) in a map of {given.shape}.")
    if ids[row, column] <= 0:
        raise InputError(f"Pixel ({row}, {column}) lies in no grain.")
    here = ids == ids[row, column]
    if value is None:
        present = np.unique(given[given > 0])
        if len(present) < 2:
            raise InputError("There is no other label to flip the grain to: give one.")
        now = int(np.bincount(given[here].astype(np.int64)).argmax())
        value = int(present[np.searchsorted(present, now, side="right") % len(present)])
    if not 0 <= value <= np.iinfo(given.dtype).max:
        raise InputError(f"value {value} is no label that {given.dtype} can hold.")
    return np.where(here, value, given).astype(given.dtype)


def _eroded(own: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """A class less its edge; the edge of the map is none."""
    if not _steps(pixels):
        return own
    return np.asarray(ndimage.binary_erosion(own, _DISC, pixels, border_value=1))


def _allowed(labels: Labels, among: ArrayLike | None) -> NDArray[np.bool_]:
    if among is None:
        return np.ones(labels.shape, dtype=bool)
    return _same_shape(labels, among, "among", "b").astype(bool)
