"""Frames of a sequence: read without showing them, and written so that the browser shows each with its image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer

from interaction_cases import ENTRY, FakeRunner, FakeView
from MedSegDLLib.errors import InputError
from MedSegDLLib.interaction.module import ModulePresenter
from MedSegDLLib.interaction.module_ports import Choices
from MedSegDLLib.interaction.states import State
from MedSegDLLib.interaction.timings import Timings
from MedSegDLLib.scene.headless import new_scene
from MedSegDLLib.scene.module_scene import ModuleScene
from MedSegDLLib.scene.sequences import frame_from_node, frame_version, number_of_frames, voxel_version, write_frames
from MedSegDLLib.scene.volumes import node_from_volume, volume_from_node
from MedSegDLLib.volume import Volume
from scene_cases import GRIDS, LABELS, MOVED, add_transform, labelmap_on, segment_mask

FRAMES = 3
OBLIQUE = GRIDS["oblique"]
SHAPE = (14, 18, 22)


class Cine:
    """A volume that shows a sequence of three frames, with the logic that Slicer has for it."""

    def __init__(self):
        self.live = new_scene()
        self.scene = self.live.mrml
        self.logic = slicer.vtkSlicerSequencesLogic()
        self.logic.SetMRMLApplicationLogic(self.live.application)
        self.logic.SetMRMLScene(self.scene)
        self.sequence = self.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
        self.sequence.SetIndexName("time")
        self.sequence.SetIndexUnit("s")
        for frame in range(FRAMES):
            node = node_from_volume(self.scene, image(frame), "frame")
            self.sequence.SetDataNodeAtValue(node, f"{frame / 10}")
            self.scene.RemoveNode(node)
        self.browser = self.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
        self.browser.SetAndObserveMasterSequenceNodeID(self.sequence.GetID())
        self.logic.UpdateProxyNodesFromSequences(self.browser)
        self.node = self.browser.GetProxyNode(self.sequence)

    def select(self, frame):
        self.browser.SetSelectedItemNumber(frame)


def image(frame) -> Volume:
    array = np.zeros(SHAPE, np.int16)
    array[2:10, 3:9, 2 + frame : 12 + frame] = 50
    array[4:7, 4:7, 5 + frame : 8 + frame] = 200
    return Volume(array, OBLIQUE, "MR")


@pytest.fixture
def cine():
    return Cine()


def labelmaps():
    """One a frame, each with one box at another place."""
    base = labelmap_on(OBLIQUE)
    return [replace(base, array=np.roll(base.array, frame, axis=2) * (base.array != 7)) for frame in range(FRAMES)]


def test_frames_are_read_without_being_shown(cine):
    cine.select(1)
    assert number_of_frames(cine.node) == FRAMES
    for frame in range(FRAMES):
        volume = frame_from_node(cine.node, frame)
        assert np.array_equal(volume.array, image(frame).array) and np.allclose(volume.ijk_to_ras, OBLIQUE)
    assert np.array_equal(volume_from_node(cine.node).array, image(1).array)


def test_a_frame_lies_where_the_volume_was_moved(cine):
    add_transform(cine.scene, cine.node, MOVED)
    assert np.allclose(frame_from_node(cine.node, 2).ijk_to_ras, MOVED @ OBLIQUE)


def test_a_volume_of_its_own_has_one_frame(cine):
    node = node_from_volume(cine.scene, image(0))
    assert number_of_frames(node) == 1
    for volume_node, frame in ((node, 0), (cine.node, FRAMES), (cine.node, -1)):
        with pytest.raises(InputError, match=f"has no frame {frame + 1}"):
            frame_from_node(volume_node, frame)


def test_each_frame_shows_its_own_segments(cine):
    expected = labelmaps()
    node = write_frames(cine.scene, expected, LABELS, cine.node)
    for frame in (0, 2, 1, 0):
        cine.select(frame)
        assert np.array_equal(segment_mask(node, "MedSeg_heart", SHAPE), expected[frame].array == 1)
        assert np.array_equal(volume_from_node(cine.node).array, image(frame).array)
    assert cine.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1
    written = cine.browser.GetSequenceNode(node)
    assert (written.GetNumberOfDataNodes(), written.GetIndexUnit()) == (FRAMES, "s")
    assert node.GetName() == f"{cine.node.GetName()} segmentation"


def test_a_segmentation_of_a_sequence_is_not_written_over(cine):
    node = write_frames(cine.scene, labelmaps(), LABELS, cine.node)
    with pytest.raises(InputError, match="shows a sequence already"):
        write_frames(cine.scene, labelmaps(), LABELS, cine.node, node)


def test_a_sequence_that_lost_a_frame(cine):
    with pytest.raises(InputError, match="was changed meanwhile"):
        write_frames(cine.scene, labelmaps()[:2], LABELS, cine.node)
    assert cine.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_the_version_tells_a_change_from_another_frame_being_shown(cine):
    before, shown = frame_version(cine.node), voxel_version(cine.node)
    cine.select(2)
    assert frame_version(cine.node) == before and voxel_version(cine.node) != shown
    cine.sequence.RemoveDataNodeAtValue("0.1")
    assert frame_version(cine.node) != before


# The presenter, frame by frame


class Window:
    def __init__(self, cine, folder):
        self.runner, self.view = FakeRunner(), FakeView()
        self.presenter = ModulePresenter(
            self.runner,
            ModuleScene(lambda: cine.scene),
            self.view,
            timings=Timings(folder / "timings.json"),
            catalogue=lambda: (ENTRY,),
        )
        self.presenter.choose(Choices(volume_node=cine.node, model=ENTRY.name, all_frames=True))

    def answer_frame(self):
        self.runner.load_model()
        self.runner.count(1, 4)
        self.presenter.poll()
        self.runner.answer()


@pytest.fixture
def window(cine, tmp_path):
    return Window(cine, tmp_path)


def test_all_frames_of_a_sequence(cine, window):
    assert window.presenter.frames == FRAMES
    window.presenter.apply()
    for frame in range(FRAMES):
        assert window.presenter.is_busy
        cine.select(2 - frame)  # the user looks around meanwhile
        assert np.array_equal(window.runner.volume.array, image(frame).array)
        window.answer_frame()
    assert window.presenter.state is State.IDLE and len(window.runner.labels) == FRAMES
    assert any("frame 2 of 3, 1 of 4 windows" in panel.status for panel in window.view.panels)
    outcome = window.view.panel.outcome
    assert [len(finding.volumes_ml) for finding in outcome.findings] == [FRAMES, FRAMES]
    for frame in range(FRAMES):
        cine.select(frame)
        mask = segment_mask(outcome.segmentation_node, "MedSeg_posterior_hippocampus", SHAPE)
        assert np.array_equal(mask, image(frame).array > 100)


def test_cancelling_among_the_frames_writes_none(cine, window):
    window.presenter.apply()
    window.answer_frame()
    window.presenter.cancel()
    assert window.presenter.state is State.IDLE
    assert cine.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_the_current_frame_alone(cine, window):
    cine.select(1)
    window.presenter.choose(replace(window.presenter.choices, all_frames=False))
    window.presenter.apply()
    window.answer_frame()
    assert np.array_equal(window.runner.volume.array, image(1).array) and len(window.runner.labels) == 1
    assert window.view.panel.outcome


def test_another_frame_that_is_shown_meanwhile_is_another_image(cine, window):
    window.presenter.choose(replace(window.presenter.choices, all_frames=False))
    window.presenter.apply()
    cine.select(2)
    window.answer_frame()
    assert window.view.panel.outcome is None and window.view.panel.status.startswith("Stopped: the volume was changed")
