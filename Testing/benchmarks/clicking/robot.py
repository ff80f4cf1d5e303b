"""The robot that clicks, and how it judges."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from MedSegDLLib.prompts import Point
from MedSegDLLib.volume import Grid


def next_click(truth: np.ndarray, mask: np.ndarray, grid: Grid) -> Point | None:
    """At the centre of the largest connected error: its voxel farthest from the error's own outline."""
    missing, surplus = _largest(truth & ~mask), _largest(mask & ~truth)
    error = max((missing, surplus), key=np.count_nonzero)
    if not error.any():
        return None
    part = ndimage.find_objects(error.astype(np.uint8))[0]
    pad = [(0, 0) if size == 1 else (1, 1) for size in error.shape]  # a flat axis has no outline
    depth = ndimage.distance_transform_edt(np.pad(error[part], pad), sampling=grid.spacing_mm[::-1])
    deepest = np.array(np.unravel_index(np.argmax(depth), depth.shape))
    voxel = deepest - [before for before, _ in pad] + [axis.start for axis in part]
    return Point(grid.ras(voxel[::-1]), include=bool(truth[tuple(voxel)]))


def dice(first: np.ndarray, second: np.ndarray) -> float:
    total = int(first.sum() + second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def _largest(mask: np.ndarray) -> np.ndarray:
    names, count = ndimage.label(mask)
    if not count:
        return mask
    return names == 1 + int(np.argmax(np.bincount(names.ravel())[1:]))
