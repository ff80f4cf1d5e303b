"""Closed planar contours to a mask on any grid, also an oblique one.

The rule: a voxel belongs to a structure if its centre lies inside the contours of the nearest contour plane, and no
further from that plane than half the distance of the planes. Inside means inside an odd number of contours, so a
contour within a contour is a hole. A centre exactly on a border belongs to one side only, so structures that share a
border do not overlap. Nothing is interpolated between planes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..volume import Grid
from .stack import SAME_PLACE_MM

NOT_PLANAR_MM = 0.5  # contours drawn by hand on a reformatted slice are rounded, not bent
_TIE_MM = 1e-3  # moves borders off the voxel centres, on which many contours run, so that rounding cannot fray them


def mask_of(contours: Sequence[np.ndarray], grid: Grid) -> np.ndarray:
    """Fill the contours of one structure.

    Args:
        contours: points in RAS, each (points, 3), three points or more; the last joins the first.
        grid: where the mask is wanted.

    Returns:
        bool mask (k, j, i); all False where the contours lie outside the grid.

    Raises:
        InputError: the contours do not lie in parallel planes.
    """
    normal = _common_normal(contours, grid)
    depths = np.array([_depth(points, normal) for points in contours])
    mask = np.zeros(grid.shape, dtype=bool)
    for members, low, high in _slabs(depths, _slice_distance_mm(grid, normal)):
        _fill([contours[n] for n in members], normal, (low, high), grid, mask)
    return mask


def _area_vector(points: np.ndarray) -> np.ndarray:
    """Normal of a polygon with its area in mm² as length, by Newell's method."""
    points = points - points.mean(axis=0)
    return np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0) / 2


def _common_normal(contours: Sequence[np.ndarray], grid: Grid) -> np.ndarray:
    """Unit normal of the contour planes, on the side to which k runs; that of the largest contour is the surest."""
    largest = max((_area_vector(points) for points in contours), key=np.linalg.norm)
    length = np.linalg.norm(largest)
    if length == 0:
        return _normal_of_slices(grid)
    return largest / length * (np.sign(largest @ _normal_of_slices(grid)) or 1.0)


def _normal_of_slices(grid: Grid) -> np.ndarray:
    normal = np.cross(grid.directions[:, 0], grid.directions[:, 1])
    normal *= np.sign(normal @ grid.directions[:, 2])
    return normal / np.linalg.norm(normal)


def _slice_distance_mm(grid: Grid, normal: np.ndarray) -> float:
    """Thickness of the slab that a voxel takes along the normal: how far a lone contour reaches."""
    return float(np.abs(normal @ grid.ijk_to_ras[:3, :3]).max())


def _depth(points: np.ndarray, normal: np.ndarray) -> float:
    depths = points @ normal
    if np.ptp(depths) > NOT_PLANAR_MM:
        raise InputError(
            "The contours of a structure do not lie in parallel planes.",
            "Export the structures again, drawn on one series of parallel slices.",
        )
    return float(depths.mean())


