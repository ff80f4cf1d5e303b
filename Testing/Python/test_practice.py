"""The worker of the self-tests inside Slicer, and the tables that a run leaves."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from interaction_cases import HIPPOCAMPUS, head
from MedSegDLLib.client import Worker
from MedSegDLLib.engine.practice import SECONDS_VARIABLE, WINDOWS
from MedSegDLLib.errors import CancelledError
from MedSegDLLib.scene.headless import new_scene
from MedSegDLLib.scene.measurements import measurements_node
from MedSegDLLib.scene.run import Segmenter

COMMAND = [sys.executable, "-m", "MedSegDLLib.engine.practice"]


@pytest.fixture
def segmenter():
    with Segmenter(Worker(command=COMMAND)) as segmenter:
        yield segmenter


def test_it_labels_what_is_bright(segmenter):
    volume, steps = head(), []
    result = segmenter.label(volume, HIPPOCAMPUS, progress=lambda *step: steps.append(step))
    assert np.array_equal(result.labels.array, volume.array > volume.array.mean())
    assert [step[:2] for step in steps] == [(n, WINDOWS) for n in range(WINDOWS)]
    assert result.report["device"] == "cpu: practice" and result.report["total_seconds"] >= 0
    assert segmenter.worker.hello()["devices"][0]["description"] == "practice"


def test_it_keeps_to_a_region(segmenter):
    region = (slice(0, 10), slice(0, 24), slice(0, 28))
    request = segmenter.begin_label(head(), HIPPOCAMPUS, region=region)
    labels = segmenter.worker.wait(request).labels.array
    assert labels[:10].any() and not labels[10:].any()


def test_it_takes_its_time_and_can_be_stopped(segmenter, monkeypatch):
    monkeypatch.setenv(SECONDS_VARIABLE, "0.2")
    seen = []
    start = time.monotonic()
    with pytest.raises(CancelledError):
        segmenter.label(head(), HIPPOCAMPUS, progress=lambda *step: seen.append(step), cancelled=lambda: len(seen) > 1)
    assert seen and time.monotonic() - start < 10


def test_it_needs_neither_torch_nor_openvino():
    code = (
        "import sys, MedSegDLLib.engine.practice\n"
        "assert not {'torch', 'openvino', 'monai', 'psutil', 'cc3d', 'safetensors'} & sys.modules.keys()"
    )
    folder = str(HIPPOCAMPUS.folder.parents[2])
    process = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": folder}, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def column(node, name):
    array = node.GetTable().GetColumnByName(name)
    return [array.GetValue(row) for row in range(array.GetNumberOfValues())]


def test_a_table_of_measurements():
    node = measurements_node(new_scene().mrml, [("Liver", (1.5,)), ("Heart", (0.0,))], "volumes")
    assert column(node, "structure") == ["Liver", "Heart"] and column(node, "volume_ml") == [1.5, 0.0]
    assert node.GetTable().GetColumnByName("frame") is None and node.GetColumnUnitLabel("volume_ml") == "ml"


def test_a_table_of_several_frames():
    node = measurements_node(new_scene().mrml, [("Liver", (1.5, 2.0)), ("Heart", (0.0, 3.0))], "volumes")
    assert column(node, "structure") == ["Liver", "Liver", "Heart", "Heart"]
    assert column(node, "frame") == [1, 2, 1, 2] and column(node, "volume_ml") == [1.5, 2.0, 0.0, 3.0]
