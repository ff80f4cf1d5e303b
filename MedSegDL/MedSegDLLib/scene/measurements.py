"""The volumes that a run measured, as a table of the scene."""

from __future__ import annotations

from collections.abc import Iterable

import slicer
import vtk


def measurements_node(
    scene: slicer.vtkMRMLScene, measurements: Iterable[tuple[str, tuple[float, ...]]], name: str
) -> slicer.vtkMRMLTableNode:
    """A table node with a row for each structure and frame, whose numbers Slicer can plot.

    Args:
        measurements: name of each structure, and its volume in ml in each frame.
    """
    rows = [
        (structure, frame, volume_ml)
        for structure, volumes_ml in measurements
        for frame, volume_ml in enumerate(volumes_ml, start=1)
    ]
    structures, frames, volumes = zip(*rows) if rows else ((), (), ())
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    node.AddColumn(_column(vtk.vtkStringArray(), "structure", structures))
    if len(set(frames)) > 1:
        node.AddColumn(_column(vtk.vtkIntArray(), "frame", frames))
    node.AddColumn(_column(vtk.vtkDoubleArray(), "volume_ml", volumes))
    node.SetColumnUnitLabel("volume_ml", "ml")
    return node


def _column(array: vtk.vtkAbstractArray, name: str, values: Iterable) -> vtk.vtkAbstractArray:
    array.SetName(name)
    for value in values:
        array.InsertNextValue(value)
    return array
