"""Segmentations in .seg.nrrd files, which Slicer opens with names, colours and terminology."""

from __future__ import annotations

import shutil
from pathlib import Path

import slicer

from ..atomic import replacing
from ..errors import InputError, OutputError
from .headless import quiet_vtk

SUFFIX = ".seg.nrrd"


def save_segmentation(node: slicer.vtkMRMLSegmentationNode, path: str | Path) -> Path:
    """Write the segments, without the node's parent transform, as Slicer does. Returns the path.

    Args:
        path: ends with `.seg.nrrd`; a file that is there is replaced once the new one is complete.

    Raises:
        OutputError: the file could not be written; nothing is left behind and an older file is untouched.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIX):
        raise OutputError(f"'{path.name}' is not a name for a segmentation.", f"Choose a name that ends with {SUFFIX}.")
    with replacing(path) as partial:
        _write(node, partial, path)
    return path


def load_segmentation(scene: slicer.vtkMRMLScene, path: str | Path, name: str = "") -> slicer.vtkMRMLSegmentationNode:
    """Add the segmentation to the scene.

    Raises:
        InputError: no such file, or not a segmentation; the scene is unchanged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file '{path}'.", "Choose a segmentation that exists.")
    _require_readable(path)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name or path.name.removesuffix(SUFFIX))
    storage = _storage(path)
    if not storage.ReadData(node):
        scene.RemoveNode(node)
        raise _damaged(path)
    scene.AddNode(storage)
    node.SetAndObserveStorageNodeID(storage.GetID())
    node.CreateDefaultDisplayNodes()
    return node


def _write(node: slicer.vtkMRMLSegmentationNode, partial: Path, path: Path) -> None:
    with quiet_vtk():
        written = _storage(partial).WriteData(node)
    if not written:
        free_mb = shutil.disk_usage(partial.parent).free / 1e6
        raise OutputError(
            f"'{path}' could not be written; {free_mb:.0f} MB are free on its disk.",
            "Free some space, or choose another folder.",
        )


def _require_readable(path: Path) -> None:
    """Read the image once by itself: a truncated one makes the storage node end the whole process."""
    import SimpleITK as sitk  # only here: it takes long to load, and most of Slicer's sessions read no such file

    try:
        sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> InputError:
    return InputError(f"'{path}' is not a segmentation, or it is damaged.", f"Choose another {SUFFIX} file.")


def _storage(path: Path) -> slicer.vtkMRMLSegmentationStorageNode:
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    return storage
