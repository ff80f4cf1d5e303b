"""Two tiny networks learn from drawn phantoms, in the true window with true processes; the winner segments another one.

    Arguments: [FOLDER]

In FOLDER, or in a temporary one, go the phantoms, the data set and the runs. The worker's Python must have the packages
of MedSegTrain/Resources/requirements.txt and PyTorch (see README.md). On a processor it takes a few minutes.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer

sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))

import checks

PATIENCE_SECONDS = 1800
CASES = 8
METHODS = "unet-2d nnunet-3d"
RECIPE = """\
optimisation.batch = 4
optimisation.steps_per_epoch = 20
data.spacing_mm = [1, 1, 1]
data.patch_2d = [32, 32]
data.patch_3d = [32, 32, 32]
methods.unet-2d.arguments = {"features": [8, 16]}
methods.nnunet-3d.arguments = {"features": [8, 16]}
"""


def phantom(seed):
    """A bright ball in noise and its mask, 1 mm voxels."""
    random = np.random.default_rng(seed)
    center = np.array([16, 18, 20]) + random.uniform(-3, 3, 3)
    places = np.moveaxis(np.indices((32, 36, 40)), 0, -1)
    inside = np.linalg.norm(places - center, axis=-1) < 8
    return (random.normal(100, 10, inside.shape) + 150 * inside).astype(np.int16), inside


def write_phantoms(folder):
    for number in range(CASES):
        image, inside = phantom(number)
        for part, array in (("images", image), ("labels", inside.astype(np.uint8))):
            (folder / part).mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / part / f"phantom_{number}.nii.gz"))


def cells():
    table = ui.runsTable
    return [table.item(row, column).text() for row in range(table.rowCount) for column in range(1, table.columnCount)]


folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="medseg-train-"))
os.environ.setdefault("MEDSEG_MODELS", str(folder / "models"))  # not among the user's own
widget = slicer.modules.medsegtrain.widgetRepresentation().self()
widget.initializeParameterNode()
ui, parameters, data = widget.ui, widget.logic.getParameterNode(), widget.dataView.presenter

# Data

write_phantoms(folder / "source")
ui.sourceCombo.setCurrentIndex(ui.sourceCombo.findData("folder"))
ui.folderEdit.currentPath = str(folder / "source")
ui.outputEdit.currentPath = str(folder / "phantoms")
checks.check("the data can be looked at", ui.lookButton.enabled, ui.lookButton.toolTip)
ui.lookButton.click()
checks.check("looking ends", checks.wait_until(lambda: not data.is_busy, PATIENCE_SECONDS))
checks.check("every case is listed", ui.casesTable.rowCount == CASES, ui.dataStatusLabel.text)
ui.casesTable.setCurrentCell(0, 0)
drawn = checks.wait_until(lambda: data.panel().picture is not None, PATIENCE_SECONDS)
checks.check("the selected case is drawn", drawn and data.panel().picture.is_file(), ui.dataStatusLabel.text)
ui.structuresTable.item(0, 2).setText("Ball")
corrected = checks.wait_until(lambda: data.panel().structures[0].structure == "Ball", PATIENCE_SECONDS)
checks.check("a structure is renamed in its cell", corrected)
ui.importButton.click()
checks.check("the import ends", checks.wait_until(lambda: not data.is_busy, PATIENCE_SECONDS))
checks.check("there is a data set", data.dataset == folder / "phantoms", ui.dataStatusLabel.text)

# Plan

parameters.methods = METHODS
parameters.folds = 2
parameters.foldsToRun = 1
parameters.epochs = 12
parameters.cpu = True
ui.overridesEdit.setPlainText(RECIPE)
ui.runsEdit.currentPath = str(folder / "runs")
plan = widget.planView.presenter
checks.check("it can be planned", ui.planButton.enabled, ui.planButton.toolTip)
ui.planButton.click()
checks.check("planning ends", checks.wait_until(lambda: not plan.is_busy, PATIENCE_SECONDS))
checks.check("time and disk are estimated", plan.panel().button == ui.planButton.text == "Start", ui.estimateLabel.text)
print(ui.estimateLabel.text, flush=True)

# Runs

ui.planButton.click()
checks.check("it starts", widget.runs.is_running, ui.runsStatusLabel.text)
training = checks.wait_until(lambda: any(text.startswith("epoch ") for text in cells()), PATIENCE_SECONDS)
checks.check("the table counts epochs", training, ui.runsStatusLabel.text)
ui.runsTable.setCurrentCell(0, 1)
has_curves = checks.wait_until(
    lambda: slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 4, PATIENCE_SECONDS
)
checks.check("the curves of the selected run are in the scene", has_curves)
checks.check("it ends", checks.wait_until(lambda: not widget.runs.is_running, PATIENCE_SECONDS))
checks.check("every run is done", all(text.startswith("done ") for text in cells()), ", ".join(cells()))

# Result

result = widget.resultView.presenter
checks.check("the report is written", checks.wait_until(lambda: not result.is_busy, PATIENCE_SECONDS))
checks.check("there is a report", result.report is not None, ui.resultStatusLabel.text)
checks.check("both networks are ranked", ui.rankingTable.rowCount == 2, ui.resultStatusLabel.text)
medsegdl = slicer.modules.medsegdl.widgetRepresentation().self()
checks.check("the winner can be used", ui.useButton.enabled, ui.useButton.toolTip)
ui.useButton.click()
checks.check("it is copied", checks.wait_until(lambda: not result.is_busy, PATIENCE_SECONDS))
model = medsegdl.logic.getParameterNode().modelName
offered = [f"phantoms-{method}" for method in METHODS.split()]
checks.check("MedSegDL has it and has chosen it", model in offered, f"{model}: {ui.resultStatusLabel.text}")

# Use

from MedSegDLLib.scene.volumes import node_from_volume  # noqa: E402  (the modules' folders are known by now)
from MedSegDLLib.volume import Volume  # noqa: E402

image, truth = phantom(CASES)
volume = node_from_volume(slicer.mrmlScene, Volume(image, np.diag([-1.0, -1.0, 1.0, 1.0])), "another")
segmentation = medsegdl.logic.segment(volume, model, device="cpu")
segments = segmentation.GetSegmentation()
checks.check("the model finds the structure by its name", segments.GetSegmentIdBySegmentName("Ball") != "")
found = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segments.GetSegmentIdBySegmentName("Ball"), volume)
dice = 2 * np.count_nonzero((found > 0) & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))
checks.check("it finds it where it is", dice > 0.8, f"Dice {dice:.3f}")
checks.finish()
