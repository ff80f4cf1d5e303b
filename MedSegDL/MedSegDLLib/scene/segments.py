"""Labelmaps to segments: geometry, names, colours, terminology and tags in one place."""

from __future__ import annotations

import re
from contextlib import ExitStack

import numpy as np
import slicer
import vtk
from slicer.util import NodeModify
from vtk.util.numpy_support import vtk_to_numpy

from ..errors import InputError, OutputError
from ..labels import Label, voxel_counts
from ..volume import Grid, Volume
from .headless import require_present, subject_hierarchy
from .volumes import own_ijk_to_ras, parent_to_world, vtk_matrix

_SURFACE = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()


def write_segmentation(
    scene: slicer.vtkMRMLScene,
    labelmap: Volume,
    labels: tuple[Label, ...],
    reference_node: slicer.vtkMRMLScalarVolumeNode,
    segmentation_node: slicer.vtkMRMLSegmentationNode | None = None,
    name: str = "",
    algorithm_name: str = "MedSegDL",
) -> slicer.vtkMRMLSegmentationNode:
    """One segment for each label that was found, at the labelmap's place in the world.

    In an existing segmentation, segments of the same labels are replaced (and removed where the label is no longer
    found); all others keep every voxel. A new one gets the reference volume's geometry, parent transform and study.

    Args:
        labelmap: unsigned integers, axes (k, j, i), in world coordinates; usually on the reference volume's grid.
        labels: what its values mean; other values are left out.
        reference_node: the volume that was segmented.
        segmentation_node: where to write; None makes a new node.
        name: of the new node; the reference volume's name followed by "segmentation" if empty.
        algorithm_name: written to each segment, as DICOM asks.

    Raises:
        InputError: a node is no longer in the scene, lies under a non-linear transform, or cannot take voxels.
        OutputError: Slicer refused the segments; a new node is taken out of the scene again.
    """
    require_present(scene, reference_node, "volume")
    if segmentation_node is not None:
        require_present(scene, segmentation_node, "segmentation")
        _require_labelmap_source(segmentation_node)
    missing = missing_labels(labelmap, labels)
    found = tuple(label for label in labels if label not in missing)
    image = _oriented_image(labelmap, found, _local_ijk_to_ras(labelmap, reference_node, segmentation_node))
    with ExitStack() as on_failure:
        if (node := segmentation_node) is None:
            node = _new_segmentation(scene, reference_node, name)
            on_failure.callback(_discard, scene, node)
        with NodeModify(node):
            _remove_segments(node, missing)
            _import_segments(node, image, found)
            for label in found:
                describe_segment(node.GetSegmentation().GetSegment(segment_id(label)), label, algorithm_name)
        on_failure.pop_all()
    return node


def missing_labels(labelmap: Volume, labels: tuple[Label, ...]) -> tuple[Label, ...]:
    """The labels without a single voxel."""
    counts = voxel_counts(labelmap.array, max((label.value for label in labels), default=0))
    return tuple(label for label in labels if counts[label.value] == 0)


def segment_id(label: Label) -> str:
    """The same for the same structure in every run and model, and never that of a segment drawn by hand."""
    return "MedSeg_" + re.sub(r"\W+", "_", label.name.strip().lower())


def _require_labelmap_source(node: slicer.vtkMRMLSegmentationNode) -> None:
    source = node.GetSegmentation().GetSourceRepresentationName()
    if source != slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName():
        raise InputError(
            f"The segmentation '{node.GetName()}' is kept as {source.lower()}, not as voxels.",
            "Write into a new segmentation, or make the binary labelmap its source in the Segmentations module.",
        )


def _new_segmentation(scene, reference_node, name: str) -> slicer.vtkMRMLSegmentationNode:
    name = name or f"{reference_node.GetName()} segmentation"
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetAndObserveTransformNodeID(reference_node.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference_node)
    _place_beside(node, reference_node)
    return node


