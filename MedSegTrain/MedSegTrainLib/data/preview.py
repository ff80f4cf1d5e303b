"""A small picture of a case: the slice on which most was drawn, and what was drawn on it in its colours."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedSegDLLib.atomic import replacing
from MedSegDLLib.volume import Volume

Color = tuple[int, int, int]

_PIXELS = 256
_OPACITY = 0.4
_ORIENTATION = "LPS"  # of i, j, k: the patient's right is on the left, the front above


def picture(image: Volume, drawn: Iterable[tuple[np.ndarray, Color]]) -> np.ndarray:
    """RGB, uint8 (rows, columns, 3), with square pixels, 256 at most along a side.

    Args:
        drawn: bool masks (k, j, i) on the image's grid with their colours; a later one covers an earlier one.
    """
    turned = _turned(image)
    masks = [(_turned(image.with_array(mask)).array, color) for mask, color in drawn]
    k = _fullest_slice([mask for mask, _ in masks], turned.array.shape[0])
    at = np.ix_(*_places(turned))
    result = np.repeat(_grey(turned.array[k])[at][..., None], 3, axis=2)
    for mask, color in masks:
        shown = mask[k][at]
        result[shown] = (1 - _OPACITY) * result[shown] + _OPACITY * np.array(color)
    return np.rint(result).astype(np.uint8)


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """As PNG. Raises OutputError."""
    with replacing(path) as partial:
        sitk.WriteImage(sitk.GetImageFromArray(rgb, isVector=True), str(partial))


def _turned(volume: Volume) -> Volume:
    """As slices are looked at; a picture, which lies in no patient, stays as it is."""
    return volume.reoriented(_ORIENTATION) if volume.array.shape[0] > 1 else volume


def _fullest_slice(masks: list[np.ndarray], count: int) -> int:
    voxels = sum((mask.sum(axis=(1, 2)) for mask in masks), np.zeros(count, int))
    return int(np.argmax(voxels)) if voxels.any() else count // 2


def _places(image: Volume) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns to show, so that a pixel is as high as it is wide."""
    shape, spacing = np.array(image.array.shape[1:]), np.asarray(image.grid.spacing_mm)[1::-1]
    extent = shape * spacing
    pixel = max(extent.max() / _PIXELS, spacing.min())
    sizes = np.maximum(1, np.round(extent / pixel)).astype(int)
    rows, columns = (np.arange(size) * length // size for size, length in zip(sizes, shape))
    return rows, columns


def _grey(slice_: np.ndarray) -> np.ndarray:
    """All but the darkest and the brightest hundredth between black and white; float32."""
    low, high = np.percentile(slice_, (1, 99))
    return 255 * np.clip((slice_.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
