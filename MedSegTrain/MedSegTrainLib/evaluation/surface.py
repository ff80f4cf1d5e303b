"""Distances between two surfaces in mm, by surface elements weighted with their area.

The convention is that of DeepMind's surface-distance (Nikolov et al. 2018, arXiv:1809.04430): a surface element is a
cell between voxel centres with corners inside and outside (`surfels`), it lies in the middle of the cell, and its
distance is that to the nearest element of the other surface. A structure that reaches the edge of the image has a
surface there. In two dimensions: contours, weighted with their length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .surfels import cell_sizes


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances (mm) of every element of a surface to the other surface, ascending, and the elements' areas (mm2)."""

    distances_mm: np.ndarray
    areas: np.ndarray

    def percentile_mm(self, share: float) -> float:
        """The distance that `share` (0..1) of the area does not exceed."""
        covered = np.cumsum(self.areas) / np.sum(self.areas)
        return float(self.distances_mm[min(np.searchsorted(covered, share), len(covered) - 1)])

    def area_within(self, tolerance_mm: float) -> float:
        return float(self.areas[self.distances_mm <= tolerance_mm].sum())


@dataclass(frozen=True)
class SurfacePair:
    """Both directions; what the field's surface measures are made of."""

    from_truth: SurfaceDistances
    from_result: SurfaceDistances

    def hausdorff_mm(self, share: float = 1.0) -> float:
        """The greater of the two directed distances; with a share of 0.95 the robust HD95, by area."""
        return max(self.from_truth.percentile_mm(share), self.from_result.percentile_mm(share))

    def average_mm(self) -> float:
        """Average symmetric surface distance: the mean over the area of both surfaces together."""
        total = sum(float(np.sum(each.distances_mm * each.areas)) for each in self._both)
        return total / self._area

    def surface_dice(self, tolerance_mm: float) -> float:
        """Normalised surface Dice: the share of both surfaces that lies within the tolerance of the other."""
        return sum(each.area_within(tolerance_mm) for each in self._both) / self._area

    @property
    def _both(self) -> tuple[SurfaceDistances, SurfaceDistances]:
        return self.from_truth, self.from_result

    @property
    def _area(self) -> float:
        return sum(float(np.sum(each.areas)) for each in self._both)


def surface_distances(truth: np.ndarray, result: np.ndarray, spacing_mm) -> SurfacePair:
    """Compare the surfaces of two masks that are not empty.

    Args:
        truth, result: bool, one shape, two or three axes.
        spacing_mm: distance of voxel centres along each axis of the arrays.
    """
    truth_codes, result_codes = _codes(truth), _codes(result)
    of_truth, of_result = _crossed(truth_codes), _crossed(result_codes)
    sizes = cell_sizes(spacing_mm)
    return SurfacePair(
        _directed(of_truth, of_result, sizes[truth_codes[of_truth]], spacing_mm),
        _directed(of_result, of_truth, sizes[result_codes[of_result]], spacing_mm),
    )


def _codes(mask: np.ndarray) -> np.ndarray:
    """Which corners of each cell are inside, one bit each; the cells around the mask's edge are there too."""
    codes = np.pad(mask.astype(np.uint8), 1)
    for axis, bits in zip(range(mask.ndim), (4, 2, 1)[3 - mask.ndim :]):
        first, second = (np.moveaxis(codes, axis, 0)[cells] for cells in (slice(None, -1), slice(1, None)))
        codes = np.moveaxis(first << bits | second, 0, axis)
    return codes


def _crossed(codes: np.ndarray) -> np.ndarray:
    """The cells that the surface runs through."""
    return (codes != 0) & (codes != 2 ** (2**codes.ndim) - 1)


def _directed(own: np.ndarray, other: np.ndarray, areas: np.ndarray, spacing_mm) -> SurfaceDistances:
    """Distances from the cells `own` to the nearest of the cells `other`."""
    distances = np.zeros(len(areas))
    apart = ~other[own]  # the others lie on the other surface: nothing to look for
    if apart.any():
        distances[apart] = _nearest_mm(np.argwhere(own)[apart], np.argwhere(other), np.asarray(spacing_mm, float))
    order = np.lexsort((areas, distances))
    return SurfaceDistances(distances[order], areas[order])


def _nearest_mm(cells: np.ndarray, others: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    tree = cKDTree(others * spacing, balanced_tree=False, compact_nodes=False)
    _, nearest = tree.query(cells * spacing)
    # From the indices again: differences of positions would be off by rounding, and miss a tolerance by it.
    return np.sqrt((((cells - others[nearest]) * spacing) ** 2).sum(axis=1))
