"""The effect's panel and what it draws: shows what the presenter says, and hands on what the user does."""

from __future__ import annotations

import logging

import qt
import slicer
from slicer.i18n import tr as _

from ..interaction.catalogue import read_catalogue
from ..interaction.effect import EffectPresenter
from ..interaction.effect_ports import Panel
from ..prompts import Prompts
from ..volume import Volume
from .effect_options import EffectOptions
from .scripted_editor import ScriptedEditor
from .slice_previews import SlicePreviews

_MILLISECONDS_BETWEEN_POLLS = 20


class EffectView:
    """What `EffectPresenter` shows itself in.

    Args:
        scriptedEffect: gets the options, and keeps their values in the scene.
        uiPath: of SegmentEditorMedSeg.ui.
    """

    def __init__(self, scriptedEffect, uiPath: str):
        self.presenter: EffectPresenter | None = None
        self.panel: Panel | None = None
        self.previews = SlicePreviews(scriptedEffect)
        self._effect = scriptedEffect
        self._editor = ScriptedEditor(scriptedEffect)
        self._connections: list = []
        self._widget = slicer.util.loadUI(uiPath)
        self.ui = slicer.util.childWidgetVariables(self._widget)
        self._widget.setMRMLScene(slicer.mrmlScene)
        scriptedEffect.addOptionsWidget(self._widget)
        self._timer = qt.QTimer(self._widget)  # ends with it, whatever happens
        self._timer.setInterval(_MILLISECONDS_BETWEEN_POLLS)
        self.ui.progressBar.visible = False
        self._options = EffectOptions(self.ui, scriptedEffect, self._connect, self._isActive, self._onChosen)

    def start(self, presenter: EffectPresenter) -> None:
        """Begin to show a presenter; it is made after its view."""
        self.presenter = presenter
        ui = self.ui
        self._connect(self._timer, "timeout()", self._poll)
        self._connect(ui.undoButton, "clicked()", presenter.clicks.undo)
        self._connect(ui.clearButton, "clicked()", presenter.clicks.discard)
        self._connect(ui.keepButton, "clicked()", self.onKeep)
        self._connect(ui.discardButton, "clicked()", presenter.clicks.discard)
        self._connect(ui.runButton, "clicked()", presenter.press_run)

    def close(self) -> None:
        """Let go of everything that holds this object, so that it can be deleted."""
        self._timer.stop()
        for sender, signal, slot in self._connections:
            sender.disconnect(signal, slot)
        self._connections = []
        self.previews.clear()

    # What the presenter calls

    def show(self, panel: Panel) -> None:
        if panel == self.panel:
            return
        known, self.panel = self.panel, panel
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
        if known is None or panel.devices != known.devices:
            self._options.fillDevices(panel.devices)

    def draw(self, preview: Volume | None, prompts: Prompts) -> None:
        self.previews.draw(preview, prompts, self._segmentColor())

    def poll_while(self, wanted: bool) -> None:
        if wanted and not self._timer.active:
            self._timer.start()
        elif not wanted and self._timer.active:
            self._timer.stop()

    # What the effect asks

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
            self.presenter.clicks.keep()

    def lookAgain(self) -> None:
        """Poll once, when the nodes may be others but this call comes too early to look at them."""
        self._timer.start()

    def refreshModels(self) -> None:
        """List what is installed now, what fits the image first."""
        models = self.presenter.models
        entries = [entry for entry in read_catalogue() if not entry.problem]
        self._options.fillModels(
            models.offered_models(entries),
            models.offered_prompters(entries),
            lambda entry: models.expected_seconds(entry, self.presenter.choices),
        )
        self.presenter.choose(self._options.choices())

    def readOptions(self) -> None:
        """Show what the scene says, and tell the presenter."""
        self._options.read()
        self.presenter.choose(self._options.choices())

    def _poll(self) -> None:
        try:
            self.presenter.poll()
        except Exception as error:  # the border of a Qt slot: it would be met again fifty times a second
            self._timer.stop()
            logging.exception("MedSeg met an error that nobody foresaw")
            self.presenter.give_up(error)

    def _isActive(self) -> bool:
        return self.presenter is not None and self.presenter.is_active

    def _onChosen(self) -> None:
        self.presenter.choose(self._options.choices())

    def _segmentColor(self):
        """Of the segment that the preview would be written into; yellow where that is a new one."""
        identifier = self._editor.selected_segment_id
        if not identifier:
            return (1.0, 1.0, 0.0)
        return self._editor.segmentation_node.GetSegmentation().GetSegment(identifier).GetColor()

    def _connect(self, sender, signal: str, slot) -> None:
        sender.connect(signal, slot)
        self._connections.append((sender, signal, slot))
