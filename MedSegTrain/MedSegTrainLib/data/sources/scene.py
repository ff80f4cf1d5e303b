"""Volumes and segmentations that are loaded in Slicer, and segmentation files, which Slicer reads.

Nodes may be touched on Slicer's main thread only: find and import there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSegDLLib.dicom.structures import SegmentedStructure
from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Code, Label, Terminology
from MedSegDLLib.scene.headless import subject_hierarchy
from MedSegDLLib.scene.storage import load_segmentation
from MedSegDLLib.scene.volumes import parent_to_world, volume_from_node
from MedSegDLLib.studies import safe_name
from MedSegDLLib.volume import Grid, Volume

from ..dataset import Skipped
from ..found import Drawing, Findings, FoundCase, FoundImage, FoundStructure
from ..structures import UNCODED

_LABELMAP = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
_REFERENCE = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
_CONSTANTS = slicer.vtkMRMLSubjectHierarchyConstants
_ANY = Label(1, "", (0, 0, 0), UNCODED)


class SceneSegmentation(Drawing):
    """The segments of a node, drawn on the volume that it names as its reference."""

    def __init__(self, node: slicer.vtkMRMLSegmentationNode, image: str = ""):
        self._node = node
        self._ids = list(node.GetSegmentation().GetSegmentIDs())
        segments = [node.GetSegmentation().GetSegment(identifier) for identifier in self._ids]
        super().__init__([_found(segment) for segment in segments], image, node.GetName())

    def changed(self) -> tuple[str, int]:
        """Another one whenever the segments or their place are others."""
        segmentation = self._node.GetSegmentation()
        segments = [segmentation.GetSegment(identifier) for identifier in self._ids]
        voxels = [one.GetRepresentation(segmentation.GetSourceRepresentationName()) for one in segments]
        return self._node.GetID(), max(one.GetMTime() for one in (self._node, *segments, *voxels))

    def masks(self, grid: Grid) -> Iterator[tuple[FoundStructure, np.ndarray]]:
        if not self._node.GetSegmentation().ContainsRepresentation(_LABELMAP):
            if not self._node.CreateBinaryLabelmapRepresentation():
                raise InputError(f"The segmentation '{self.name}' has no voxels.", "Convert it to a binary labelmap.")
        for identifier, structure in zip(self._ids, self.structures):
            yield structure, _mask(self._node, identifier, grid)


class SegmentationFile(Drawing):
    """A .seg.nrrd file, in which Slicer keeps segments with names and codes, also overlapping and cropped ones."""

    def __init__(self, path: Path):
        self._path = path
        with _loaded(path) as drawing:
            super().__init__(drawing.structures, name=path.name)

    def masks(self, grid: Grid) -> Iterator[tuple[FoundStructure, np.ndarray]]:
        with _loaded(self._path) as drawing:
            yield from drawing.masks(grid)


@contextmanager
def _loaded(path: Path) -> Iterator[SceneSegmentation]:
    """The segments of a file, in a scene of its own: without logics, which Slicer's Python lacks outside its window."""
    scene = slicer.vtkMRMLScene()
    try:
        yield SceneSegmentation(load_segmentation(scene, path))
    finally:
        scene.Clear(True)


def find_in_scene(scene: slicer.vtkMRMLScene) -> Findings:
    """The volumes of a scene that segmentations refer to, and the other volumes of the same patients.

    Volumes that Slicer knows no patient of are each a case of their own. Raises InputError where there is none.
    """
    drawn, skipped = defaultdict(list), []
    groups = _volumes_by_patient(scene, skipped)
    patient_of = {node.GetID(): patient for patient, nodes in groups.items() for node in nodes}
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
        reference = node.GetNodeReferenceID(_REFERENCE)
        if reference not in patient_of:
            skipped.append(Skipped(node.GetName(), "It does not say which volume it was drawn on."))
        elif not node.GetSegmentation().GetNumberOfSegments():
            skipped.append(Skipped(node.GetName(), "It has no segments."))
        else:
            drawn[patient_of[reference]].append(SceneSegmentation(node, reference))
    for patient, nodes in groups.items():
        if patient not in drawn:
            skipped += [Skipped(node.GetName(), "No segmentation refers to this volume.") for node in nodes]
    if not drawn:
        raise InputError(
            "No volume in the scene has a segmentation.", "Load segmentations, and set their source geometry."
        )
    cases = [_case(patient, groups[patient], drawings) for patient, drawings in drawn.items()]
    return Findings("volumes in the scene", tuple(sorted(cases, key=lambda case: case.name)), tuple(skipped))


