"""MedSegTrain's window, run with stand-ins for Qt: what is shown, and where the user's choices go."""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import slicer

import benchmark_makers
import fake_train_window
from data_makers import FIRST, write_pair
from fake_qt import CHECKED, UNCHECKED, Timer
from fake_train_window import Settings, SingleShots
from MedSegDLLib.errors import InputError
from MedSegDLLib.scene.headless import new_scene
from MedSegTrainLib.benchmark.runs import Result
from MedSegTrainLib.interaction.methods import PROPOSED
from train_window_cases import Clock, Desk, Later, Process, Transports, write_json

GUI = ("background", "install", "lists", "parameters", "patients", "shared")
OWN = ("data_view", "plan_view", "presenters", "result_view", "runs_view", "tables", "terminology")
LOADED_ANEW = (
    "MedSegDL",
    "MedSegTrain",
    *(f"MedSegDLLib.gui.{name}" for name in GUI),
    *(f"MedSegTrainLib.gui.{name}" for name in OWN),
)


class Window:
    """The widget, set up on an empty scene, with processes of our making."""

    def __init__(self, module, found, tmp_path):
        from MedSegTrainLib.gui import presenters
        from MedSegTrainLib.interaction import data, plan, result, runs

        self.folder, self.opened, self.charts = tmp_path, found.opened, found.charts
        self.transports, self.spawned, self.sceneFindings = Transports(), [], None
        presenters.dataPresenter = lambda view, _python, onDataset: data.DataPresenter(
            view, Desk(), lambda: self.sceneFindings, Desk, on_dataset=onDataset
        )
        presenters.resultPresenter = lambda view, _python, _prepare, onUsed: result.ResultPresenter(
            view, lambda: "python", Later, on_used=onUsed, make_transport=self.transports
        )
        self._plan, self._runs = plan, runs
        module.MedSegTrainLogic.python = staticmethod(lambda: "python")
        self.setUp(module.MedSegTrainWidget())

    def setUp(self, widget):
        """With presenters that start processes of our making."""
        self.widget = widget
        widget.startPresenters = lambda: type(widget).startPresenters(widget, self.makePlan, self.makeRuns)
        widget.setup()
        self.ui = widget.ui

    def makePlan(self, view, start, isRunning):
        return self._plan.PlanPresenter(
            view,
            lambda: "python",
            on_start=start,
            is_running=isRunning,
            wording=view.wording,
            make_transport=self.transports,
        )

    def makeRuns(self, view, *calls):
        def spawn(command, _environment, _log):
            self.spawned.append((command, Process()))
            return self.spawned[-1][1]

        return self._runs.RunsPresenter(view, lambda: "python", *calls, spawn=spawn, clock=Clock())

    @property
    def parameters(self):
        return self.widget._parameterNode

    def importData(self):
        """Through the window; the folder of the data set."""
        source = self.folder / "source"
        for number in range(2):
            write_pair(source, f"case_{number}", number, {1: FIRST} if number else None)
        self.ui.folderEdit.currentPath = str(source)
        self.ui.outputEdit.currentPath = str(self.folder / "balls")
        self.ui.lookButton.click()
        Timer.turn()
        self.ui.importButton.click()
        Timer.turn()
        return self.folder / "balls"


@pytest.fixture
def window(monkeypatch, tmp_path):
    found = fake_train_window.install(monkeypatch, new_scene().mrml, layoutManager=SimpleNamespace())
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    for name in LOADED_ANEW:
        monkeypatch.delitem(sys.modules, name, raising=False)
    window = Window(importlib.import_module("MedSegTrain"), found, tmp_path)
    yield window
    window.widget.cleanup()
    assert not any(timer.active for timer in Timer.timers)
    Later.waiting.clear()
    for name in LOADED_ANEW:
        sys.modules.pop(name, None)


# Data


def test_at_first(window):
    ui = window.ui
    assert ui.lookButton.enabled is False and ui.lookButton.toolTip.startswith("Choose the folder")
    assert not ui.patientList.visible and ui.folderEdit.visible and not ui.pictureLabel.visible
    assert not ui.planButton.enabled and ui.planButton.toolTip == "Import data first, or open a data set."
    assert ui.runsStatusLabel.text.startswith("No benchmark is open.") and not ui.runsTable.visible
    assert ui.resultStatusLabel.text == "No run is done yet." and not ui.useButton.enabled
    assert not any(timer.active for timer in Timer.timers)


