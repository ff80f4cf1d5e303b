"""Prompts as the prompter sees them: bricks on the image's grid, each in or out.

A brick has a lowest and a highest position, continuous voxel indices (k, j, i). A point is a brick without extent, a
stroke a chain of them. A box around the structure becomes a limit; drawn in one slice, it limits the others too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...prompts import Box, Point, Prompts, Stroke
from ...volume import Grid
from .pyramid import Window


@dataclass(frozen=True, eq=False)
class Mark:
    """Something that was drawn.

    Args:
        low, high: ends of the bricks, (n, 3).
        include: whether it belongs to the structure.
        radius_mm: how far around the bricks it reaches.
        grows: whether what lies nearby belongs to it too; it does not where the extent itself was drawn.
    """

    low: np.ndarray
    high: np.ndarray
    include: bool
    radius_mm: float = 0.0
    grows: bool = True

    def painted(self, window: Window, radius_mm: float = 0.0) -> np.ndarray:
        """What lies no further than the radius, and in any case the voxels that the bricks touch."""
        painted = window.empty()
        spacing = window.level.spacing_mm
        radius = max(self.radius_mm, radius_mm if self.grows else 0.0)
        lows, highs = window.indices(self.low), window.indices(self.high)
        for low, high in zip(lows, highs):
            first = np.clip(np.floor(np.minimum(low - radius / spacing, np.round(low))), 0, window.shape).astype(int)
            last = np.ceil(np.maximum(high + radius / spacing, np.round(high)))
            stop = np.clip(last + 1, first, window.shape).astype(int)
            axes = np.ogrid[tuple(slice(a, b) for a, b in zip(first, stop))]
            squared = sum(
                (np.maximum(np.maximum(a - axis, axis - b), 0) * step) ** 2
                for axis, a, b, step in zip(axes, low, high, spacing)
            )
            touched = np.ones(1, bool)
            for axis, a, b in zip(axes, np.round(low), np.round(high)):
                touched = touched & (axis >= a) & (axis <= b)
            painted[tuple(slice(a, b) for a, b in zip(first, stop))] |= (squared <= radius**2) | touched
        return painted


@dataclass(frozen=True, eq=False)
class Limit:
    """A box outside of which nothing belongs to the structure; infinite along the axes where it was drawn flat."""

    low: np.ndarray
    high: np.ndarray

    def painted(self, window: Window) -> np.ndarray:
        low, high = window.indices(self.low), window.indices(self.high)
        inside = np.ones(1, bool)
        for axis, a, b in zip(np.ogrid[tuple(slice(0, size) for size in window.shape)], low, high):
            inside = inside & (axis > a - 0.5) & (axis < b + 0.5)
        return np.broadcast_to(inside, window.shape)

    def half_diagonal_mm(self, spacing_mm: np.ndarray) -> float:
        extent = (self.high - self.low) * spacing_mm
        return float(np.linalg.norm(extent[np.isfinite(extent)])) / 2


@dataclass(frozen=True)
class Drawing:
    """All marks in the order in which they were drawn, and the limits; inside any one of them is inside."""

    marks: tuple[Mark, ...]
    limits: tuple[Limit, ...]

    def seeds(self, window: Window, radii_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
        """What is certainly in, what certainly out; of two marks in one place the later one counts.

        Args:
            radii_mm: how far to trust the first of the marks; the others count for what they are.
        """
        inside, outside = window.empty(), self.beyond(window)
        for number, mark in enumerate(self.marks):
            painted = mark.painted(window, radii_mm[number] if number < len(radii_mm) else 0.0)
            here, there = (inside, outside) if mark.include else (outside, inside)
            here |= painted
            there &= ~painted
        return inside, outside

    def beyond(self, window: Window) -> np.ndarray:
        """What the limits rule out."""
        if not self.limits:
            return window.empty()
        return ~np.logical_or.reduce([limit.painted(window) for limit in self.limits])


def draw(prompts: Prompts, grid: Grid) -> Drawing:
    """The prompts on an image's grid.

    Raises:
        InputError: there are none that include, or one lies outside the image.
    """
    marks: list[Mark] = []
    limits: list[Limit] = []
    for prompt in prompts.entries:
        if isinstance(prompt, Point):
            marks.append(_points([prompt.ras], prompt.include, 0.0, grid))
        elif isinstance(prompt, Stroke):
            marks.append(_points(_densely(prompt.ras, grid), prompt.include, prompt.radius_mm, grid))
        elif prompt.include:
            limits.append(_limit(prompt, grid))
            if not any(mark.include for mark in marks):
                marks.append(_points(np.mean(prompt.ras, axis=0, keepdims=True), True, 0.0, grid))
        else:
            marks.append(_brick(prompt, grid))
    if not any(mark.include for mark in marks):
        raise InputError("Nothing says yet what belongs to the structure.", "Click on the structure first.")
    return Drawing(tuple(marks), tuple(limits))


def _densely(ras, grid: Grid) -> np.ndarray:
    """Positions along a line, not more than a voxel apart."""
    ras = np.asarray(ras)
    step_mm = grid.spacing_mm[np.array(grid.shape[::-1]) > 1].min()
    pieces = [ras[:1]]
    for start, stop in zip(ras[:-1], ras[1:]):
        count = max(1, int(np.ceil(np.linalg.norm(stop - start) / step_mm)))
        pieces.append(start + (stop - start) * np.arange(1, count + 1)[:, None] / count)
    return np.concatenate(pieces)


def _points(ras, include: bool, radius_mm: float, grid: Grid) -> Mark:
    positions = _positions(ras, grid)
    inside = ((positions >= -0.5) & (positions <= np.array(grid.shape) - 0.5)).all(axis=1)
    if not inside.any():
        raise _outside()
    voxels = np.unique(np.clip(np.round(positions[inside]), 0, np.array(grid.shape) - 1), axis=0)
    return Mark(voxels, voxels, include, radius_mm)


def _brick(box: Box, grid: Grid) -> Mark:
    low, high = _corners(box, grid)
    return Mark(low[None], high[None], include=False, grows=False)


def _limit(box: Box, grid: Grid) -> Limit:
    low, high = _corners(box, grid)
    drawn_flat = (high - low < 1) & (high - low < (high - low).max())
    return Limit(np.where(drawn_flat, -np.inf, low), np.where(drawn_flat, np.inf, high))


def _corners(box: Box, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    positions = _positions(box.ras, grid)
    low, high = positions.min(axis=0), positions.max(axis=0)
    last = np.array(grid.shape) - 1
    if (high < -0.5).any() or (low > last + 0.5).any():
        raise _outside()
    return np.clip(low, 0, last), np.clip(high, 0, last)


def _positions(ras, grid: Grid) -> np.ndarray:
    """Along a flat axis, where a slice view may show the image from somewhat before or behind it, the voxel there."""
    positions = grid.ijk(ras)[..., ::-1]
    return np.where(np.array(grid.shape) == 1, 0.0, positions)


def _outside() -> InputError:
    return InputError("A point lies outside the image.", "Click inside the image, or choose the volume that you see.")
