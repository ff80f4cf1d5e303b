"""The module's presenter with a true worker process: the engine of fake_worker.py, and once the shipped model."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from interaction_cases import ENTRY, Window
from MedSegDLLib.client import Worker
from MedSegDLLib.files import read_volume
from MedSegDLLib.interaction.states import State
from MedSegDLLib.scene.run import Segmenter
from MedSegDLLib.scene.volumes import node_from_volume
from scene_cases import segment_mask

FAKE_WORKER = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]
PATIENCE_SECONDS = 30
ANTERIOR, POSTERIOR = ENTRY.structures


def wait_until(window, condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        window.presenter.poll()
        time.sleep(0.01)


@pytest.fixture
def segmenter():
    with Segmenter(Worker(command=FAKE_WORKER)) as segmenter:
        yield segmenter


@pytest.fixture
def live(tmp_path, segmenter):
    return Window(tmp_path, segmenter)


def slowly(segmenter, monkeypatch, **options):
    """Have the engine of the fake take its time, or misbehave."""
    begin = segmenter.worker.begin_load
    monkeypatch.setattr(segmenter.worker, "begin_load", lambda folder, device, **_: begin(folder, device, **options))


def test_a_run_with_a_true_worker(live):
    live.presenter.apply()
    wait_until(live, lambda: not live.presenter.is_busy)
    outcome = live.panel.outcome
    assert live.presenter.state is State.IDLE and outcome.device == "cpu"
    assert [finding.name for finding in outcome.missing] == [POSTERIOR]
    assert "thresholds only" in live.panel.summary and "Größe µ" in live.panel.summary
    assert live.presenter.devices[0]["description"] == "a fake"


def test_apply_returns_at_once_and_cancel_takes_less_than_a_second(live, segmenter, monkeypatch):
    slowly(segmenter, monkeypatch, seconds_per_window=0.5)
    start = time.perf_counter()
    live.presenter.apply()
    assert time.perf_counter() - start < 0.5
    wait_until(live, lambda: live.presenter.state is State.RUNNING)
    start = time.perf_counter()
    live.presenter.cancel()
    assert time.perf_counter() - start < 0.1 and not live.presenter.is_busy
    assert live.segmentations() == 0


def test_a_worker_that_dies_is_started_again_by_the_next_run(live, segmenter, monkeypatch):
    slowly(segmenter, monkeypatch, seconds_per_window=0.1)
    pid = segmenter.worker.hello()["pid"]
    live.presenter.apply()
    wait_until(live, lambda: live.presenter.state is State.RUNNING)
    os.kill(pid, signal.SIGKILL)
    wait_until(live, lambda: not live.presenter.is_busy)
    assert live.presenter.state is State.FAILED
    assert live.panel.failure.sentence.startswith("The worker was killed (signal 9)")
    assert live.panel.failure.log_path == str(segmenter.log_path)
    live.presenter.apply()
    wait_until(live, lambda: not live.presenter.is_busy)
    assert live.presenter.state is State.IDLE and live.panel.outcome


def test_quitting_in_the_middle_leaves_no_process(live, segmenter, monkeypatch):
    slowly(segmenter, monkeypatch, seconds_per_window=0.1)
    worker = psutil.Process(segmenter.worker.hello()["pid"])
    live.presenter.apply()
    wait_until(live, lambda: live.presenter.state is State.RUNNING)
    folder = segmenter.log_path.parent
    live.presenter.close()
    segmenter.close()
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert not folder.exists()


def test_a_real_hippocampus_with_the_shipped_model(tmp_path, shared_data):
    folder, name = shared_data / "hippocampus-mr", "hippocampus_001.nii.gz"
    image, truth = read_volume(folder / "images" / name), read_volume(folder / "labels" / name)
    with Segmenter() as segmenter:
        window = Window(tmp_path, segmenter)
        window.choose(volume_node=node_from_volume(window.scene, replace(image, modality="MR")))
        window.presenter.apply()
        wait_until(window, lambda: not window.presenter.is_busy)
    outcome = window.panel.outcome
    assert outcome, window.panel.failure
    assert [finding.name for finding in outcome.found] == [ANTERIOR, POSTERIOR]
    assert window.panel.summary.startswith("Not found: none.")
    for value, finding in enumerate(outcome.findings, start=1):
        mask = segment_mask(
            outcome.segmentation_node, f"MedSeg_{finding.name.lower().replace(' ', '_')}", truth.array.shape
        )
        expected = truth.array == value
        assert 2 * (mask & expected).sum() / (mask.sum() + expected.sum()) > 0.75
        assert finding.volumes_ml[0] == pytest.approx(mask.sum() * truth.grid.voxel_volume_ml)