def test_from_a_folder_to_a_data_set(window):
    dataset, ui = window.importData(), window.ui
    assert [row[0] for row in ui.casesTable.texts()] == ["case_0", "case_1"]
    assert ui.casesTable.texts()[1][4] == "Not contoured: structure 2."
    assert ui.structuresTable.texts()[1][:4] == ["structure 2", "1", "structure 2", "not contoured in 1"]
    assert window.parameters.dataset == str(dataset) and ui.dataStatusLabel.text.startswith("Data set 'balls'")
    assert window.widget.planView.presenter.choices.dataset == dataset
    assert ui.lookButton.enabled and not ui.dataProgressBar.visible


def test_structures_are_corrected_in_the_table(window):
    window.importData()
    table = window.ui.structuresTable
    table.item(0, 2).setText("Liver")
    assert table.item(1, 2).text() == "structure 2"
    SingleShots.turn()
    assert window.parameters.dataset == "" and "Import again" in window.ui.dataStatusLabel.text
    table.item(1, 4).setCheckState(CHECKED)
    SingleShots.turn()
    assert table.item(1, 3).text() == "absent in 1"
    table.item(0, 2).setText("")
    SingleShots.turn()
    table.item(1, 2).setText("")
    SingleShots.turn()
    assert window.ui.dataStatusLabel.text.startswith("The table keeps no structure.")
    assert table.item(1, 2).text() == "structure 2"  # what was refused is not shown
    table.send("cellDoubleClicked", 1, 5)  # nobody is there to choose codes in a test
    table.send("cellDoubleClicked", 1, 0)


def test_the_selected_case_is_shown(window):
    window.importData()
    window.ui.casesTable.setCurrentCell(1, 0)
    Timer.turn()
    assert window.ui.pictureLabel.visible and Path(window.ui.pictureLabel.pixmap).is_file()
    window.ui.structuresTable.item(0, 2).setText("Liver")
    SingleShots.turn()
    window.ui.importButton.click()
    Timer.turn()
    assert not window.ui.pictureLabel.visible
    window.ui.casesTable.setCurrentCell(1, 0)  # the same one, which nothing is shown of any more
    Timer.turn()
    assert window.ui.pictureLabel.visible


def test_patients_of_the_database(window, monkeypatch):
    database = SimpleNamespace(
        isOpen=True,
        patients=lambda: ("1", "2"),
        nameForPatient=lambda patient: f"Patient {patient}",
        studiesForPatient=lambda patient: (f"study {patient}",),
        seriesForStudy=lambda study: (f"series of {study}",),
        filesForSeries=lambda series: (f"/dicom/{series}", ""),
    )
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    ui = window.ui
    ui.sourceCombo.pick("database")
    assert ui.patientList.visible and not ui.folderEdit.visible
    assert [item.text() for item in ui.patientList.items] == ["Patient 1, 1 studies", "Patient 2, 1 studies"]
    assert not ui.lookButton.enabled
    ui.patientList.items[1].setCheckState(CHECKED)
    assert ui.lookButton.enabled
    assert window.widget.dataView.presenter.choices.files == (Path("/dicom/series of study 2"),)
    database.patients = lambda: ("0", "1", "2")  # another one was imported in the DICOM module
    database.filesForSeries = lambda series: (f"/dicom/{series}", "/dicom/new")
    window.widget.exit()
    window.widget.enter()
    assert [item.checkState() for item in ui.patientList.items] == [UNCHECKED, UNCHECKED, CHECKED]
    assert window.widget.dataView.presenter.choices.files[1] == Path("/dicom/new")
    database.patients = lambda: ()
    ui.sourceCombo.pick("scene")
    ui.sourceCombo.pick("database")
    assert ui.patientList.items[0].text().startswith("The DICOM database has no patients.")


def test_the_scene_is_closed_while_it_is_copied(window):
    from MedSegTrainLib.data.found import Findings

    window.sceneFindings = Findings("volumes in the scene", ())
    window.ui.sourceCombo.pick("scene")
    window.ui.lookButton.click()
    assert window.widget.dataView.presenter.is_busy
    window.widget.onSceneStartClose(None, None)
    assert not window.widget.dataView.presenter.is_busy and window.parameters is None
    window.widget.onSceneEndClose(None, None)
    assert window.parameters is not None


# Networks and recipe


def test_methods_are_ticked_and_searched(window):
    tree = window.ui.methodsTree
    titles = {item.texts[0] + " " + item.texts[1]: item for item in tree.items}
    assert tuple(window.parameters.methods.split()) == PROPOSED
    assert titles["U-Net slices (2D)"].state == CHECKED and titles["U-Net slices (2D)"].texts[2] == "31.0 M"
    assert "Ronneberger" in titles["U-Net slices (2D)"].texts[3]
    titles["V-Net volumes (3D)"].setCheckState(0, CHECKED)
    assert "vnet-3d" in window.parameters.methods.split()
    window.ui.methodSearchEdit.type("v-net 3d")
    assert [item.texts[0] for item in tree.items if not item.isHidden] == ["V-Net"]


