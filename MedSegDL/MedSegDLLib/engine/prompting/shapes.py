"""Masks on a grid: neighbours, holes, sizes. Flat axes take no part."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_FEW_VOXELS = 60
_NEIGHBOURS = ndimage.generate_binary_structure(3, 1)


def eroded(mask: np.ndarray) -> np.ndarray:
    """Without its surface; what touches the array's border is no surface there."""
    return ndimage.binary_erosion(mask, _NEIGHBOURS, border_value=1)


def core_of(mask: np.ndarray) -> np.ndarray:
    """Without its surface, which may belong to either side, if there is enough of it."""
    core = eroded(mask) if mask.sum() > _FEW_VOXELS else mask
    return core if core.any() else mask


def surroundings(mask: np.ndarray, voxels: int) -> np.ndarray:
    """What lies around a mask, so many voxels thick."""
    return ndimage.binary_dilation(mask, _NEIGHBOURS, iterations=voxels) & ~mask


def filled(mask: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Without holes, but for those that were made on purpose."""
    flat = tuple(axis for axis in range(3) if mask.shape[axis] == 1)
    whole = np.expand_dims(ndimage.binary_fill_holes(mask.squeeze(flat)), flat)
    holes = whole & ~mask
    if not (holes & outside).any():
        return whole
    names, _ = ndimage.label(holes, _NEIGHBOURS)
    return whole & ~np.isin(names, _names_at(names, outside))


def connected(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The components that hold a seed."""
    names, _ = ndimage.label(mask, _NEIGHBOURS)
    return np.isin(names, _names_at(names, seeds))


def radius_mm(mask: np.ndarray, spacing_mm: np.ndarray) -> float:
    """Of the ball of the same volume; of the disc or the line where the array is thin."""
    extended = np.array(mask.shape) > 1
    measure = mask.sum() * np.prod(spacing_mm[extended])
    return ball_radius(measure, int(extended.sum()))


def ball_radius(measure: float, dimensions: int) -> float:
    """Of the ball, the disc or the line of this volume, area or length; a point has none."""
    if not dimensions:
        return 0.0
    return float({1: measure / 2, 2: (measure / np.pi) ** 0.5, 3: (measure * 0.75 / np.pi) ** (1 / 3)}[dimensions])


def distance_mm(mask: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """To the nearest voxel of the mask, from everywhere; infinite where there is none."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return ndimage.distance_transform_edt(~mask, sampling=spacing_mm)


def _names_at(names: np.ndarray, where: np.ndarray) -> np.ndarray:
    found = np.unique(names[where])
    return found[found > 0]
