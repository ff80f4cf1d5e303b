"""Testing/Slicer/segment_with_effect.py from end to end: true workers, stand-ins for Qt and the editor's widget."""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import slicer

import fake_slicer
from MedSegDLLib.dependencies import Findings
from MedSegDLLib.scene.editing import LogicEditor
from MedSegDLLib.scene.headless import new_scene

FOLDER = Path(__file__).resolve().parents[1] / "Slicer"


class EditorWidget:
    """The calls of qMRMLSegmentEditorWidget that the script makes, on the editor's logic."""

    live = None
    left: list = []

    def setMRMLScene(self, scene):
        if scene is None:
            assert self._effect is None, "an effect would outlive its scene"

    def setMRMLSegmentEditorNode(self, node):
        self._node = node

    def setMaximumNumberOfUndoStates(self, number):
        pass

    def setSegmentationNode(self, node):
        self._segmentation = node

    def setSourceVolumeNode(self, node):
        self._editor = LogicEditor(self.live, node, self._segmentation)
        self._editor.node.SetOverwriteMode(self._node.GetOverwriteMode())

    def setCurrentSegmentID(self, identifier):
        self._editor.select(identifier)

    def setActiveEffectByName(self, name):
        assert name == "MedSeg"
        package = importlib.import_module("SegmentEditorMedSegDLLib")
        scripted = fake_slicer.ScriptedEffect(self._editor)
        self._effect = package.SegmentEditorEffect(scripted)
        self._effect.setMRMLDefaults()
        self._effect.setupOptionsFrame()
        self._effect.updateGUIFromMRML()
        self._effect.activate()

    def activeEffect(self):
        return SimpleNamespace(name=self._effect.scriptedEffect.name, self=lambda: self._effect)

    def setActiveEffect(self, effect):
        if self._effect:
            self._effect.deactivate()
            self.left.append(self._effect)
        self._effect = effect

    def undo(self):
        self._editor.undo()

    def redo(self):
        self._editor.redo()

    def deleteLater(self):
        self.left[-1].cleanup()


@pytest.mark.parametrize("packages", [True, False], ids=["with packages", "without packages"])
def test_the_script_passes(packages, monkeypatch, capsys):
    live = new_scene()
    fake_slicer.install(monkeypatch)
    monkeypatch.setattr(slicer.util, "exit", lambda status: ended.append(status), raising=False)
    monkeypatch.setattr(slicer, "mrmlScene", live.mrml, raising=False)
    monkeypatch.setattr(slicer, "qMRMLSegmentEditorWidget", EditorWidget, raising=False)
    for name in [name for name in sys.modules if name.startswith(("SegmentEditorMedSegDLLib", "MedSegDLLib.gui."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "checks", raising=False)
    monkeypatch.setattr(sys, "argv", [str(FOLDER / "segment_with_effect.py")])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(EditorWidget, "live", live)
    if not packages:
        lacking = Findings(missing=("openvino",), sentence="The package openvino is missing.")
        monkeypatch.setattr("MedSegDLLib.dependencies.examine", lambda *_: lacking)
    ended = []
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        slicer.app.send("aboutToQuit")
    printed = capsys.readouterr().out
    assert ended == [0] and printed.endswith("all checks passed\n"), printed
    assert ("models are thresholds here" in printed) is not packages
