"""How the image looks: its edges, and how the grey values inside and outside differ."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .parameters import Parameters
from .pyramid import Pyramid, Window

_LEAST_SHARE = 1e-3  # of a histogram, where no voxel fell into a bin
_OVERSHOOT = 0.2  # beyond the grey range, in its widths


class Appearance:
    """One window of the image: the cost of its edges, and the histogram bin of every voxel.

    Bins are equally wide over the image's grey values; or equally full in this window, which tells like tissues apart.
    """

    def __init__(self, pyramid: Pyramid, window: Window, parameters: Parameters, equally_full: bool = False):
        self._bins = parameters.bins
        level = window.level
        steps = level.spacing_mm / level.voxel_mm
        sigma = np.where(level.flat, 0.0, parameters.smoothing_voxels / steps)
        width = max(pyramid.high - pyramid.low, np.finfo(np.float32).tiny)
        grey = (ndimage.gaussian_filter(window.image(), sigma) - pyramid.low) / width
        grey = np.clip(grey, -_OVERSHOOT, 1 + _OVERSHOOT)
        self.edges = _edge_cost(grey, steps, parameters)
        if equally_full:
            limits = np.quantile(grey, np.linspace(0, 1, self._bins + 1)[1:-1])
        else:
            limits = np.linspace(-_OVERSHOOT, 1 + _OVERSHOOT, self._bins + 1)[1:-1]
        self._bin = np.searchsorted(limits, grey)

    def evidence(self, inside: np.ndarray, sample: np.ndarray | None = None) -> np.ndarray:
        """At each voxel, the logarithm of how much more it looks like the inside, or a sample of it, than the rest."""
        own, other = self._histogram(inside if sample is None else sample), self._histogram(~inside)
        return np.log((own + _LEAST_SHARE) / (other + _LEAST_SHARE))[self._bin]

    def likeness(self, first: np.ndarray, second: np.ndarray) -> float:
        """Bhattacharyya's coefficient of the grey values: 0 where nothing is alike, 1 where they are the same."""
        return float(np.sqrt(self._histogram(first) * self._histogram(second)).sum())

    def _histogram(self, where: np.ndarray) -> np.ndarray:
        counts = np.bincount(self._bin[where], minlength=self._bins).astype(float)
        return ndimage.gaussian_filter1d(counts, 1.0) / max(1.0, counts.sum())


def _edge_cost(grey: np.ndarray, steps: np.ndarray, parameters: Parameters) -> np.ndarray:
    """1 where the image is even, 1 + `edge_cost` on a full edge."""
    squared = np.zeros(grey.shape, np.float32)
    for axis in range(3):
        if grey.shape[axis] > 1:
            squared += (np.gradient(grey, axis=axis) / steps[axis]) ** 2
    strength = np.sqrt(squared)
    full = max(np.percentile(strength, parameters.edge_percentile), 1e-6)
    return 1 + parameters.edge_cost * (strength / full) ** parameters.edge_power
