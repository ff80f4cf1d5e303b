"""The scene as the effect's presenter knows it: the image, regions of it, and where the result goes."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import slicer

from ..errors import InputError
from ..labels import Label
from ..volume import Volume
from .editing import EditorPort, write_mask, write_structures
from .regions import Region, roi_region, segments_region, view_region
from .volumes import own_ijk_to_ras, parent_to_world, volume_from_node


class EditedScene:
    """What is edited in a Segment Editor.

    Args:
        editor: the effect's, or a `LogicEditor`.
        slice_node: the view that counts as the current one; None where there is none.
        roi_node: the Markups ROI that was chosen.
    """

    def __init__(
        self,
        editor: EditorPort,
        slice_node: Callable[[], slicer.vtkMRMLSliceNode | None] = lambda: None,
        roi_node: Callable[[], slicer.vtkMRMLMarkupsROINode | None] = lambda: None,
    ):
        self._editor = editor
        self._slice_node = slice_node
        self._roi_node = roi_node
        self._image: tuple[Hashable, Volume] | None = None

    def key(self) -> Hashable | None:
        """Another one whenever the image, its place or the segmentation is another; None where one is missing."""
        volume, segmentation = self._editor.volume_node, self._editor.segmentation_node
        if volume is None or segmentation is None or volume.GetImageData() is None:
            return None
        return volume.GetID(), volume.GetImageData().GetMTime(), _place(volume), segmentation.GetID()

    def image(self) -> Volume:
        """The source volume in the world; the same object as long as its `key` is the same.

        Raises:
            InputError: there is none, or it cannot be segmented.
        """
        node = self._editor.volume_node
        if node is None:
            raise InputError(
                "The Segment Editor has no source volume.", "Choose one, at the top of the Segment Editor."
            )
        key = self.key()
        if self._image is None or self._image[0] != key:
            self._image = key, volume_from_node(node)
        return self._image[1]

    def forget(self) -> None:
        """Let go of the image's memory."""
        self._image = None

    def region(self, where: str) -> Region | None:
        """Slices (k, j, i) of the image: None for "whole", else "view", "roi" or "segments".

        Raises:
            InputError: there is no such region, or it holds nothing of the volume.
        """
        volume = self._editor.volume_node
        if where == "whole":
            return None
        if where == "view":
            node = self._slice_node()
            if node is None:
                raise InputError("There is no slice view.", "Choose a layout with one, or the whole volume.")
            return view_region(volume, node)
        if where == "roi":
            node = self._roi_node()
            if node is None:
                raise InputError("No ROI was chosen.", "Draw one with the Markups toolbar and choose it here.")
            return roi_region(volume, node)
        return segments_region(volume, self._editor.segmentation_node)

    def write(self, mask: Volume, mode: str = "add") -> int:
        """See `write_mask`."""
        return write_mask(self._editor, mask, mode)

    def write_structures(self, labelmap: Volume, labels: tuple[Label, ...], mode: str = "set") -> None:
        """See `write_structures`."""
        write_structures(self._editor, labelmap, labels, mode)


def _place(node: slicer.vtkMRMLScalarVolumeNode) -> bytes:
    try:
        return (parent_to_world(node) @ own_ijk_to_ras(node)).tobytes()
    except InputError:
        return b""  # a transform that bends: `image` says so
