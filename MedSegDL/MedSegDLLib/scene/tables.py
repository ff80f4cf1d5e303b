"""The volumes of what was found, as a file and as a table of the scene."""

from __future__ import annotations

import csv
from pathlib import Path

import slicer
import vtk

from ..atomic import replacing
from ..labels import Label, volumes_ml
from ..volume import Volume

_HEADER = ("value", "structure", "volume_ml", "coding_scheme", "code", "meaning")


def write_volume_table(path: str | Path, labelmap: Volume, labels: tuple[Label, ...]) -> Path:
    """CSV in UTF-8 with one line for each label, 0.00 ml where it was not found. Returns the path.

    Args:
        labelmap: unsigned integers, axes (k, j, i).

    Raises:
        OutputError: the file could not be written; nothing is left behind.
    """
    path = Path(path)
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(_HEADER)
        writer.writerows(_rows(labelmap, labels))
    return path


def volume_table_node(
    scene: slicer.vtkMRMLScene, labelmap: Volume, labels: tuple[Label, ...], name: str = "Volumes"
) -> slicer.vtkMRMLTableNode:
    """The same as a table node, whose `volume_ml` column is numeric, so that Slicer can plot it."""
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    volumes = volumes_ml(labelmap.array, labels, labelmap.grid.voxel_volume_ml)
    node.AddColumn(_column(vtk.vtkStringArray(), "structure", volumes.keys()))
    node.AddColumn(_column(vtk.vtkDoubleArray(), "volume_ml", volumes.values()))
    node.SetColumnUnitLabel("volume_ml", "ml")
    return node


def _rows(labelmap: Volume, labels: tuple[Label, ...]):
    volumes = volumes_ml(labelmap.array, labels, labelmap.grid.voxel_volume_ml)
    for label in labels:
        code = label.terminology.type
        yield label.value, label.name, f"{volumes[label.name]:.2f}", code.scheme, code.value, code.meaning


def _column(array, name: str, values):
    array.SetName(name)
    for value in values:
        array.InsertNextValue(value)
    return array
