"""Prompts cut to the image that they are drawn on; None for what lies outside it altogether."""

from __future__ import annotations

import numpy as np

from ..prompts import Box, Point, Stroke
from ..volume import Grid


def point_within(grid: Grid, ras, include: bool) -> Point | None:
    return Point(tuple(ras), include) if _inside(grid, ras).all() else None


def stroke_within(grid: Grid, ras, include: bool, radius_mm: float) -> Stroke | None:
    """Of its positions (n, 3) those inside."""
    positions = np.asarray(ras, dtype=float)[_inside(grid, ras)]
    return Stroke(positions, include, radius_mm) if len(positions) else None


def box_within(grid: Grid, ras, include: bool) -> Box | None:
    """Its corners (2, 3), moved to the outermost voxels where they lie beyond."""
    ijk, last = grid.ijk(ras), np.array(grid.shape[::-1]) - 1
    if (ijk.max(axis=0) < -0.5).any() or (ijk.min(axis=0) > last + 0.5).any():
        return None
    return Box(grid.ras(np.clip(ijk, 0, last)), include)


def _inside(grid: Grid, ras) -> np.ndarray:
    """Whether each position lies in a voxel of the grid."""
    ijk = grid.ijk(ras)
    return ((ijk >= -0.5) & (ijk <= np.array(grid.shape[::-1]) - 0.5)).all(axis=-1)
