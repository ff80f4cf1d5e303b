"""Masks into segments the way the Segment Editor does it: masking, editable intensities, overwrite mode and undo hold.

Two editors take part: `LogicEditor` here, without a window, and the effect, in the window. Each write is one undo step.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..errors import InputError, OutputError
from ..labels import Code, Label, Terminology
from ..volume import Grid, Volume
from .headless import LiveScene
from .sampling import corners_ras, sample
from .segments import describe_segment, segment_id
from .volumes import parent_to_world

ALGORITHM = "MedSegDL"
MODES = ("add", "remove", "set")

_TISSUE = Code("SCT", "85756007", "Tissue")
_NEW_SEGMENT = Terminology(_TISSUE, _TISSUE).to_slicer()  # what the editor's own Add button gives a segment
_VOXEL_TOLERANCE = 1e-3  # grids whose voxel centres differ by less are the same


class EditorPort(Protocol):
    """What is needed of a Segment Editor."""

    @property
    def volume_node(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The source volume."""

    @property
    def segmentation_node(self) -> slicer.vtkMRMLSegmentationNode | None:
        """The segmentation that is edited."""

    @property
    def selected_segment_id(self) -> str:
        """Of a segment that exists; '' where none is selected."""

    def select(self, segment_id: str) -> None:
        """Make it the selected one, which masks "outside all segments" leave out."""

    def save_state(self) -> None:
        """Begin an undo step."""

    def blank_modifier(self) -> slicer.vtkOrientedImageData | None:
        """The editor's own modifier labelmap, cleared; None where it has no geometry."""

    def modify(self, segment_id: str, modifier: slicer.vtkOrientedImageData, mode: str) -> None:
        """Let the editor add, remove or set the modifier's voxels in a segment; see MODES.

        The segment is named, as a window drops the selection of one that its table of segments filters out.
        """


