import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

OVERLAP_OF_THE_MODEL = -1


class MedSegDL(ScriptedLoadableModule):
    """Segments a volume with a model, in a worker process of its own."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedSegDL")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations"]
        parent.contributors = ["MedSegDL founders"]
        parent.helpText = _("""
Segments all structures that a model knows in one step: choose a volume and a model, then Apply. The same models, and
clicks on a single structure, are in the Segment Editor under the effect MedSeg.
The image never leaves this computer. See the
<a href="https://github.com/MedSegDL/SlicerMedSegDL#readme">documentation</a>.
""")
        parent.acknowledgementText = _("""
Built on MONAI, PyTorch, OpenVINO, SimpleITK, pydicom and highdicom. Each model names its data and its license.
""")
        slicer.app.connect("startupCompleted()", registerEffect)
        slicer.app.connect("startupCompleted()", registerSample)


def registerEffect():
    """Put the effect "MedSeg" into the Segment Editor."""
    import SegmentEditorMedSegDLLib

    SegmentEditorMedSegDLLib.registerEffect()


def registerSample():
    """Offer our sample in the module Sample Data."""
    from MedSegDLLib.gui.sample_data import registerSample

    registerSample()


@parameterNodeWrapper
class MedSegDLParameterNode:
    """What the user chose; the fields of MedSegDLLib.interaction.module_ports.Choices, as a scene can keep them."""

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    moreVolumes: list[slicer.vtkMRMLScalarVolumeNode]
    allFrames: bool = False
    modelName: str = ""
    leftOut: list[str]
    region: str = "whole"
    roi: slicer.vtkMRMLMarkupsROINode
    outputSegmentation: slicer.vtkMRMLSegmentationNode
    device: str = "auto"
    overlapPercent: Annotated[int, WithinRange(OVERLAP_OF_THE_MODEL, 90)] = OVERLAP_OF_THE_MODEL
    mirror: bool = False
    keepLargest: str = "model"
    allowOtherModality: bool = False


class MedSegDLWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Joins the panel, its parameter node and the presenter, which decides."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.view = None
        self.presenter = None
        self.modelsView = None
        self.batchView = None
        self._installation = None
        self._parameters = None

    def setup(self):
        from MedSegDLLib.gui.module_view import ModuleView
        from MedSegDLLib.gui.parameters import ParameterLink
        from MedSegDLLib.interaction.module_wording import ModuleWording

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedSegDL.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = MedSegDLLogic()
        self._parameters = ParameterLink(self.ui, self._takeChoices)
        self._wording = ModuleWording(_)
        self.view = ModuleView(self.ui, self._wording, self.onChosen)
        self.startPresenter()
        self._addPanels()
        self._connect()
        self.initializeParameterNode()

    def startPresenter(self, segmenter=None, prepare=None, timings=None):
        """Begin with a presenter that has chosen nothing yet; a test gives another segmenter.

        :param segmenter: runs the models; by default the session's own.
        :param prepare: looks at the worker's packages before each run.
        :param timings: what earlier runs took; by default what is kept on this computer.
        """
        from MedSegDLLib.gui.install import Installation
        from MedSegDLLib.interaction.module import ModulePresenter
        from MedSegDLLib.scene.module_scene import ModuleScene

        if self._installation:
            self._installation.close()
        self._installation = Installation(
            python=self.logic.workerPython, onWorth=self._showNote, isWanted=lambda: self.presenter.is_busy
        )
        self._showNote("")
        self.presenter = ModulePresenter(
            segmenter or self.logic.segmenter(),
            ModuleScene(lambda: slicer.mrmlScene),
            self.view,
            self._wording,
            timings,
            prepare=prepare or self._installation.prepare,
        )
        self.view.start(self.presenter)
        if self._parameterNode:
            self._takeChoices()

    def _addPanels(self):
        from MedSegDLLib.gui.batch_view import BatchView
        from MedSegDLLib.gui.models_view import ModelsView
        from MedSegDLLib.model_store import ModelStore

        self.modelsView = ModelsView(ModelStore(), self.onModelsChanged)
        self.ui.modelsCollapsibleButton.layout().addWidget(self.modelsView.widget)
        self.batchView = BatchView(
            self.logic.segmenter,
            lambda: self.presenter.choices,
            python=self.logic.workerPython,
            isBusy=lambda: self.presenter.is_busy,
        )
        self.ui.batchCollapsibleButton.layout().addWidget(self.batchView.widget)

    def _connect(self):
        from MedSegDLLib.gui.shared import WORKER_PYTHON_SETTING

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.workerPythonEdit.currentPath = slicer.util.settingsValue(WORKER_PYTHON_SETTING, "") or ""
        self.ui.workerPythonEdit.connect("currentPathChanged(QString)", self.onWorkerPython)
        self.ui.roiSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onRoi)
        self.ui.roiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.onRoi)
        self.ui.editButton.connect("clicked(bool)", self.onEdit)
        self.ui.tableButton.connect("clicked(bool)", self.onTable)
        self.ui.dicomButton.connect("clicked(bool)", self.onDicom)
        self.ui.logButton.connect("clicked(bool)", self.onLog)
        self.ui.failureLogButton.connect("clicked(bool)", self.onLog)
        self.ui.repairButton.connect("clicked(bool)", self.onRepair)

    def cleanup(self):
        """Slicer quits or loads the module anew; `setup` may have failed half-way."""
        for part in (self._installation, self.batchView, self.modelsView, self.view):
            if part:
                part.close()
        self.removeObservers()
        if self._parameters:
            self._parameters.part()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self._parameters.part()

    def onSceneStartClose(self, _caller, _event):
        self.presenter.scene_closed()
        self._parameters.part()

    def onSceneEndClose(self, _caller, _event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    # The parameter node

    @property
    def _parameterNode(self):
        """None while the module is left, and while the scene is closed."""
        return self._parameters.node

    def initializeParameterNode(self):
        """Have a parameter node with something chosen in it."""
        self._parameters.join(self.logic.getParameterNode())
        node = self._parameterNode
        if not node.inputVolume:
            volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")  # labelmaps are among them
            images = [volume for volume in volumes if volume.GetClassName() == "vtkMRMLScalarVolumeNode"]
            node.inputVolume = images[0] if images else None
        if not node.modelName:  # for the volume's modality, if there is one
            usable = [entry.name for entry in self.presenter.found_models() if not entry.problem]
            node.modelName = usable[0] if usable else ""

    def _takeChoices(self):
        from MedSegDLLib.interaction.module_ports import KEEP_LARGEST

        node = self._parameterNode
        self.presenter.choose(
            replace(
                self.presenter.choices,
                volume_node=node.inputVolume,
                all_frames=node.allFrames,
                model=node.modelName,
                left_out=frozenset(node.leftOut),
                where=node.region,
                roi_node=node.roi,
                segmentation_node=node.outputSegmentation,
                device=node.device,
                overlap=None if node.overlapPercent == OVERLAP_OF_THE_MODEL else node.overlapPercent / 100,
                mirror=True if node.mirror else None,
                keep_largest=KEEP_LARGEST.get(node.keepLargest),
                more_volume_nodes=tuple(node.moreVolumes),
                allow_other_modality=node.allowOtherModality,
            )
        )
        self.view.refresh()
        if self.batchView:
            self.batchView.choicesChanged()

    def onChosen(self, model=None, left_out=None, where=None, device=None, keep_largest=None, more_volumes=None):
        """Keep what was chosen in a list that no parameter is connected to."""
        node = self._parameterNode
        if node is None:
            return
        with slicer.util.NodeModify(node):
            if model is not None:
                node.modelName = model
            if left_out is not None:
                node.leftOut = sorted(left_out)
            if where is not None:
                node.region = where
            if device is not None:
                node.device = device
            if keep_largest is not None:
                node.keepLargest = keep_largest
            if more_volumes is not None:
                node.moreVolumes = more_volumes

    # Buttons

    def onModelsChanged(self):
        self.presenter.refresh_models()
        self.view.refresh()

    def onRoi(self, roiNode):
        """One that has just been made begins as the box around the volume."""
        from MedSegDLLib.scene.regions import surround_new

        volumeNode = self.presenter.choices.volume_node
        if self._parameterNode and roiNode and volumeNode:
            surround_new(roiNode, volumeNode)
            self.presenter.show()
            self.view.refresh()

    def onWorkerPython(self, path):
        from MedSegDLLib.gui.shared import WORKER_PYTHON_SETTING

        qt.QSettings().setValue(WORKER_PYTHON_SETTING, path)

    def onEdit(self, _checked=False):
        from MedSegDLLib.gui.dicom_export import referenceVolume

        node = self._segmentation()
        if node is None:
            return
        if slicer.util.mainWindow():
            slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(referenceVolume(node))

    def onTable(self, _checked=False):
        """Write the volumes into a table, and show it where there is a window."""
        from MedSegDLLib.scene.measurements import measurements_node

        node, outcome = self._segmentation(), self.view.outcome
        if node is None:
            return None
        measurements = [(finding.name, finding.volumes_ml) for finding in outcome.findings]
        name = _("{segmentation} volumes").format(segmentation=node.GetName())
        table = measurements_node(slicer.mrmlScene, measurements, name)
        layoutManager = slicer.app.layoutManager()
        if layoutManager:
            layoutManager.setLayout(slicer.modules.tables.logic().GetLayoutWithTable(layoutManager.layout))
            slicer.app.applicationLogic().GetSelectionNode().SetActiveTableID(table.GetID())
            slicer.app.applicationLogic().PropagateTableSelection()
        return table

    def onDicom(self, _checked=False):
        from MedSegDLLib.errors import MedSegError
        from MedSegDLLib.gui.dicom_export import exportSegmentation

        node = self._segmentation()
        folder = node and qt.QFileDialog.getExistingDirectory(self.parent, _("Folder for the DICOM SEG"))
        if not folder:
            return
        try:
            exportSegmentation(node, folder)
        except MedSegError as error:
            slicer.util.errorDisplay(str(error), detailedText=error.details)
        else:
            slicer.util.showStatusMessage(_("The DICOM SEG was written into {folder}.").format(folder=folder), 5000)

    def onLog(self, _checked=False):
        path = self.logic.segmenter().log_path
        if path.is_file():
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))
        else:
            slicer.util.showStatusMessage(_("There is no log yet: the worker has not run."), 5000)

    def _segmentation(self):
        """The result's segmentation; None once it was deleted."""
        outcome = self.view.outcome
        node = outcome and outcome.segmentation_node
        return node if node and slicer.mrmlScene.IsNodePresent(node) else None

    def _showNote(self, sentence):
        """What is worth knowing of the worker's packages: a GPU that lies idle."""
        findings = self._installation.lastFindings
        self.ui.noteLabel.text = sentence
        self.ui.noteFrame.visible = bool(sentence)
        self.ui.repairButton.visible = bool(sentence and findings and findings.can_install)

    def onRepair(self, _checked=False):
        if self.presenter.is_busy:
            return
        self._installation.repair(self._installation.lastFindings, self._showNote)


