"""A model of several channels in the module: a volume for each, why Apply is grey, and what the worker gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interaction_cases import ENTRY, HIPPOCAMPUS, Window, head
from MedSegDLLib.errors import InputError
from MedSegDLLib.interaction.catalogue import ModelEntry
from MedSegDLLib.interaction.states import State
from MedSegDLLib.scene.volumes import node_from_volume

CHANNELS = ("T1", "PET")


def entry_of(channels=CHANNELS, modality=("MR", "PT")) -> ModelEntry:
    spec = HIPPOCAMPUS.spec
    network = replace(spec.network, in_channels=len(channels))
    spec = replace(spec, network=network, channels=channels, modality=modality)
    return ModelEntry(ENTRY.name, ENTRY.folder, replace(HIPPOCAMPUS, spec=spec))


@pytest.fixture
def window(tmp_path):
    window = Window(tmp_path, models=(entry_of(),))
    window.second = node_from_volume(window.scene, head("PT"), "pet")
    return window


def test_each_channel_needs_a_volume(window):
    assert window.presenter.channels == CHANNELS
    assert window.panel.tip == "Choose a volume for PET." and not window.panel.enabled
    window.choose(volume_node=None)
    assert window.panel.tip == "Choose a volume for T1."
    window.choose(volume_node=window.node, more_volume_nodes=(window.second,))
    assert window.panel.enabled


def test_what_is_wrong_with_a_further_volume(window):
    window.choose(more_volume_nodes=(window.node,))
    assert window.panel.tip == "T1 and PET are the same volume. Choose one for each."
    window.choose(more_volume_nodes=(node_from_volume(window.scene, head("CT")),))
    expected = "For PET the model takes PT, the volume chosen for it is CT: allow it in Advanced."
    assert window.panel.tip == expected
    window.choose(allow_other_modality=True)
    assert window.panel.enabled
    window.choose(more_volume_nodes=(window.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing"),))
    assert window.panel.tip.startswith("The volume 'nothing' has no voxels.")
    window.choose(more_volume_nodes=(window.second,))
    window.scene.RemoveNode(window.second)
    window.presenter.show()
    assert window.panel.tip == "The volume for PET is no longer in the scene. Choose another one."


def test_volumes_chosen_for_another_model_do_not_count(tmp_path):
    window = Window(tmp_path)
    window.choose(more_volume_nodes=(None, window.node))
    assert window.panel.enabled
    window.presenter.apply()
    assert len(window.runner.volumes) == 1


def test_the_worker_gets_all_of_them_in_order(window):
    window.choose(more_volume_nodes=(window.second,))
    window.presenter.apply()
    assert [volume.modality for volume in window.runner.volumes] == ["MR", "PT"]
    window.runner.load_model()
    window.runner.answer()
    assert window.panel.outcome.segmentation_node.GetName() == "head segmentation"


def test_a_further_volume_that_is_deleted_stops_the_run(window):
    window.choose(more_volume_nodes=(window.second,))
    window.presenter.apply()
    window.scene.RemoveNode(window.second)
    window.presenter.poll()
    assert window.presenter.state is State.IDLE and window.segmentations() == 0


def test_a_further_volume_that_is_changed_meanwhile(window):
    window.choose(more_volume_nodes=(window.second,))
    window.presenter.apply()
    window.runner.load_model()
    window.second.SetSpacing(3, 3, 3)
    window.runner.answer()
    assert window.panel.status.startswith("Stopped: the volume was changed meanwhile.")
    assert window.segmentations() == 0


class Frames:
    """A scene in which the first volume shows a sequence of three frames."""

    def __init__(self, scene, frames):
        self._scene, self._frames, self.reads = scene, frames, []

    def __getattr__(self, name):
        return getattr(self._scene, name)

    def version(self, node, all_frames):
        return self._scene.version(node)

    def frames(self, node):
        return self._frames[node.GetName()]

    def read(self, node, frame=None):
        self.reads.append((node.GetName(), frame))
        return self._scene.read(node)

    def write(self, *arguments):
        raise InputError("Not here.")


@pytest.mark.parametrize("frames_of_second", [1, 3])
def test_every_frame_goes_with_its_own_or_with_the_only_one(window, frames_of_second):
    presenter = window.presenter
    frames = Frames(presenter._scene, {"head": 3, "pet": frames_of_second})
    presenter._chosen._scene = presenter._run._scene = presenter._scene = frames
    window.choose(more_volume_nodes=(window.second,), all_frames=True)
    frames.reads.clear()
    presenter.apply()
    for frame in range(3):
        second = frame if frames_of_second > 1 else None
        assert frames.reads[-2:] == [("head", frame), ("pet", second)]
        window.runner.load_model()
        window.runner.answer()
    assert window.panel.failure.sentence == "Not here."


def test_sequences_of_different_lengths(window):
    presenter = window.presenter
    presenter._chosen._scene = Frames(presenter._scene, {"head": 3, "pet": 2})
    window.choose(more_volume_nodes=(window.second,), all_frames=True)
    assert presenter.reason_not_to_apply().startswith("The sequence for PET has another number of frames.")


def test_a_model_that_only_answers_clicks_is_not_listed(tmp_path):
    bundle = replace(HIPPOCAMPUS, spec=replace(HIPPOCAMPUS.spec, prompts=("point",)))
    prompter = ModelEntry("clicks", ENTRY.folder, bundle)
    assert Window(tmp_path, models=(prompter, ENTRY)).presenter.models == (ENTRY,)
