"""The module's widget and its view, run with stand-ins for Qt: what is shown, and where the user's choices go."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import slicer

import fake_slicer
from fake_qt import Timer, Widget
from interaction_cases import DEVICE, ENTRY, HIPPOCAMPUS, FakeRunner, head
from MedSegDLLib.errors import DeviceError
from MedSegDLLib.interaction.catalogue import ModelEntry
from MedSegDLLib.interaction.timings import Timings
from MedSegDLLib.scene.headless import new_scene
from MedSegDLLib.scene.volumes import node_from_volume
from MedSegDLLib.volume import Volume

ANTERIOR, POSTERIOR = ENTRY.structures
GUI = (
    "channel_selectors",
    "model_list",
    "module_view",
    "install",
    "background",
    "dicom_export",
    "parameters",
    "shared",
)
LOADED_ANEW = ("MedSegDL", *(f"MedSegDLLib.gui.{name}" for name in GUI))


class Panel:
    """Stands in for the panels of models and batch, which have tests of their own."""

    def __init__(self, *arguments, **more):
        self.arguments, self.widget, self.changes = arguments, Widget(), 0

    def choicesChanged(self):
        self.changes += 1

    def close(self):
        pass


class Window:
    """The widget, set up on a scene with a volume."""

    def __init__(self, module, scene, tmp_path):
        self.scene = scene
        self.node = node_from_volume(scene, head(), "head")
        self.runner = FakeRunner()
        self.widget = module.MedSegDLWidget()
        self.widget.setup()
        prepare, timings = lambda bundle, device, done: done(""), Timings(tmp_path / "timings.json")
        self.widget.startPresenter(self.runner, prepare, timings)
        self.ui = self.widget.ui

    @property
    def parameters(self):
        return self.widget._parameterNode

    @property
    def choices(self):
        return self.widget.presenter.choices

    def finish(self):
        self.runner.load_model("A note.")
        self.runner.count(2, 4)
        Timer.turn()
        self.runner.answer()


@pytest.fixture
def window(monkeypatch, tmp_path):
    fake_slicer.install(monkeypatch)
    panels = {"models_view": "ModelsView", "batch_view": "BatchView"}
    for name, cls in panels.items():
        stand_in = ModuleType(name)
        setattr(stand_in, cls, Panel)
        monkeypatch.setitem(sys.modules, f"MedSegDLLib.gui.{name}", stand_in)
    scene = new_scene().mrml
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in LOADED_ANEW:
        monkeypatch.delitem(sys.modules, name, raising=False)
    window = Window(importlib.import_module("MedSegDL"), scene, tmp_path)
    yield window
    window.widget.cleanup()
    slicer.app.send("aboutToQuit")
    for name in LOADED_ANEW:
        sys.modules.pop(name, None)


def test_the_first_volume_and_model_are_chosen(window):
    assert window.choices.volume_node is window.node and window.choices.model == "hippocampus-mr"
    assert window.ui.applyButton.enabled and window.ui.applyButton.toolTip.startswith("Segment the volume.")
    assert window.ui.modelInfoLabel.text.startswith("<p>Anterior and posterior hippocampus")
    assert not window.ui.resultCollapsibleButton.visible and not window.ui.failureFrame.visible
    assert not window.ui.allFramesCheckBox.visible and not window.ui.roiSelector.visible


def test_the_models_are_listed_with_what_a_choice_needs(window):
    rows = [[item.texts[column] for column in range(6)] for item in window.ui.modelTree.items]
    assert rows[0] == ["Hippocampus, MR", "MR", "2", "1 mm", ENTRY.bundle.spec.licence, "not known yet"]
    assert "Posterior hippocampus" in window.ui.modelTree.items[0].tips[0]
    window.ui.modelSearchEdit.type("thorax")
    assert [item.texts[0] for item in window.ui.modelTree.items] != [row[0] for row in rows]
    assert window.choices.model == "hippocampus-mr"  # a search chooses nothing


def test_all_that_is_known_of_a_model_is_shown_when_asked_for(window):
    assert "<table>" not in window.ui.modelInfoLabel.text
    window.ui.modelInfoButton.click()
    for text in ("Posterior hippocampus", ENTRY.bundle.spec.licence, "1 mm"):
        assert text in window.ui.modelInfoLabel.text
    window.ui.modelSearchEdit.type("no such model")
    assert not window.ui.modelTree.items and window.ui.modelInfoButton.enabled, "the chosen one stays chosen"


def test_a_model_is_chosen_in_the_list(window):
    tree = window.ui.modelTree
    tree.setCurrentItem(tree.items[1])
    assert window.parameters.modelName == "thorax-phantom" == window.choices.model
    assert not window.ui.applyButton.enabled and "allow it in Advanced" in window.ui.applyButton.toolTip
    window.parameters.allowOtherModality = True
    assert window.ui.applyButton.enabled


def test_structures_are_ticked(window):
    ui = window.ui
    assert ui.structuresLabel.text == "all (2)" and not ui.structuresList.visible
    ui.chooseStructuresButton.click()
    assert ui.structuresList.visible and [item.text() for item in ui.structuresList.items] == [ANTERIOR, POSTERIOR]
    ui.structuresList.items[0].setCheckState(0)
    assert window.parameters.leftOut == [ANTERIOR] and ui.structuresLabel.text == "1 of 2"
    ui.noStructuresButton.click()
    assert not ui.applyButton.enabled and [item.state for item in ui.structuresList.items] == [0, 0]
    ui.allStructuresButton.click()
    assert ui.applyButton.enabled and window.choices.left_out == frozenset()


def test_region_and_device_are_kept_in_the_parameter_node(window):
    ui = window.ui
    ui.regionCombo.pick("roi")
    assert window.parameters.region == "roi" and ui.roiSelector.visible and not ui.applyButton.enabled
    ui.deviceCombo.pick("cpu")
    assert window.choices.device == "cpu"
    window.parameters.device = "cuda:3"  # of a scene from another computer
    assert ui.deviceCombo.itemData(ui.deviceCombo.currentIndex) == "cuda:3"


def test_a_new_roi_begins_around_the_volume(window):
    window.parameters.region = "roi"
    roi = window.scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    window.parameters.roi = roi
    window.ui.roiSelector.setCurrentNode(roi)
    scene = window.widget.presenter._scene
    assert scene.region(window.node, "roi", roi) == tuple(slice(0, size) for size in head().array.shape)
    assert window.ui.applyButton.enabled and roi.GetDisplayNode().GetHandlesInteractive()
    roi.SetSize(4, 4, 4)
    window.ui.roiSelector.send("nodeAddedByUser", roi)
    assert roi.GetSize() == (4, 4, 4), "what was drawn stays as it is"


SEVERAL = replace(HIPPOCAMPUS.spec.network, in_channels=3)
CHANNELS = ("T1", "T2", "PET")


def choose_channels(window):
    spec = replace(HIPPOCAMPUS.spec, network=SEVERAL, channels=CHANNELS, modality=("MR",))
    entry = ModelEntry(ENTRY.name, ENTRY.folder, replace(HIPPOCAMPUS, spec=spec))
    window.widget.presenter._read_catalogue = lambda: (entry,)
    window.widget.onModelsChanged()


def test_a_model_of_several_channels_has_a_selector_for_each(window):
    ui, second = window.ui, node_from_volume(window.scene, head(), "second")
    assert ui.volumeLabel.text == "Volume:" and not ui.channelsFrame.visible
    choose_channels(window)
    assert ui.volumeLabel.text == "T1:" and ui.channelsFrame.visible
    (form,) = ui.channelsFrame.layout().widgets
    assert [title for title, _selector in form.layout().widgets] == ["T2:", "PET:"]
    assert ui.applyButton.toolTip == "Choose a volume for T2." and "T1/MR + T2/MR + PET/MR" in texts_of(ui.modelTree)
    t2, pet = (selector for _title, selector in form.layout().widgets)
    t2.setCurrentNode(second)
    assert window.parameters.moreVolumes == [second, None] and ui.applyButton.toolTip == "Choose a volume for PET."
    pet.setCurrentNode(node_from_volume(window.scene, head(), "third"))
    ui.applyButton.click()
    assert [volume.name for volume in window.runner.volumes] == ["head", "second", "third"]


def test_selectors_of_channels_go_with_their_model(window):
    choose_channels(window)
    (form,) = window.ui.channelsFrame.layout().widgets
    (_title, selector), _other = form.layout().widgets
    window.widget.presenter._read_catalogue = lambda: (ENTRY,)
    window.widget.onModelsChanged()
    assert form.isDeleted and selector.slots == [] and selector.scene is None
    assert not window.ui.channelsFrame.visible and window.ui.volumeLabel.text == "Volume:"
    assert window.ui.applyButton.enabled


def texts_of(tree):
    return {text for item in tree.items for text in item.texts.values()}


def test_options(window):
    assert window.choices.options == {}
    window.parameters.overlapPercent = 25
    window.parameters.mirror = True
    assert window.choices.options == {"overlap": 0.25, "mirror": True} and window.choices.keep_largest is None
    assert window.choices.arguments == ("--overlap", "0.25", "--mirror"), "for the batch"
    for chosen, meaning in (("yes", True), ("no", False), ("model", None)):
        window.ui.keepLargestCombo.pick(chosen)
        assert window.parameters.keepLargest == chosen and window.choices.keep_largest is meaning
    assert window.widget.batchView.changes


def test_from_apply_to_the_result(window):
    ui = window.ui
    ui.applyButton.click()
    assert ui.applyButton.text == "Cancel" and ui.progressBar.visible and ui.progressBar.maximum == 0
    window.runner.hellos[-1].conclude({"devices": [{"name": "cuda:0", "description": "RTX"}]})
    window.runner.load_model("A note.")
    window.runner.count(2, 4)
    Timer.turn()
    assert (ui.progressBar.value, ui.progressBar.maximum) == (2, 4)
    assert ui.statusLabel.text.startswith("2 of 4 windows") and ui.statusLabel.visible
    window.runner.answer()
    assert ui.applyButton.text == "Apply" and not ui.progressBar.visible and not ui.statusLabel.visible
    assert ui.resultCollapsibleButton.visible and not ui.dicomButton.visible
    assert [item.texts[0] for item in ui.resultTree.items] == [ANTERIOR, POSTERIOR]
    assert ui.resultTree.items[0].texts[1].endswith(" ml")
    assert ui.summaryLabel.text.startswith("Not found: none.") and ui.summaryLabel.text.endswith("A note.")
    assert ui.show3DButton.node is window.widget.view.outcome.segmentation_node
    assert ui.modelTree.items[0].texts[5] == "4.0 s"
    assert ui.deviceCombo.findData("cuda:0") > 0
    assert not any(timer.active for timer in Timer.timers)


def test_a_volume_from_dicom_can_be_saved_as_dicom(window):
    window.node.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    window.ui.applyButton.click()
    window.finish()
    assert window.ui.dicomButton.visible


def test_the_volumes_go_into_a_table(window):
    assert window.widget.onTable() is None
    window.ui.applyButton.click()
    window.finish()
    table = window.widget.onTable()
    assert table.GetNumberOfRows() == 2 and table.GetName() == "head segmentation volumes"
    assert table.GetTable().GetColumnByName("structure").GetValue(0) == ANTERIOR
    assert table.GetTable().GetColumnByName("frame") is None
    window.scene.RemoveNode(window.widget.view.outcome.segmentation_node)
    assert window.widget.onTable() is None


def test_cancel(window):
    window.ui.applyButton.click()
    window.ui.applyButton.click()
    assert window.ui.applyButton.text == "Apply" and window.ui.statusLabel.text == "Stopped. The scene is as it was."
    assert not any(timer.active for timer in Timer.timers)


def test_a_failure_with_its_details(window):
    ui = window.ui
    ui.applyButton.click()
    window.runner.die(DeviceError("The device ran out of memory.", "Choose a smaller region.", "a trace"))
    assert ui.failureFrame.visible and ui.failureLabel.text.startswith("The device ran out of memory.")
    assert ui.detailsText.plainText == "a trace" and ui.detailsButton.visible and not ui.detailsText.visible
    ui.detailsButton.click()
    assert ui.detailsText.visible
    ui.applyButton.click()
    assert not ui.failureFrame.visible


def test_what_nobody_foresaw_does_not_leave_the_panel_busy(window, monkeypatch):
    window.ui.applyButton.click()
    monkeypatch.setattr(window.runner, "poll", lambda: 1 / 0)
    Timer.turn()
    assert window.ui.applyButton.text == "Apply" and "ZeroDivisionError" in window.ui.detailsText.plainText


def test_closing_the_scene_in_the_middle(window):
    window.ui.applyButton.click()
    window.widget.onSceneStartClose(None, None)
    window.scene.Clear(0)
    window.widget.onSceneEndClose(None, None)
    assert window.runner.labels[-1].error and window.ui.applyButton.text == "Apply"
    assert window.scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_leaving_the_module_lets_the_run_go_on(window):
    window.ui.applyButton.click()
    window.widget.exit()
    window.finish()
    assert window.widget.view.outcome is not None
    window.widget.enter()
    assert window.choices.volume_node is window.node


def test_a_gpu_that_lies_idle_is_told_of(window):
    assert not window.ui.noteFrame.visible
    findings = SimpleNamespace(can_install=True)
    window.widget._installation.lastFindings = findings
    window.widget._showNote("PyTorch is installed for the CPU only.")
    assert window.ui.noteFrame.visible and window.ui.repairButton.visible
    window.widget._installation.repair = lambda found, done: done("" if found is findings else "what?")
    window.ui.repairButton.click()
    assert not window.ui.noteFrame.visible


def test_a_model_for_the_volume_is_chosen_first(window):
    window.widget.onSceneStartClose(None, None)
    window.scene.Clear(0)
    chest = Volume(np.zeros((4, 5, 6), np.int16), modality="CT")
    node = node_from_volume(window.scene, chest, "chest")
    window.widget.logic = type(window.widget.logic)()  # whose parameter node is new
    window.widget.initializeParameterNode()
    assert window.choices.volume_node is node and window.choices.model == "thorax-phantom"


def test_who_cancelled_is_not_asked_to_install(window, monkeypatch):
    install = importlib.import_module("MedSegDLLib.gui.install")
    ended, asked, answers, wanted = [], [], [], [True]
    monkeypatch.setattr(install, "probe", lambda python, requirements: ended.append(python) or {})
    monkeypatch.setattr(install, "required", lambda bundle, device: ())
    lacking = SimpleNamespace(ok=False, can_install=True, sentence="It lacks numpy.", remedy="", details="")
    monkeypatch.setattr(install, "assess", lambda *_: lacking)
    found = install.Installation(
        lambda: sys.executable, confirm=lambda *question: asked.append(question), isWanted=lambda: wanted[0]
    )
    for wanted[0] in (True, False):
        found.prepare(None, "cpu", answers.append)
        while len(ended) < 1 + (not wanted[0]) or found._background.isActive:
            Timer.turn()
    assert len(asked) == 1 and answers == ["It lacks numpy. "]


def test_quitting_in_the_middle(window):
    window.ui.applyButton.click()
    window.widget.cleanup()
    assert window.runner.labels[-1].error and not any(timer.active for timer in Timer.timers)


def test_the_panels_of_models_and_batch_have_their_places(window):
    assert window.ui.modelsCollapsibleButton.layout().widgets == [window.widget.modelsView.widget]
    assert window.ui.batchCollapsibleButton.layout().widgets == [window.widget.batchView.widget]
    window.ui.addModelButton.click()
    assert window.ui.modelsCollapsibleButton.collapsed is False
    assert window.widget.batchView.arguments[1]().model == "hippocampus-mr"


def test_the_device_is_named_while_it_runs(window):
    window.ui.applyButton.click()
    window.runner.load_model()
    window.runner.count(1, 4)
    Timer.turn()
    assert window.ui.statusLabel.text.endswith(DEVICE)
