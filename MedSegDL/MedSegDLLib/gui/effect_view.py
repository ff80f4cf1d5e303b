"""The effect's options and what it draws: shows what the presenter says, and hands on what the user does."""

from __future__ import annotations

import json

import qt
import slicer
from slicer.i18n import tr as _

from ..interaction.catalogue import ModelEntry, read_catalogue
from ..interaction.effect import Choices, EffectPresenter
from ..interaction.effect_ports import Panel
from ..prompts import Prompts
from ..volume import Volume
from .scripted_editor import ScriptedEditor
from .slice_previews import SlicePreviews

_MILLISECONDS_BETWEEN_POLLS = 20
_WHERE = ("whole", "view", "roi", "segments")
_DEVICES = ("auto", "cpu", "cuda")


class EffectView:
    """What `EffectPresenter` shows itself in.

    Args:
        scriptedEffect: gets the options, and keeps their values in the scene.
        uiPath: of SegmentEditorMedSeg.ui.
    """

    def __init__(self, scriptedEffect, uiPath: str):
        self.presenter: EffectPresenter | None = None
        self.previews = SlicePreviews(scriptedEffect)
        self._effect = scriptedEffect
        self._editor = ScriptedEditor(scriptedEffect)
        self._panel: Panel | None = None
        self._entries: tuple[ModelEntry, ...] = ()
        self._prompters: tuple[ModelEntry | None, ...] = (None,)
        self._connections: list = []
        self._isWriting = False
        self._widget = slicer.util.loadUI(uiPath)
        self.ui = slicer.util.childWidgetVariables(self._widget)
        self._widget.setMRMLScene(slicer.mrmlScene)
        scriptedEffect.addOptionsWidget(self._widget)
        self._timer = qt.QTimer(self._widget)  # ends with it, whatever happens
        self._timer.setInterval(_MILLISECONDS_BETWEEN_POLLS)
        self._fillFixedLists()

    def start(self, presenter: EffectPresenter) -> None:
        """Begin to show a presenter; it is made after its view."""
        self.presenter = presenter
        ui = self.ui
        self._connect(self._timer, "timeout()", presenter.poll)
        self._connect(ui.undoButton, "clicked()", presenter.undo_prompt)
        self._connect(ui.clearButton, "clicked()", presenter.clear)
        self._connect(ui.keepButton, "clicked()", self.onKeep)
        self._connect(ui.discardButton, "clicked()", presenter.discard)
        self._connect(ui.runButton, "clicked()", presenter.press_run)
        self._connect(ui.allButton, "clicked()", self._tickAll)
        self._connect(ui.noneButton, "clicked()", self._tickNone)
        self._connect(ui.modelComboBox, "currentIndexChanged(int)", self._onModelChosen)
        self._connect(ui.structuresList, "itemChanged(QListWidgetItem*)", self._onChosen)
        self._connect(ui.roiSelector, "currentNodeChanged(vtkMRMLNode*)", self._onChosen)
        self._connect(ui.mirrorCheckBox, "toggled(bool)", self._onChosen)
        self._connect(ui.radiusSpinBox, "valueChanged(double)", self._onChosen)
        for comboBox in (ui.prompterComboBox, ui.whereComboBox, ui.deviceComboBox):
            self._connect(comboBox, "currentIndexChanged(int)", self._onChosen)

    def close(self) -> None:
        """Let go of everything that holds this object, so that it can be deleted."""
        self._timer.stop()
        for sender, signal, slot in self._connections:
            sender.disconnect(signal, slot)
        self._connections = []
        self.previews.clear()

    # What the presenter calls

    def show(self, panel: Panel) -> None:
        if panel == self._panel:
            return
        self._panel = panel
        ui = self.ui
        ui.hintLabel.text = panel.hint
        ui.statusLabel.text = panel.status
        ui.statusLabel.toolTip = panel.details or _("What is being done, on which device, and how long it took.")
        ui.countsLabel.text = panel.counts
        ui.undoButton.enabled = panel.can_undo
        ui.clearButton.enabled = panel.can_discard
        ui.keepButton.enabled = panel.can_keep
        ui.discardButton.enabled = panel.can_discard
        ui.runButton.text = panel.run_button
        ui.runButton.enabled = panel.can_run
        ui.runButton.toolTip = panel.run_tip
        ui.progressBar.visible = panel.progress is not None
        if panel.progress:
            ui.progressBar.maximum = panel.progress[1]
            ui.progressBar.value = panel.progress[0]

    def draw(self, preview: Volume | None, prompts: Prompts) -> None:
        self.previews.draw(preview, prompts, self._segmentColor())

    def poll_while(self, wanted: bool) -> None:
        if wanted and not self._timer.active:
            self._timer.start()
        elif not wanted and self._timer.active:
            self._timer.stop()

    # What the effect asks

    @property
    def panel(self) -> Panel | None:
        return self._panel

    @property
    def includes(self) -> bool:
        """Whether a click adds, as the buttons are."""
        return self.ui.includeButton.checked

    @property
    def strokeRadiusMm(self) -> float:
        return self.ui.radiusSpinBox.value

    @property
    def roiNode(self):
        return self.ui.roiSelector.currentNode()

    def onKeep(self) -> None:
        """Keep, once it is sure that the user means a segment that is hidden."""
        if self._effect.confirmCurrentSegmentVisible():
            self.presenter.keep()

    def lookAgain(self) -> None:
        """Poll once, when the nodes may be others but this call comes too early to look at them."""
        self._timer.start()

    # Options

    def refreshModels(self) -> None:
        """List what is installed now."""
        entries = [entry for entry in read_catalogue() if not entry.problem]
        self._entries = tuple(entry for entry in entries if not entry.bundle.spec.prompts)
        self._prompters = (None, *(entry for entry in entries if entry.bundle.spec.prompts))
        titles = [_("Any structure (built in)"), *(entry.title for entry in self._prompters[1:])]
        _fill(self.ui.prompterComboBox, titles)
        _fill(self.ui.modelComboBox, [entry.title for entry in self._entries])
        self.readOptions()

    def readOptions(self) -> None:
        """Show what the scene says, and tell the presenter."""
        if self._isWriting:
            return
        left_out = set(json.loads(self._parameter("LeftOut") or "[]"))
        names = [entry.name for entry in self._entries]
        prompters = [entry.name if entry else "" for entry in self._prompters]
        _choose(self.ui.modelComboBox, names, self._parameter("Model"))
        _choose(self.ui.prompterComboBox, prompters, self._parameter("Prompter"))
        _choose(self.ui.whereComboBox, _WHERE, self._parameter("Where"))
        _choose(self.ui.deviceComboBox, _DEVICES, self._parameter("Device"))
        _quietly(self.ui.mirrorCheckBox, "setChecked", self._parameter("Mirror") == "1")
        _quietly(self.ui.radiusSpinBox, "setValue", float(self._parameter("StrokeRadius") or 0.0))
        _quietly(self.ui.roiSelector, "setCurrentNode", self._effect.nodeReference("Roi"))
        self._fillStructures(left_out)
        self._tellPresenter()

    def writeOptions(self) -> None:
        """Keep what is shown in the scene."""
        if self._effect.parameterSetNode() is None:
            return
        choices = self._choices()
        self._isWriting = True  # each value that changes makes the editor call `readOptions`
        try:
            self._effect.setParameter("Model", choices.model)
            self._effect.setParameter("Prompter", choices.prompt_model.name if choices.prompt_model else "")
            self._effect.setParameter("Where", choices.where)
            self._effect.setParameter("Device", choices.device)
            self._effect.setParameter("LeftOut", json.dumps(sorted(choices.left_out)))
            self._effect.setParameter("Mirror", "1" if choices.options.get("mirror") else "0")
            self._effect.setParameter("StrokeRadius", str(self.strokeRadiusMm))
            self._effect.setNodeReference("Roi", self.roiNode)
        finally:
            self._isWriting = False

    def _choices(self) -> Choices:
        entry, prompter = self._chosenModel(), self._prompters[max(0, self.ui.prompterComboBox.currentIndex)]
        return Choices(
            model=entry.name if entry else "",
            left_out=frozenset(self._unticked()),
            where=_WHERE[max(0, self.ui.whereComboBox.currentIndex)],
            device=_DEVICES[max(0, self.ui.deviceComboBox.currentIndex)],
            options={"mirror": True} if self.ui.mirrorCheckBox.checked else {},
            prompt_model=prompter.folder if prompter else None,
        )

    def _chosenModel(self) -> ModelEntry | None:
        index = self.ui.modelComboBox.currentIndex
        return self._entries[index] if 0 <= index < len(self._entries) else None

    def _onModelChosen(self, _index=None) -> None:
        self._fillStructures(set())
        self._onChosen()

    def _onChosen(self, _value=None) -> None:
        if not self.presenter.is_active:  # a list of nodes changes by itself, as when a scene is closed
            return
        self.writeOptions()
        self._tellPresenter()

    def _tellPresenter(self) -> None:
        entry = self._chosenModel()
        self.ui.modelComboBox.toolTip = entry.description if entry else _("No model is installed.")
        self.ui.roiSelector.enabled = _WHERE[max(0, self.ui.whereComboBox.currentIndex)] == "roi"
        self.presenter.choose(self._choices())

    def _fillStructures(self, left_out: set[str]) -> None:
        structures, entry = self.ui.structuresList, self._chosenModel()
        wasBlocked = structures.blockSignals(True)
        structures.clear()
        for name in entry.structures if entry else ():
            structures.addItem(name)
            state = qt.Qt.Unchecked if name in left_out else qt.Qt.Checked
            structures.item(structures.count - 1).setCheckState(state)
        structures.blockSignals(wasBlocked)

    def _unticked(self) -> list[str]:
        structures = self.ui.structuresList
        items = [structures.item(row) for row in range(structures.count)]
        return [item.text() for item in items if item.checkState() == qt.Qt.Unchecked]

    def _tickAll(self) -> None:
        self._fillStructures(set())
        self._onChosen()

    def _tickNone(self) -> None:
        entry = self._chosenModel()
        self._fillStructures(set(entry.structures) if entry else set())
        self._onChosen()

    def _fillFixedLists(self) -> None:
        _fill(self.ui.whereComboBox, [_("Whole volume"), _("Current view"), _("ROI"), _("Around visible segments")])
        _fill(self.ui.deviceComboBox, [_("Automatic"), _("CPU"), _("GPU")])
        self.ui.progressBar.visible = False

    def _parameter(self, name: str) -> str:
        return self._effect.parameter(name) if self._effect.parameterDefined(name) else ""

    def _segmentColor(self):
        """Of the segment that the preview would be written into; yellow where that is a new one."""
        identifier = self._editor.selected_segment_id
        if not identifier:
            return (1.0, 1.0, 0.0)
        return self._editor.segmentation_node.GetSegmentation().GetSegment(identifier).GetColor()

    def _connect(self, sender, signal: str, slot) -> None:
        sender.connect(signal, slot)
        self._connections.append((sender, signal, slot))


def _fill(comboBox, texts: list[str]) -> None:
    wasBlocked = comboBox.blockSignals(True)
    comboBox.clear()
    for text in texts:
        comboBox.addItem(text)
    comboBox.blockSignals(wasBlocked)


def _choose(comboBox, values, value: str) -> None:
    """The first where the value is none of them."""
    index = list(values).index(value) if value in values else 0
    _quietly(comboBox, "setCurrentIndex", index)


def _quietly(widget, setter: str, value) -> None:
    wasBlocked = widget.blockSignals(True)
    getattr(widget, setter)(value)
    widget.blockSignals(wasBlocked)
