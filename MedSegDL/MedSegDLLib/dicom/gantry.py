"""A tilted gantry: slices that are shifted against one another, made into an orthogonal volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..volume import Volume


def straightened(volume: Volume) -> Volume:
    """The volume on the orthogonal grid that covers it, linearly interpolated within each slice.

    The slices stay where they are in depth, so each one is only shifted in its own plane: no values of different
    slices mix. What lies outside the field of view gets the lowest value of the image. Integers stay integers.
    """
    target = volume.grid.orthogonalised()
    lowest = volume.array.min()
    array = np.empty(target.shape, dtype=volume.array.dtype)
    for k, plane in enumerate(volume.array):
        start_i, start_j, _ = volume.grid.ijk(target.ras([0, 0, k]))
        shifted = _shifted(_shifted(plane, start_j, target.shape[1], lowest).T, start_i, target.shape[2], lowest).T
        array[k] = np.rint(shifted) if array.dtype.kind in "iu" else shifted
    return replace(volume, array=array, ijk_to_ras=target.ijk_to_ras)


def _shifted(plane: np.ndarray, start: float, count: int, outside: float) -> np.ndarray:
    """`count` rows of `plane` at the continuous row indices start, start + 1, ..."""
    start = round(start, 6)  # across the tilt it is 0 but for rounding, and then nothing needs to be interpolated
    first = int(np.floor(start))
    weight = np.float32(start - first)
    framed = np.pad(plane, ((1, 1), (0, 0)), constant_values=outside)
    rows = framed[np.clip(np.arange(first, first + count + 1) + 1, 0, len(framed) - 1)]
    return rows[:-1] * (1 - weight) + rows[1:] * weight if weight else rows[:-1]
