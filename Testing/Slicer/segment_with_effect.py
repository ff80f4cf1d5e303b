"""The effect in a Segment Editor: a click, undo of a click, keep, undo of the segment, a whole model.

    Arguments: [FILE_OR_SAMPLE R A S] [MODEL]

R A S is a point in the structure to segment, in mm. Without arguments it draws its volume itself. Where the worker's
Python lacks the packages, a worker whose models are thresholds takes part; clicks are the true ones all the same.
"""

import os
import sys

import slicer

sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))

import checks

PATIENCE_SECONDS = 120


def choose_worker(model):
    """Before the editor is made, as its effect takes the worker that is there then."""
    from MedSegDLLib.client import Worker
    from MedSegDLLib.dependencies import examine, required
    from MedSegDLLib.gui.shared import chosenPython, sharedSegmenter, useSegmenter
    from MedSegDLLib.models import find_model
    from MedSegDLLib.scene.run import Segmenter
    from MedSegDLLib.worker_process import find_python

    python = find_python(chosenPython())
    findings = examine(python, required(find_model(model)))
    if findings.ok:
        print(f"the worker runs in {python}", flush=True)
    else:
        print(f"models are thresholds here: {findings.sentence}", flush=True)
        useSegmenter(Segmenter(Worker(command=[python, "-m", "MedSegDLLib.engine.practice"])))
    return sharedSegmenter()


arguments = sys.argv[1:]
if len(arguments) >= 4:
    volume, ras = checks.load_volume(arguments[0]), [float(text) for text in arguments[1:4]]
else:
    volume, ras = checks.add_drawn_volume()
model = arguments[4] if len(arguments) > 4 else "hippocampus-mr"
segmenter = choose_worker(model)

segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
segmentation.CreateDefaultDisplayNodes()
segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
segment = segmentation.GetSegmentation().AddEmptySegment("target")

editor = slicer.qMRMLSegmentEditorWidget()
editor.setMaximumNumberOfUndoStates(10)
editor.setMRMLScene(slicer.mrmlScene)
editor_node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
editor_node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
editor.setMRMLSegmentEditorNode(editor_node)
editor.setSegmentationNode(segmentation)
editor.setSourceVolumeNode(volume)
editor.setCurrentSegmentID(segment)


def voxels():
    return checks.segment_voxels(segmentation, segment)


try:
    editor.setActiveEffectByName("MedSeg")
    active = editor.activeEffect()
    checks.check("the effect can be chosen", active is not None and active.name == "MedSeg")
    effect = active.self()

    warm = checks.wait_until(lambda: effect.presenter.state.value != "starting", PATIENCE_SECONDS)
    ready = warm and effect.presenter.error is None
    checks.check("the worker starts, and looks at the image", ready, effect.view.panel.status)
    checks.check("a click is taken", effect.addPoint(ras, include=True), effect.view.panel.status)
    checks.check("it writes nothing by itself", voxels() == 0)
    effect.waitUntilIdle(PATIENCE_SECONDS)
    checks.check("there is something to keep", effect.keep(), effect.view.panel.status)
    kept = voxels()
    checks.check("keeping writes the structure", kept > 0, f"{kept} voxels")
    editor.undo()
    checks.check("one undo takes all of it back", voxels() == 0)
    editor.redo()
    checks.check("redo brings it back", voxels() == kept)

    effect.addPoint(ras, include=True)
    effect.addPoint([ras[0] + 3, ras[1], ras[2]], include=True)
    effect.undoPoint()
    effect.waitUntilIdle(PATIENCE_SECONDS)
    effect.discard()
    checks.check("discarding leaves the segment as it was", voxels() == kept)

    effect.view.ui.smoothingSpinBox.setValue(1.0)
    effect.addPoint(ras, include=True)
    effect.waitUntilIdle(PATIENCE_SECONDS)
    effect.view.ui.islandsCheckBox.setChecked(True)
    checks.check("another option makes the preview anew", effect.presenter.is_busy)
    effect.waitUntilIdle(PATIENCE_SECONDS)
    checks.check("a smoothed structure without islands", effect.presenter.clicks.preview is not None)
    effect.discard()

    segments_before = segmentation.GetSegmentation().GetNumberOfSegments()
    checks.check("a whole model begins", effect.segmentEverything(model), effect.view.panel.status)
    effect.waitUntilIdle(PATIENCE_SECONDS)
    segments = segmentation.GetSegmentation().GetNumberOfSegments()
    checks.check("a whole model adds its segments", segments >= segments_before, f"{segments_before} to {segments}")
    checks.check("it leaves the first segment whole", voxels() == kept)

    editor.setActiveEffect(None)
    checks.check("leaving the effect leaves nothing drawn or running", not effect.presenter.is_busy)
finally:
    editor.setActiveEffect(None)
    editor.setMRMLScene(None)  # an editor that is alive at the exit of Slicer crashes it
    editor.deleteLater()

slicer.mrmlScene.Clear()
checks.check("closing the scene ends the worker, which had the image", not segmenter.worker.is_running)
checks.finish()