class MedSegDLLogic(ScriptedLoadableModuleLogic):
    """The same calls for the module's window, the Python console and scripts; never opens a dialog."""

    def getParameterNode(self):
        return MedSegDLParameterNode(super().getParameterNode())

    def modelNames(self):
        """Names of the models that came with this extension, and of those that the user added."""
        from MedSegDLLib.models import installed_models

        return list(installed_models())

    def segment(self, volumeNode, modelName, device="auto", progress=None, cancelled=None):
        """Segment a volume and wait for the result.

        :param volumeNode: vtkMRMLScalarVolumeNode to segment.
        :param modelName: one of modelNames().
        :param device: "auto", or a device such as "cpu" or "cuda:0".
        :param progress: called with the windows done, their number, and what is being done.
        :param cancelled: called twenty times a second; when it returns True, the run ends with CancelledError.
        :return: the new vtkMRMLSegmentationNode.
        :raises MedSegDLLib.errors.MedSegError: says what happened and what to do.
        """
        segmenter = self.segmenter()
        return segmenter.segment(volumeNode, modelName, device=device, progress=progress, cancelled=cancelled)

    @staticmethod
    def segmenter():
        """The session's one MedSegDLLib.scene.run.Segmenter, for the module, the effect and scripts."""
        from MedSegDLLib.gui.shared import sharedSegmenter

        return sharedSegmenter()

    @staticmethod
    def closeWorker():
        """End the worker process and free what it holds; the next run starts a new one."""
        from MedSegDLLib.gui.shared import closeWorker

        closeWorker()

    @staticmethod
    def workerPython():
        """The Python that runs the worker: the user's own, or Slicer's."""
        from MedSegDLLib.gui.shared import workerPython

        return workerPython()


