"""The spacing and orientation at which a network sees the images of a data set: nnU-Net's rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from MedSegDLLib.errors import InputError

from .fingerprint import Fingerprint

ANISOTROPIC = 3
"""A spacing this many times coarser than the others is a matter of its own (nnU-Net's threshold)."""

_LETTERS = "LPS"  # along the axes of a fingerprint, in the direction that DICOM's positions count
_CLEARLY_COARSER = 1.25


@dataclass(frozen=True)
class TargetGrid:
    """Spacing, and sizes of the images at it, along i, j, k of an orientation.

    Args:
        median_size: voxels.
        voxels: of all images together.
        reason: for the spacing, in words.
    """

    orientation: str
    spacing_mm: tuple[float, float, float]
    median_size: tuple[int, int, int]
    voxels: float
    reason: str


def target_grid(
    fingerprint: Fingerprint, orientation: str | None = None, spacing_mm: Sequence[float] | None = None
) -> TargetGrid:
    """Proposed, where it is not given. Raises InputError for what cannot be."""
    _check(orientation, spacing_mm)
    spacings, sizes = fingerprint.spacings_mm, fingerprint.sizes
    orientation = orientation or _orientation(np.median(spacings, axis=0))
    axes = [_axis(letter) for letter in orientation]
    spacings, sizes = spacings[:, axes], sizes[:, axes]
    if spacing_mm is None:
        spacing_mm, reason = _target_spacing(spacings, sizes)
        spacing_mm = [float(f"{mm:.4g}") for mm in spacing_mm]
    else:
        reason = "Given."
    at_target = np.maximum(1, np.round(sizes * spacings / np.array(spacing_mm)))
    return TargetGrid(
        orientation=orientation,
        spacing_mm=tuple(map(float, spacing_mm)),
        median_size=tuple(int(n) for n in np.round(np.median(at_target, axis=0))),
        voxels=float(at_target.prod(axis=1).sum()),
        reason=reason,
    )


def _orientation(spacing_mm: np.ndarray) -> str:
    """With the clearly coarsest axis last, across the slices; "LPS", that of axial slices, where there is none."""
    order = np.argsort(spacing_mm, kind="stable")
    if spacing_mm[order[2]] <= _CLEARLY_COARSER * spacing_mm[order[1]]:
        return _LETTERS
    return "".join(_LETTERS[axis] for axis in sorted(order[:2])) + _LETTERS[order[2]]


def _target_spacing(spacings: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, str]:
    """The median; along a much coarser axis with few voxels the finest tenth, so that no slices are thrown away."""
    target = np.median(spacings, axis=0)
    coarsest = int(np.argmax(target))
    others = [axis for axis in range(3) if axis != coarsest]
    median_size = np.median(sizes, axis=0)
    coarse = target[coarsest] > ANISOTROPIC * target[others].max()
    few = ANISOTROPIC * median_size[coarsest] < median_size[others].min()
    if not (coarse and few):
        return target, "The median of the images."
    target[coarsest] = max(np.percentile(spacings[:, coarsest], 10), target[others].max())
    return target, "The median of the images; along the coarsest axis the finest tenth of them."


def _check(orientation, spacing_mm) -> None:
    if orientation is not None and sorted(_axis(letter) for letter in str(orientation)) != [0, 1, 2]:
        raise InputError(f"The orientation '{orientation}' is not three letters such as RAS or LPS.", "Correct it.")
    if spacing_mm is None:
        return
    if not (isinstance(spacing_mm, list | tuple) and len(spacing_mm) == 3 and all(map(_is_positive, spacing_mm))):
        raise InputError(f"The spacing {spacing_mm} is not three positive numbers.", "Write it as [1, 1, 2.5].")


def _is_positive(mm) -> bool:
    return isinstance(mm, int | float) and mm > 0


def _axis(letter: str) -> int:
    return next((n for n, pair in enumerate(("LR", "PA", "IS")) if letter in pair), -1)
