"""Image geometry: where the voxels of an array lie in the patient.

Arrays have the axes (k, j, i), as in Slicer and SimpleITK. World coordinates are RAS in mm, as in Slicer;
DICOM and ITK speak LPS, and `LPS_TO_RAS` is the only place where the two meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .errors import InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_AXIS_LETTERS = ("LR", "PA", "IS")  # negative and positive end of each world axis


@dataclass(frozen=True)
class Grid:
    """A lattice of voxel centres in the patient: `shape` (k, j, i) and `ijk_to_ras` (4x4, mm)."""

    shape: tuple[int, int, int]
    ijk_to_ras: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "ijk_to_ras", np.asarray(self.ijk_to_ras, dtype=float))
        if len(self.shape) != 3 or self.ijk_to_ras.shape != (4, 4):
            raise ValueError(f"a grid needs three axes and a 4x4 matrix, got {self.shape} and {self.ijk_to_ras.shape}")
        if not np.isfinite(self.ijk_to_ras).all():
            raise InputError(
                "The image geometry holds values that are not numbers.",
                "Export the image again with correct position, spacing and orientation.",
            )
        if abs(np.linalg.det(self.ijk_to_ras[:3, :3])) < 1e-12:
            raise InputError(
                "The image geometry is singular: two of its axes point the same way or a spacing is zero.",
                "Export the image again with correct spacing and orientation.",
            )

    @property
    def spacing_mm(self) -> np.ndarray:
        """Distance of neighbouring voxel centres along i, j, k."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def directions(self) -> np.ndarray:
        """3x3, unit vectors of i, j, k in RAS, one a column."""
        return self.ijk_to_ras[:3, :3] / self.spacing_mm

    @property
    def origin_mm(self) -> np.ndarray:
        """RAS of the centre of voxel (0, 0, 0)."""
        return self.ijk_to_ras[:3, 3]

    @property
    def voxel_volume_ml(self) -> float:
        return abs(float(np.linalg.det(self.ijk_to_ras[:3, :3]))) / 1000.0

    @property
    def extent_mm(self) -> np.ndarray:
        """Edge lengths of the volume along i, j, k, from voxel edge to voxel edge."""
        return self.spacing_mm * self.shape[::-1]

    @property
    def center_ras(self) -> np.ndarray:
        return self.ras((np.array(self.shape[::-1]) - 1) / 2)

    def is_orthogonal(self, tolerance: float = 1e-3) -> bool:
        """False for a sheared grid, as a tilted gantry makes it."""
        return bool(np.allclose(self.directions.T @ self.directions, np.eye(3), atol=tolerance))

    def ras(self, ijk) -> np.ndarray:
        """World position of continuous indices, (..., 3) in order i, j, k."""
        return np.asarray(ijk, dtype=float) @ self.ijk_to_ras[:3, :3].T + self.origin_mm

    def ijk(self, ras) -> np.ndarray:
        """Continuous indices i, j, k of world positions (..., 3)."""
        return (np.asarray(ras, dtype=float) - self.origin_mm) @ np.linalg.inv(self.ijk_to_ras[:3, :3]).T

    def agrees_with(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Same shape, and no voxel centre further than the tolerance from its counterpart."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape[::-1]])).reshape(3, -1).T
        return bool(np.abs(self.ras(corners) - other.ras(corners)).max() <= tolerance_mm)

    def cropped(self, region: tuple[slice, slice, slice]) -> Grid:
        """The grid of `array[region]`; region holds slices for k, j, i with explicit start and stop."""
        start_ijk = [s.start for s in region][::-1]
        matrix = self.ijk_to_ras.copy()
        matrix[:3, 3] = self.ras(start_ijk)
        return Grid(tuple(s.stop - s.start for s in region), matrix)

    def resized(self, shape) -> Grid:
        """Same edges in the patient, another number of voxels: what resampling an image makes."""
        scale = np.array(self.shape[::-1]) / np.array(shape[::-1])
        matrix = self.ijk_to_ras.copy()
        matrix[:3, :3] *= scale
        matrix[:3, 3] = self.ras((scale - 1) / 2)
        return Grid(shape, matrix)

    def shape_at(self, spacing_mm) -> tuple[int, int, int]:
        """Number of voxels (k, j, i) that brings the spacing nearest to `spacing_mm` (i, j, k)."""
        sizes = np.maximum(1, np.round(self.extent_mm / np.asarray(spacing_mm, dtype=float))).astype(int)
        return tuple(int(n) for n in sizes[::-1])

    def orthogonalised(self) -> Grid:
        """The smallest orthogonal grid that covers a sheared one.

        i and j keep their directions and spacing; k follows the slice normal, with the true distance of the slices.
        """
        basis = self.ijk_to_ras[:3, :3]
        i_axis = basis[:, 0]
        j_axis = basis[:, 1] - i_axis * (i_axis @ basis[:, 1]) / (i_axis @ i_axis)
        normal = np.cross(i_axis, j_axis)
        normal /= np.linalg.norm(normal)
        distance = normal @ basis[:, 2]
        matrix = np.eye(4)
        matrix[:3, :3] = np.column_stack([i_axis, j_axis, normal * distance])
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape[::-1]])).reshape(3, -1).T
        positions = (self.ras(corners) - self.origin_mm) @ np.linalg.inv(matrix[:3, :3]).T
        low, high = np.floor(positions.min(axis=0) + 1e-3), np.ceil(positions.max(axis=0) - 1e-3)
        matrix[:3, 3] = self.origin_mm + matrix[:3, :3] @ low
        return Grid(tuple((high - low + 1).astype(int)[::-1]), matrix)

    def orientation(self) -> str:
        """Nearest anatomical direction of i, j, k: 'RAS' where i runs to the right, j to the front, k to the head."""
        axes, flips = self._world_axes()
        return "".join(_AXIS_LETTERS[a][0 if flipped else 1] for a, flipped in zip(axes, flips))

    def _world_axes(self) -> tuple[list[int], list[bool]]:
        """World axis nearest to i, j, k, each taken once, and whether the index runs against it."""
        strength = np.abs(self.directions).copy()
        axes = [0, 0, 0]
        for _ in range(3):
            world, index = np.unravel_index(np.argmax(strength), (3, 3))
            axes[index] = int(world)
            strength[world, :] = -1
            strength[:, index] = -1
        return axes, [bool(self.directions[a, n] < 0) for n, a in enumerate(axes)]

    def steps_to(self, orientation: str) -> Reorientation:
        """How to turn an array on this grid until i, j, k point as `orientation` says ('RAS', 'LPS', ...)."""
        wanted = [next(n for n, pair in enumerate(_AXIS_LETTERS) if letter in pair) for letter in orientation]
        wanted_flips = [letter == _AXIS_LETTERS[a][0] for letter, a in zip(orientation, wanted)]
        axes, flips = self._world_axes()
        sources = [axes.index(a) for a in wanted]
        return Reorientation(
            permutation=tuple(2 - sources[2 - n] for n in range(3)),
            flips=tuple(flips[sources[2 - n]] != wanted_flips[2 - n] for n in range(3)),
        )


