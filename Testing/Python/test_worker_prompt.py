"""Prompts through a true worker process and its client."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from MedSegDLLib.client import PromptedMask, Worker
from MedSegDLLib.engine.prompting import FrontPrompter
from MedSegDLLib.engine.prompting.finishing import finished
from MedSegDLLib.errors import CancelledError, InputError, ModelError, WorkerError
from MedSegDLLib.prompts import Point, Prompts
from MedSegDLLib.volume import Volume
from run import ROOT

WORKER = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]
START = "from MedSegDLLib.engine.worker import main; main()"
CENTRE = (15, 20, 18)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(command=WORKER, log_path=tmp_path_factory.mktemp("log") / "worker.log") as worker:
        yield worker


@pytest.fixture(scope="module")
def volume():
    """A bright ball of 8 mm in an oblique volume."""
    indices = np.indices((30, 40, 36))
    ball = sum((axis - c) ** 2 for axis, c in zip(indices, CENTRE)) < 64
    array = (100 * ball + np.random.default_rng(0).normal(0, 5, ball.shape)).astype(np.int16)
    matrix = np.array([[0, -1, 0, 10], [0.6, 0, 0.8, -7.25], [0.8, 0, -0.6, 5], [0, 0, 0, 1.0]])
    return Volume(array, matrix, "CT", "Größe")


@pytest.fixture
def prompts(volume):
    return Prompts([Point(volume.grid.ras(CENTRE[::-1]))])


def test_a_click_brings_a_mask_in_its_place(worker, volume, prompts):
    worker.set_image(volume)
    mask = worker.prompt(prompts)
    assert isinstance(mask, PromptedMask) and mask.array.dtype == np.uint8 and mask.array.shape < volume.array.shape
    start = np.round(volume.grid.ijk(mask.grid.origin_mm)).astype(int)[::-1]
    region = tuple(slice(a, a + size) for a, size in zip(start, mask.array.shape))
    assert mask.grid.agrees_with(volume.grid.cropped(region))
    whole = np.zeros(volume.array.shape, bool)
    whole[region] = mask.array
    truth = volume.array > 50
    assert 2 * (whole & truth).sum() / (whole.sum() + truth.sum()) > 0.9
    assert (mask.device, mask.name, mask.modality) == ("cpu", "Größe", "CT") and 0 < mask.seconds < 60


def test_warming_computes_what_the_first_prompt_needs(volume, prompts, tmp_path):
    with Worker(command=WORKER, log_path=tmp_path / "log") as worker:
        with pytest.raises(InputError, match="no image"):
            worker.warm()
        worker.set_image(volume)
        done = []
        request = worker.begin_warm(on_done=done.append)
        answer = worker.begin_prompt(prompts)  # right away, as a hasty user clicks
        first = worker.wait(answer)
        assert done == [request] and request.result()["seconds"] > 0
        worker.set_image(volume.with_array(volume.array.copy()))
        assert np.array_equal(worker.prompt(prompts).array, first.array)


def test_warming_can_be_given_up(worker, volume, prompts):
    worker.set_image(volume)
    request = worker.begin_warm()
    worker.cancel(request)
    assert worker.prompt(prompts).array.any()
    with pytest.raises(CancelledError):
        request.result()


def test_an_image_that_cannot_be_warmed_to_says_why(worker, volume):
    worker.set_image(volume.with_array(np.zeros_like(volume.array)))
    with pytest.raises(InputError, match="empty"):
        worker.warm()


def test_prompts_are_about_the_first_of_several_images(worker, volume, prompts):
    worker.set_image(volume)
    alone = worker.prompt(prompts)
    worker.set_image([volume, volume.with_array(-volume.array)])
    assert np.array_equal(worker.prompt(prompts).array, alone.array)


def test_smoothing_and_islands_go_with_the_prompt(worker, volume, prompts):
    worker.set_image(volume)
    rough = FrontPrompter().segment(volume, prompts)
    for options in ({}, {"smoothing_mm": 2.0}, {"islands": "clicked"}):
        expected = finished(rough, volume.grid, prompts, **options).array
        assert np.array_equal(worker.prompt(prompts, **options).array, expected)
        assert np.array_equal(expected, rough.array) is ("smoothing_mm" not in options)
    with pytest.raises(InputError, match="islands"):
        worker.prompt(prompts, islands="none")
    with pytest.raises(InputError, match="-1"):
        worker.prompt(prompts, smoothing_mm=-1.0)


def test_no_model_need_be_loaded_and_one_that_is_stays(worker, volume, prompts, tmp_path):
    worker.set_image(volume)
    worker.load(tmp_path)
    first = worker.prompt(prompts)
    assert np.array_equal(worker.segment().labels.array, volume.array > 0)
    assert np.array_equal(worker.prompt(prompts).array, first.array)


def test_begin_prompt_returns_at_once_and_tells_when_it_is_done(worker, volume, prompts):
    worker.set_image(volume)
    done = []
    start = time.monotonic()
    request = worker.begin_prompt(prompts, on_done=done.append)
    assert time.monotonic() - start < 0.1 and not request.done
    assert worker.wait(request).array.any() and done == [request]


def test_a_newer_click_supersedes_one_that_waits(worker, volume, prompts):
    worker.set_image(volume)
    first = worker.begin_prompt(prompts)
    older = worker.begin_prompt(prompts.with_prompt(Point(volume.grid.ras((3, 3, 3)))))
    newer = worker.begin_prompt(prompts)
    worker.cancel(older)
    assert np.array_equal(worker.wait(newer).array, worker.wait(first).array)
    with pytest.raises(CancelledError):
        older.result()


def test_it_leaves_no_file_behind(worker, volume, prompts):
    worker.set_image(volume)
    worker.prompt(prompts)
    assert not list(worker.folder.glob("mask*"))


def test_a_prompt_builds_on_the_image(prompts, tmp_path):
    with Worker(command=WORKER, log_path=tmp_path / "log") as worker:
        with pytest.raises(InputError, match="no image"):
            worker.prompt(prompts)
        path = tmp_path / "damaged.npy"
        path.write_bytes(b"")
        image = {"array": str(path), "ijk_to_ras": np.eye(4).tolist(), "modality": "", "name": ""}
        worker._send_image({"images": [image]})
        request = worker.begin_prompt(prompts)
        with pytest.raises(WorkerError, match=r"damaged\.npy"):
            worker.wait(request)


def test_errors_arrive_with_their_remedy(worker, volume, prompts, tmp_path):
    worker.set_image(volume)
    with pytest.raises(InputError, match="outside") as caught:
        worker.prompt(Prompts([Point((1e4, 0, 0))]))
    assert caught.value.remedy
    with pytest.raises(InputError, match="belongs"):
        worker.prompt(Prompts())
    with pytest.raises(ModelError) as caught:
        worker.prompt(prompts, model=tmp_path)
    assert caught.value.remedy


def test_clicks_need_nothing_that_a_fresh_slicer_lacks(volume, prompts, tmp_path):
    """Which brings numpy, scipy and SimpleITK."""
    lacking = "import sys; sys.modules.update(dict.fromkeys(('psutil', 'openvino', 'cc3d', 'torch', 'monai')))"
    parts = str(ROOT / "MedSegDL")
    command = [sys.executable, "-c", f"{lacking}; sys.path.insert(0, {parts!r})\n{START}"]
    with Worker(command=command, log_path=tmp_path / "log") as worker:
        assert [device["name"] for device in worker.hello()["devices"]] == ["cpu"]
        worker.set_image(volume)
        worker.warm()
        mask = worker.prompt(prompts, smoothing_mm=1.0, islands="clicked")
        assert mask.array.any()
