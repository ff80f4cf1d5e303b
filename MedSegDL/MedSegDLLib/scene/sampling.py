"""Values of a volume on any other lattice, and blurring, by VTK's own filters."""

from __future__ import annotations

import numpy as np
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..volume import Grid
from .volumes import vtk_image, vtk_matrix


def corners_ras(grid: Grid, margin: float = 0.0) -> np.ndarray:
    """RAS (8, 3) of the corner voxels' centres; a margin of 0.5 voxels gives the volume's outer corners."""
    ends = [(-margin, n - 1 + margin) for n in grid.shape[::-1]]
    return grid.ras(np.array(np.meshgrid(*ends)).reshape(3, -1).T)


def sample(array: np.ndarray, to_ijk: np.ndarray, shape, outside: float = 0, cubic: bool = False) -> np.ndarray:
    """Interpolated values at lattice points, in the type of the array.

    Args:
        array: axes (k, j, i).
        to_ijk: 4x4 from lattice indices (a, b, c, 1) to voxel indices (i, j, k, 1).
        shape: of the lattice and of the result, (c, b, a).
        outside: value where the lattice leaves the volume.
    """
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(vtk_image(array))
    reslice.SetResliceAxes(vtk_matrix(to_ijk))
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(*(edge for n in shape[::-1] for edge in (0, n - 1)))
    reslice.SetBackgroundLevel(outside)
    reslice.SetInterpolationModeToCubic() if cubic else reslice.SetInterpolationModeToLinear()
    return _result(reslice, shape)


def blurred(array: np.ndarray, sigmas) -> np.ndarray:
    """Gaussian blur, in the type of the array; sigmas in voxels along i, j, k."""
    smooth = vtk.vtkImageGaussianSmooth()
    smooth.SetInputData(vtk_image(array))
    smooth.SetStandardDeviations(*(float(sigma) for sigma in sigmas))
    smooth.SetRadiusFactors(2.5, 2.5, 2.5)
    return _result(smooth, array.shape)


def _result(algorithm: vtk.vtkImageAlgorithm, shape) -> np.ndarray:
    algorithm.Update()
    return vtk_to_numpy(algorithm.GetOutput().GetPointData().GetScalars()).reshape(shape)
