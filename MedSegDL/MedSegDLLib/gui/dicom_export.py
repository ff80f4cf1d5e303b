"""A segmentation as DICOM SEG, by Slicer's own exporter, which takes the segments as they are now."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from ..errors import InputError, OutputError


def referenceVolume(segmentationNode) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume that was segmented."""
    return segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())


def canExport(segmentationNode) -> bool:
    """Whether the volume came from DICOM."""
    volumeNode = referenceVolume(segmentationNode)
    return bool(volumeNode and volumeNode.GetAttribute("DICOM.instanceUIDs"))


def exportSegmentation(segmentationNode, folder: str) -> None:
    """Write a DICOM SEG into the folder; it is then also in the DICOM database.

    Raises:
        InputError: the images are not in the DICOM database.
        OutputError: the exporter's own words.
    """
    import DICOMSegmentationPlugin

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    _putIntoStudy(hierarchy, segmentationNode)
    exporter = DICOMSegmentationPlugin.DICOMSegmentationPluginClass()
    exportables = exporter.examineForExport(hierarchy.GetItemByDataNode(segmentationNode))
    if not exportables:
        raise InputError(
            _("The images of this volume are not in the DICOM database."),
            _("Import the study in the module DICOM, load the volume from there, and segment it."),
        )
    for exportable in exportables:
        exportable.directory = folder
    problem = exporter.export(exportables)
    if problem:
        raise OutputError(
            _("The DICOM SEG was not written: {problem}").format(problem=problem),
            _("Check that the study is in the DICOM database and that the folder can be written to."),
        )


def _putIntoStudy(hierarchy, segmentationNode) -> None:
    """The exporter takes patient and study from where the segmentation lies."""
    volumeItem = hierarchy.GetItemByDataNode(referenceVolume(segmentationNode))
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(segmentationNode), hierarchy.GetItemParent(volumeItem))
