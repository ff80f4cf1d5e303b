"""Volume nodes to Volume and back."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from ..errors import InputError
from ..volume import Volume
from .headless import subject_hierarchy

MODALITY_ATTRIBUTE = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()

_STORED_AS = {"bool": np.uint8, "float16": np.float32}  # types that VTK has no arrays for


def volume_from_node(node: slicer.vtkMRMLScalarVolumeNode, world: bool = True) -> Volume:
    """The node's voxels as a view on its memory, axes (k, j, i), with their geometry.

    Args:
        node: a scalar or labelmap volume.
        world: apply the node's parent transforms; otherwise `ijk_to_ras` is the node's own.

    Raises:
        InputError: no voxels, several values per voxel, or a non-linear parent transform.
    """
    ijk_to_ras = (parent_to_world(node) if world else np.eye(4)) @ own_ijk_to_ras(node)
    return Volume(_voxels(node), ijk_to_ras, _modality(node), node.GetName() or "")


def node_from_volume(scene: slicer.vtkMRMLScene, volume: Volume, name: str = "") -> slicer.vtkMRMLScalarVolumeNode:
    """Add the volume to the scene; its voxels are copied."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name or volume.name or "Volume")
    node.SetIJKToRASMatrix(vtk_matrix(volume.ijk_to_ras))
    node.SetAndObserveImageData(vtk_image(volume.array))
    node.CreateDefaultDisplayNodes()
    if volume.modality:
        node.SetAttribute(MODALITY_ATTRIBUTE, volume.modality)
    return node


def own_ijk_to_ras(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """4x4, mm; without parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return _array(matrix)


def parent_to_world(node: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    """4x4 from the node's own coordinates to the world, through all its parent transforms.

    Raises:
        InputError: one of the transforms is not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            f"'{node.GetName()}' lies under the transform '{transform.GetName()}', which is not linear.",
            "Harden the transform (Transforms module) or resample the image first, and use the result.",
        )
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return _array(matrix)


def _voxels(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise InputError(f"The volume '{node.GetName()}' has no voxels.", "Load the image again, or choose another.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"The volume '{node.GetName()}' has {image.GetNumberOfScalarComponents()} values per voxel; it is a colour"
            " or vector image.",
            "Choose a grey-scale volume, or extract one component in the module Vector to Scalar Volume.",
        )
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def vtk_image(array: np.ndarray) -> vtk.vtkImageData:
    """A copy of the array (k, j, i), with no geometry of its own."""
    image = vtk.vtkImageData()
    image.SetDimensions(array.shape[::-1])
    image.AllocateScalars(get_vtk_array_type(_STORED_AS.get(array.dtype.name, array.dtype)), 1)
    vtk_to_numpy(image.GetPointData().GetScalars()).reshape(array.shape)[:] = array
    return image


def _modality(node: slicer.vtkMRMLVolumeNode) -> str:
    """Slicer's DICOM import writes it to the series in the subject hierarchy, not to the node."""
    own = node.GetAttribute(MODALITY_ATTRIBUTE)
    hierarchy = subject_hierarchy(node.GetScene())
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    return own or (hierarchy.GetItemAttribute(item, MODALITY_ATTRIBUTE) if item else "")


def _array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    return np.array(matrix.GetData()).reshape(4, 4)


def vtk_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """The 4x4 array for VTK."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(array.ravel())
    return matrix
