"""A training's curves in a scene: the table, the series and the chart that Slicer draws."""

from __future__ import annotations

import math

import pytest

from MedSegDLLib.scene.headless import new_scene
from MedSegTrainLib.scene.curves import show_curves

KINDS = ("vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode")


@pytest.fixture
def scene():
    return new_scene().mrml


def events(count):
    return [
        {"epoch": n, "loss": 1 / n, "validation_loss": None, "dice": 0.1 * n, "miou": 0.05 * n}
        for n in range(1, count + 1)
    ]


def counts(scene):
    return [scene.GetNumberOfNodesByClass(kind) for kind in KINDS]


def series_of(chart):
    return {chart.GetNthPlotSeriesNode(n).GetYColumnName(): chart.GetNthPlotSeriesNode(n) for n in range(4)}


def test_every_curve_is_a_series_over_the_epochs(scene):
    chart = show_curves(scene, "U-Net, fold 1", events(3))
    assert counts(scene) == [1, 1, 4] and chart.GetTitle() == "U-Net, fold 1"
    series = series_of(chart)
    assert list(series) == ["Loss", "Validation loss", "Dice", "mIoU"]
    table = series["Dice"].GetTableNode().GetTable()
    assert [table.GetColumnByName("epoch").GetValue(row) for row in range(3)] == [1, 2, 3]
    assert [round(table.GetColumnByName("Dice").GetValue(row), 6) for row in range(3)] == [0.1, 0.2, 0.3]
    assert math.isnan(table.GetColumnByName("Validation loss").GetValue(0))
    for one in series.values():
        assert one.GetXColumnName() == "epoch" and one.GetPlotType() == one.PlotTypeScatter
        assert table.GetColumnByName(one.GetYColumnName()) is not None
    assert series["Validation loss"].GetLineStyle() == series["Loss"].LineStyleDash


def test_later_epochs_and_other_runs_take_the_same_nodes(scene):
    first = show_curves(scene, "U-Net, fold 1", events(3))
    again = show_curves(scene, "FCNN, fold 2", events(40))
    assert again is first and counts(scene) == [1, 1, 4] and again.GetTitle() == "FCNN, fold 2"
    dice = series_of(again)["Dice"]
    assert dice.GetTableNode().GetTable().GetNumberOfRows() == 40
    assert dice.GetMarkerStyle() == dice.MarkerStyleNone  # of so many no single one


def test_other_peoples_tables_and_charts_are_left_alone(scene):
    for kind in KINDS:
        scene.AddNewNodeByClass(kind, "mine")
    show_curves(scene, "U-Net", events(1))
    assert counts(scene) == [2, 2, 5]
    assert scene.GetFirstNodeByName("mine").GetTable().GetNumberOfRows() == 0


def test_a_scene_that_was_emptied_gets_new_nodes(scene):
    show_curves(scene, "U-Net", events(2))
    scene.Clear(0)
    assert counts(scene) == [0, 0, 0]
    show_curves(scene, "U-Net", events(2))
    assert counts(scene) == [1, 1, 4]