class MedSegDLTest(ScriptedLoadableModuleTest):
    """The window with a true worker process whose models are thresholds: no network, no PyTorch, no OpenVINO.

    One test has a true model, where the worker's Python has the packages.
    """

    PATIENCE_SECONDS = 60
    HEART_ML = 684  # of the sample, as its model finds it elsewhere; it was drawn with 722

    def setUp(self):
        from MedSegDLLib.gui.shared import nothingToPrepare
        from MedSegDLLib.interaction.timings import Timings

        self.environment = {name: os.environ.get(name) for name in ("MEDSEG_PRACTICE_SECONDS", "MEDSEG_MODELS")}
        slicer.mrmlScene.Clear()
        self.widget = slicer.modules.medsegdl.widgetRepresentation().self()
        self.segmenter = self._practiceSegmenter()
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.timings = Timings(Path(self.folder.name) / "timings.json")  # practice says nothing about the true models
        self.widget.startPresenter(self.segmenter, nothingToPrepare, self.timings)
        self.widget.initializeParameterNode()
        self.parameters = self.widget.logic.getParameterNode()
        self.parameters.modelName = "hippocampus-mr"

    def tearDown(self):
        for name, value in self.environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        slicer.mrmlScene.Clear()
        self.segmenter.close()
        self.widget.startPresenter()
        self.folder.cleanup()

    def test_applyIsGreyWithoutVolume(self):
        self.assertFalse(self.widget.ui.applyButton.enabled)
        self.assertEqual(self.widget.ui.applyButton.toolTip, _("Choose a volume."))
        self._addVolume()
        self.assertTrue(self.widget.ui.applyButton.enabled)

    def test_otherModalityMustBeAllowed(self):
        self._addVolume(modality="CT")
        self.assertFalse(self.widget.ui.applyButton.enabled)
        self.widget.ui.otherModalityCheckBox.checked = True
        self.assertTrue(self.widget.ui.applyButton.enabled)

    def test_choicesAreKeptInTheParameterNode(self):
        self.widget.ui.regionCombo.setCurrentIndex(self.widget.ui.regionCombo.findData("roi"))
        self.assertEqual(self.parameters.region, "roi")
        self.widget.onChosen(left_out={"Anterior hippocampus"})
        self.assertEqual(list(self.parameters.leftOut), ["Anterior hippocampus"])
        self.assertEqual(self.widget.presenter.choices.left_out, frozenset({"Anterior hippocampus"}))

    def test_optionsAreKeptInTheParameterNode(self):
        combo = self.widget.ui.keepLargestCombo
        self.assertEqual(combo.count, 3)
        combo.setCurrentIndex(combo.findData("yes"))
        self.assertEqual(self.parameters.keepLargest, "yes")
        self.assertTrue(self.widget.presenter.choices.keep_largest)
        self.parameters.overlapPercent = 25
        self.assertEqual(self.widget.ui.overlapSpinBox.value, 25)

    def test_aModelOfSeveralImagesHasASelectorForEach(self):
        self._addModelOfTwoImages()
        first, frame = self._addVolume(), self.widget.ui.channelsFrame
        self.parameters.modelName = "two-images"
        (selector,) = slicer.util.findChildren(frame, className="qMRMLNodeComboBox")
        self.assertEqual(self.widget.ui.volumeLabel.text, "T1:")
        self.assertFalse(self.widget.ui.applyButton.enabled)
        second = self._addVolume()
        self.parameters.inputVolume = first
        selector.setCurrentNode(second)
        self.assertEqual(self.parameters.moreVolumes[0].GetID(), second.GetID())
        self.assertTrue(self.widget.ui.applyButton.enabled, self.widget.ui.applyButton.toolTip)
        self.widget.ui.applyButton.click()
        self._waitUntil(lambda: not self.widget.presenter.is_busy)
        self.assertIsNotNone(self.widget.view.outcome, self.widget.ui.failureLabel.text)

    def test_applyWritesTheSegments(self):
        self._addVolume()
        self.widget.ui.applyButton.click()
        self._waitUntil(lambda: not self.widget.presenter.is_busy)
        outcome = self.widget.view.outcome
        self.assertIsNotNone(outcome, self.widget.ui.failureLabel.text)
        self.assertEqual([finding.name for finding in outcome.found], ["Anterior hippocampus"])
        self.assertEqual(outcome.segmentation_node.GetSegmentation().GetNumberOfSegments(), 1)
        self.assertEqual(self.widget.ui.resultTree.topLevelItemCount, 1)
        table = self.widget.onTable()
        self.assertEqual(table.GetNumberOfRows(), 2)

    def test_applyIsCancelWhileItRuns(self):
        self._startSlowRun()
        self.assertEqual(self.widget.ui.applyButton.text, _("Cancel"))
        start = time.monotonic()
        self.widget.ui.applyButton.click()
        self.assertFalse(self.widget.presenter.is_busy)
        self.assertLess(time.monotonic() - start, 1.0)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)

    def test_sceneIsClosedInTheMiddle(self):
        self._startSlowRun()
        slicer.mrmlScene.Clear()
        self.assertFalse(self.widget.presenter.is_busy)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)

    def test_aTrueModelSegmentsTheSample(self):
        from MedSegDLLib.client import Worker
        from MedSegDLLib.dependencies import examine, required
        from MedSegDLLib.gui.shared import nothingToPrepare
        from MedSegDLLib.models import SAMPLE, find_model
        from MedSegDLLib.scene.run import Segmenter

        python = self.widget.logic.workerPython()
        findings = examine(python, required(find_model("thorax-phantom"), "cpu"))
        if not findings.ok:
            print(f"left out, a true model on the sample: {findings.sentence}", flush=True)
            return
        self.segmenter.close()
        self.segmenter = Segmenter(Worker(python=python))
        self.widget.startPresenter(self.segmenter, nothingToPrepare, self.timings)
        self.parameters.inputVolume = slicer.util.loadVolume(str(SAMPLE), properties={})
        self.parameters.modelName = "thorax-phantom"
        self.parameters.device = "cpu"
        self.widget.ui.applyButton.click()
        self._waitUntil(lambda: not self.widget.presenter.is_busy)
        outcome = self.widget.view.outcome
        self.assertIsNotNone(outcome, self.widget.ui.failureLabel.text)
        volumes = {finding.name: finding.volumes_ml[0] for finding in outcome.found}
        self.assertEqual(len(volumes), 9)
        self.assertAlmostEqual(volumes["Heart"], self.HEART_ML, delta=0.1 * self.HEART_ML)

    def test_sampleIsRegistered(self):
        import SampleData

        (volume,) = SampleData.SampleDataLogic().downloadSamples("MedSegThoraxPhantom")
        self.assertEqual(volume.GetClassName(), "vtkMRMLScalarVolumeNode")

    def test_effectIsRegistered(self):
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        self._waitUntil(lambda: "MedSeg" in editor.availableEffectNames())  # once the main window is there

    def _practiceSegmenter(self):
        from MedSegDLLib.client import Worker
        from MedSegDLLib.scene.run import Segmenter

        command = [self.widget.logic.workerPython(), "-m", "MedSegDLLib.engine.practice"]
        return Segmenter(Worker(command=command))

    def _addModelOfTwoImages(self):
        """The hippocampus's, which is said to take two; no network looks at it here."""
        import json
        import shutil

        from MedSegDLLib.bundle import METADATA
        from MedSegDLLib.models import SHIPPED

        os.environ["MEDSEG_MODELS"] = self.folder.name
        model = Path(self.folder.name) / "two-images"
        shutil.copytree(SHIPPED / "hippocampus-mr", model)
        metadata = json.loads((model / METADATA).read_text(encoding="utf-8"))
        metadata["medseg"]["network"]["in_channels"] = 2
        metadata["medseg"]["channels"] = ["T1", "T2"]
        (model / METADATA).write_text(json.dumps(metadata), encoding="utf-8")
        self.widget.onModelsChanged()

    def _startSlowRun(self):
        os.environ["MEDSEG_PRACTICE_SECONDS"] = "1"
        self._addVolume()
        self.widget.ui.applyButton.click()
        self._waitUntil(lambda: self.widget.ui.progressBar.maximum > 0)

    def _addVolume(self, modality="MR"):
        import numpy as np

        from MedSegDLLib.scene.volumes import node_from_volume
        from MedSegDLLib.volume import Volume

        array = np.zeros((20, 24, 28), np.int16)
        array[5:12, 6:14, 7:18] = 100
        node = node_from_volume(slicer.mrmlScene, Volume(array, modality=modality), "box")
        self.parameters.inputVolume = node
        return node

    def _waitUntil(self, condition):
        deadline = time.monotonic() + self.PATIENCE_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline, "waited in vain")
            slicer.app.processEvents()
            time.sleep(0.02)