def _slabs(depths: np.ndarray, lone_mm: float) -> list[tuple[list[int], float, float]]:
    """Contours of each plane, and from where to where along the normal that plane stands for the structure."""
    order = np.argsort(depths)
    groups = np.split(order, np.flatnonzero(np.diff(depths[order]) > SAME_PLACE_MM) + 1)
    planes = np.array([depths[group].mean() for group in groups])
    gaps = np.diff(planes)
    half = (np.sort(gaps)[(len(gaps) - 1) // 2] if len(gaps) else lone_mm) / 2
    middles = (planes[:-1] + planes[1:]) / 2
    lows = np.maximum(planes - half, np.append(-np.inf, middles)) - _TIE_MM
    highs = np.minimum(planes + half, np.append(middles, np.inf)) - _TIE_MM
    return [(list(group), low, high) for group, low, high in zip(groups, lows, highs)]


def _fill(contours: list[np.ndarray], normal: np.ndarray, slab: tuple[float, float], grid: Grid, mask: np.ndarray):
    """Set the voxels of one slab that lie inside its contours."""
    region = _region(np.concatenate(contours), normal, slab, grid)
    if any(axis.start >= axis.stop for axis in region):
        return
    part = grid.cropped(region)
    depth = _projected(part, normal)
    mask[region] |= _inside(contours, normal, part) & (depth >= slab[0]) & (depth < slab[1])


def _region(points: np.ndarray, normal: np.ndarray, slab: tuple[float, float], grid: Grid) -> tuple[slice, ...]:
    """The part of the array that can hold voxels of the slab within the extent of the points."""
    ends = [points + normal * (depth - points @ normal)[:, None] for depth in slab]
    indices = grid.ijk(np.concatenate(ends))[:, ::-1]
    starts = np.clip(np.floor(indices.min(axis=0)), 0, grid.shape).astype(int)
    stops = np.clip(np.ceil(indices.max(axis=0)) + 1, 0, grid.shape).astype(int)
    return tuple(slice(int(start), int(stop)) for start, stop in zip(starts, stops))


def _projected(grid: Grid, direction: np.ndarray) -> np.ndarray:
    """Dot product of every voxel centre with `direction`, (k, j, i)."""
    steps = direction @ grid.ijk_to_ras[:3, :3]
    k, j, i = np.ogrid[tuple(slice(n) for n in grid.shape)]
    return direction @ grid.origin_mm + k * steps[2] + j * steps[1] + i * steps[0]


def _inside(contours: list[np.ndarray], normal: np.ndarray, grid: Grid) -> np.ndarray:
    """True where the projection of a voxel centre on the contour plane is inside an odd number of contours.

    Lines of voxels along one axis project to lines of the plane. Every edge that a line crosses switches all voxels
    after the crossing, between outside and inside.
    """
    axis, along, across = _scan_directions(grid, normal)
    count = grid.shape[axis]
    lines = Grid(tuple(1 if n == axis else size for n, size in enumerate(grid.shape)), grid.ijk_to_ras)
    starts = _projected(lines, along).ravel()
    line, crossing = _crossings(contours, along, across, _projected(lines, across).ravel() + _TIE_MM)
    first = np.clip(np.ceil(crossing - starts[line] - _TIE_MM), 0, count).astype(int)
    switches = np.bincount(line * (count + 1) + first, minlength=len(starts) * (count + 1)) % 2
    inside = np.bitwise_xor.accumulate(switches.reshape(-1, count + 1)[:, :count].astype(bool), axis=1)
    return np.moveaxis(inside.reshape(*np.delete(grid.shape, axis), count), -1, axis)


def _scan_directions(grid: Grid, normal: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """The array axis nearest to the contour plane, and two vectors to project on.

    The first grows by 1 from voxel to voxel along that axis; the second stays the same, and is in mm.
    """
    steps = grid.ijk_to_ras[:3, :3]
    steps = steps - np.outer(normal, normal @ steps)
    index = int(np.argmax(np.linalg.norm(steps, axis=0)))
    step = steps[:, index]
    return 2 - index, step / (step @ step), np.cross(normal, step) / np.linalg.norm(step)


def _crossings(contours, along: np.ndarray, across: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where lines of constant `across` = levels cut the edges of the contours: line index, and position `along`."""
    begin = np.concatenate(contours) @ np.column_stack([along, across])
    end = np.concatenate([np.roll(points, -1, axis=0) for points in contours]) @ np.column_stack([along, across])
    order = np.argsort(levels)
    lowest = np.searchsorted(levels[order], np.minimum(begin[:, 1], end[:, 1]))
    highest = np.searchsorted(levels[order], np.maximum(begin[:, 1], end[:, 1]))
    counts = highest - lowest
    edge = np.repeat(np.arange(len(begin)), counts)
    line = order[lowest[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)]
    fraction = (levels[line] - begin[edge, 1]) / (end[edge, 1] - begin[edge, 1])
    return line, begin[edge, 0] + fraction * (end[edge, 0] - begin[edge, 0])
