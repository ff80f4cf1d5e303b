"""Several images of one patient brought to one grid."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from ..errors import InputError
from ..volume import Grid, Volume

_PARALLEL = 1e-6  # sine of the angle between two edges


def aligned(volume: Volume, grid: Grid) -> np.ndarray:
    """The volume's grey values at the voxels of another grid, interpolated linearly, float32.

    Where the volume does not reach it counts as its lowest value. On the very same grid its own array is returned.

    Raises:
        InputError: the two have no place in common.
    """
    if volume.grid.agrees_with(grid):
        return volume.array
    if not overlap(volume.grid, grid):
        raise InputError(
            f"The image '{volume.name}' shows another part of space than the first one: they do not overlap.",
            "Choose images of one patient and one examination, or register them first.",
        )
    return _interpolated(volume.array, grid.shape, np.linalg.inv(volume.ijk_to_ras) @ grid.ijk_to_ras)


def overlap(first: Grid, second: Grid) -> bool:
    """Whether two grids have a place in common; touching is not enough.

    Two convex bodies are apart just where a plane lies between them; for two boxes, oblique or sheared, it suffices to
    try those that are spanned by two of their edges.
    """
    edges = np.concatenate([first.directions.T, second.directions.T])
    normals = np.array([np.cross(*pair) for pair in combinations(edges, 2)])
    normals = normals[np.linalg.norm(normals, axis=1) > _PARALLEL]
    one, other = _corners(first) @ normals.T, _corners(second) @ normals.T
    apart = (one.max(axis=0) <= other.min(axis=0)) | (other.max(axis=0) <= one.min(axis=0))
    return not apart.any()


def covers(outer: Grid, inner: Grid) -> bool:
    """Whether every voxel centre of the inner grid lies within the outer one."""
    last = np.array(inner.shape[::-1]) - 1
    ijk = outer.ijk(inner.ras(list(product(*((0, n) for n in last)))))
    return bool(((ijk >= -0.5) & (ijk <= np.array(outer.shape[::-1]) - 0.5)).all())


def _corners(grid: Grid) -> np.ndarray:
    return grid.ras(list(product(*((-0.5, n - 0.5) for n in grid.shape[::-1]))))


def _interpolated(array: np.ndarray, shape: tuple[int, int, int], to_source: np.ndarray) -> np.ndarray:
    """The array where `to_source` (4x4) takes the indices (i, j, k) of a new one; so an axis may have any direction."""
    import SimpleITK as sitk  # a model of one image does without

    transform = sitk.AffineTransform(3)
    transform.SetMatrix(to_source[:3, :3].ravel())
    transform.SetTranslation(to_source[:3, 3])
    image = sitk.GetImageFromArray(array.astype(np.float32, copy=False))
    origin, spacing, directions = (0.0,) * 3, (1.0,) * 3, np.eye(3).ravel()
    lowest = float(array.min())
    resampled = sitk.Resample(
        image, shape[::-1], transform, sitk.sitkLinear, origin, spacing, directions, lowest, sitk.sitkFloat32
    )
    return sitk.GetArrayFromImage(resampled)
