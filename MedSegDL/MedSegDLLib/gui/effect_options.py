"""The effect's lists and switches: filled from what there is, and kept in the scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import qt
from slicer.i18n import tr as _

from ..interaction.catalogue import ModelEntry
from ..interaction.device_list import AUTOMATIC, device_rows
from ..interaction.effect_ports import Choices, PromptOptions
from ..interaction.model_info import ModelInfo
from ..scene.regions import surround_new
from .lists import choose, chosen, fill, silent

_BUILT_IN = "built-in"
_FLAGS_ROLE = 255  # Qt::UserRole - 1, under which the rows of a combo box keep their flags
_WHERE = ("whole", "view", "roi", "segments")


class EffectOptions:
    """What can be set in the effect's panel.

    Args:
        ui: the widgets of SegmentEditorMedSeg.ui by name.
        scriptedEffect: keeps the values in the scene.
        connect: called with (sender, signal, slot).
        isActive: whether the effect is; else what changes changes by itself, as when a scene is closed.
        onChosen: called when the user has chosen something.
    """

    def __init__(
        self, ui, scriptedEffect, connect: Callable, isActive: Callable[[], bool], onChosen: Callable[[], None]
    ):
        self.ui = ui
        self._effect = scriptedEffect
        self._isActive = isActive
        self._onChosen = onChosen
        self._info = ModelInfo(_)
        self._entries: dict[str, ModelEntry] = {}
        self._prompters: dict[str, ModelEntry | None] = {_BUILT_IN: None}
        self._expected: Callable[[ModelEntry], float | None] = lambda entry: None
        self._prompter = ""  # that the user has chosen; '' leaves it to the order of the list
        self._isWriting = False
        self._fillFixedLists()
        self._connect(connect)

    def _connect(self, connect: Callable) -> None:
        ui = self.ui
        connect(ui.allButton, "clicked()", self._tickAll)
        connect(ui.noneButton, "clicked()", self._tickNone)
        connect(ui.modelComboBox, "currentIndexChanged(int)", self._onModel)
        connect(ui.prompterComboBox, "currentIndexChanged(int)", self._onPrompter)
        connect(ui.structuresList, "itemChanged(QListWidgetItem*)", self._tell)
        connect(ui.roiSelector, "currentNodeChanged(vtkMRMLNode*)", self._onRoi)
        connect(ui.roiSelector, "nodeAddedByUser(vtkMRMLNode*)", self._onRoi)
        connect(ui.mirrorCheckBox, "toggled(bool)", self._tell)
        connect(ui.islandsCheckBox, "toggled(bool)", self._tell)
        connect(ui.radiusSpinBox, "valueChanged(double)", self._tell)
        connect(ui.smoothingSpinBox, "valueChanged(double)", self._tell)
        connect(ui.whereComboBox, "currentIndexChanged(int)", self._tell)
        connect(ui.deviceComboBox, "currentIndexChanged(int)", self._tell)
        connect(ui.prompterInfoButton, "toggled(bool)", self._showInfo)
        connect(ui.modelInfoButton, "toggled(bool)", self._showInfo)

    # Filled

    def fillModels(
        self,
        entries: tuple[ModelEntry, ...],
        prompters: tuple[ModelEntry | None, ...],
        expected: Callable[[ModelEntry], float | None],
    ) -> None:
        """List the models.

        Args:
            entries: those that segment by themselves, best first.
            prompters: what clicks can go to, best first; None is the built-in one.
            expected: how many seconds a model will take.
        """
        self._entries = {entry.name: entry for entry in entries}
        self._prompters = {entry.name if entry else _BUILT_IN: entry for entry in prompters}
        self._expected = expected
        builtIn = self._info.built_in_prompter()
        titles = [(name, entry.title if entry else builtIn) for name, entry in self._prompters.items()]
        fill(self.ui.prompterComboBox, titles)
        fill(self.ui.modelComboBox, [(name, entry.title) for name, entry in self._entries.items()])
        for row, entry in enumerate(entries):
            self._explainModel(row, entry)
        self.read()

    def fillDevices(self, devices: tuple[dict, ...]) -> None:
        """List what the worker has told of."""
        name = chosen(self.ui.deviceComboBox) or AUTOMATIC
        fill(self.ui.deviceComboBox, device_rows(devices, name, _))
        choose(self.ui.deviceComboBox, name)

    def _explainModel(self, row: int, entry: ModelEntry) -> None:
        """Models that take several images are grey: the Segment Editor has one."""
        comboBox, several = self.ui.modelComboBox, len(entry.channels) > 1
        reason = _("Takes {count} images at once: run it in the module MedSegDL.").format(count=len(entry.channels))
        tip = reason if several else self._info.line(entry, self._expected(entry))
        comboBox.setItemData(row, tip, qt.Qt.ToolTipRole)
        if several:
            comboBox.setItemData(row, 0, _FLAGS_ROLE)

    def _fillFixedLists(self) -> None:
        texts = (_("Whole volume"), _("Current view"), _("ROI"), _("Around visible segments"))
        fill(self.ui.whereComboBox, zip(_WHERE, texts))
        self.fillDevices(())

    # The scene

    def read(self) -> None:
        """Show what the scene says."""
        if self._isWriting:  # then the scene is told what is shown
            return
        ui, parameter = self.ui, self._parameter
        self._prompter = parameter("Prompter")
        choose(ui.prompterComboBox, self._prompter)
        choose(ui.modelComboBox, parameter("Model") or self._firstThatCanRun())
        choose(ui.whereComboBox, parameter("Where"))
        device = parameter("Device") or AUTOMATIC
        if ui.deviceComboBox.findData(device) < 0:
            with silent(ui.deviceComboBox):
                ui.deviceComboBox.addItem(device, device)
        choose(ui.deviceComboBox, device)
        for checkBox, name in ((ui.mirrorCheckBox, "Mirror"), (ui.islandsCheckBox, "ClickedIslands")):
            with silent(checkBox):
                checkBox.setChecked(parameter(name) == "1")
        for spinBox, name in ((ui.radiusSpinBox, "StrokeRadius"), (ui.smoothingSpinBox, "Smoothing")):
            with silent(spinBox):
                spinBox.setValue(float(parameter(name) or 0.0))
        with silent(ui.roiSelector):
            ui.roiSelector.setCurrentNode(self._effect.nodeReference("Roi"))
        self._fillStructures(set(json.loads(parameter("LeftOut") or "[]")))
        self._showInfo()

    def _write(self) -> None:
        if self._effect.parameterSetNode() is None:
            return
        ui, choices = self.ui, self.choices()
        self._isWriting = True  # each value that changes makes the editor call `read`
        try:
            self._effect.setParameter("Model", choices.model)
            self._effect.setParameter("Prompter", self._prompter)
            self._effect.setParameter("Where", choices.where)
            self._effect.setParameter("Device", choices.device)
            self._effect.setParameter("LeftOut", json.dumps(sorted(choices.left_out)))
            self._effect.setParameter("Mirror", "1" if ui.mirrorCheckBox.checked else "0")
            self._effect.setParameter("ClickedIslands", "1" if ui.islandsCheckBox.checked else "0")
            self._effect.setParameter("StrokeRadius", str(ui.radiusSpinBox.value))
            self._effect.setParameter("Smoothing", str(ui.smoothingSpinBox.value))
            self._effect.setNodeReference("Roi", ui.roiSelector.currentNode())
        finally:
            self._isWriting = False

    def choices(self) -> Choices:
        """What is shown, for the presenter."""
        ui = self.ui
        return Choices(
            model=chosen(ui.modelComboBox),
            left_out=frozenset(self._unticked()),
            where=chosen(ui.whereComboBox),
            device=chosen(ui.deviceComboBox),
            options={"mirror": True} if ui.mirrorCheckBox.checked else {},
            prompting=PromptOptions(
                model=self._prompterFolder(),
                smoothing_mm=ui.smoothingSpinBox.value,
                islands="clicked" if ui.islandsCheckBox.checked else "all",
            ),
        )

    def _prompterFolder(self) -> Path | None:
        entry = self._prompters.get(chosen(self.ui.prompterComboBox))
        return entry.folder if entry else None

    def _firstThatCanRun(self) -> str:
        return next((name for name, entry in self._entries.items() if len(entry.channels) == 1), "")

    def _parameter(self, name: str) -> str:
        return self._effect.parameter(name) if self._effect.parameterDefined(name) else ""

    # What the user does

    def _tell(self, _value=None) -> None:
        if self._isActive():
            self._write()
            self._showInfo()
            self._onChosen()

    def _onModel(self, _index=None) -> None:
        self._fillStructures(set())
        self._tell()

    def _onPrompter(self, _index=None) -> None:
        self._prompter = chosen(self.ui.prompterComboBox)
        self._tell()

    def _onRoi(self, roiNode) -> None:
        """One that has just been made begins as the box around the volume."""
        parameters = self._effect.parameterSetNode()
        volumeNode = parameters.GetSourceVolumeNode() if parameters else None
        if self._isActive() and roiNode and volumeNode:
            surround_new(roiNode, volumeNode)
        self._tell()

    def _tickAll(self) -> None:
        self._fillStructures(set())
        self._tell()

    def _tickNone(self) -> None:
        entry = self._entries.get(chosen(self.ui.modelComboBox))
        self._fillStructures(set(entry.structures) if entry else set())
        self._tell()

    # Shown

    def _showInfo(self, _checked=None) -> None:
        ui = self.ui
        entry = self._entries.get(chosen(ui.modelComboBox))
        ui.roiSelector.enabled = chosen(ui.whereComboBox) == "roi"
        ui.modelInfoButton.enabled = entry is not None
        ui.modelInfoLabel.visible = entry is not None and ui.modelInfoButton.checked
        ui.prompterInfoLabel.visible = ui.prompterInfoButton.checked
        ui.modelInfoLabel.text = self._info.page(entry, self._expected(entry)) if entry else ""
        prompter = self._prompters.get(chosen(ui.prompterComboBox))
        ui.prompterInfoLabel.text = self._info.page(prompter, None) if prompter else self._info.built_in_page()
        ui.modelComboBox.toolTip = (
            self._info.line(entry, self._expected(entry))
            if entry
            else _("No model is installed. Add one in the module MedSegDL, under Models.")
        )

    def _fillStructures(self, left_out: set[str]) -> None:
        structures, entry = self.ui.structuresList, self._entries.get(chosen(self.ui.modelComboBox))
        with silent(structures):
            structures.clear()
            for name in entry.structures if entry else ():
                structures.addItem(name)
                state = qt.Qt.Unchecked if name in left_out else qt.Qt.Checked
                structures.item(structures.count - 1).setCheckState(state)

    def _unticked(self) -> list[str]:
        structures = self.ui.structuresList
        items = [structures.item(row) for row in range(structures.count)]
        return [item.text() for item in items if item.checkState() == qt.Qt.Unchecked]