@dataclass(frozen=True)
class Reorientation:
    """Axes (k, j, i) permuted, then flipped: exact, no interpolation, and arrays stay views."""

    permutation: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, array: np.ndarray) -> np.ndarray:
        return array.transpose(self.permutation)[self._reversal]

    def undo(self, array: np.ndarray) -> np.ndarray:
        return array[self._reversal].transpose(np.argsort(self.permutation))

    def apply_to_grid(self, grid: Grid) -> Grid:
        shape = tuple(grid.shape[axis] for axis in self.permutation)
        new_to_old = np.eye(4)
        new_to_old[:3, :3] = 0
        for new_axis, (old_axis, flipped) in enumerate(zip(self.permutation, self.flips)):
            new_index, old_index = 2 - new_axis, 2 - old_axis
            new_to_old[old_index, new_index] = -1 if flipped else 1
            new_to_old[old_index, 3] = shape[new_axis] - 1 if flipped else 0
        return Grid(shape, grid.ijk_to_ras @ new_to_old)

    @property
    def _reversal(self) -> tuple[slice, slice, slice]:
        return tuple(slice(None, None, -1) if flipped else slice(None) for flipped in self.flips)


@dataclass(frozen=True)
class Volume:
    """A scalar image or a labelmap in the patient.

    Args:
        array: numpy array with axes (k, j, i).
        ijk_to_ras: 4x4 matrix from voxel indices (i, j, k, 1) to RAS in mm; may be oblique, flipped or sheared.
        modality: DICOM's word for it ('CT', 'MR', 'PT', ...), '' where it is not known.
        name: what a person would call it.
    """

    array: np.ndarray
    ijk_to_ras: np.ndarray = field(default_factory=lambda: np.eye(4))
    modality: str = ""
    name: str = ""

    def __post_init__(self):
        if self.array.ndim != 3:
            raise InputError(
                f"The image has {self.array.ndim} axes; a volume has three.",
                "Choose a single three-dimensional grey-scale volume.",
            )
        object.__setattr__(self, "ijk_to_ras", self.grid.ijk_to_ras)

    @property
    def grid(self) -> Grid:
        return Grid(self.array.shape, self.ijk_to_ras)

    def with_array(self, array: np.ndarray) -> Volume:
        """Another array on the same grid."""
        if array.shape != self.array.shape:
            raise ValueError(f"array of shape {array.shape} does not fit the grid {self.array.shape}")
        return replace(self, array=array)

    def reoriented(self, orientation: str) -> Volume:
        """The same voxels with i, j, k turned to the nearest axes of `orientation`; the array is a view."""
        steps = self.grid.steps_to(orientation)
        return replace(self, array=steps.apply(self.array), ijk_to_ras=steps.apply_to_grid(self.grid).ijk_to_ras)

    def cropped(self, region: tuple[slice, slice, slice]) -> Volume:
        """`array[region]` with its geometry; the array is a view."""
        return replace(self, array=self.array[region], ijk_to_ras=self.grid.cropped(region).ijk_to_ras)

    def check_usable(self) -> None:
        """Raise InputError for what no model can segment: no voxels, not a number, no contrast, not grey values."""
        if self.array.size == 0:
            raise InputError("The volume is empty: it has no voxels.", "Load the image again, or choose another one.")
        if self.array.dtype.kind not in "biuf":
            raise InputError(
                f"The volume holds {self.array.dtype} values, not grey values.", "Choose a grey-scale image."
            )
        low, high = self.array.min(), self.array.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(
                "The volume contains values that are not numbers (NaN or infinite).",
                "Repair the image, for example by replacing them with the value of air, and try again.",
            )
        if low == high:
            raise InputError(
                f"The volume is empty: every voxel has the value {low:g}.",
                "Load the image again, or choose another one.",
            )


def as_volumes(given: Volume | Sequence[Volume]) -> tuple[Volume, ...]:
    """One image, or the images of one patient, as a tuple of them."""
    return (given,) if isinstance(given, Volume) else tuple(given)
