"""The module's Apply on one volume, and its Cancel on another, in the true window with the true worker.

    Arguments: [FILE_OR_SAMPLE] [MODEL]

Without arguments it draws its volumes itself. The worker's Python must have the packages (see README.md).
"""

import os
import sys
import time

import slicer

sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))

import checks

PATIENCE_SECONDS = 600

source = sys.argv[1] if len(sys.argv) > 1 else ""
model = sys.argv[2] if len(sys.argv) > 2 else "hippocampus-mr"

widget = slicer.modules.medsegdl.widgetRepresentation().self()
widget.initializeParameterNode()
parameters = widget.logic.getParameterNode()
button = widget.ui.applyButton


def is_idle():
    return not widget.presenter.is_busy


def problem():
    return widget.ui.failureLabel.text or widget.ui.statusLabel.text or button.toolTip


# Apply

volume = checks.load_volume(source) if source else checks.add_drawn_volume()[0]
parameters.modelName = model
parameters.allowOtherModality = True
parameters.inputVolume = volume
checks.check("Apply can be pressed", button.enabled, button.toolTip)

before = time.monotonic()
button.click()
returned_seconds = time.monotonic() - before
checks.check("Apply returns at once", returned_seconds < 1.0, f"{returned_seconds:.2f} s")
checks.check("the button is Cancel meanwhile", button.text == "Cancel", button.text)
checks.check("the run ends", checks.wait_until(is_idle, PATIENCE_SECONDS), widget.ui.statusLabel.text)
outcome = widget.view.outcome
checks.check("there is a result", outcome is not None, problem() if outcome is None else widget.ui.summaryLabel.text)
checks.check("one segmentation is in the scene", checks.segmentation_count() == 1)
found = outcome.segmentation_node.GetSegmentation().GetNumberOfSegments()
checks.check("each structure that was found is a segment", found == len(outcome.found), f"{found}")
checks.check("a table holds the volumes", widget.onTable().GetNumberOfRows() == len(outcome.findings))

# Cancel

another = checks.add_drawn_volume()[0]
slicer.util.updateVolumeFromArray(another, slicer.util.arrayFromVolume(another).repeat(6, 0).repeat(6, 1).repeat(6, 2))
parameters.inputVolume = another
button.click()
running = checks.wait_until(lambda: widget.ui.progressBar.maximum > 0 or is_idle(), PATIENCE_SECONDS)
checks.check("windows of another volume are counted", running and not is_idle(), problem())
before = time.monotonic()
button.click()
cancelled_seconds = time.monotonic() - before
checks.check("Cancel takes less than a second", is_idle() and cancelled_seconds < 1.0, f"{cancelled_seconds:.2f} s")
checks.check("the button is Apply again", button.text == "Apply" and button.enabled, button.text)
checks.check("nothing was written", checks.segmentation_count() == 1)

# The scene is closed in the middle

button.click()
checks.wait_until(lambda: widget.ui.progressBar.maximum > 0 or is_idle(), PATIENCE_SECONDS)
slicer.mrmlScene.Clear()
checks.check("closing the scene stops the run", is_idle())
checks.check("no node is left", checks.segmentation_count() == 0)
checks.check("no worker is left", not widget.logic.segmenter().worker.is_running)
checks.finish()
