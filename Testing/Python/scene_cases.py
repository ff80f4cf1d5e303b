"""Grids, labels and readers that the tests of the scene share."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSegDLLib.labels import Code, Label, Terminology
from MedSegDLLib.volume import Volume

_ANATOMY = Code("SCT", "123037004", "Anatomical Structure")

LABELS = (
    Label(1, "Heart", (206, 110, 84), Terminology(_ANATOMY, Code("SCT", "80891009", "Heart"))),
    Label(
        3,
        "Left kidney",
        (185, 102, 83),
        Terminology(_ANATOMY, Code("SCT", "64033007", "Kidney"), Code("SCT", "7771000", "Left")),
    ),
    Label(
        7,
        "Tumour",
        (144, 238, 144),
        Terminology(
            Code("SCT", "49755003", "Morphologically Altered Structure"),
            Code("SCT", "108369006", "Tumor"),
            region=Code("SCT", "39607008", "Lung"),
            region_modifier=Code("SCT", "24028007", "Right"),
        ),
    ),
)


def rotation(x_degrees: float, y_degrees: float, z_degrees: float) -> np.ndarray:
    """4x4 from VTK, so that it does not share a mistake with what is tested."""
    transform = vtk.vtkTransform()
    transform.RotateX(x_degrees)
    transform.RotateY(y_degrees)
    transform.RotateZ(z_degrees)
    return np.array(transform.GetMatrix().GetData()).reshape(4, 4)


def placed(directions: np.ndarray, spacing_mm, origin_mm=(12.5, -40.25, 311.0)) -> np.ndarray:
    matrix = directions @ np.diag([*spacing_mm, 1.0])
    matrix[:3, 3] = origin_mm
    return matrix


GRIDS = {
    "axial": placed(np.diag([-1.0, -1.0, 1.0, 1.0]), (1, 1, 1)),
    "oblique": placed(rotation(20, -35, 50), (0.9, 0.9, 0.9)),
    "flipped": placed(np.diag([-1.0, -1.0, -1.0, 1.0]), (1, 1.5, 2)),
    "anisotropic": placed(np.eye(4), (0.4, 0.4, 8)),
    "oblique, flipped and anisotropic": placed(rotation(-70, 10, 140) @ np.diag([1, 1, -1.0, 1]), (0.7, 0.8, 5)),
}

MOVED = rotation(15, 30, -60)
MOVED[:3, 3] = (-55.0, 17.0, 230.0)


def labelmap_on(ijk_to_ras: np.ndarray, shape=(14, 18, 22)) -> Volume:
    """Three boxes that no flip or transposition maps onto themselves; one of them touches the edge."""
    array = np.zeros(shape, dtype=np.uint8)
    array[2:5, 3:9, 1:12] = 1
    array[6:11, 1:3, 14:19] = 3
    array[12:14, 15:18, 20:22] = 7
    return Volume(array, ijk_to_ras)


def add_transform(scene, node, matrix: np.ndarray):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def segment_mask(node, segment_id: str, shape) -> np.ndarray:
    """The segment's voxels on the grid of its segmentation, (k, j, i), bool."""
    image = _image(node, segment_id)
    extent = image.GetExtent()
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    mask = np.zeros(shape, dtype=bool)
    region = tuple(slice(extent[2 * n], extent[2 * n + 1] + 1) for n in (2, 1, 0))
    mask[region] = values == node.GetSegmentation().GetSegment(segment_id).GetLabelValue()
    return mask


def segment_centroid_ras(node, segment_id: str, shape) -> np.ndarray:
    """In the world, by the image's own matrix and the node's own transform."""
    ijk = np.argwhere(segment_mask(node, segment_id, shape)).mean(axis=0)[::-1]
    matrix = vtk.vtkMatrix4x4()
    _image(node, segment_id).GetImageToWorldMatrix(matrix)
    local = matrix.MultiplyPoint((*ijk, 1))[:3]
    return np.array(_to_world(node).TransformPoint(local))


def _image(node, segment_id: str):
    return node.GetSegmentation().GetSegment(segment_id).GetRepresentation("Binary labelmap")


def _to_world(node) -> vtk.vtkGeneralTransform:
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, transform)
    return transform
