"""Two fronts that start from what is in and from what is out, and meet at the outline."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from .shapes import eroded

_BLOCKED = 1e-6  # speed where a front cannot win


def race(cost_inside, cost_outside, inside: np.ndarray, outside: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """What the front from inside reaches first.

    Args:
        cost_inside, cost_outside: seconds to a mm, at each voxel, for the two fronts.
        inside, outside: where they start; they do not overlap.
        spacing_mm: along k, j, i.
    """
    if not outside.any() or not inside.any():
        return np.full(inside.shape, inside.any())
    own = _arrival(np.where(outside, _BLOCKED, 1 / cost_inside), inside, spacing_mm)
    other = _arrival(np.where(inside, _BLOCKED, 1 / cost_outside), outside, spacing_mm)
    return ((own < other) | inside) & ~outside


def _arrival(speed: np.ndarray, start: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    surface = start & ~eroded(start)
    if not surface.any():  # it fills the array
        return np.zeros(speed.shape)
    image = sitk.GetImageFromArray(speed.astype(np.float32))
    image.SetSpacing(spacing_mm[::-1].tolist())
    march = sitk.FastMarchingImageFilter()
    march.SetTrialPoints(np.argwhere(surface)[:, ::-1].tolist())
    march.SetNumberOfThreads(1)
    return sitk.GetArrayFromImage(march.Execute(image))
