"""medseg as a window runs it: JSON lines out, commands in, and no process left when the window is gone."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
import slicer
import vtk

from batch_cases import PACKAGES, SLOW, grey_values, read_results, started, write_image
from bundle_makers import threshold_bundle
from MedSegDLLib.batch_events import JsonLines
from MedSegDLLib.scene.standalone import complete_slicer

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    threshold_bundle(folder / "thresholds")
    return folder


@pytest.fixture(autouse=True)
def environment(models, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSEG_MODELS", str(models))
    monkeypatch.setenv("PYTHONPATH", PACKAGES)
    monkeypatch.chdir(tmp_path)


def segmenting(*inputs):
    """As a window runs it."""
    choices = ("--model", "thresholds", "--output", "out", "--progress", "json")
    return started("segment", *inputs, *choices, stdin=subprocess.PIPE)


def events_of(lines) -> list[dict]:
    return [json.loads(line) for line in lines]


def test_the_events_of_a_batch():
    write_image(Path("in/Käse.nii"))
    Path("in/broken.nii").write_bytes(b"nothing")
    with segmenting("in") as process:
        out = list(process.stdout)
        assert process.wait(PATIENCE_SECONDS) == 1
    found, *progress, result, last, finished = events_of(out)
    assert found["event"] == "found" and found["cases"] == [
        {"name": "Käse", "source": str(Path("in/Käse.nii").resolve())}
    ]
    assert [(row["name"], row["status"]) for row in found["others"]] == [("broken", "failed")]
    assert {event["event"] for event in (*progress, last)} == {"progress"} and progress[0]["name"] == "Käse"
    assert (result["event"], result["name"], result["status"]) == ("result", "Käse", "done")
    assert finished == {"event": "finished", "output": "out", "complete": True}


def test_a_window_that_is_gone_ends_the_batch():
    write_image(Path("in/a.nii"))
    write_image(Path("in/b.nii"), grey_values((SLOW,) * 3))
    with segmenting("in") as process:
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["name"] == "b" and event["fraction"]:
                break
        process.stdin.close()
        assert process.wait(5) == 130
        assert b"Interrupted" in process.stderr.read()
        process.stdin = None  # `communicate` would flush it
    assert read_results(Path("out")).keys() == {"a"}


def test_nothing_named():
    with segmenting() as process:
        (event,) = events_of(process.stdout)
        assert process.wait(PATIENCE_SECONDS) == 2
    assert (event["event"], event["message"]) == ("failed", "Nothing was named to segment.")


def test_a_list_that_cannot_be_read():
    with segmenting("--list", "none.txt") as process:
        (event,) = events_of(process.stdout)
    assert event["message"] == "The list none.txt cannot be read."


def test_progress_is_not_told_more_often_than_one_can_see():
    class Stream:
        lines = []
        write = lines.append

        def flush(self):
            pass

    report = JsonLines(Stream())
    for step in range(1000):
        report.progress(0, step / 1000, "a")
    report.progress(1, 0.0, "b")
    told = events_of(Stream.lines)
    assert told[0]["fraction"] == 0 and told[-1]["name"] == "b" and len(told) < 20


# Slicer's own Python, where the application's modules are not loaded


def test_slicers_python_learns_the_logics_of_modules(tmp_path, monkeypatch):
    folder = tmp_path / "lib" / "qt-loadable-modules"
    folder.mkdir(parents=True)
    name = "vtkSlicerSegmentationsModuleLogicPython"
    (folder / f"{name}.py").write_text("")
    module = types.ModuleType(name)
    module.vtkSlicerSegmentationsModuleLogic = type("vtkSlicerSegmentationsModuleLogic", (vtk.vtkObject,), {})
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.syspath_prepend(str(folder))
    complete_slicer()
    assert slicer.vtkSlicerSegmentationsModuleLogic is not module.vtkSlicerSegmentationsModuleLogic
    monkeypatch.delattr(slicer, "vtkSlicerSegmentationsModuleLogic")
    complete_slicer()
    assert slicer.vtkSlicerSegmentationsModuleLogic is module.vtkSlicerSegmentationsModuleLogic
