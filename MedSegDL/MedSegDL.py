import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class MedSegDL(ScriptedLoadableModule):
    """Segments a volume with a model, in a worker process of its own."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedSegDL")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations"]
        parent.contributors = ["MedSegDL founders"]
        parent.helpText = _("""
Segments all structures that a model knows in one step: choose a volume and a model, then Apply.
The image never leaves this computer. See the
<a href="https://github.com/MedSegDL/SlicerMedSegDL#readme">documentation</a>.
""")
        parent.acknowledgementText = _("""
Built on MONAI, PyTorch, OpenVINO, SimpleITK, pydicom and highdicom. Each model names its data and its license.
""")


class MedSegDLWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Volume, model, Apply."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = MedSegDLLogic()
        self.volumeSelector = self._createVolumeSelector()
        self.modelSelector = qt.QComboBox()
        self.modelSelector.toolTip = _("The model decides which structures are found.")
        self.modelSelector.addItems(self.logic.modelNames())
        self.applyButton = qt.QPushButton(_("Apply"))

        form = qt.QFormLayout()
        form.addRow(_("Volume:"), self.volumeSelector)
        form.addRow(_("Model:"), self.modelSelector)
        form.addRow(self.applyButton)
        self.layout.addLayout(form)
        self.layout.addStretch(1)

        self.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.updateApply)
        self.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneClosed)
        self.updateApply()

    def cleanup(self):
        self.removeObservers()
        self.logic.closeWorker()

    def onSceneClosed(self, _caller, _event):
        self.logic.closeWorker()

    def _createVolumeSelector(self):
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.showChildNodeTypes = False
        selector.addEnabled = False
        selector.removeEnabled = False
        selector.noneEnabled = True
        selector.toolTip = _("The image to segment.")
        selector.setMRMLScene(slicer.mrmlScene)
        self.parent.connect("mrmlSceneChanged(vtkMRMLScene*)", selector, "setMRMLScene(vtkMRMLScene*)")
        return selector

    def updateApply(self, _node=None):
        reason = self._reasonNotToApply()
        self.applyButton.enabled = not reason
        self.applyButton.toolTip = reason or _("Segment the volume.")

    def _reasonNotToApply(self):
        if not self.volumeSelector.currentNode():
            return _("Choose a volume.")
        if not self.modelSelector.currentText:
            return _("No model is installed.")
        return ""

    def onApply(self, _checked=False):
        dialog = slicer.util.createProgressDialog(windowTitle=_("MedSegDL"), autoClose=False)
        try:
            with slicer.util.tryWithErrorDisplay(_("The volume was not segmented.")):
                self._segment(dialog)
        finally:
            dialog.close()

    def _segment(self, dialog):
        from MedSegDLLib.errors import CancelledError

        def progress(done, total, message):
            dialog.labelText = message
            dialog.maximum = total
            dialog.value = done

        def cancelled():
            slicer.app.processEvents()  # asked often, so that the window answers while the worker works
            return dialog.wasCanceled

        try:
            volumeNode, modelName = self.volumeSelector.currentNode(), self.modelSelector.currentText
            self.logic.segment(volumeNode, modelName, progress=progress, cancelled=cancelled)
        except CancelledError:
            slicer.util.showStatusMessage(_("Canceled; the scene is unchanged."), 5000)


class MedSegDLLogic(ScriptedLoadableModuleLogic):
    """The same calls for the module's window, the Python console and scripts; never opens a dialog."""

    _segmenter = None  # one warm worker for the session, whoever made the logic

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
        segmenter = self._warmSegmenter()
        return segmenter.segment(volumeNode, modelName, device=device, progress=progress, cancelled=cancelled)

    @staticmethod
    def closeWorker():
        """End the worker process and free what it holds; the next run starts a new one."""
        if MedSegDLLogic._segmenter:
            MedSegDLLogic._segmenter.close()

    @staticmethod
    def _warmSegmenter():
        from MedSegDLLib.scene.run import Segmenter

        if MedSegDLLogic._segmenter is None:
            MedSegDLLogic._segmenter = Segmenter()
        return MedSegDLLogic._segmenter


class MedSegDLTest(ScriptedLoadableModuleTest):
    """What needs no network, no torch and no worker."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_applyIsGreyWithoutVolume()

    def test_applyIsGreyWithoutVolume(self):
        widget = slicer.modules.medsegdl.widgetRepresentation().self()
        self.assertFalse(widget.applyButton.enabled)
        self.assertTrue(widget.applyButton.toolTip)

        volumeNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        widget.volumeSelector.setCurrentNode(volumeNode)
        self.assertEqual(widget.applyButton.enabled, bool(widget.logic.modelNames()))