def test_the_recipe_is_kept_in_the_parameter_node(window):
    ui = window.ui
    assert ui.presetCombo.itemData(ui.presetCombo.currentIndex) == "papers"
    ui.presetCombo.pick("modern")
    ui.overridesEdit.setPlainText("optimisation.batch = 4")
    assert (window.parameters.preset, window.parameters.overrides) == ("modern", "optimisation.batch = 4")
    window.parameters.folds, window.parameters.cpu = 3, True
    choices = window.widget.planView.presenter.choices
    assert (choices.preset, choices.folds, choices.cpu) == ("modern", 3, True)
    window.parameters.overrides = "loss.name = focal"  # of a scene
    assert ui.overridesEdit.plainText == "loss.name = focal"


def test_a_data_set_of_another_computer_is_named(window):
    window.parameters.dataset = "/nowhere/at/all"
    assert not window.ui.planButton.enabled
    assert window.ui.planButton.toolTip.startswith("The data set '/nowhere/at/all' is not there.")


def test_plan_start_watch_and_result(window):
    window.importData()
    ui, runs = window.ui, window.folder / "runs"
    ui.runsEdit.currentPath = str(runs)
    ui.planButton.click()
    assert ui.planButton.text == "Cancel" and ui.planProgressBar.visible
    estimate = {"device": "RTX", "seconds": 3600, "disk_bytes": 1, "free_disk_bytes": 2, "runs": 6}
    problem = {"method": "unet-2d", "memory_bytes": 0, "problem": "Too large."}
    window.transports.last.say(event="estimate", networks=[problem], **estimate)
    Timer.turn()
    assert ui.planButton.text == "Start" and ui.estimateLabel.text.startswith("About 1.0 h on RTX")
    assert "Too large." in [item.texts[3] for item in ui.methodsTree.items]
    ui.planButton.click()
    assert ui.estimateLabel.text.startswith("About 1.0 h") and ui.runsEdit.history[-1] == str(runs)
    assert window.spawned[0][0][2] == "MedSegTrainLib.benchmark.background"
    assert not ui.planButton.enabled and ui.planButton.toolTip.startswith("A benchmark is running.")
    assert Settings.values["MedSegTrain/LastRuns"] == str(runs)
    made = benchmark_makers.benchmark(runs, name="runs")
    for run in made.runs:
        with run.claimed():
            run.finish(Result(benchmark_makers.rows(run)))
    write_json(runs / "session" / "status.json", {"state": "done", "updated": 9e9})
    window.spawned[0][1].returncode = 0
    Timer.turn()
    assert ui.runsTable.texts()[0] == ["U-Net", "done 0.750", "done 0.750"] and ui.runsProgressBar.value == 100
    assert ui.planButton.enabled
    assert window.transports.last.command[3] == "report" and ui.resultProgressBar.visible  # by itself
    window.transports.last.end(0)
    Timer.turn()
    assert not ui.resultProgressBar.visible and ui.reportButton.enabled


def test_the_last_benchmark_is_opened_again(window, monkeypatch):
    made = benchmark_makers.benchmark(window.folder / "runs")
    training = made.runs[0].training
    write_json(made.runs[0].folder / "run.json", {"key": made.runs[0].order.key})
    write_json(training / "status.json", {"state": "training", "epoch": 1, "epochs": 9})
    event = {"epoch": 1, "step": 1, "loss": 0.5, "dice": 0.4, "miou": 0.3}
    (training / "events.jsonl").write_text(json.dumps(event) + "\n")
    Settings.values["MedSegTrain/LastRuns"] = str(made.folder)
    again = type(window.widget)()
    window.widget.cleanup()
    window.setUp(again)
    assert again.ui.runsEdit.currentPath == str(made.folder)
    assert again.ui.runsTable.heads == ("", "fold 1", "fold 2")
    assert again.ui.runsTable.texts()[0] == ["U-Net", "stopped at 1/9", "waiting"] and again.ui.goOnButton.enabled
    again.ui.runsTable.setCurrentCell(0, 1)
    assert len(window.charts) == 1
    table = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTableNode")
    assert table.GetTable().GetColumnByName("Dice").GetValue(0) == 0.4
    again.runs.poll()
    assert len(window.charts) == 1  # the layout is changed once, when a run is selected
    again.ui.runsTable.setCurrentCell(0, 0)  # the method's own name
    again.ui.goOnButton.click()
    assert window.spawned and again.runs.is_running
    again.ui.trainingLogButton.click()
    log = made.folder / "session" / "log.txt"
    log.write_text("x")
    again.ui.trainingLogButton.click()
    assert window.opened == [str(log)]


