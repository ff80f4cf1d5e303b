"""Volumes that are one frame of a sequence: reading any of its frames, and writing segments for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import slicer
from slicer.util import NodeModify

from ..errors import InputError
from ..labels import Label
from ..volume import Volume
from .headless import require_present
from .segments import write_segmentation
from .volumes import own_ijk_to_ras, parent_to_world, volume_from_node


def number_of_frames(node: slicer.vtkMRMLScalarVolumeNode) -> int:
    """1 for a volume that shows no sequence."""
    _, sequence = _browser_and_sequence(node)
    return sequence.GetNumberOfDataNodes() if sequence else 1


def frame_from_node(node: slicer.vtkMRMLScalarVolumeNode, frame: int) -> Volume:
    """A frame of the sequence that the node shows, counted from 0, where the node lies in the world.

    Raises:
        InputError: the node shows no sequence, that frame is not there, or it has no voxels.
    """
    _, sequence = _browser_and_sequence(node)
    if sequence is None or not 0 <= frame < sequence.GetNumberOfDataNodes():
        raise InputError(f"'{node.GetName()}' has no frame {frame + 1}.", "Load the sequence again.")
    volume = volume_from_node(sequence.GetNthDataNode(frame), world=False)
    shown = volume_from_node(node)
    return replace(
        volume,
        ijk_to_ras=parent_to_world(node) @ volume.ijk_to_ras,
        modality=volume.modality or shown.modality,
        name=shown.name,
    )


def write_frames(
    scene: slicer.vtkMRMLScene,
    labelmaps: Sequence[Volume],
    labels: tuple[Label, ...],
    reference_node: slicer.vtkMRMLScalarVolumeNode,
    segmentation_node: slicer.vtkMRMLSegmentationNode | None = None,
    algorithm_name: str = "MedSegDL",
) -> slicer.vtkMRMLSegmentationNode:
    """A segmentation that shows the segments of the frame that is selected.

    Args:
        labelmaps: one a frame, in the order of the sequence; see `write_segmentation`.
        reference_node: the volume that shows the sequence.
        segmentation_node: where to write; it must not show a sequence yet. None makes a new node.

    Raises:
        InputError: a node is no longer in the scene, or the sequence has another number of frames now.
        OutputError: Slicer refused the segments.
    """
    require_present(scene, reference_node, "volume")
    browser, images = _browser_and_sequence(reference_node)
    if images is None or images.GetNumberOfDataNodes() != len(labelmaps):
        raise InputError(f"The sequence of '{reference_node.GetName()}' was changed meanwhile.", "Apply again.")
    if segmentation_node is not None and _browser_and_sequence(segmentation_node)[1] is not None:
        raise InputError(
            f"'{segmentation_node.GetName()}' shows a sequence already.", "Choose a new segmentation as output."
        )
    frames = None
    for frame, labelmap in enumerate(labelmaps):
        segmentation_node = write_segmentation(
            scene, labelmap, labels, reference_node, segmentation_node, algorithm_name=algorithm_name
        )
        frames = frames or _new_sequence(scene, f"{segmentation_node.GetName()} sequence", images)
        frames.SetDataNodeAtValue(segmentation_node, images.GetNthIndexValue(frame))
    with NodeModify(browser):  # else the browser would make a node of its own for the new sequence
        browser.AddSynchronizedSequenceNode(frames)
        browser.AddProxyNode(segmentation_node, frames, False)
    return segmentation_node


def frame_version(node: slicer.vtkMRMLScalarVolumeNode) -> tuple:
    """Changes when a frame is added, removed or exchanged, and not when another one is selected."""
    _, sequence = _browser_and_sequence(node)
    nodes = [sequence.GetNthDataNode(n) for n in range(sequence.GetNumberOfDataNodes())]
    return tuple(voxel_version(frame) for frame in nodes)


def voxel_version(node: slicer.vtkMRMLScalarVolumeNode) -> tuple:
    """Changes when the node gets other voxels or another geometry of its own; a parent transform is none."""
    image = node.GetImageData()
    return (image, image.GetMTime() if image else 0, np.round(own_ijk_to_ras(node), 6).tobytes())


def _browser_and_sequence(node: slicer.vtkMRMLNode) -> tuple:
    """The browser that lets the node show a sequence, and that sequence; None and None where there is none."""
    scene = node.GetScene()
    count = scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") if scene else 0
    for n in range(count):
        browser = scene.GetNthNodeByClass(n, "vtkMRMLSequenceBrowserNode")
        sequence = browser.GetSequenceNode(node)
        if sequence is not None:
            return browser, sequence
    return None, None


def _new_sequence(scene, name: str, like: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLSequenceNode:
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    sequence.SetIndexName(like.GetIndexName())
    sequence.SetIndexUnit(like.GetIndexUnit())
    sequence.SetIndexType(like.GetIndexType())
    return sequence