def _discard(scene, node: slicer.vtkMRMLSegmentationNode) -> None:
    scene.RemoveNode(node.GetDisplayNode())
    scene.RemoveNode(node)


def _place_beside(node: slicer.vtkMRMLNode, reference_node: slicer.vtkMRMLNode) -> None:
    """Into the study of the reference: DICOM export looks for it there."""
    hierarchy = subject_hierarchy(reference_node.GetScene())
    reference_item = hierarchy.GetItemByDataNode(reference_node) if hierarchy else 0
    if not reference_item:
        return
    parent = hierarchy.GetItemParent(reference_item)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)


def _local_ijk_to_ras(labelmap: Volume, reference_node, segmentation_node) -> np.ndarray:
    """The labelmap's geometry in the coordinates of the segmentation node.

    Where it equals the reference volume's up to rounding it becomes exactly that: Slicer resamples what differs.
    """
    to_world = parent_to_world(segmentation_node or reference_node)
    local_ijk_to_ras = np.linalg.inv(to_world) @ labelmap.ijk_to_ras
    reference_grid = Grid(labelmap.array.shape, own_ijk_to_ras(reference_node))
    same = Grid(labelmap.array.shape, local_ijk_to_ras).agrees_with(reference_grid)
    return reference_grid.ijk_to_ras if same else local_ijk_to_ras


def _oriented_image(labelmap: Volume, found: tuple[Label, ...], ijk_to_ras: np.ndarray) -> slicer.vtkOrientedImageData:
    """A copy of the labelmap in the smallest integer type, with nothing in it but the labels that were found."""
    highest = max((label.value for label in found), default=0)
    table = np.zeros(max(int(labelmap.array.max()), highest) + 1, dtype=np.uint8 if highest < 256 else np.uint16)
    for label in found:
        table[label.value] = label.value
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(labelmap.array.shape[::-1])
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR if highest < 256 else vtk.VTK_UNSIGNED_SHORT, 1)
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(labelmap.array.shape)
    np.take(table, labelmap.array, out=voxels, mode="clip")
    image.SetGeometryFromImageToWorldMatrix(vtk_matrix(ijk_to_ras))
    return image


def _remove_segments(node: slicer.vtkMRMLSegmentationNode, labels: tuple[Label, ...]) -> None:
    for label in labels:
        if node.GetSegmentation().GetSegment(segment_id(label)):
            node.GetSegmentation().RemoveSegment(segment_id(label))


def _import_segments(node, image: slicer.vtkOrientedImageData, found: tuple[Label, ...]) -> None:
    """Give each label its part of the image; surfaces that were shown are made again, as the import drops them."""
    had_surfaces = node.GetSegmentation().ContainsRepresentation(_SURFACE)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if found and not logic.ImportLabelmapToSegmentationNode(image, node, _ids_by_value(found)):
        raise OutputError(
            f"The segments could not be written into '{node.GetName()}'.", "Try again with a new segmentation."
        )
    if had_surfaces:
        node.CreateClosedSurfaceRepresentation()


def _ids_by_value(found: tuple[Label, ...]) -> vtk.vtkStringArray:
    """The segment of label value n at position n - 1; empty for values that are not used."""
    ids = vtk.vtkStringArray()
    ids.SetNumberOfValues(max(label.value for label in found))  # VTK fills it with empty strings
    for label in found:
        ids.SetValue(label.value - 1, segment_id(label))
    return ids


def describe_segment(segment: slicer.vtkSegment, label: Label, algorithm_name: str) -> None:
    """Name, colour and codes of the label, and by what it was found, as DICOM asks."""
    segment.SetName(label.name)
    segment.SetNameAutoGenerated(False)
    segment.SetColor([channel / 255 for channel in label.color])
    segment.SetColorAutoGenerated(False)
    segment.SetTerminology(label.terminology.to_slicer())
    segment.SetTag("DICOM.SegmentAlgorithmType", "AUTOMATIC")
    segment.SetTag("DICOM.SegmentAlgorithmName", algorithm_name)
