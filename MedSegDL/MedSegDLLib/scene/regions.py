"""Regions of interest as index slices: what the view shows, a Markups ROI, the surroundings of visible segments.

Each function returns slices (k, j, i) with explicit start and stop on the volume node's own grid, as
`Worker.segment` takes them, and raises InputError where nothing of the volume lies inside.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from ..errors import InputError
from ..volume import Grid
from .volumes import own_ijk_to_ras, parent_to_world

MARGIN_MM = 20.0  # around visible segments: room for what was drawn too small

_TOUCHING = 1e-6  # voxels: a box that ends at a voxel's edge does not reach into it

Region = tuple[slice, slice, slice]


def view_region(volume_node: slicer.vtkMRMLScalarVolumeNode, slice_node: slicer.vtkMRMLSliceNode) -> Region:
    """All slices of the volume, as wide and high as the slice view shows."""
    grid = _world_grid(volume_node)
    xy_to_world = slicer.util.arrayFromVTKMatrix(slice_node.GetXYToRAS())
    width, height = slice_node.GetDimensions()[:2]
    depths = (np.linalg.inv(xy_to_world) @ _homogeneous(_corners(_edges(grid.shape), grid)).T)[2]
    box = _corners(((-0.5, width - 0.5), (-0.5, height - 0.5), (depths.min(), depths.max())))
    return _region(grid, (_homogeneous(box) @ xy_to_world.T)[:, :3], "The view shows nothing of the volume.")


def roi_region(volume_node: slicer.vtkMRMLScalarVolumeNode, roi_node: slicer.vtkMRMLMarkupsROINode) -> Region:
    """The smallest box of voxels that holds the ROI, however it is turned."""
    if not has_size(roi_node):
        raise InputError(f"The ROI '{roi_node.GetName()}' has no size yet.", "Draw its corners, or choose another one.")
    half = [(-length / 2, length / 2) for length in roi_node.GetSize()]
    to_world = parent_to_world(roi_node) @ slicer.util.arrayFromVTKMatrix(roi_node.GetObjectToNodeMatrix())
    corners = (_homogeneous(_corners(half)) @ to_world.T)[:, :3]
    return _region(_world_grid(volume_node), corners, f"The ROI '{roi_node.GetName()}' lies outside the volume.")


def has_size(roi_node: slicer.vtkMRMLMarkupsROINode) -> bool:
    """Whether it was drawn already; a flat one was."""
    return any(roi_node.GetSize())


def surround(roi_node: slicer.vtkMRMLMarkupsROINode, volume_node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Make a region of interest that has no size yet the box around the volume, with handles to shrink it."""
    bounds = [0.0] * 6
    volume_node.GetRASBounds(bounds)
    low, high = np.array(bounds).reshape(3, 2).T
    roi_node.SetCenterWorld(*((low + high) / 2))
    roi_node.SetSize(*(high - low))
    roi_node.CreateDefaultDisplayNodes()
    roi_node.GetDisplayNode().SetHandlesInteractive(True)
    roi_node.GetDisplayNode().SetFillVisibility(False)


def surround_new(roi_node: slicer.vtkMRMLMarkupsROINode, volume_node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """The same for one of which no point was placed yet; one that is being drawn is left alone."""
    if not has_size(roi_node) and not roi_node.GetNumberOfControlPoints():
        surround(roi_node, volume_node)


def segments_region(
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    segmentation_node: slicer.vtkMRMLSegmentationNode,
    margin_mm: float = MARGIN_MM,
) -> Region:
    """The box around the visible segments, grown by a margin."""
    corners = [_segment_corners(segmentation_node, identifier) for identifier in _visible_ids(segmentation_node)]
    corners = [found for found in corners if found is not None]
    if not corners:
        raise InputError("No segment with voxels is visible.", "Show or draw one first, or choose the whole volume.")
    grid = _world_grid(volume_node)
    outside = "The visible segments lie outside the volume."
    return _region(grid, np.concatenate(corners), outside, margin_mm / grid.spacing_mm)


def _world_grid(node: slicer.vtkMRMLScalarVolumeNode) -> Grid:
    image = node.GetImageData()
    if image is None:
        raise InputError(f"The volume '{node.GetName()}' has no voxels.", "Load the image again, or choose another.")
    return Grid(image.GetDimensions()[::-1], parent_to_world(node) @ own_ijk_to_ras(node))


def _region(grid: Grid, ras: np.ndarray, complaint: str, margin_voxels=0.0) -> Region:
    """The voxels that the box around these positions (along the grid's axes) reaches into; a flat one takes a layer."""
    ijk = grid.ijk(ras)
    low, high = ijk.min(axis=0) - margin_voxels, ijk.max(axis=0) + margin_voxels
    first = np.floor(low + 0.5 + _TOUCHING).astype(int)
    end = np.maximum(np.ceil(high + 0.5 - _TOUCHING).astype(int), first + 1)
    start, stop = np.maximum(first, 0), np.minimum(end, grid.shape[::-1])
    if (start >= stop).any():
        raise InputError(complaint, "Choose another region, or the whole volume.")
    return tuple(slice(int(low), int(high)) for low, high in zip(start[::-1], stop[::-1]))


def _visible_ids(node: slicer.vtkMRMLSegmentationNode) -> list[str]:
    display = node.GetDisplayNode()
    if display is None or not display.GetVisibility():
        return []
    identifiers = list(node.GetSegmentation().GetSegmentIDs())
    return [identifier for identifier in identifiers if display.GetSegmentVisibility(identifier)]


def _segment_corners(node: slicer.vtkMRMLSegmentationNode, identifier: str) -> np.ndarray | None:
    """RAS (8, 3) of the outer corners of the segment's voxels, None where it has none."""
    labelmap = slicer.vtkOrientedImageData()
    if not node.GetBinaryLabelmapRepresentation(identifier, labelmap):
        return None
    extent = [0] * 6
    if not slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(labelmap, extent):
        return None
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    to_world = parent_to_world(node) @ slicer.util.arrayFromVTKMatrix(matrix)
    edges = [(extent[2 * n] - 0.5, extent[2 * n + 1] + 0.5) for n in range(3)]
    return (_homogeneous(_corners(edges)) @ to_world.T)[:, :3]


def _edges(shape) -> list[tuple[float, float]]:
    return [(-0.5, size - 0.5) for size in shape[::-1]]


def _corners(ends, grid: Grid | None = None) -> np.ndarray:
    """The 8 corners (8, 3) of a box between these ends; in RAS where they are indices of a grid."""
    corners = np.array(np.meshgrid(*ends)).reshape(3, -1).T
    return grid.ras(corners) if grid else corners


def _homogeneous(positions: np.ndarray) -> np.ndarray:
    return np.column_stack([positions, np.ones(len(positions))])
