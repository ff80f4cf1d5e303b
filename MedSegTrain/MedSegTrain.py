import json
import os
import tempfile
import time
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

LAST_RUNS_SETTING = "MedSegTrain/LastRuns"
GOES_ON_SETTING = "MedSegTrain/GoesOn"


class MedSegTrain(ScriptedLoadableModule):
    """Trains networks on one's own data, compares them, and hands the best one to MedSegDL."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("MedSegTrain")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["MedSegDL", "Plots", "Segmentations", "Terminologies"]
        parent.contributors = ["MedSegDL founders"]
        parent.helpText = _("""
Trains networks on images with structures that somebody drew, compares them, and makes the best one a model for
MedSegDL: choose data, networks and recipe, then Plan and Start. It runs in the background, also when Slicer is closed.
The images never leave this computer. See the
<a href="https://github.com/MedSegDL/SlicerMedSegDL#readme">documentation</a>.
""")
        parent.acknowledgementText = _("""
Built on MONAI, PyTorch, Lightning, scikit-learn, SimpleITK, pydicom and highdicom. Each network names its paper.
""")


@parameterNodeWrapper
class MedSegTrainParameterNode:
    """What the user chose; the fields of MedSegTrainLib.interaction.planning.PlanChoices, as a scene can keep them.

    methods: keys, separated by spaces.
    """

    dataset: str = ""
    methods: str = "unet-2d unet-3d-3d nnunet-3d"
    preset: str = "papers"
    folds: Annotated[int, WithinRange(2, 20)] = 5
    foldsToRun: Annotated[int, WithinRange(0, 20)] = 0
    epochs: Annotated[int, WithinRange(0, 10000)] = 0
    overrides: str = ""
    cpu: bool = False


class MedSegTrainWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Joins the panel, its parameter node and the presenters, which decide."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.dataView = self.planView = self.runsView = self.resultView = None
        self._packages = None
        self._parameters = None
        self._wasRunning = False
        self._shownResult = None
        self._goesOn = True

    def setup(self):
        from MedSegDLLib.gui.parameters import ParameterLink
        from MedSegTrainLib.gui.data_view import DataView
        from MedSegTrainLib.gui.plan_view import PlanView
        from MedSegTrainLib.gui.result_view import ResultView
        from MedSegTrainLib.gui.runs_view import RunsView

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedSegTrain.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = MedSegTrainLogic()
        self._parameters = ParameterLink(self.ui, self._takeChoices)
        self.dataView = DataView(self.ui)
        self.planView = PlanView(self.ui, self.onChosen)
        self.runsView = RunsView(self.ui, self.onRunsShown)
        self.resultView = ResultView(self.ui)
        self.startPresenters()
        self._connect()
        self.initializeParameterNode()
        self._openLastRuns()

    def startPresenters(self, plan=None, runs=None):
        """Begin with presenters that know nothing yet; a test gives other ones.

        :param plan: makes the presenter of networks and recipe, from the view and what it starts runs with.
        :param runs: makes the presenter of runs, from the view and what to call.
        """
        from MedSegTrainLib.gui import presenters

        python = self.logic.python
        if self._packages:
            self._packages.close()
        self._packages = presenters.trainingPackages(python)
        worker = python, self._packages.prepare
        self._shownResult, self._wasRunning = None, False
        self.resultView.start(presenters.resultPresenter(self.resultView, *worker, self.onUsed))
        makeRuns = runs or (lambda view, *calls: presenters.runsPresenter(view, *worker, *calls))
        self.runsView.start(makeRuns(self.runsView, self.onRunsOpened, self.onRest))
        makePlan = plan or (lambda view, *calls: presenters.planPresenter(view, *worker, *calls))
        self.planView.start(makePlan(self.planView, self._startRuns, lambda: self.runs.is_running))
        self.dataView.start(presenters.dataPresenter(self.dataView, python, self.onDataset))

    @property
    def runs(self):
        return self.runsView.presenter

    def _connect(self):
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self._goesOn = slicer.util.settingsValue(GOES_ON_SETTING, True, converter=slicer.util.toBool)
        self.ui.goesOnCheckBox.checked = self._goesOn
        self.ui.goesOnCheckBox.connect("toggled(bool)", self.onGoesOn)
        self.ui.runsEdit.connect("currentPathChanged(QString)", self.onRunsFolder)

    def cleanup(self):
        """Slicer quits or loads the module anew; `setup` may have failed half-way."""
        if self.runsView:
            self.runsView.close(stop=not self._goesOn)
        for part in (self._packages, self.dataView, self.planView, self.resultView):
            if part:
                part.close()
        self.removeObservers()
        if self._parameters:
            self._parameters.part()

    def enter(self):
        self.initializeParameterNode()
        self.dataView.refresh()
        self.runs.poll()

    def exit(self):
        self._parameters.part()

    def onSceneStartClose(self, _caller, _event):
        self.dataView.presenter.scene_closed()
        self.runs.scene_closed()
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
        """Have a parameter node, with the data set that is looked at."""
        self._parameters.join(self.logic.getParameterNode())
        dataset = self.dataView.presenter.dataset
        if dataset:
            self._parameterNode.dataset = str(dataset)

    def _takeChoices(self):
        from MedSegTrainLib.interaction.planning import PlanChoices

        node = self._parameterNode
        self.planView.showChoices(node.preset, node.overrides)
        choices = PlanChoices(
            dataset=Path(node.dataset) if node.dataset else None,
            methods=tuple(node.methods.split()),
            preset=node.preset,
            folds=node.folds,
            folds_to_run=node.foldsToRun,
            epochs=node.epochs,
            overrides=node.overrides,
            cpu=node.cpu,
        )
        path = self.ui.runsEdit.currentPath
        self.planView.presenter.choose(choices, Path(path) if path else None)

    def onChosen(self, methods=None, preset=None, overrides=None):
        """Keep what was chosen in a widget that no parameter is connected to."""
        node = self._parameterNode
        if node is None:
            return
        with slicer.util.NodeModify(node):
            if methods is not None:
                node.methods = " ".join(methods)
            if preset is not None:
                node.preset = preset
            if overrides is not None:
                node.overrides = overrides

    # What the presenters tell

    def onDataset(self, folder):
        if self._parameterNode:
            self._parameterNode.dataset = str(folder) if folder else ""

    def _startRuns(self, plan, folder, cpu):
        from MedSegDLLib.gui.lists import remember

        remember(self.ui.runsEdit)
        self.runs.start(plan, folder, cpu)

    def onRunsOpened(self, folder):
        qt.QSettings().setValue(LAST_RUNS_SETTING, str(folder))

    def onRunsShown(self):
        """Runs were looked at: what follows from how they stand."""
        if self.runs is None or self.planView.presenter is None:
            return
        if self.runs.is_running != self._wasRunning:
            self._wasRunning = self.runs.is_running
            self.planView.presenter.show()
        key = (self.runs.folder, sum(run.dice is not None for run in self.runs.runs))
        if key != self._shownResult:
            self._shownResult = key
            self.resultView.presenter.take(self.runs.folder, self.runs.runs)

    def onRest(self):
        """A benchmark has ended: tell what came out of it."""
        presenter = self.resultView.presenter
        presenter.take(self.runs.folder, self.runs.runs)
        if not presenter.reason_not_to_report():
            presenter.make_report()

    def onUsed(self, name):
        """A model was installed: choose it in MedSegDL, whether that was opened already or not."""
        from MedSegDL import MedSegDLLogic

        widget = getattr(slicer.modules, "MedSegDLWidget", None)
        if widget:
            widget.onModelsChanged()
        logic = widget.logic if widget else MedSegDLLogic()
        logic.getParameterNode().modelName = name

    # What the user does

    def onRunsFolder(self, path):
        from MedSegTrainLib.interaction.runs_reader import PLAN

        if self._parameterNode:
            self._takeChoices()
        folder = Path(path) if path else None
        if folder and folder != self.runs.folder and (folder / PLAN).is_file():
            self.runs.open(folder)

    def onGoesOn(self, checked):
        self._goesOn = checked  # the check box may be gone before `cleanup`
        qt.QSettings().setValue(GOES_ON_SETTING, checked)

    def _openLastRuns(self):
        last = slicer.util.settingsValue(LAST_RUNS_SETTING, "") or ""
        if last and Path(last).is_dir():
            self.ui.runsEdit.currentPath = last
            self.onRunsFolder(last)  # also where it was the current path already
        elif last:
            self.runs.open(Path(last))  # which says that it is gone


class MedSegTrainLogic(ScriptedLoadableModuleLogic):
    """The same calls for the module's window, the Python console and scripts; never opens a dialog."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self._sessions = {}  # by their folders; they keep their processes

    def getParameterNode(self):
        return MedSegTrainParameterNode(super().getParameterNode())

    @staticmethod
    def python():
        """The Python that trains: the user's own as set in MedSegDL, or Slicer's."""
        from MedSegDLLib.gui.shared import workerPython

        return workerPython()

    def start(self, dataset, methods, runs, **choices):
        """Begin to train and compare, in a process that outlives Slicer; returns at once.

        :param dataset: folder of an imported data set.
        :param methods: such as ["unet-2d", "nnunet-3d", "random-forest"]; see methodNames().
        :param runs: folder of the runs; what is done there already is not done again.
        :param choices: preset, folds, folds_to_run, epochs, overrides, cpu.
        :raises MedSegDLLib.errors.MedSegError: says what happened and what to do.
        """
        from MedSegTrainLib.interaction.methods import check_methods
        from MedSegTrainLib.interaction.planning import PlanChoices, plan_of, write_plan
        from MedSegTrainLib.interaction.session import Options

        check_methods(methods)
        chosen = PlanChoices(dataset=Path(dataset), methods=tuple(methods), **choices)
        plan = write_plan(plan_of(chosen, Path(runs).name), Path(runs))
        self._session(runs).start(plan, Path(runs), Options(chosen.cpu))

    def stop(self, runs):
        """Stop the benchmark in a folder after its present step; start() with the same arguments goes on."""
        self._session(runs).stop()

    def isRunning(self, runs):
        """Whether a benchmark that was begun from Slicer runs in a folder."""
        return self._session(runs).is_alive

    @staticmethod
    def states(runs):
        """How each run of a folder stands: MedSegTrainLib.interaction.runs_reader.RunView."""
        from MedSegTrainLib.interaction.runs_reader import RunsReader

        return RunsReader(Path(runs)).runs()

    @staticmethod
    def methodNames():
        """What start() can compare."""
        from MedSegTrainLib.interaction.methods import all_methods

        return [method.key for method in all_methods()]

    def _session(self, runs):
        from MedSegTrainLib.interaction.runs_reader import SESSION
        from MedSegTrainLib.interaction.session import Session

        folder = Path(runs) / SESSION
        return self._sessions.setdefault(folder, Session(folder, self.python))


