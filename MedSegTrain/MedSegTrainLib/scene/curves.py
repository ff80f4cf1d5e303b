"""A training's curves as plot nodes: loss, Dice and mIoU an epoch, in the table that Slicer's plots draw."""

from __future__ import annotations

import math
from collections.abc import Sequence

import slicer
import vtk

_ATTRIBUTE = "MedSegTrain.curves"
_EPOCH = "epoch"
_MANY = 30  # epochs, of which no single one needs a mark


class _Curve:
    """A column of the table and how it is drawn."""

    def __init__(self, key: str, name: str, color: tuple[float, float, float], dashed: bool = False):
        self.key, self.name, self.color, self.dashed = key, name, color, dashed


_CURVES = (
    _Curve("loss", "Loss", (0.85, 0.37, 0.01)),
    _Curve("validation_loss", "Validation loss", (0.85, 0.37, 0.01), dashed=True),
    _Curve("dice", "Dice", (0.11, 0.47, 0.71)),
    _Curve("miou", "mIoU", (0.17, 0.63, 0.17)),
)


def show_curves(scene: slicer.vtkMRMLScene, title: str, events: Sequence[dict]) -> slicer.vtkMRMLPlotChartNode:
    """Write a training's epochs into the scene's one table of curves, and return the chart that draws it.

    Args:
        events: an entry an epoch: "epoch" and the measures by name; None where there is no value.
    """
    table = _node(scene, "vtkMRMLTableNode", "table", "Training")
    table.SetAndObserveTable(_table(events))
    chart = _node(scene, "vtkMRMLPlotChartNode", "chart", "Training")
    for curve in _CURVES:
        series = _series(scene, curve, table, len(events))
        if not chart.HasPlotSeriesNodeID(series.GetID()):
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(title)
    chart.SetXAxisTitle("Epoch")
    chart.Modified()  # a view that shows it already would else stay as it is
    return chart


def _table(events: Sequence[dict]) -> vtk.vtkTable:
    table = vtk.vtkTable()
    _add_column(table, _EPOCH, [event.get("epoch") for event in events])
    for curve in _CURVES:
        _add_column(table, curve.name, [event.get(curve.key) for event in events])
    return table


def _add_column(table: vtk.vtkTable, name: str, values: Sequence[float | None]) -> None:
    column = vtk.vtkDoubleArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(math.nan if value is None else value)
    table.AddColumn(column)


def _series(scene, curve: _Curve, table: slicer.vtkMRMLTableNode, count: int) -> slicer.vtkMRMLPlotSeriesNode:
    series = _node(scene, "vtkMRMLPlotSeriesNode", curve.key, curve.name)
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName(_EPOCH)
    series.SetYColumnName(curve.name)
    series.SetPlotType(series.PlotTypeScatter)
    series.SetMarkerStyle(series.MarkerStyleNone if count > _MANY else series.MarkerStyleCircle)
    series.SetLineStyle(series.LineStyleDash if curve.dashed else series.LineStyleSolid)
    series.SetColor(*curve.color)
    return series


def _node(scene: slicer.vtkMRMLScene, kind: str, role: str, name: str):
    """The node of this role, also of a scene that was saved and loaded; made where there is none."""
    for number in range(scene.GetNumberOfNodesByClass(kind)):
        node = scene.GetNthNodeByClass(number, kind)
        if node.GetAttribute(_ATTRIBUTE) == role:
            return node
    node = scene.AddNewNodeByClass(kind, name)
    node.SetAttribute(_ATTRIBUTE, role)
    return node
