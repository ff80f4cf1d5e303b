"""The effect's class and its panel, on widgets of the true .ui file and with the true editor logic, without Qt."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk

import fake_qt
import fake_slicer
from bundle_makers import threshold_bundle
from effect_cases import FakeWorker
from interaction_cases import ENTRY, HIPPOCAMPUS
from MedSegDLLib.errors import InputError, MedSegError, WorkerError
from MedSegDLLib.interaction.catalogue import ModelEntry
from MedSegDLLib.interaction.states import State
from MedSegDLLib.scene.editing import LogicEditor
from MedSegDLLib.scene.headless import new_scene
from MedSegDLLib.scene.volumes import node_from_volume
from MedSegDLLib.volume import Volume
from scene_cases import segment_mask

SHAPE = (10, 20, 30)
QT_MODULES = ("SegmentEditorMedSegDLLib", "MedSegDLLib.gui.")


class Interactor:
    """Where the mouse is, and what is held."""

    def __init__(self, xy=(0, 0), control=False, shift=False, key=""):
        self._xy, self._control, self._shift, self._key = xy, control, shift, key

    def GetEventPosition(self):
        return self._xy

    def GetControlKey(self):
        return int(self._control)

    def GetShiftKey(self):
        return int(self._shift)

    def GetAltKey(self):
        return 0

    def GetKeySym(self):
        return self._key


class Window:
    """The effect as a Segment Editor would hold it, with one slice view of 300 x 200 pixels, 0.1 mm each."""

    def __init__(self, monkeypatch):
        self.live = new_scene()
        self.slice = slicer.vtkMRMLSliceNode()
        self.slice.SetLayoutName("Red")
        self.live.mrml.AddNode(self.slice)
        self.slice.SetDimensions(300, 200, 1)
        self.slice.SetFieldOfView(30, 20, 1)
        self.slice.SetSliceToRASByNTP(0, 0, 1, 1, 0, 0, 14.5, 9.5, 5, 0)
        self.slice.UpdateMatrices()
        self.red = fake_slicer.View("qMRMLSliceWidget", self.slice, vtk.vtkRenderer())
        self.threeD = fake_slicer.View("qMRMLThreeDWidget", None, vtk.vtkRenderer())
        self.layout = fake_slicer.LayoutManager({"Red": self.red}, [self.threeD])
        self.shortcuts = [fake_qt.Shortcut(number) for number in (1, 0, None)]  # key 1, Esc, another one's
        fake_slicer.install(monkeypatch, self.layout, self.shortcuts)
        for name in [name for name in sys.modules if name.startswith(QT_MODULES)]:
            monkeypatch.delitem(sys.modules, name)

        image = Volume(np.zeros(SHAPE, np.int16), np.eye(4))
        self.volume = node_from_volume(self.live.mrml, image, "image")
        self.segmentation = self.live.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
        self.segmentation.CreateDefaultDisplayNodes()
        self.editor = LogicEditor(self.live, self.volume, self.segmentation)
        self.worker = FakeWorker()
        self.worker.worker = self.worker
        monkeypatch.setattr(slicer, "mrmlScene", self.live.mrml, raising=False)
        self.shared = importlib.import_module("MedSegDLLib.gui.shared")
        self.shared.useSegmenter(self.worker)
        package = importlib.import_module("SegmentEditorMedSegDLLib")
        self.scripted = fake_slicer.ScriptedEffect(self.editor)
        self.effect = package.SegmentEditorEffect(self.scripted)
        self.effect.setupOptionsFrame()
        self.effect.setMRMLDefaults()
        self.ui = self.effect.view.ui

    def activate(self):
        self.effect.updateGUIFromMRML()  # Slicer's own activate does so first
        self.effect.activate()
        self.tick()
        return self

    def tick(self):
        """As the timer does."""
        if self.effect.view._timer.active:
            self.effect.view._timer.send("timeout")

    def mouse(self, *positions, view=None, **keys):
        """Press at the first, move, release at the last; returns what each event was answered."""
        view = view or self.red
        events = [vtk.vtkCommand.LeftButtonPressEvent]
        events += [vtk.vtkCommand.MouseMoveEvent] * (len(positions) - 1) + [vtk.vtkCommand.LeftButtonReleaseEvent]
        return [
            self.effect.processInteractionEvents(Interactor(xy, **keys), event, view)
            for xy, event in zip((*positions, positions[-1]), events)
        ]

    def key(self, name):
        return self.effect.processInteractionEvents(Interactor(key=name), vtk.vtkCommand.KeyPressEvent, self.red)

    def actors(self):
        return [actor for actor in self.red.renderer.GetViewProps() if actor.GetVisibility()]


class SelectsNothing:
    """A parameter node that loses what is selected."""

    def __init__(self, node):
        self._node = node

    def __getattr__(self, name):
        return getattr(self._node, name)

    def SetSelectedSegmentID(self, identifier):
        self._node.SetSelectedSegmentID(None)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    threshold_bundle(folder / "thresholds")
    return folder


@pytest.fixture
def window(monkeypatch, models):
    monkeypatch.setenv("MEDSEG_MODELS", str(models))
    window = Window(monkeypatch).activate()
    yield window
    window.effect.cleanup()
    slicer.app.send("aboutToQuit")


def test_what_the_editor_reads_before_anyone_clicks(window):
    assert (window.scripted.name, window.scripted.title) == ("MedSeg", "MedSeg")
    assert window.scripted.perSegment is False and window.scripted.requireSegments is False
    assert "Left click" in window.effect.helpText()
    assert [options.widgets for options in window.scripted.options] == [window.ui]
    assert window.effect.icon() and window.effect.createCursor(window.red)
    assert window.ui.hintLabel.text.startswith("Click a structure.") and window.ui.statusLabel.text.startswith("Ready.")
    assert not window.ui.keepButton.enabled and not window.ui.progressBar.visible


def test_the_registered_effect_has_no_options_and_survives_what_it_is_told(window):
    registered = type(window.effect)(fake_slicer.ScriptedEffect())
    registered.sourceVolumeNodeChanged()
    registered.layoutChanged()
    registered.cleanup()


def test_registering_and_cloning_name_the_file_that_holds_the_class(window, monkeypatch):
    class Adaptor:
        made = []

        def __init__(self, parent):
            self.registered = False
            self.made.append(self)

        def setPythonSource(self, path):
            self.path = Path(path)

        def self(self):
            return self

        def register(self):
            self.registered = True

    fakes = SimpleNamespace(qSlicerSegmentEditorScriptedEffect=Adaptor)
    monkeypatch.setitem(sys.modules, "qSlicerSegmentationsEditorEffectsPythonQt", fakes)
    package = sys.modules["SegmentEditorMedSegDLLib"]
    package.registerEffect()
    clone = window.effect.clone()
    assert [one.registered for one in Adaptor.made] == [True, False] and clone is Adaptor.made[1]
    for adaptor in Adaptor.made:
        # Slicer looks in the module called like the folder for the class called like the file
        assert adaptor.path.is_file() and hasattr(sys.modules[adaptor.path.parent.name], adaptor.path.stem)


def test_a_click_in_a_slice_view_and_enter(window):
    assert window.mouse((150, 100)) == [True, True]
    (point,) = window.effect.presenter.clicks.prompts.points
    assert np.allclose(point.ras, window.slice.GetXYToRAS().MultiplyPoint((150, 100, 0, 1))[:3]) and point.include
    window.tick()
    assert window.ui.keepButton.enabled and window.ui.countsLabel.text == "1 + / 0 -"
    assert window.actors() and window.red.renders
    assert window.key("Return") is True
    segment = window.editor.selected_segment_id
    assert segment_mask(window.segmentation, segment, SHAPE).sum() == 8
    assert not window.actors() and not window.ui.keepButton.enabled
    window.editor.undo()
    assert window.segmentation.GetSegmentation().GetNumberOfSegments() == 0


def test_escape_only_while_there_is_something_to_discard(window):
    assert window.key("Escape") is False and window.key("Return") is False and window.key("z") is False
    assert [len(shortcut.filters) for shortcut in window.shortcuts] == [0, 1, 0]
    (escapes,) = window.shortcuts[1].filters
    pressed = fake_qt.Event(117)
    assert escapes.eventFilter(window.shortcuts[1], pressed) is False, "then it leaves the effect"
    window.mouse((150, 100))
    window.tick()
    assert escapes.eventFilter(window.shortcuts[1], fake_qt.Event(5)) is False
    assert escapes.eventFilter(window.shortcuts[1], pressed) is True
    assert window.effect.presenter.state is State.IDLE and not window.actors()
    window.mouse((150, 100))
    window.tick()
    assert window.key("Escape") is True
    assert window.effect.presenter.state is State.IDLE and not window.actors()


def test_strokes_boxes_and_exclusion(window):
    window.ui.radiusSpinBox.value = 1.5
    window.mouse((100, 100), (140, 100), (160, 120))
    window.mouse((50, 50), (200, 150), shift=True)
    window.mouse((30, 30), control=True)
    window.ui.includeButton.checked = False
    window.mouse((40, 30))
    window.mouse((60, 30), control=True)
    prompts = window.effect.presenter.clicks.prompts
    assert len(prompts.strokes[0].ras) == 3 and prompts.strokes[0].radius_mm == 1.5
    assert len(prompts.boxes) == 1
    assert [point.include for point in prompts.points] == [False, False, True]


def test_a_drag_is_drawn_until_it_ends(window):
    press, move = vtk.vtkCommand.LeftButtonPressEvent, vtk.vtkCommand.MouseMoveEvent
    assert window.effect.processInteractionEvents(Interactor((50, 50)), press, window.red)
    assert window.effect.processInteractionEvents(Interactor((90, 50)), move, window.red)
    assert window.actors()
    window.effect.deactivate()
    assert not window.red.renderer.GetViewProps().GetNumberOfItems()


def test_the_second_of_two_quick_clicks_counts_and_does_not_enlarge_the_view(window):
    double = vtk.vtkCommand.LeftButtonDoubleClickEvent
    window.mouse((150, 100))
    assert window.effect.processInteractionEvents(Interactor((60, 60)), double, window.red) is True
    window.effect.processInteractionEvents(Interactor((60, 60)), vtk.vtkCommand.LeftButtonReleaseEvent, window.red)
    assert len(window.effect.presenter.clicks.prompts) == 2


def test_a_double_click_in_one_place_draws_one_point(window):
    window.mouse((150, 100))
    for event in (vtk.vtkCommand.LeftButtonDoubleClickEvent, vtk.vtkCommand.LeftButtonReleaseEvent):
        window.effect.processInteractionEvents(Interactor((151, 100)), event, window.red)
    assert len(window.effect.presenter.clicks.prompts) == 1


def test_a_click_on_a_drawn_point_removes_it(window):
    window.mouse((150, 100))
    window.mouse((60, 60))
    window.mouse((152, 101))
    assert len(window.effect.presenter.clicks.prompts) == 1


def test_moving_the_mouse_without_a_button_is_not_ours(window):
    assert window.effect.processInteractionEvents(Interactor(), vtk.vtkCommand.MouseMoveEvent, window.red) is False


def test_the_drawing_follows_the_slice(window):
    window.mouse((150, 100))
    window.tick()
    assert len(window.actors()) > 0
    window.slice.SetSliceToRASByNTP(0, 0, 1, 1, 0, 0, 14.5, 9.5, 9, 0)
    window.slice.UpdateMatrices()
    window.effect.processViewNodeEvents(window.slice, vtk.vtkCommand.ModifiedEvent, window.red)
    assert window.actors() == []


def test_a_surface_is_clicked_in_the_3d_view(window):
    ball = vtk.vtkSphereSource()
    ball.SetCenter(14, 9, 5)
    ball.SetRadius(4)
    ball.SetThetaResolution(60)
    ball.SetPhiResolution(60)
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputConnection(ball.GetOutputPort())
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    shown = vtk.vtkRenderWindow()
    shown.SetOffScreenRendering(1)
    shown.SetSize(200, 200)
    shown.AddRenderer(window.threeD.renderer)
    window.threeD.renderer.AddActor(actor)
    camera = window.threeD.renderer.GetActiveCamera()
    camera.SetFocalPoint(14, 9, 5)
    camera.SetPosition(14, 9, 60)
    camera.SetViewUp(0, 1, 0)
    window.threeD.renderer.ResetCameraClippingRange()
    shown.Render()
    assert window.mouse((100, 100), view=window.threeD) == [False, False], "the camera must still turn"
    (point,) = window.effect.presenter.clicks.prompts.points
    assert np.allclose(point.ras, (14, 9, 8), atol=0.2), "a voxel behind the surface at z = 9"
    window.mouse((100, 100), (150, 100), view=window.threeD)
    window.mouse((2, 2), view=window.threeD)
    assert len(window.effect.presenter.clicks.prompts) == 1


def test_the_methods_for_scripts(window):
    effect = window.effect
    assert effect.addPoint([10, 10, 5]) and effect.addPoint((12, 10, 5), include=False)
    assert effect.addStroke(np.array([[10, 10, 5], [11, 10, 5]]), radiusMm=1.0)
    assert effect.addBox([(1, 1, 1), (20, 15, 8)])
    effect.undoPoint()
    effect.waitUntilIdle(5)
    assert effect.keep() is True
    assert segment_mask(window.segmentation, window.editor.selected_segment_id, SHAPE).any()
    assert effect.keep() is False and not effect.addPoint((500, 0, 0))
    effect.addPoint((10, 10, 5))
    effect.discard()
    assert len(effect.presenter.clicks.prompts) == 0


def test_scripts_hear_of_failures(window):
    window.worker.fails["prompt"] = InputError("Nothing to see.", "Look elsewhere.")
    window.effect.addPoint((10, 10, 5))
    with pytest.raises(InputError, match="Nothing to see"):
        window.effect.waitUntilIdle(5)
    window.worker.fails.clear()
    window.worker.holds = {"prompt"}
    window.effect.addPoint((10, 11, 5))
    with pytest.raises(TimeoutError, match="Segmenting"):
        window.effect.waitUntilIdle(0.05)
    window.worker.die(WorkerError("It died."))
    with pytest.raises(WorkerError):
        window.effect.waitUntilIdle(5)


def test_everything_is_segmented_with_what_was_ticked(window):
    window.ui.modelComboBox.pick("thresholds")
    names = [item.text() for item in window.ui.structuresList.items]
    window.ui.noneButton.click()
    assert not window.ui.runButton.enabled and window.ui.runButton.toolTip == "Tick at least one structure."
    window.ui.allButton.click()
    window.ui.structuresList.items[1].setCheckState(0)
    window.ui.mirrorCheckBox.setChecked(True)
    window.worker.holds = {"segment"}
    window.ui.runButton.click()
    assert window.ui.runButton.text == "Cancel"
    window.worker.report_progress(3, 9, "windows")
    window.tick()
    assert window.ui.progressBar.visible and (window.ui.progressBar.value, window.ui.progressBar.maximum) == (3, 9)
    window.worker.holds = set()
    window.tick()
    assert window.worker.runs[0]["options"] == {"mirror": True}
    segmentation = window.segmentation.GetSegmentation()
    assert [segmentation.GetNthSegment(0).GetName()] == names[:1] and segmentation.GetNumberOfSegments() == 1
    assert window.ui.runButton.text == "Segment" and not window.ui.progressBar.visible


def test_options_are_kept_in_the_scene(window):
    window.ui.whereComboBox.pick("roi")
    window.ui.deviceComboBox.pick("cpu")
    roi = window.live.mrml.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    window.ui.roiSelector.setCurrentNode(roi)
    window.ui.structuresList.items[0].setCheckState(0)
    window.ui.radiusSpinBox.setValue(2.5)
    window.ui.smoothingSpinBox.setValue(1.5)
    window.ui.islandsCheckBox.setChecked(True)
    chosen = window.effect.presenter.choices
    assert (chosen.prompting.smoothing_mm, chosen.prompting.islands) == (1.5, "clicked")
    assert (chosen.where, chosen.device) == ("roi", "cpu") and window.ui.roiSelector.enabled
    window.effect.deactivate()  # what changes now, changes by itself
    window.ui.whereComboBox.pick("whole")
    window.ui.roiSelector.setCurrentNode(None)
    window.ui.radiusSpinBox.value = 0.0
    window.ui.smoothingSpinBox.setValue(0.0)
    window.ui.islandsCheckBox.setChecked(False)
    window.effect.updateGUIFromMRML()
    assert (
        window.ui.whereComboBox.itemData(window.ui.whereComboBox.currentIndex) == "roi"
        and window.ui.roiSelector.currentNode() is roi
    )
    assert window.effect.view.strokeRadiusMm == 2.5
    assert window.ui.structuresList.items[0].checkState() == 0
    assert window.effect.presenter.choices == chosen


def test_the_devices_are_those_that_the_worker_has_told_of(window):
    devices = window.ui.deviceComboBox
    assert devices.texts == ["Automatic", "cpu: Abacus, 16 GB", "cuda:0: Loom, 24 GB"]
    devices.pick("cuda:0")
    window.scripted.setParameter("Device", "cuda:3")  # of a scene from another computer
    window.effect.updateGUIFromMRML()
    assert window.effect.presenter.choices.device == "cuda:3"


def test_what_is_known_of_a_model_is_shown_when_asked_for(window):
    assert not window.ui.modelInfoLabel.visible and not window.ui.prompterInfoLabel.visible
    window.ui.modelComboBox.pick("hippocampus-mr")
    window.ui.modelInfoButton.click()
    assert window.ui.modelInfoLabel.visible and "Posterior hippocampus" in window.ui.modelInfoLabel.text
    assert window.ui.modelComboBox.toolTip.startswith("MR, 2 structures, 1 mm, ")
    window.ui.prompterInfoButton.click()
    assert window.ui.prompterInfoLabel.visible and "Needs no training" in window.ui.prompterInfoLabel.text
    window.ui.modelInfoButton.click()
    assert not window.ui.modelInfoLabel.visible


def entries_with(monkeypatch, *more):
    view = sys.modules["MedSegDLLib.gui.effect_view"]
    monkeypatch.setattr(view, "read_catalogue", lambda: (*more, ENTRY))


def test_a_model_that_takes_several_images_is_grey(window, monkeypatch):
    network = replace(HIPPOCAMPUS.spec.network, in_channels=2)
    spec = replace(HIPPOCAMPUS.spec, network=network, channels=("T1", "T2"))
    entries_with(monkeypatch, ModelEntry("brain", ENTRY.folder, replace(HIPPOCAMPUS, spec=spec)))
    window.effect.view.refreshModels()
    models = window.ui.modelComboBox
    row = models.findData("brain")
    assert models.dataOf(row, fake_qt.DISABLED_ROLE) == 0
    assert models.dataOf(row, fake_qt.TOOL_TIP_ROLE).startswith("Takes 2 images at once")
    assert models.dataOf(models.findData(ENTRY.name), fake_qt.DISABLED_ROLE) is None
    window.scripted.setParameter("Model", "")
    window.effect.updateGUIFromMRML()
    assert window.effect.presenter.choices.model == ENTRY.name, "the first that can run"


def test_clicks_go_to_the_model_that_fits_the_image_unless_the_user_chose_another(window, monkeypatch):
    bundle = replace(HIPPOCAMPUS, spec=replace(HIPPOCAMPUS.spec, prompts=("point",), modality=("CT",)))
    prompter = ModelEntry("clicks", ENTRY.folder, bundle)
    entries_with(monkeypatch, prompter)
    window.effect.view.refreshModels()
    prompters = window.ui.prompterComboBox
    assert prompters.texts == ["Hippocampus, MR", "Any structure (built in)"], "an image of no modality fits any"
    assert window.effect.presenter.choices.prompting.model == ENTRY.folder
    other = node_from_volume(window.live.mrml, Volume(np.zeros(SHAPE, np.int16), np.eye(4), "MR"))
    window.editor.node.SetAndObserveSourceVolumeNode(other)
    window.effect.sourceVolumeNodeChanged()
    assert prompters.texts[0] == "Any structure (built in)"
    assert window.effect.presenter.choices.prompting.model is None
    prompters.pick("clicks")
    window.editor.node.SetAndObserveSourceVolumeNode(window.volume)
    window.effect.sourceVolumeNodeChanged()
    window.ui.prompterComboBox.pick("built-in")
    window.effect.view.refreshModels()
    assert (
        window.effect.presenter.choices.prompting.model is None and window.scripted.parameter("Prompter") == "built-in"
    )


def test_a_new_roi_begins_around_the_volume(window):
    window.ui.whereComboBox.pick("roi")
    roi = window.live.mrml.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    window.ui.roiSelector.setCurrentNode(roi)
    assert window.effect.segmentEverything("thresholds")
    assert window.worker.runs[0]["region"] == tuple(slice(0, size) for size in SHAPE)
    window.effect.deactivate()
    another = window.live.mrml.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    window.ui.roiSelector.setCurrentNode(another)
    assert another.GetSize() == (0, 0, 0), "what changes by itself changes nothing else"


def test_a_roi_limits_the_run(window):
    roi = window.live.mrml.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(10, 10, 5)
    roi.SetSize(4, 4, 4)
    window.ui.whereComboBox.pick("roi")
    window.ui.roiSelector.setCurrentNode(roi)
    assert window.effect.segmentEverything("thresholds")
    window.effect.waitUntilIdle(5)
    assert window.worker.runs[0]["region"] == (slice(3, 8), slice(8, 13), slice(8, 13))


def test_the_current_view_is_a_region(window):
    window.ui.whereComboBox.pick("view")
    assert window.effect.segmentEverything("thresholds")
    region = window.worker.runs[0]["region"]
    assert region[0] == slice(0, 10) and region[1].stop - region[1].start == 20


def test_the_scene_is_closed_while_the_effect_is_active(window, monkeypatch):
    monkeypatch.setattr(slicer, "mrmlScene", window.live.mrml)
    window.effect._observeScene()
    window.mouse((150, 100))
    window.tick()
    window.live.mrml.Clear(0)
    assert window.effect.presenter.state is State.IDLE and not window.actors()
    assert window.effect.presenter._scene._image is None, "the image's memory would outlive the scene"
    window.effect.deactivate()
    assert window.effect._observations == []


def test_a_node_that_is_deleted_takes_the_points_along(window):
    window.mouse((150, 100))
    window.tick()
    window.live.mrml.RemoveNode(window.volume)
    assert window.effect.view._timer.active
    window.tick()
    assert len(window.effect.presenter.clicks.prompts) == 0 and not window.effect.view._timer.active


def test_what_nobody_foresaw_is_met_once(window, monkeypatch):
    window.worker.holds = {"prompt"}
    window.mouse((150, 100))
    monkeypatch.setattr(window.worker, "poll", lambda: 1 / 0)
    window.tick()
    assert window.effect.presenter.state is State.FAILED and not window.effect.view._timer.active
    assert "nobody foresaw" in window.ui.statusLabel.text and "ZeroDivisionError" in window.ui.statusLabel.toolTip


def test_a_layout_with_other_views(window):
    window.mouse((150, 100))
    window.tick()
    other = fake_slicer.View("qMRMLSliceWidget", window.slice, vtk.vtkRenderer())
    window.layout.slices = {"Red": other}
    window.effect.layoutChanged()
    assert window.red.renderer.GetViewProps().GetNumberOfItems() == 0
    assert other.renderer.GetViewProps().GetNumberOfItems() > 0


def test_a_layout_with_the_first_slice_view(window):
    window.layout.slices = {}
    window.effect.addPoint((10, 10, 5))
    window.effect.waitUntilIdle(5)
    window.layout.slices = {"Red": window.red}
    window.effect.layoutChanged()
    assert window.actors()


def test_a_slice_view_that_was_made_anew_is_followed(window):
    window.mouse((150, 100))
    window.tick()
    other = fake_slicer.View("qMRMLSliceWidget", window.slice, vtk.vtkRenderer())
    window.red.destroyed = True
    window.effect.processViewNodeEvents(window.slice, vtk.vtkCommand.ModifiedEvent, other)
    assert window.red.renderer.GetViewProps().GetNumberOfItems() == 0
    assert other.renderer.GetViewProps().GetNumberOfItems() > 0


def test_a_structure_is_kept_although_the_table_drops_the_selection(window):
    """As a Segment Editor does whose table of segments is filtered."""
    window.scripted.parameterSetNode = lambda: SelectsNothing(window.editor.node)
    window.mouse((150, 100))
    window.tick()
    assert window.effect.keep() is True
    (segment,) = window.segmentation.GetSegmentation().GetSegmentIDs()
    assert segment_mask(window.segmentation, segment, SHAPE).sum() == 8


def test_the_workers_python_may_lie_beside_an_application_that_no_launcher_started(window, tmp_path, monkeypatch):
    find = sys.modules["MedSegDLLib.gui.shared"]._pythonBesideApplication
    monkeypatch.setattr(slicer.app, "slicerHome", str(tmp_path))
    monkeypatch.delenv("MEDSEG_WORKER_PYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find() is None
    python = tmp_path / "bin" / "PythonSlicer"
    python.parent.mkdir()
    python.touch(mode=0o755)
    assert find() == str(python)
    monkeypatch.setenv("MEDSEG_WORKER_PYTHON", "/somewhere/python")
    assert find() is None


def test_without_a_window_there_is_nothing_to_draw_in(window):
    window.effect.deactivate()
    window.layout.slices, window.layout.threeD = {}, []
    window.activate()
    window.effect.addPoint((10, 10, 5))
    window.effect.waitUntilIdle(5)
    assert window.effect.keep()


def test_cleaning_up_lets_go_of_everything(window):
    window.mouse((150, 100))
    window.tick()
    window.effect.cleanup()
    widgets = [widget for widget in vars(window.ui).values() if isinstance(widget, fake_qt.Widget)]
    assert all(widget.slots == [] for widget in widgets) and window.effect.view._timer.slots == []
    assert window.red.renderer.GetViewProps().GetNumberOfItems() == 0


# The worker, and its packages


def test_closing_the_scene_ends_the_worker(window):
    """With only the effect in use: nobody else is there to do it."""
    assert window.worker.is_running
    window.live.mrml.Clear(0)
    assert not window.worker.is_running, "it still holds the image"
    window.volume = node_from_volume(window.live.mrml, Volume(np.zeros(SHAPE, np.int16), np.eye(4)), "another")
    segmentation = window.live.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode")
    window.scripted.editor = LogicEditor(window.live, window.volume, segmentation)
    window.effect.sourceVolumeNodeChanged()
    assert window.worker.is_running and window.worker.starts == 2


def test_quitting_ends_the_worker(window):
    slicer.app.send("aboutToQuit")
    assert not window.worker.is_running


def test_the_worker_is_watched_once(window):
    window.shared.useSegmenter(window.worker)
    assert [signal for signal, _slot in slicer.app.slots] == ["aboutToQuit()"]


def test_a_model_runs_only_once_its_packages_are_there(window, monkeypatch):
    install = importlib.import_module("MedSegDLLib.gui.install")
    lacking = SimpleNamespace(ok=False, can_install=True, sentence="It lacks openvino.", remedy="", details="")
    monkeypatch.setattr(install, "probe", lambda python, requirements: {})
    monkeypatch.setattr(install, "assess", lambda *_: lacking)
    monkeypatch.setattr(install, "mayInstall", lambda sentence, details: questions.append(sentence) or False)
    questions = []
    monkeypatch.setattr(window.shared, "_prepare", None)  # the session's own worker
    window.effect.cleanup()
    window.effect = type(window.effect)(window.scripted)
    window.effect.setupOptionsFrame()
    window.effect.activate()
    assert window.effect.segmentEverything("thresholds")
    with pytest.raises(MedSegError, match="It lacks openvino."):
        window.effect.waitUntilIdle(5)
    assert questions == ["It lacks openvino. "] and not window.worker.runs