class MedSegTrainTest(ScriptedLoadableModuleTest):
    """The window with true data processes, and with runs that only pretend: no network, no PyTorch."""

    PATIENCE_SECONDS = 60

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.widget = slicer.modules.medsegtrain.widgetRepresentation().self()
        self.ui = self.widget.ui
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.started = []
        self.lastRuns = slicer.util.settingsValue(LAST_RUNS_SETTING, "")
        self.widget.startPresenters(plan=self._makePlan, runs=self._makeRuns)
        self.widget.initializeParameterNode()
        self.parameters = self.widget.logic.getParameterNode()
        self.parameters.methods = "unet-2d nnunet-3d"

    def tearDown(self):
        slicer.mrmlScene.Clear()
        self.ui.runsEdit.currentPath = ""
        self.widget.startPresenters()
        qt.QSettings().setValue(LAST_RUNS_SETTING, self.lastRuns)
        self.folder.cleanup()

    def test_folderIsImported(self):
        dataset = self._importPhantoms()
        self.assertTrue((dataset / "dataset.json").is_file())
        self.assertEqual(self.parameters.dataset, str(dataset))
        self.assertEqual(self.ui.casesTable.rowCount, 3)
        self.assertEqual(self.ui.structuresTable.item(0, 2).text(), "Ball")
        self.ui.casesTable.setCurrentCell(0, 0)
        self._waitUntil(lambda: self.widget.dataView.presenter.panel().picture is not None)

    def test_sceneIsImported(self):
        self._addSegmentedVolume()
        self.ui.sourceCombo.setCurrentIndex(self.ui.sourceCombo.findData("scene"))
        self.ui.lookButton.click()
        self._waitUntil(lambda: not self.widget.dataView.presenter.is_busy)
        self.assertEqual(self.ui.casesTable.rowCount, 1, self.ui.dataStatusLabel.text)
        self.assertEqual(self.ui.structuresTable.item(0, 0).text(), "Cube")

    def test_planAndStart(self):
        self.parameters.dataset = str(self._importPhantoms())
        self.ui.runsEdit.currentPath = os.path.join(self.folder.name, "runs")
        self.assertEqual(self.ui.planButton.text, _("Plan"), self.ui.planButton.toolTip)
        self.ui.planButton.click()
        self._waitUntil(lambda: self.ui.planButton.text == _("Start"))
        self.assertIn("RTX", self.ui.estimateLabel.text)
        self.ui.planButton.click()
        self.assertEqual(len(self.started), 1)
        plan = json.loads(Path(self.started[0][3]).read_text(encoding="utf-8"))
        self.assertEqual([network["network"] for network in plan["networks"]], ["unet", "nnunet"])

    def test_runsOfAnEarlierSessionAreShown(self):
        runs = self._writeRuns()
        self.ui.runsEdit.currentPath = str(runs)
        self._waitUntil(lambda: self.ui.runsTable.rowCount == 1)
        self.assertEqual(
            self.ui.runsTable.item(0, 1).text(), _("stopped at {epoch}/{epochs}").format(epoch=2, epochs=9)
        )
        self.assertEqual(self.ui.runsTable.item(0, 2).text(), _("waiting"))
        self.ui.runsTable.setCurrentCell(0, 1)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode"), 1)
        table = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTableNode")
        self.assertEqual(table.GetNumberOfRows(), 2)
        self.assertTrue(self.ui.goOnButton.enabled)

    def test_choicesAreKeptInTheParameterNode(self):
        self.ui.presetCombo.setCurrentIndex(self.ui.presetCombo.findData("modern"))
        self.assertEqual(self.parameters.preset, "modern")
        self.ui.overridesEdit.setPlainText("optimisation.batch = 4")
        self.assertEqual(self.parameters.overrides, "optimisation.batch = 4")
        tree = self.ui.methodsTree
        tree.topLevelItem(0).setCheckState(0, qt.Qt.Checked)
        self.assertIn("fcn-32s-2d", self.parameters.methods.split())

    def _makePlan(self, view, start, _isRunning):
        from MedSegTrainLib.interaction.plan import PlanPresenter

        return PlanPresenter(view, lambda: "python", on_start=start, make_transport=_EstimatingProcess)

    def _makeRuns(self, view, *calls):
        from MedSegTrainLib.interaction.runs import RunsPresenter

        def spawn(command, _environment, _log):
            self.started.append(command)
            return _SleepingProcess()

        return RunsPresenter(view, lambda: "python", *calls, spawn=spawn)

    def _importPhantoms(self):
        """Three small volumes with a ball, looked at and imported through the window."""
        import numpy as np
        import SimpleITK as sitk

        source = Path(self.folder.name) / "source"
        inside = np.linalg.norm(np.indices((12, 14, 16)) - np.array([6, 7, 8]).reshape(3, 1, 1, 1), axis=0) < 4
        for number in range(3):
            noise = np.random.default_rng(number).normal(0, 5, inside.shape)
            for part, array in (("images", (100 * inside + noise).astype(np.float32)), ("labels", inside.astype("u1"))):
                (source / part).mkdir(parents=True, exist_ok=True)
                sitk.WriteImage(sitk.GetImageFromArray(array), str(source / part / f"case_{number}.nii.gz"))
        dataset = Path(self.folder.name) / "balls"
        self.ui.sourceCombo.setCurrentIndex(self.ui.sourceCombo.findData("folder"))
        self.ui.folderEdit.currentPath = str(source)
        self.ui.outputEdit.currentPath = str(dataset)
        presenter = self.widget.dataView.presenter
        self.ui.lookButton.click()
        self._waitUntil(lambda: not presenter.is_busy)
        self.assertTrue(self.ui.importButton.enabled, self.ui.dataStatusLabel.text)
        self.ui.structuresTable.item(0, 2).setText("Ball")
        self._waitUntil(lambda: presenter.panel().structures[0].structure == "Ball")
        self.ui.importButton.click()
        self._waitUntil(lambda: not presenter.is_busy)
        self.assertEqual(presenter.dataset, dataset, self.ui.dataStatusLabel.text)
        return dataset

    def _addSegmentedVolume(self):
        import numpy as np

        from MedSegDLLib.scene.volumes import node_from_volume
        from MedSegDLLib.volume import Volume

        array = np.random.default_rng(0).normal(100, 8, (12, 14, 16)).astype(np.int16)
        volume = node_from_volume(slicer.mrmlScene, Volume(array, modality="MR"), "head")
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        segment = segmentation.GetSegmentation().AddEmptySegment("cube", "Cube")
        cube = np.zeros(array.shape, np.uint8)
        cube[3:8, 4:10, 5:11] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(cube, segmentation, segment, volume)

    def _writeRuns(self):
        """A benchmark of one network in two folds; the first was stopped in its second epoch."""
        runs = Path(self.folder.name) / "runs"
        run = runs / "balls" / "unet-2d" / "fold-0-seed-0"
        (run / "training").mkdir(parents=True)
        network = {"network": "unet", "dims": 2, "name": "unet-2d", "label": "U-Net"}
        plan = {"name": "runs", "data_sets": [{"name": "balls", "path": ""}], "networks": [network], "folds": 2}
        status = {"state": "training", "epoch": 2, "epochs": 9}
        (runs / "plan.json").write_text(json.dumps(plan))
        (run / "run.json").write_text(json.dumps({"key": "a"}))
        (run / "state.json").write_text(json.dumps({"name": "running", "pid": 0, "host": ""}))
        (run / "training" / "status.json").write_text(json.dumps(status))
        events = [{"epoch": n, "step": n, "loss": 1 / n, "dice": 0.4 * n, "miou": 0.3 * n} for n in (1, 2)]
        (run / "training" / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        return runs

    def _waitUntil(self, condition):
        deadline = time.monotonic() + self.PATIENCE_SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline, "waited in vain")
            slicer.app.processEvents()
            time.sleep(0.02)


class _EstimatingProcess:
    """Says at once what a benchmark would take."""

    returncode = 0
    is_alive = True

    def start(self, _command, _environment, _log):
        estimate = {"device": "RTX", "seconds": 3600, "disk_bytes": 1, "free_disk_bytes": 2, "runs": 15}
        network = {"method": "unet-2d", "memory_bytes": 1, "problem": ""}
        self._lines = [json.dumps({"event": "estimate", "networks": [network], **estimate}).encode()]

    def poll(self, _seconds):
        lines, self._lines = self._lines, []
        return lines

    def write(self, _line):
        pass

    def kill(self):
        pass


class _SleepingProcess:
    """Runs until it is ended, and does nothing."""

    returncode = None

    def poll(self):
        return self.returncode

    def kill(self):
        self.returncode = -9
