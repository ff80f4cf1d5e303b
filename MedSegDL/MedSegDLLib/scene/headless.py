"""The scene and the module logics that work on it, alike in Slicer and in plain Python with slicer-core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import slicer
import vtk

from ..errors import InputError


@dataclass(frozen=True)
class LiveScene:
    """An MRML scene with the logics that observe it; keep this object as long as the scene is used."""

    mrml: slicer.vtkMRMLScene
    application: slicer.vtkMRMLApplicationLogic
    segmentations: slicer.vtkSlicerSegmentationsModuleLogic
    terminologies: slicer.vtkSlicerTerminologiesModuleLogic


def open_scene() -> LiveScene:
    """The scene of the running application or, where there is none, a new one of our own."""
    return _application_scene() if in_application() else new_scene()


def in_application() -> bool:
    """True in Slicer, with or without its window; False with slicer-core."""
    return hasattr(slicer, "app")


def new_scene() -> LiveScene:
    """An empty scene with subject hierarchy and surface conversion.

    Outside the application `slicer.util` then works on it; in the application the user's scene stays the current one.
    """
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkMRMLApplicationLogic()
    application.SetMRMLScene(scene)
    segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
    _attach(segmentations, scene, application)
    terminologies = slicer.vtkSlicerTerminologiesModuleLogic()
    with quiet_vtk():  # it looks for the lists of terms of a whole Slicer; codes are read and written without them
        _attach(terminologies, scene, application)
    if not in_application():
        slicer.mrmlScene = scene
    return LiveScene(scene, application, segmentations, terminologies)


def require_present(scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode, what: str) -> None:
    """Raise InputError if the node was deleted or its scene closed, as may happen while a model runs.

    Args:
        what: the user's word for the node, such as "volume".
    """
    if not scene.IsNodePresent(node):
        raise InputError(
            f"The {what} '{node.GetName()}' is no longer in the scene.", f"Choose another {what}, or load it again."
        )


def subject_hierarchy(scene: slicer.vtkMRMLScene | None) -> slicer.vtkMRMLSubjectHierarchyNode | None:
    """The scene's patients, studies and folders if it has them; the scene's own getter would make them."""
    return scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode") if scene else None


@contextmanager
def quiet_vtk() -> Iterator[None]:
    """Keep VTK from printing errors that are expected or that the caller reports itself."""
    shown = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.SetGlobalWarningDisplay(0)
    try:
        yield
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(shown)


def _attach(logic, scene: slicer.vtkMRMLScene, application: slicer.vtkMRMLApplicationLogic) -> None:
    logic.SetMRMLApplicationLogic(application)
    logic.SetMRMLScene(scene)


def _application_scene() -> LiveScene:
    return LiveScene(
        slicer.mrmlScene,
        slicer.app.applicationLogic(),
        slicer.modules.segmentations.logic(),
        slicer.modules.terminologies.logic(),
    )
