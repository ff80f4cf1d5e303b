"""Voxels near a structure: the band along its boundary, and the region of interest around it."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import ndimage

Box = tuple[slice, ...]

_ROUNDING = 1e-9


def inner_band(mask: np.ndarray, radius_mm: float, spacing_mm) -> np.ndarray:
    """Voxels of the mask no further from a voxel outside than the radius, and those with a neighbour outside.

    What lies beyond the array is outside.
    """
    reach = [_reach(radius_mm, step) for step in spacing_mm]
    outside = np.pad(~mask, [(n, n) for n in reach], constant_values=True)
    back = tuple(slice(n, -n) for n in reach)
    return mask & grown(outside, radius_mm, spacing_mm)[back]


def outer_band(mask: np.ndarray, radius_mm: float, spacing_mm) -> np.ndarray:
    """Voxels outside the mask no further from it than the radius, and those with a neighbour in it."""
    return grown(mask, radius_mm, spacing_mm) & ~mask


def grown(mask: np.ndarray, radius_mm: float, spacing_mm) -> np.ndarray:
    """The voxels whose centre lies within the radius of the centre of a voxel of the mask, and its face neighbours.

    A ball is a bundle of rods along the last axis: growing along that axis comes first, for every length of rod, and
    then each shifted rod is a single pass. Far quicker than a distance transform while the ball is a few voxels wide.
    """
    *slow, step = (float(each) for each in spacing_mm)
    rods = _rods(radius_mm, slow, step)
    longest = max(rods.values())
    out = np.zeros_like(mask)
    run = mask.copy()
    for length in range(longest + 1):
        for n in (-length, length) if length else ():
            _add_shifted(run, mask, (0,) * len(slow) + (n,))
        for offset in (offset for offset, rod in rods.items() if rod == length):
            _add_shifted(out, run, (*offset, 0))
    return out


def _rods(radius_mm: float, slow: list[float], step: float) -> dict[tuple[int, ...], int]:
    """Half length in voxels of each rod of a ball, by its offset along the other axes."""
    rods = {}
    for offset in product(*(range(-_reach(radius_mm, each), _reach(radius_mm, each) + 1) for each in slow)):
        left = radius_mm**2 - sum((n * each) ** 2 for n, each in zip(offset, slow))
        steps = sum(map(abs, offset))
        if left >= -_ROUNDING or steps <= 1:
            rods[offset] = max(int(np.sqrt(max(left, 0)) / step + _ROUNDING), 1 if steps == 0 else 0)
    return rods


def _reach(radius_mm: float, step: float) -> int:
    return max(1, int(radius_mm / step + _ROUNDING))


def _add_shifted(out: np.ndarray, mask: np.ndarray, offset: tuple[int, ...]) -> None:
    if any(abs(n) >= size for n, size in zip(offset, mask.shape)):
        return
    target = tuple(slice(max(0, n), min(size, size + n)) for n, size in zip(offset, mask.shape))
    source = tuple(slice(max(0, -n), min(size, size - n)) for n, size in zip(offset, mask.shape))
    out[target] |= mask[source]


def region_of_interest(mask: np.ndarray, margin_mm: float, spacing_mm) -> np.ndarray:
    """The mask dilated by a box: voxels that lie no further from one of its voxels than the margin, along each axis."""
    size = [2 * _reach(margin_mm, step) + 1 for step in spacing_mm]
    return ndimage.maximum_filter(mask.view(np.uint8), size, mode="constant").view(bool)


def grown_box(box: Box, margin_mm: float, spacing_mm, shape: tuple[int, ...]) -> Box:
    """The box with a margin of at least one voxel on every side, as far as the array reaches."""
    margins = [_reach(margin_mm, step) for step in spacing_mm]
    return tuple(slice(max(0, s.start - n), min(size, s.stop + n)) for s, n, size in zip(box, margins, shape))


def union_box(boxes: list[Box]) -> Box:
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes))


def boxes_of_values(labels: np.ndarray, values: list[int]) -> list[Box | None]:
    """The smallest box around each value of a labelmap, None where it is missing; one pass over the array."""
    found = ndimage.find_objects(labels, max(values))
    return [found[value - 1] for value in values]