def test_a_last_benchmark_whose_disk_is_gone_is_named(window):
    Settings.values["MedSegTrain/LastRuns"] = "/nowhere/runs"
    again = type(window.widget)()
    window.widget.cleanup()
    window.setUp(again)
    assert again.ui.runsStatusLabel.text.startswith("The folder '/nowhere/runs' is not there.")
    assert not again.ui.goOnButton.enabled and not any(timer.active for timer in Timer.timers)
    assert Settings.values["MedSegTrain/LastRuns"] == "/nowhere/runs"  # it may come back


def with_curves(folder):
    """A benchmark whose first run has an epoch behind it."""
    made = benchmark_makers.benchmark(folder)
    training = made.runs[0].training
    training.mkdir(parents=True)
    (training / "events.jsonl").write_text('{"epoch": 1, "step": 1, "loss": 0.5, "dice": 0.4, "miou": 0.3}\n')
    return made


def test_the_curves_go_with_the_scene_and_come_back_when_the_run_is_selected_again(window):
    window.ui.runsEdit.currentPath = str(with_curves(window.folder / "runs").folder)
    table, scene = window.ui.runsTable, slicer.mrmlScene
    table.setCurrentCell(0, 1)
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 1
    window.widget.onSceneStartClose(None, None)
    scene.Clear(0)
    window.widget.onSceneEndClose(None, None)
    window.widget.runs.poll()
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 0  # nothing of the old scene in the new one
    table.setCurrentCell(0, 1)
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 1 and len(window.charts) == 2


def test_the_same_cell_of_another_benchmark_can_be_selected(window):
    window.ui.runsEdit.currentPath = str(with_curves(window.folder / "one").folder)
    window.ui.runsTable.setCurrentCell(0, 1)
    window.ui.runsEdit.currentPath = str(with_curves(window.folder / "two").folder)
    window.ui.runsTable.setCurrentCell(0, 1)
    assert len(window.charts) == 2


def test_without_a_layout_the_curves_go_into_the_scene_alone(window, monkeypatch):
    monkeypatch.setattr(slicer.app, "layoutManager", lambda: None)
    window.widget.runsView.show_curves("U-Net", [{"epoch": 1, "loss": 1.0}])
    assert not window.charts and slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 1


def running(window):
    made = benchmark_makers.benchmark(window.folder / "runs")
    window.ui.runsEdit.currentPath = str(made.folder)
    window.ui.goOnButton.click()
    write_json(made.folder / "session" / "status.json", {"state": "training", "updated": 9e9, **_this_process()})
    Timer.turn()
    return made.folder / "session" / "request"


def _this_process():
    return {"pid": os.getpid(), "host": socket.gethostname()}


def test_a_benchmark_goes_on_when_slicer_is_closed(window):
    request = running(window)
    assert window.ui.pauseButton.enabled and window.ui.stopButton.enabled
    window.widget.cleanup()
    assert not request.exists()


def test_unless_that_is_not_wanted(window):
    request = running(window)
    window.ui.goesOnCheckBox.checked = False
    assert Settings.values["MedSegTrain/GoesOn"] is False
    window.widget.cleanup()
    assert request.read_text() == "stop"


def test_pause_and_stop(window):
    request = running(window)
    window.ui.pauseButton.click()
    assert request.read_text() == "pause"
    window.ui.stopButton.click()
    assert request.read_text() == "stop" and not window.ui.stopButton.enabled


def test_the_winner_is_chosen_in_medsegdl(window):
    node = SimpleNamespace(modelName="")
    changed = []
    slicer.modules.MedSegDLWidget = SimpleNamespace(
        onModelsChanged=lambda: changed.append(1), logic=SimpleNamespace(getParameterNode=lambda: node)
    )
    window.widget.onUsed("unet-2d")
    assert node.modelName == "unet-2d" and changed == [1]
    del slicer.modules.MedSegDLWidget
    import MedSegDL  # it was never opened

    node.modelName = ""
    MedSegDL.MedSegDLLogic.getParameterNode = lambda logic: node
    window.widget.onUsed("unet-2d")
    assert node.modelName == "unet-2d"


def test_a_script_hears_at_once_what_cannot_be_trained(window):
    logic, runs = window.widget.logic, window.folder / "runs"
    assert set(PROPOSED) <= set(logic.methodNames())
    with pytest.raises(InputError, match="no network or baseline 'unet2d'"):
        logic.start(window.folder, ["unet2d"], runs, epochs=3)
    assert not runs.exists() and not logic.isRunning(runs)
    with pytest.raises(InputError, match="is not there"):
        logic.states(runs)


def test_leaving_and_coming_back(window):
    window.importData()
    window.widget.exit()
    window.widget.onChosen(preset="modern")  # nowhere to keep it
    window.widget.enter()
    assert window.parameters.dataset == str(window.folder / "balls") and window.parameters.preset == "papers"
