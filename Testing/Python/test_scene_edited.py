"""What the effect's presenter sees of a scene, and the whole of it with the real worker on a real image."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
import slicer
import vtk

from effect_cases import FakeView
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import read_volume
from MedSegDLLib.interaction.effect import EffectPresenter
from MedSegDLLib.interaction.states import State
from MedSegDLLib.scene.edited import EditedScene
from MedSegDLLib.scene.editing import LogicEditor
from MedSegDLLib.scene.headless import new_scene
from MedSegDLLib.scene.run import Segmenter
from MedSegDLLib.scene.volumes import node_from_volume
from MedSegDLLib.volume import Volume
from scene_cases import GRIDS, MOVED, add_transform, segment_mask


class Case:
    def __init__(self, volume: Volume):
        self.live = new_scene()
        self.volume = node_from_volume(self.live.mrml, volume, "image")
        self.segmentation = self.live.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
        self.segmentation.CreateDefaultDisplayNodes()
        self.editor = LogicEditor(self.live, self.volume, self.segmentation)
        self.scene = EditedScene(self.editor)


@pytest.fixture
def case() -> Case:
    return Case(Volume(np.zeros((6, 8, 10), np.int16), GRIDS["oblique"]))


def change_voxels(case):
    slicer.util.updateVolumeFromArray(case.volume, np.ones((6, 8, 10), np.int16))


def move(case):
    add_transform(case.live.mrml, case.volume, MOVED)


def choose_another_volume(case):
    other = node_from_volume(case.live.mrml, Volume(np.zeros((6, 8, 10), np.int16), GRIDS["oblique"]))
    case.editor.node.SetAndObserveSourceVolumeNode(other)


def choose_another_segmentation(case):
    other = case.live.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode")
    case.editor.node.SetAndObserveSegmentationNode(other)


@pytest.mark.parametrize("change", [change_voxels, move, choose_another_volume, choose_another_segmentation])
def test_the_key_is_another_once_the_points_no_longer_fit(case, change):
    before = case.scene.key()
    case.volume.GetDisplayNode().SetVisibility(False)
    case.volume.SetName("renamed")
    assert case.scene.key() == before
    change(case)
    assert case.scene.key() not in (before, None)


@pytest.mark.parametrize("what", ["volume", "segmentation"])
def test_without_its_nodes_there_is_no_key(case, what):
    case.live.mrml.RemoveNode(getattr(case, what))
    assert case.scene.key() is None


def test_the_image_is_one_object_as_long_as_it_is_the_same(case):
    first = case.scene.image()
    assert case.scene.image() is first, "the worker tells images apart by their object"
    move(case)
    moved = case.scene.image()
    assert moved is not first and np.allclose(moved.ijk_to_ras, MOVED @ first.ijk_to_ras)


def test_what_is_missing_is_told(case):
    for where, sentence in (("view", "no slice view"), ("roi", "No ROI"), ("segments", "No segment")):
        with pytest.raises(InputError, match=sentence):
            case.scene.region(where)
    assert case.scene.region("whole") is None
    case.live.mrml.RemoveNode(case.volume)
    with pytest.raises(InputError, match="no source volume"):
        case.scene.image()


def test_a_transform_that_bends_is_told_at_the_click(case):
    bent = case.live.mrml.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "bent")
    bent.SetAndObserveTransformToParent(vtk.vtkBSplineTransform())
    case.volume.SetAndObserveTransformNodeID(bent.GetID())
    assert case.scene.key() is not None
    with pytest.raises(InputError, match="not linear"):
        case.scene.image()


# The whole of it


@pytest.fixture
def clicking(shared_data):
    """A presenter with a real worker on a real hippocampus, and where its anterior part lies."""
    image = read_volume(shared_data / "hippocampus-mr" / "images" / "hippocampus_001.nii.gz")
    truth = read_volume(shared_data / "hippocampus-mr" / "labels" / "hippocampus_001.nii.gz").array == 1
    case = Case(image)
    add_transform(case.live.mrml, case.volume, MOVED)
    add_transform(case.live.mrml, case.segmentation, MOVED)
    with Segmenter() as segmenter:
        case.worker = segmenter.worker
        case.view = FakeView()
        case.presenter = EffectPresenter(segmenter.worker, segmenter, case.scene, case.view)
        case.truth = truth
        middle = np.argwhere(truth)[truth.sum() // 2][::-1]
        case.ras = tuple(case.scene.image().grid.ras(middle))
        yield case


def poll_until(presenter, is_done, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < deadline, (presenter.state, presenter.error)
        presenter.poll()
        time.sleep(0.005)


def test_from_the_click_to_the_voxels_and_back(clicking):
    presenter, segmentation = clicking.presenter, clicking.segmentation
    presenter.activate()
    poll_until(presenter, lambda: presenter.state is State.IDLE)
    started = time.monotonic()
    assert presenter.clicks.add_point(clicking.ras)
    assert time.monotonic() - started < 0.2 and presenter.is_busy, "the click returns at once"
    poll_until(presenter, lambda: not presenter.is_busy)
    assert presenter.error is None and presenter.clicks.preview is not None
    drawn = presenter.clicks.preview
    assert presenter.clicks.keep()
    kept = segment_mask(segmentation, clicking.editor.selected_segment_id, clicking.truth.shape)
    assert kept.sum() == np.count_nonzero(drawn.array)
    assert (kept & clicking.truth).sum() > 0.3 * clicking.truth.sum()
    clicking.editor.undo()
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 0


def test_clicks_faster_than_the_worker(clicking):
    presenter = clicking.presenter
    presenter.activate()
    for n in range(4):
        assert presenter.clicks.add_point((clicking.ras[0] + 0.1 * n, *clicking.ras[1:]))
    presenter.clicks.keep()
    poll_until(presenter, lambda: not presenter.is_busy)
    assert presenter.error is None and presenter.state is State.IDLE
    assert clicking.editor.selected_segment_id


def test_the_worker_is_killed_between_two_clicks(clicking):
    presenter = clicking.presenter
    presenter.activate()
    poll_until(presenter, lambda: presenter.state is State.IDLE)
    os.kill(clicking.worker.hello()["pid"], signal.SIGKILL)
    assert presenter.clicks.add_point(clicking.ras)
    poll_until(presenter, lambda: not presenter.is_busy)
    if presenter.error:  # the click came before anyone knew
        assert presenter.state is State.FAILED and "signal 9" in clicking.view.panel.status
        assert presenter.clicks.add_point(clicking.ras)
        poll_until(presenter, lambda: not presenter.is_busy)
    assert presenter.error is None and presenter.clicks.preview is not None
