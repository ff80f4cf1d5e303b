import qt
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class MedSegTrain(ScriptedLoadableModule):
    """Says how to train a model; the panel that does it comes later."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedSegTrain")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.contributors = ["MedSegDL founders"]
        parent.helpText = _("""
Trains models for MedSegDL. For now, training runs from the command line. See the
<a href="https://github.com/MedSegDL/SlicerMedSegDL#readme">documentation</a>.
""")
        parent.acknowledgementText = _("""
Built on MONAI, PyTorch and Lightning.
""")


class MedSegTrainWidget(ScriptedLoadableModuleWidget):
    """One sentence."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.label = qt.QLabel(_("For now, training runs from the command line: python -m MedSegTrainLib --help"))
        self.label.wordWrap = True
        self.layout.addWidget(self.label)
        self.layout.addStretch(1)


class MedSegTrainTest(ScriptedLoadableModuleTest):
    def runTest(self):
        self.test_libraryIsInstalledBesideTheModule()

    def test_libraryIsInstalledBesideTheModule(self):
        import importlib.util

        self.assertIsNotNone(importlib.util.find_spec("MedSegTrainLib"))
