"""A voxel grid to paint implicit shapes on, with antialiased edges.

A shape is a function of position whose value is about its signed distance in mm, negative inside. It is drawn on any
grid, so the same phantom exists at every spacing.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

FAR_MM = 60.0
UPRIGHT = np.eye(3)
EVERYWHERE = (slice(None),) * 3
_STRIDE = 4  # windows are found on every fourth voxel: a sixty-fourth of the work


class Canvas:
    """Hounsfield units and labels under construction.

    Args:
        position: float32 (3, k, j, i), where each voxel's centre lies in the anatomy, in mm (right, front, up).
        spacing_mm: of the voxels along i, j, k; an edge becomes a ramp about a voxel wide.
    """

    def __init__(self, position: np.ndarray, spacing_mm: np.ndarray):
        self.position = position
        self.softness_mm = float(np.prod(spacing_mm) ** (1 / 3))
        self._margin_mm = 0.7 * _STRIDE * float(np.max(spacing_mm))  # no box may slip between the voxels looked at
        self.image = np.full(position.shape[1:], -1000, dtype=np.float32)
        self.truth = np.zeros(position.shape[1:], dtype=np.uint8)
        self._low, self._high = position.min(axis=(1, 2, 3)), position.max(axis=(1, 2, 3))
        self._thinned = position[:, ::_STRIDE, ::_STRIDE, ::_STRIDE]

    def at(self, where) -> np.ndarray:
        """Positions (3, ...) of a window or of indices."""
        return self.position[(slice(None), *where)]

    def window(self, low, high) -> tuple[slice, slice, slice]:
        """Slices that hold every voxel between two corners of the anatomy; empty where the grid misses the box."""
        if np.any(self._low > high) or np.any(self._high < low):
            return (slice(0, 0),) * 3
        inside = np.ones(self._thinned.shape[1:], dtype=bool)
        for coordinate, first, last in zip(self._thinned, low, high):
            inside &= (coordinate >= first - self._margin_mm) & (coordinate <= last + self._margin_mm)
        return tuple(self._span(inside, axis) for axis in range(3))

    def _span(self, inside: np.ndarray, axis: int) -> slice:
        found = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        if not found.size:
            return slice(0, 0)
        return slice(max(0, (found[0] - 1) * _STRIDE), (found[-1] + 1) * _STRIDE + 1)

    def paint(self, where, distance: np.ndarray, hu, label: int | None = None, opacity: float = 1.0) -> None:
        """Cover what is inside `distance` with `hu`; the edge is blended, the label is not."""
        coverage = np.clip(0.5 - distance / self.softness_mm, 0, 1)
        self.image[where] += (hu - self.image[where]) * (coverage * opacity)
        if label is not None:
            self.truth[where] = np.where(distance < 0, np.uint8(label), self.truth[where])

    def tubes(self, paths, reach_mm: float = 3.0) -> np.ndarray:
        """Distance (k, j, i) to the union of tubes; right up to `reach_mm`, FAR_MM where no tube is near.

        Args:
            paths: pairs of points (n, 3) in mm and their radii (n,) in mm.
        """
        distance = np.full(self.image.shape, FAR_MM, dtype=np.float32)
        for points, radii in paths:
            for start, end, first, last in zip(points[:-1], points[1:], radii[:-1], radii[1:]):
                self._add_segment(distance, start, end, first, last, reach_mm)
        return distance

    def _add_segment(self, distance: np.ndarray, start, end, first: float, last: float, reach_mm: float) -> None:
        reach = max(first, last) + max(reach_mm, self.softness_mm)
        where = self.window(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
        np.minimum(distance[where], cone(self.at(where), start, end, first, last), out=distance[where])


def curve(points, radii, pieces: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """A smooth tube through a few points (mm) with the radii (mm) there, as short straight pieces."""
    points = np.asarray(points, float)
    steps = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    fine = np.linspace(0, steps[-1], pieces + 1)
    return CubicSpline(steps, points)(fine), np.interp(fine, steps, np.broadcast_to(radii, len(points)))


def cone(position: np.ndarray, start, end, first: float, last: float) -> np.ndarray:
    """Distance to a segment with round ends whose radius runs from `first` to `last`."""
    axis = np.subtract(end, start).astype(np.float32)
    x, y, z = (p - np.float32(s) for p, s in zip(position, start))
    along = np.clip((x * axis[0] + y * axis[1] + z * axis[2]) / (axis @ axis), 0, 1)
    x, y, z = x - along * axis[0], y - along * axis[1], z - along * axis[2]
    return np.sqrt(x * x + y * y + z * z) - (np.float32(first) + np.float32(last - first) * along)


def ellipsoid(position: np.ndarray, center, radii, axes: np.ndarray = UPRIGHT) -> np.ndarray:
    """Distance, along the ray from the centre, to an ellipsoid whose half-axes are the rows of `axes` times `radii`."""
    offset = [p - np.float32(c) for p, c in zip(position, center)]
    scaled = [sum(o * np.float32(a) for o, a in zip(offset, axis)) / r for axis, r in zip(axes, radii)]
    return _along_ray(offset, sum(s * s for s in scaled), 2.0)


def superellipse(x: np.ndarray, y: np.ndarray, half_x, half_y, power: float = 2.0) -> np.ndarray:
    """Distance, along the ray from the origin, to a rounded rectangle in the plane."""
    total = np.abs(x / half_x) ** np.float32(power) + np.abs(y / half_y) ** np.float32(power)
    return _along_ray((x, y), total, power)


def _along_ray(offset, total: np.ndarray, power: float) -> np.ndarray:
    length = np.sqrt(sum(o * o for o in offset))
    return length * (1 - np.maximum(total, np.float32(1e-4)) ** np.float32(-1 / power))


def smooth_union(first: np.ndarray, second: np.ndarray, blend_mm: float) -> np.ndarray:
    """Union of two shapes whose crease is filled over `blend_mm`."""
    closeness = np.maximum(blend_mm - np.abs(first - second), 0) / blend_mm
    return np.minimum(first, second) - closeness * closeness * (blend_mm / 4)


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