def _volumes_by_patient(
    scene: slicer.vtkMRMLScene, skipped: list[Skipped]
) -> dict[tuple[str, str], list[slicer.vtkMRMLScalarVolumeNode]]:
    """By the patient's id, or by the node's own where no patient is known."""
    groups = defaultdict(list)
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        if node.IsA("vtkMRMLLabelMapVolumeNode"):
            continue
        try:
            volume_from_node(node)
        except InputError as reason:
            skipped.append(Skipped(node.GetName(), str(reason)))
            continue
        patient = _patient_of(node)
        groups[(patient, "") if patient else (node.GetName(), node.GetID())].append(node)
    return groups


def _patient_of(node: slicer.vtkMRMLNode) -> str:
    hierarchy = subject_hierarchy(node.GetScene())
    item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
    patient = hierarchy.GetItemAncestorAtLevel(item, _CONSTANTS.GetDICOMLevelPatient()) if item else 0
    if not patient:
        return ""
    return hierarchy.GetItemUID(patient, _CONSTANTS.GetDICOMUIDName()) or hierarchy.GetItemName(patient)


def _case(patient: tuple[str, str], nodes, drawings: list[SceneSegmentation]) -> FoundCase:
    name, node_id = patient
    images = [
        FoundImage(node.GetID(), node.GetName(), volume_from_node(node).modality, partial(volume_from_node, node))
        for node in nodes
    ]
    times = [(node.GetID(), node.GetMTime(), node.GetImageData().GetMTime()) for node in nodes]
    times += [drawing.changed() for drawing in drawings]
    return FoundCase(
        name=safe_name(f"{name}_{node_id}" if node_id else name),
        patient=name,
        images=tuple(images),
        drawings=tuple(drawings),
        version=repr(times),
    )


def _found(segment: slicer.vtkSegment) -> FoundStructure:
    color = tuple(round(255 * part) for part in segment.GetColor())
    return FoundStructure(segment.GetName(), terminology=terminology_of(segment.GetTerminology()), color=color)


def terminology_of(text: str) -> Terminology | None:
    """The codes in the string that Slicer stores in a segment; None where it names none."""
    parts = [_code(part) for part in text.split("~")]
    if len(parts) != 7 or not (parts[1] and parts[2]):
        return None
    return Terminology(parts[1], parts[2], parts[3], parts[5], parts[6])


def _code(text: str) -> Code | None:
    parts = text.split("^")
    return Code(*parts) if len(parts) == 3 and parts[1] else None


def _mask(node: slicer.vtkMRMLSegmentationNode, identifier: str, grid: Grid) -> np.ndarray:
    """bool (k, j, i): the value of the nearest voxel of the segment's labelmap, False outside it."""
    image = slicer.vtkOrientedImageData()
    if not node.GetBinaryLabelmapRepresentation(identifier, image) or image.IsEmpty():
        return np.zeros(grid.shape, dtype=bool)
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    first = np.eye(4)
    first[:3, 3] = image.GetExtent()[::2]
    to_world = parent_to_world(node) @ np.array(matrix.GetData()).reshape(4, 4) @ first
    segment = SegmentedStructure(_ANY, Volume(values > 0, to_world))
    return segment.on_grid(grid)
