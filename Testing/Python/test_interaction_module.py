"""The module's presenter: why Apply is grey, each transition, and what is left when something goes wrong."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from interaction_cases import DEVICE, ENTRY, Window, head
from MedSegDLLib.cli import _parser
from MedSegDLLib.errors import DeviceError, OutputError, WorkerError
from MedSegDLLib.interaction.catalogue import ModelEntry
from MedSegDLLib.interaction.module_ports import Choices
from MedSegDLLib.interaction.outcome import Absence
from MedSegDLLib.interaction.states import State
from MedSegDLLib.scene.volumes import node_from_volume
from scene_cases import add_transform, rotation, segment_mask

ANTERIOR, POSTERIOR = ENTRY.structures


@pytest.fixture
def window(tmp_path):
    return Window(tmp_path)


# Why Apply is grey


def test_apply_is_ready_and_says_what_it_does(window):
    assert window.panel.enabled and window.panel.button == "Apply"
    assert window.panel.tip.startswith("Segment the volume.")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"volume_node": None}, "Choose a volume."),
        ({"model": ""}, "Choose a model."),
        ({"model": "another"}, "Choose a model."),
        ({"left_out": frozenset({ANTERIOR, POSTERIOR})}, "Tick at least one structure."),
        ({"where": "roi"}, "No region of interest is chosen. Choose or draw one, or take the whole volume."),
        ({"where": "view"}, "There is no slice view."),
        ({"where": "segments"}, "No segmentation is chosen whose segments"),
    ],
)
def test_apply_is_grey_and_says_why(window, changes, reason):
    window.choose(**changes)
    assert not window.panel.enabled and window.panel.tip.startswith(reason)
    window.presenter.apply()
    assert not window.runner.labels and window.presenter.state is State.IDLE


def test_apply_is_grey_without_any_model(tmp_path):
    assert Window(tmp_path, models=()).panel.tip == "No model is installed. Add one under Models."


def test_a_broken_model_says_what_is_wrong_with_it(tmp_path):
    broken = ModelEntry(ENTRY.name, ENTRY.folder, problem="The weights are damaged. Install the model again.")
    assert Window(tmp_path, models=(broken,)).panel.tip == "The weights are damaged. Install the model again."


def test_another_modality_must_be_allowed(window):
    window.choose(volume_node=node_from_volume(window.scene, head("CT")))
    assert window.panel.tip == "The model is for MR, this volume is CT: allow it in Advanced."
    window.choose(allow_other_modality=True)
    assert window.panel.enabled


def test_a_region_that_turns_out_to_be_none_is_a_failure(window):
    """Segments are measured at Apply alone: that takes a while when they are many."""
    window.choose(where="segments", segmentation_node=window.scene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    assert window.panel.enabled
    window.presenter.apply()
    assert window.presenter.state is State.FAILED and not window.runner.labels
    assert window.panel.failure.sentence.startswith("No segment with voxels is visible.")


def test_a_volume_without_voxels(window):
    window.choose(volume_node=window.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing"))
    assert window.panel.tip.startswith("The volume 'nothing' has no voxels.")


def test_a_volume_that_was_deleted(window):
    window.scene.RemoveNode(window.node)
    assert window.presenter.reason_not_to_apply() == "The volume is no longer in the scene. Choose another one."
    assert window.presenter.frames == 1 and window.presenter.found_models() == (ENTRY,)


# A run that goes well


def test_from_apply_to_the_result(window):
    window.presenter.press()
    assert window.presenter.state is State.STARTING
    assert (window.panel.button, window.panel.enabled) == ("Cancel", True)
    assert window.panel.status == "Loading Hippocampus, MR"
    window.now += 2
    window.presenter.poll()
    assert window.panel.status == "Loading Hippocampus, MR, 2.0 s" and window.panel.progress is None
    window.runner.load_model("No bf16 here.")
    window.presenter.poll()
    assert window.panel.status == "Looking at the image"
    for done in (0, 1, 2):
        window.runner.count(done, 6, int(3.1 * 2**30), 24 * 2**30)
        window.now += 3
    window.presenter.poll()
    assert window.presenter.state is State.RUNNING and window.panel.progress == (2, 6)
    assert window.panel.status == f"2 of 6 windows, 9.0 s left on {DEVICE} (uses 3.1 of 24 GB)"
    window.runner.answer(notes=["In smaller windows."])
    assert window.view.states == [State.IDLE, State.STARTING, State.RUNNING, State.IDLE]
    panel = window.panel
    assert panel.enabled and panel.button == "Apply" and panel.progress is None and panel.failure is None
    assert [finding.name for finding in panel.outcome.found] == [ANTERIOR, POSTERIOR]
    assert panel.summary == f"Not found: none. 11 s on {DEVICE}. No bf16 here. In smaller windows."
    voxels = (window.runner.volume.array > 100).sum()
    assert panel.outcome.findings[1].volumes_ml == (pytest.approx(voxels * 2 / 1000),)
    node = panel.outcome.segmentation_node
    assert node.GetScene() is window.scene and node.GetName() == "head segmentation"
    mask = segment_mask(node, "MedSeg_posterior_hippocampus", (20, 24, 28))
    assert np.array_equal(mask, window.runner.volume.array > 100)


def test_only_the_ticked_structures_are_written(window):
    window.choose(left_out=frozenset({ANTERIOR}))
    window.presenter.apply()
    window.runner.load_model()
    window.runner.answer()
    outcome = window.panel.outcome
    assert [finding.name for finding in outcome.findings] == [POSTERIOR]
    assert outcome.segmentation_node.GetSegmentation().GetNumberOfSegments() == 1


def test_options_and_device_reach_the_worker(window):
    window.choose(device="cuda:1", overlap=0.25, mirror=True)
    window.presenter.apply()
    assert window.runner.loads[-1].params == {"device": "cuda:1", "options": {"overlap": 0.25, "mirror": True}}
    assert window.runner.labels[-1].params["options"] == {"overlap": 0.25, "mirror": True}
    assert window.runner.labels[-1].params["keep_largest"] is None, "as the model says"


@pytest.mark.parametrize("keep_largest", [True, False])
def test_keeping_the_largest_piece_can_be_chosen(window, keep_largest):
    window.choose(keep_largest=keep_largest)
    window.presenter.apply()
    assert window.runner.labels[-1].params["keep_largest"] is keep_largest


def test_a_run_keeps_what_it_began_with(window):
    window.presenter.apply()
    other = node_from_volume(window.scene, head(), "other")
    window.choose(volume_node=other, left_out=frozenset({ANTERIOR}))
    window.runner.load_model()
    window.runner.answer()
    assert window.panel.outcome.segmentation_node.GetName() == "head segmentation"
    assert len(window.panel.outcome.findings) == 2


def test_apply_while_it_runs_does_nothing(window):
    window.presenter.apply()
    window.presenter.apply()
    assert len(window.runner.labels) == 1


def test_a_second_run_writes_into_the_chosen_segmentation(window):
    window.presenter.apply()
    window.runner.load_model()
    window.runner.answer()
    node = window.panel.outcome.segmentation_node
    window.choose(segmentation_node=node, where="segments")
    window.presenter.apply()
    window.runner.load_model()
    region = window.runner.labels[-1].params["region"]
    assert region is not None
    window.runner.answer()
    assert window.panel.outcome.segmentation_node is node and window.segmentations() == 1


def test_devices_are_known_once_the_worker_has_spoken(window):
    assert window.presenter.devices == ()
    window.presenter.apply()
    window.runner.hellos[-1].conclude({"devices": [{"name": "cpu", "description": "a fake"}]})
    assert [device["name"] for device in window.presenter.devices] == ["cpu"]


def test_the_time_of_a_run_is_the_estimate_of_the_next(window):
    assert window.presenter.expected_seconds(ENTRY) is None
    window.presenter.apply()
    window.runner.load_model()
    window.runner.answer()
    assert window.presenter.expected_seconds(ENTRY) == pytest.approx(4.0)
    assert window.presenter.listed_models() == ((ENTRY, pytest.approx(4.0)),)
    assert window.panel.tip.startswith("Segment the volume. It takes about 4.0 s. Images")


# What was not found


def test_what_was_not_found_may_lie_outside_the_image(window):
    window.presenter.apply()
    window.runner.load_model()
    window.runner.answer((window.runner.volume.array > 100).astype(np.uint8))
    assert window.panel.outcome.absence is Absence.FIELD_OF_VIEW
    expected = "Not found: Posterior hippocampus. The image may not reach them: it covers 28 x 24 x 40 mm of the body."
    assert window.panel.summary.startswith(expected)


def test_what_was_not_found_may_lie_outside_the_region(window):
    roi = window.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetCenter(10, 10, 20)
    roi.SetSize(10, 10, 10)
    window.choose(where="roi", roi_node=roi)
    window.presenter.apply()
    window.runner.load_model()
    window.runner.answer(np.zeros((20, 24, 28), np.uint8))
    assert window.panel.summary.startswith(f"Not found: {ANTERIOR}, {POSTERIOR}. They may lie outside the region.")
    assert window.panel.outcome.segmentation_node.GetSegmentation().GetNumberOfSegments() == 0


def test_a_structure_that_reaches_the_edge_is_named(window):
    array = np.zeros((20, 24, 28), np.uint8)
    array[0:4, 5:9, 5:9] = 1
    array[5:9, 5:9, 5:9] = 2
    window.presenter.apply()
    window.runner.load_model()
    window.runner.answer(array)
    assert (
        f"Cut off at the edge of what was segmented, so the volume may be too small: {ANTERIOR}."
        in window.panel.summary
    )


# Cancelling


def test_cancel_leaves_the_scene_as_it_was(window):
    before = window.node_ids()
    window.presenter.press()
    window.runner.load_model()
    window.runner.count(1, 6)
    window.presenter.press()
    assert window.view.states[-2:] == [State.CANCELLING, State.IDLE]
    assert window.panel.status == "Stopped. The scene is as it was." and window.panel.button == "Apply"
    assert window.node_ids() == before and not window.presenter.is_busy


def test_what_the_worker_says_of_a_cancelled_run_is_ignored(window):
    window.presenter.apply()
    stale = window.runner.labels[-1]
    window.presenter.cancel()
    window.presenter.apply()
    stale.on_progress(3, 6, "Segmenting")
    stale.on_done(stale)
    assert window.presenter.is_busy and window.segmentations() == 0


def test_cancel_without_a_run_changes_nothing(window):
    shown = len(window.view.panels)
    window.presenter.cancel()
    assert len(window.view.panels) == shown and window.presenter.state is State.IDLE


def test_a_run_that_someone_else_cancelled(window):
    window.presenter.apply()
    window.runner.cancel(window.runner.labels[-1])
    assert window.presenter.state is State.IDLE and window.panel.status == "Stopped. The scene is as it was."


# Failing


def test_a_failure_has_a_sentence_details_and_the_log(window):
    window.presenter.apply()
    window.runner.die(WorkerError("The worker crashed (signal 6).", "Restart it.", "a trace"))
    assert window.presenter.state is State.FAILED and window.panel.enabled
    failure = window.panel.failure
    assert (failure.sentence, failure.details) == ("The worker crashed (signal 6). Restart it.", "a trace")
    assert failure.log_path == "worker.log" and window.segmentations() == 0


def test_after_a_failure_it_can_be_tried_again(window):
    window.presenter.apply()
    window.runner.die(DeviceError("The device ran out of memory."))
    window.presenter.apply()
    assert window.presenter.state is State.STARTING and window.panel.failure is None
    window.runner.load_model()
    window.runner.answer()
    assert window.presenter.state is State.IDLE and window.panel.outcome


@pytest.mark.parametrize("error", [WorkerError("No Python was found."), OutputError("The disk is full.")])
def test_a_run_that_cannot_even_begin(window, error):
    window.runner.error_at_start = error
    window.presenter.apply()
    assert window.presenter.state is State.FAILED and window.panel.failure.sentence == error.message


def test_what_nobody_foresaw_ends_the_run_too(window):
    window.presenter.apply()
    window.presenter.give_up(RuntimeError("odd"))
    assert window.presenter.state is State.FAILED and not window.presenter.is_busy
    assert "odd" in window.panel.failure.details and "odd" not in window.panel.failure.sentence


def test_a_segmentation_that_cannot_take_voxels(window):
    node = window.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "surfaces")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    window.choose(segmentation_node=node)
    window.presenter.apply()
    window.runner.load_model()
    window.runner.answer()
    assert window.presenter.state is State.FAILED
    assert window.panel.failure.sentence.startswith("The segmentation 'surfaces' is kept as closed surface")


# What must be installed first


class Preparation:
    """Keeps what a run waits for, until the test answers."""

    def __init__(self):
        self.asked = []

    def __call__(self, bundle, device, done):
        self.asked.append((bundle.name, device))
        self.done = done


@pytest.fixture
def preparing(tmp_path):
    """A window whose installation is still being looked at."""
    window = Window(tmp_path, prepare=Preparation())
    window.presenter.apply()
    return window


def test_a_run_waits_for_the_look_at_the_installation(preparing):
    preparation = preparing.presenter._prepare
    assert preparation.asked == [("hippocampus-mr", "auto")]
    preparing.presenter.poll()
    assert preparing.presenter.state is State.STARTING and preparing.panel.status == "Checking the installation"
    assert preparing.panel.button == "Cancel" and not preparing.runner.labels
    preparation.done("")
    assert preparing.presenter.state is State.STARTING and preparing.panel.status == "Loading Hippocampus, MR"


def test_a_refused_installation_is_a_failure_that_can_be_tried_again(preparing):
    preparation = preparing.presenter._prepare
    preparation.done("PyTorch is missing; you declined to install it.")
    assert preparing.presenter.state is State.FAILED and not preparing.presenter.is_busy
    assert preparing.panel.failure.sentence == "PyTorch is missing; you declined to install it."
    preparing.presenter.apply()
    assert preparing.panel.failure is None
    preparation.done("")
    assert preparing.runner.labels


def test_a_cancelled_look_at_the_installation(preparing):
    preparing.presenter.press()
    assert preparing.presenter.state is State.IDLE
    preparing.presenter._prepare.done("")
    assert preparing.presenter.state is State.IDLE and not preparing.runner.labels


def test_a_volume_that_is_deleted_while_packages_are_installed(preparing):
    preparing.scene.RemoveNode(preparing.node)
    preparing.presenter._prepare.done("")
    assert preparing.presenter.state is State.IDLE and not preparing.runner.labels and not preparing.panel.enabled


# The scene changes meanwhile


def test_a_volume_that_is_deleted_stops_the_run(window):
    window.presenter.apply()
    window.scene.RemoveNode(window.node)
    window.presenter.poll()
    assert window.presenter.state is State.IDLE and window.runner.labels[-1].error
    assert window.panel.status == "Stopped: the volume or the segmentation was removed from the scene."


def test_a_volume_that_is_deleted_just_before_the_answer(window):
    window.presenter.apply()
    window.runner.load_model()
    window.scene.RemoveNode(window.node)
    before = window.node_ids()
    window.runner.answer()
    assert window.presenter.state is State.IDLE and window.node_ids() == before


def test_an_output_that_is_deleted_stops_the_run(window):
    node = window.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    window.choose(segmentation_node=node)
    window.presenter.apply()
    window.runner.load_model()
    window.scene.RemoveNode(node)
    window.presenter.poll()
    assert window.presenter.state is State.IDLE and window.segmentations() == 0


def test_a_closed_scene_leaves_no_node(window):
    window.presenter.apply()
    window.scene.Clear(0)
    before = window.node_ids()
    window.presenter.scene_closed()
    assert window.presenter.state is State.IDLE and window.panel.outcome is None
    assert window.runner.labels[-1].error and window.node_ids() == before
    assert window.panel.tip == "Choose a volume."


def test_a_closed_scene_takes_the_result_with_it(window):
    window.presenter.apply()
    window.runner.load_model()
    window.runner.answer()
    window.scene.Clear(0)
    window.presenter.scene_closed()
    assert window.panel.outcome is None and window.panel.status == ""


@pytest.mark.parametrize("change", ["voxels", "geometry"])
def test_a_volume_that_is_replaced_is_not_written(window, change):
    window.presenter.apply()
    window.runner.load_model()
    if change == "voxels":
        slicer.util.updateVolumeFromArray(window.node, np.ones((20, 24, 28), np.int16))
    else:
        window.node.SetSpacing(3, 3, 3)
    window.runner.answer()
    assert window.presenter.state is State.IDLE and window.segmentations() == 0
    assert window.panel.status.startswith("Stopped: the volume was changed meanwhile.")


def test_a_volume_that_is_moved_takes_its_segments_along(window):
    window.presenter.apply()
    window.runner.load_model()
    transform = add_transform(window.scene, window.node, rotation(10, 20, 30))
    window.runner.answer()
    node = window.panel.outcome.segmentation_node
    assert node.GetTransformNodeID() == transform.GetID()
    mask = segment_mask(node, "MedSeg_posterior_hippocampus", (20, 24, 28))
    assert np.array_equal(mask, window.runner.volume.array > 100)


def test_quitting_stops_without_a_word_to_the_window(window):
    window.presenter.apply()
    shown = len(window.view.panels)
    window.presenter.close()
    assert window.runner.labels[-1].error and len(window.view.panels) == shown
    window.presenter.close()


@pytest.mark.parametrize("keep_largest", [None, True, False])
def test_a_batch_segments_as_was_chosen(keep_largest):
    """The command line takes what the module hands to it, and understands the same by it."""
    choices = Choices(overlap=0.25, mirror=True, keep_largest=keep_largest, allow_other_modality=True)
    options = _parser().parse_args(["segment", "in", "--model", "m", "--output", "o", *choices.arguments])
    assert (options.overlap, options.mirror, options.any_modality) == (0.25, True, True)
    assert options.keep_largest is keep_largest


def test_the_button_says_how_much_memory_a_run_needs(window):
    assert " Images and result need about 2" in window.panel.tip and window.panel.tip.endswith(" MB of memory.")