class LogicEditor:
    """A Segment Editor without a window: for batches and tests.

    Args:
        live: the scene and its logics.
        volume_node, segmentation_node: what is edited, and by which image.
    """

    def __init__(
        self,
        live: LiveScene,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
    ):
        self.node = live.mrml.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMRMLApplicationLogic(live.application)
        self._logic.SetMRMLScene(live.mrml)
        self._logic.SetSegmentEditorNode(self.node)
        self._logic.SetSegmentationNode(segmentation_node)
        self._logic.SetSourceVolumeNode(volume_node)
        if not self._logic.SetSourceRepresentationToBinaryLabelMap():
            raise OutputError(
                f"The segmentation '{segmentation_node.GetName()}' cannot be edited as voxels.",
                "Choose another segmentation, or make a new one.",
            )

    @property
    def volume_node(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        return self.node.GetSourceVolumeNode()

    @property
    def segmentation_node(self) -> slicer.vtkMRMLSegmentationNode | None:
        return self.node.GetSegmentationNode()

    @property
    def selected_segment_id(self) -> str:
        return existing_segment(self.segmentation_node, self.node.GetSelectedSegmentID())

    def select(self, segment_id: str) -> None:
        self.node.SetSelectedSegmentID(segment_id)

    def save_state(self) -> None:
        self._logic.SaveStateForUndo()

    def blank_modifier(self) -> slicer.vtkOrientedImageData | None:
        return self._logic.GetModifierLabelmap() if self._logic.ResetModifierLabelmapToDefault() else None

    def modify(self, segment_id: str, modifier: slicer.vtkOrientedImageData, mode: str) -> None:
        number = getattr(self._logic, f"ModificationMode{mode.capitalize()}")
        self._logic.ModifySegmentByLabelmap(self.segmentation_node, segment_id, modifier, number, False, False)

    def undo(self) -> None:
        self._logic.Undo()

    def redo(self) -> None:
        self._logic.Redo()

    @property
    def can_undo(self) -> bool:
        return self._logic.CanUndo()

    def close(self) -> None:
        """Let go of the nodes, and take the editor's own out of the scene."""
        self._logic.SetSegmentEditorNode(None)
        if self.node.GetScene():
            self.node.GetScene().RemoveNode(self.node)


def existing_segment(node: slicer.vtkMRMLSegmentationNode | None, segment_id: str | None) -> str:
    """The id if the segmentation has that segment, else ''. An editor may still name one that was undone or removed."""
    return segment_id if node and segment_id and node.GetSegmentation().GetSegment(segment_id) else ""


def write_mask(editor: EditorPort, mask: Volume, mode: str = "add") -> int:
    """Write a mask into the selected segment, as one undo step; where none is selected, one is made and selected.

    Args:
        mask: not 0 inside, in world coordinates; any grid, often a crop of the volume's.
        mode: one of MODES.

    Returns:
        The number of voxels, on the segmentation's grid, that the editor was asked to change. Its masking may
        have kept some of them as they were.

    Raises:
        InputError: no volume or segmentation, a parent transform that is not linear, nothing of the mask inside.
    """
    node = _require_editable(editor)
    modifier = _modifier(editor, node)
    count = _draw(modifier, mask.array != 0, mask.ijk_to_ras, parent_to_world(node))
    if not count:
        raise InputError(
            "Nothing of the structure lies where the segmentation has voxels.",
            "Set the segmentation's geometry to that of the volume in the Segment Editor.",
        )
    editor.save_state()
    identifier = editor.selected_segment_id
    if not identifier:
        identifier = _add_segment(node)
        editor.select(identifier)
    _modify(editor, node, identifier, modifier, mode)
    return count


def write_structures(editor: EditorPort, labelmap: Volume, labels: tuple[Label, ...], mode: str = "set") -> None:
    """Write each label into its own segment, which is made where it is missing; all of it is one undo step.

    Args:
        labelmap: integers, in world coordinates, on any grid.
        labels: what its values mean; others are left out.
        mode: "set" replaces what the labels' segments held, also by nothing; "add" keeps it.

    Raises:
        InputError: no volume or segmentation, or a parent transform that is not linear.
    """
    node = _require_editable(editor)
    to_world = parent_to_world(node)
    selected = editor.selected_segment_id
    editor.save_state()
    for label in labels:
        inside = labelmap.array == label.value
        modifier = _modifier(editor, node)
        if not _draw(modifier, inside, labelmap.ijk_to_ras, to_world) and not _has_segment(node, label):
            continue
        identifier = _segment_of(node, label)
        editor.select(identifier)
        _modify(editor, node, identifier, modifier, mode)
        selected = selected or segment_id(label)
    if selected:
        editor.select(selected)


def _modify(editor: EditorPort, node, identifier: str, modifier: slicer.vtkOrientedImageData, mode: str) -> None:
    """To set voxels, the editor takes those that are there to be on the modifier's grid: adding brings them there."""
    current = node.GetBinaryLabelmapInternalRepresentation(identifier)
    if mode == "set" and not slicer.vtkOrientedImageDataResample.DoGeometriesMatch(current, modifier):
        editor.modify(identifier, modifier, "add")
    editor.modify(identifier, modifier, mode)


def _require_editable(editor: EditorPort) -> slicer.vtkMRMLSegmentationNode:
    if editor.volume_node is None or editor.volume_node.GetImageData() is None:
        raise InputError("The Segment Editor has no source volume.", "Choose one, at the top of the Segment Editor.")
    node = editor.segmentation_node
    if node is None:
        raise InputError("The Segment Editor has no segmentation.", "Choose or make one, at the top of it.")
    return node


def _modifier(editor: EditorPort, node: slicer.vtkMRMLSegmentationNode) -> slicer.vtkOrientedImageData:
    modifier = editor.blank_modifier()
    if modifier is None or modifier.GetNumberOfPoints() == 0:
        raise InputError(
            f"The segmentation '{node.GetName()}' has no geometry.",
            "Set it to that of the volume in the Segment Editor.",
        )
    return modifier


def _add_segment(node: slicer.vtkMRMLSegmentationNode) -> str:
    """Not by the editor's own `AddEmptySegment`, which would begin another undo step."""
    identifier = node.GetSegmentation().AddEmptySegment()
    segment = node.GetSegmentation().GetSegment(identifier)
    segment.SetTerminology(_NEW_SEGMENT)
    segment.SetTag("DICOM.SegmentAlgorithmType", "SEMIAUTOMATIC")
    segment.SetTag("DICOM.SegmentAlgorithmName", ALGORITHM)
    return identifier


def _has_segment(node: slicer.vtkMRMLSegmentationNode, label: Label) -> bool:
    return bool(existing_segment(node, segment_id(label)))


def _segment_of(node: slicer.vtkMRMLSegmentationNode, label: Label) -> str:
    if not _has_segment(node, label):
        identifier = node.GetSegmentation().AddEmptySegment(segment_id(label))
        describe_segment(node.GetSegmentation().GetSegment(identifier), label, ALGORITHM)
    return segment_id(label)


def _draw(
    modifier: slicer.vtkOrientedImageData, mask: np.ndarray, mask_to_world: np.ndarray, to_world: np.ndarray
) -> int:
    """Set the modifier's voxels that lie in the mask to 1; returns their number.

    Args:
        mask: bool, (k, j, i).
        mask_to_world: 4x4 from the mask's indices.
        to_world: 4x4 from the coordinates of the modifier.
    """
    voxels = vtk_to_numpy(modifier.GetPointData().GetScalars()).reshape(modifier.GetDimensions()[::-1])
    to_mask = np.linalg.inv(mask_to_world) @ to_world @ _array_to_local(modifier)
    region = _covered(voxels.shape, to_mask, mask.shape)
    if region is None:
        return 0
    voxels[region] = _resampled(mask, to_mask @ _shift([part.start for part in region][::-1]), voxels[region].shape)
    modifier.Modified()
    return int(np.count_nonzero(voxels[region]))


def _array_to_local(image: slicer.vtkOrientedImageData) -> np.ndarray:
    """4x4 from the indices of the image's array; its extent need not begin at 0."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix) @ _shift(image.GetExtent()[::2])


def _covered(shape, to_mask: np.ndarray, mask_shape) -> tuple[slice, slice, slice] | None:
    """The part (k, j, i) of a grid in which a mask may have voxels; None where they do not meet."""
    corners = corners_ras(Grid(mask_shape, np.linalg.inv(to_mask)), margin=0.5)
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, shape[::-1])
    if (low >= high).any():
        return None
    return tuple(slice(int(start), int(stop)) for start, stop in zip(low[::-1], high[::-1]))


def _resampled(mask: np.ndarray, to_mask: np.ndarray, shape) -> np.ndarray:
    """The mask at the lattice points of another grid: a plain copy where they are its own voxels."""
    step = np.rint(to_mask[:3, 3])
    if Grid(shape, to_mask).agrees_with(Grid(shape, _shift(step)), _VOXEL_TOLERANCE):
        return _shifted(mask, step.astype(int), shape)
    return sample(mask * np.uint8(255), to_mask, shape) > 127


def _shifted(mask: np.ndarray, step_ijk: np.ndarray, shape) -> np.ndarray:
    """`mask[index + step]` for every index of an array of that shape, False where the mask ends."""
    result = np.zeros(shape, dtype=bool)
    spans = [_overlap(int(step), size, available) for step, size, available in zip(step_ijk[::-1], shape, mask.shape)]
    result[tuple(target for target, _ in spans)] = mask[tuple(source for _, source in spans)]
    return result


def _overlap(step: int, size: int, available: int) -> tuple[slice, slice]:
    """Where `size` indices meet `available` ones that begin `step` later: in the first, and in the second."""
    start, stop = max(0, -step), max(0, -step, min(size, available - step))
    return slice(start, stop), slice(start + step, stop + step)


def _shift(offset_ijk) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = offset_ijk
    return matrix
