"""What the module's window reads from the scene and writes into it; its decisions are made without MRML."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

import slicer

from ..errors import InputError
from ..labels import Label
from ..volume import Volume
from .headless import require_present
from .regions import Region, roi_region, segments_region, view_region
from .segments import write_segmentation
from .sequences import frame_from_node, frame_version, number_of_frames, voxel_version, write_frames
from .volumes import volume_from_node

RED = "vtkMRMLSliceNodeRed"


class ModuleScene:
    """The scene of the application, or of a test.

    Args:
        scene: returns the scene; asked each time, as another may become the current one.
        view: name of the slice view that "the current view" means.
    """

    def __init__(self, scene: Callable[[], slicer.vtkMRMLScene], view: Callable[[], str] = lambda: RED):
        self._scene = scene
        self._view = view

    def is_present(self, node: slicer.vtkMRMLNode) -> bool:
        return bool(self._scene().IsNodePresent(node))

    def frames(self, node: slicer.vtkMRMLScalarVolumeNode) -> int:
        """Frames of the sequence that the volume shows; 1 without one."""
        return number_of_frames(node)

    def version(self, node: slicer.vtkMRMLScalarVolumeNode, all_frames: bool = False) -> Hashable:
        """Changes when the voxels or their place are no longer those that were segmented."""
        return frame_version(node) if all_frames and number_of_frames(node) > 1 else voxel_version(node)

    def read(self, node: slicer.vtkMRMLScalarVolumeNode, frame: int | None = None) -> Volume:
        """The volume as it is shown, or a frame of its sequence counted from 0. Raises InputError."""
        return volume_from_node(node) if frame is None else frame_from_node(node, frame)

    def region(
        self,
        node: slicer.vtkMRMLScalarVolumeNode,
        where: str,
        roi_node: slicer.vtkMRMLMarkupsROINode | None = None,
        segmentation_node: slicer.vtkMRMLSegmentationNode | None = None,
        measured: bool = True,
    ) -> Region | None:
        """Slices (k, j, i) for "view", "roi" or "segments"; None for "whole". Raises InputError.

        Args:
            measured: False to be quick: where segments would have to be measured, which takes a while when they are
                many, it is None too.
        """
        if where == "view":
            return view_region(node, self._slice_node())
        if where == "roi":
            if roi_node is None or not self.is_present(roi_node):
                raise InputError("No region of interest is chosen.", "Choose or draw one, or take the whole volume.")
            return roi_region(node, roi_node)
        if where == "segments":
            if segmentation_node is None or not self.is_present(segmentation_node):
                raise InputError(
                    "No segmentation is chosen whose segments could show where to look.",
                    "Choose one as output, or take the whole volume.",
                )
            return segments_region(node, segmentation_node) if measured else None
        return None

    def write(
        self,
        node: slicer.vtkMRMLScalarVolumeNode,
        labelmaps: list[Volume],
        labels: tuple[Label, ...],
        segmentation_node: slicer.vtkMRMLSegmentationNode | None,
        algorithm_name: str,
    ) -> slicer.vtkMRMLSegmentationNode:
        """Segments where the volume lies now, should it have been moved since; one labelmap a frame.

        Raises InputError or OutputError; see `write_segmentation`.
        """
        scene = self._scene()
        require_present(scene, node, "volume")
        if len(labelmaps) > 1:
            placed = [
                replace(labelmap, ijk_to_ras=frame_from_node(node, frame).ijk_to_ras)
                for frame, labelmap in enumerate(labelmaps)
            ]
            return write_frames(scene, placed, labels, node, segmentation_node, algorithm_name)
        placed = replace(labelmaps[0], ijk_to_ras=volume_from_node(node).ijk_to_ras)
        return write_segmentation(scene, placed, labels, node, segmentation_node, algorithm_name=algorithm_name)

    def _slice_node(self) -> slicer.vtkMRMLSliceNode:
        node = self._scene().GetNodeByID(self._view())
        if node is None:
            raise InputError("There is no slice view.", "Choose the whole volume or a region of interest.")
        return node
