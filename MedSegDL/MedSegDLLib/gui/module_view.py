"""The module's panel: shows what the presenter says, and hands on what the user does."""

from __future__ import annotations

import logging
from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ..interaction.catalogue import ModelEntry
from ..interaction.measures import seconds_text, spacing_text
from ..interaction.module import ModulePresenter
from ..interaction.module_ports import Panel
from ..interaction.module_wording import ModuleWording
from ..interaction.outcome import Outcome
from .dicom_export import canExport

_MILLISECONDS_BETWEEN_POLLS = 50
_COLUMNS = ("title", "structures", "resolution", "license", "time")


class ModuleView:
    """What `ModulePresenter` shows itself in.

    Args:
        ui: the widgets of MedSegDL.ui by name.
        wording: for what is not in the panel.
        onChosen: told what the user chose, by the names of `Choices`.
    """

    def __init__(self, ui, wording: ModuleWording, onChosen: Callable[..., None]):
        self.ui = ui
        self.presenter: ModulePresenter | None = None
        self._wording = wording
        self._onChosen = onChosen
        self._panel: Panel | None = None
        self._entries: tuple[ModelEntry, ...] = ()
        self._shownList: tuple = ()
        self._shownStructures: tuple = ()
        self._modelItems: list = []
        self._resultItems: list = []
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN_POLLS)
        self._timer.connect("timeout()", self._poll)
        self._fillRegions()
        self._fillDevices(())
        self._connect()

    def start(self, presenter: ModulePresenter) -> None:
        """Begin to show a presenter, in the place of an earlier one."""
        self.close()
        self.presenter = presenter
        self._panel = None
        presenter.show()
        self.refresh()

    @property
    def outcome(self) -> Outcome | None:
        """The result that is shown."""
        return self._panel.outcome if self._panel else None

    def close(self) -> None:
        """Stop the run, if there is one, and listen no more."""
        self._timer.stop()
        if self.presenter:
            self.presenter.close()

    # Shown

    def show(self, panel: Panel) -> None:
        """See `interaction.module.View`."""
        if panel == self._panel:
            return
        ended = self._panel is not None and self._panel.is_busy and not panel.is_busy
        self._panel = panel
        self._showButton(panel)
        self._showProgress(panel)
        self._showFailure(panel)
        self._showResult(panel)
        if panel.is_busy and not self._timer.active:
            self._timer.start()
        if ended:
            self._timer.stop()
            self._fillDevices(self.presenter.devices)
            self.refresh()

    def refresh(self) -> None:
        """Show the choices and the models anew: what was installed, what it takes on this volume."""
        self._showModels()
        choices = self.presenter.choices
        self._select(self.ui.regionCombo, choices.where)
        self._select(self.ui.deviceCombo, choices.device)
        self.ui.roiSelector.visible = self.ui.roiLabel.visible = choices.where == "roi"
        self.ui.allFramesCheckBox.visible = self.presenter.frames > 1
        self._showStructures()

    def _showButton(self, panel: Panel) -> None:
        self.ui.applyButton.text = panel.button
        self.ui.applyButton.enabled = panel.enabled
        self.ui.applyButton.toolTip = panel.tip

    def _showProgress(self, panel: Panel) -> None:
        done, total = panel.progress or (0, 0)  # a total of 0 lets the bar move to and fro
        self.ui.progressBar.visible = panel.is_busy
        self.ui.progressBar.maximum = total
        self.ui.progressBar.value = done
        self.ui.statusLabel.text = panel.status
        self.ui.statusLabel.visible = bool(panel.status)

    def _showFailure(self, panel: Panel) -> None:
        failure = panel.failure
        self.ui.failureFrame.visible = failure is not None
        if failure:
            self.ui.failureLabel.text = failure.sentence
            self.ui.detailsText.setPlainText(failure.details)
            self.ui.detailsButton.visible = bool(failure.details)
            self.ui.failureLogButton.visible = bool(failure.log_path)
        self.ui.detailsText.visible = failure is not None and self.ui.detailsButton.checked

    def _showResult(self, panel: Panel) -> None:
        outcome = panel.outcome
        self.ui.resultCollapsibleButton.visible = outcome is not None
        self.ui.resultTree.clear()
        self._resultItems = []
        node = outcome.segmentation_node if outcome else None
        self.ui.show3DButton.setSegmentationNode(node)
        if outcome is None:
            return
        self.ui.summaryLabel.text = panel.summary
        self.ui.dicomButton.visible = canExport(node)
        for finding in outcome.found:
            item = qt.QTreeWidgetItem()
            item.setText(0, finding.name)
            item.setIcon(0, _square(finding.color))
            item.setText(1, self._wording.volume_ml(finding))
            self.ui.resultTree.addTopLevelItem(item)
            self._resultItems.append(item)
        self.ui.resultTree.resizeColumnToContents(0)

    def _showModels(self) -> None:
        listed = self.presenter.listed_models(self.ui.modelSearchEdit.text)
        entries = tuple(entry for entry, _seconds in listed)
        rows = tuple(self._row(entry, seconds) for entry, seconds in listed)
        tree, chosen = self.ui.modelTree, self.presenter.choices.model
        wasBlocked = tree.blockSignals(True)
        if rows != self._shownList:
            self._shownList, self._entries = rows, entries
            tree.clear()
            self._modelItems = [self._modelItem(entry, row) for entry, row in zip(entries, rows)]
            for item in self._modelItems:
                tree.addTopLevelItem(item)
            for column in range(len(_COLUMNS)):
                tree.resizeColumnToContents(column)
        names = [entry.name for entry in self._entries]
        tree.setCurrentItem(self._modelItems[names.index(chosen)] if chosen in names else None)
        tree.blockSignals(wasBlocked)
        entry = self.presenter.entry
        self.ui.modelInfoLabel.text = self._info(entry)

    def _info(self, entry: ModelEntry | None) -> str:
        if entry:
            return " ".join(text for text in (entry.description, entry.limits) if text)
        if not self.presenter.models:
            return self._wording.no_model_installed()
        return self._wording.choose_model() if self._entries else _("No model matches the search.")

    @staticmethod
    def _row(entry: ModelEntry, seconds: float | None) -> tuple[str, ...]:
        if entry.bundle is None:
            return (entry.title, "", "", "", _("damaged"))
        spec = entry.bundle.spec
        return (
            entry.title,
            str(len(spec.labels)),
            spacing_text(spec.spacing_mm),
            spec.licence,
            seconds_text(seconds) if seconds else _("not known yet"),
        )

    def _modelItem(self, entry: ModelEntry, row: tuple[str, ...]):
        item = qt.QTreeWidgetItem()
        for column, text in enumerate(row):
            item.setText(column, text)
        tip = f"{', '.join(entry.modality)}: {', '.join(entry.structures)}" if entry.bundle else entry.problem
        picture = f'<p><img src="{entry.picture.as_posix()}"></p>' if entry.picture else ""
        item.setToolTip(0, f"<p>{tip}</p>{picture}")
        return item

    def _showStructures(self) -> None:
        entry, choices = self.presenter.entry, self.presenter.choices
        names = entry.structures if entry else ()
        chosen = tuple(name for name in names if name not in choices.left_out)
        text = _("all ({count})") if chosen == names else _("{chosen} of {count}")
        self.ui.structuresLabel.text = text.format(chosen=len(chosen), count=len(names)) if names else ""
        self.ui.chooseStructuresButton.enabled = bool(names)
        listed = bool(names) and self.ui.chooseStructuresButton.checked
        for widget in (self.ui.structuresList, self.ui.allStructuresButton, self.ui.noStructuresButton):
            widget.visible = listed
        if (names, chosen) == self._shownStructures:
            return
        self._shownStructures = (names, chosen)
        structures = self.ui.structuresList
        wasBlocked = structures.blockSignals(True)
        structures.clear()
        structures.addItems(list(names))
        for row, name in enumerate(names):
            item = structures.item(row)
            item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(qt.Qt.Checked if name in chosen else qt.Qt.Unchecked)
        structures.blockSignals(wasBlocked)

    def _fillRegions(self) -> None:
        for where, text in (
            ("whole", _("Whole volume")),
            ("view", _("What the red slice view shows")),
            ("roi", _("Region of interest (ROI)")),
            ("segments", _("Around the visible segments of the output")),
        ):
            self.ui.regionCombo.addItem(text, where)

    def _fillDevices(self, devices: tuple[dict, ...]) -> None:
        """What the worker has told of, and what can be asked for before it has."""
        combo = self.ui.deviceCombo
        chosen = combo.itemData(combo.currentIndex) or "auto"
        rows = [("auto", _("Automatic"))]
        rows += [(device["name"], f"{device['name']}: {device['description']}") for device in devices] or [
            ("cpu", "cpu")
        ]
        if chosen not in dict(rows):
            rows.append((chosen, chosen))
        wasBlocked = combo.blockSignals(True)
        combo.clear()
        for name, text in rows:
            combo.addItem(text, name)
        combo.setCurrentIndex(combo.findData(chosen))
        combo.blockSignals(wasBlocked)

    @staticmethod
    def _select(combo, data: str) -> None:
        wasBlocked = combo.blockSignals(True)
        if combo.findData(data) < 0:
            combo.addItem(data, data)  # as from a scene that was saved on another computer
        combo.setCurrentIndex(combo.findData(data))
        combo.blockSignals(wasBlocked)

    # What the user does

    def _connect(self) -> None:
        ui = self.ui
        ui.applyButton.connect("clicked(bool)", self._onApply)
        ui.modelSearchEdit.connect("textChanged(QString)", lambda _text: self._showModels())
        ui.modelTree.connect("itemSelectionChanged()", self._onModel)
        ui.addModelButton.connect("clicked(bool)", self._onAddModel)
        ui.chooseStructuresButton.connect("toggled(bool)", lambda _checked: self._showStructures())
        ui.structuresList.connect("itemChanged(QListWidgetItem*)", lambda _item: self._onStructures())
        ui.allStructuresButton.connect("clicked(bool)", lambda _checked: self._onChosen(left_out=frozenset()))
        ui.noStructuresButton.connect("clicked(bool)", lambda _checked: self._onNoStructures())
        ui.regionCombo.connect(
            "currentIndexChanged(int)", lambda row: self._onChosen(where=ui.regionCombo.itemData(row))
        )
        ui.deviceCombo.connect(
            "currentIndexChanged(int)", lambda row: self._onChosen(device=ui.deviceCombo.itemData(row))
        )
        ui.detailsButton.connect("toggled(bool)", lambda _checked: self._showFailure(self._panel))

    def _onApply(self, _checked: bool = False) -> None:
        self._guarded(self.presenter.press)

    def _onModel(self) -> None:
        row = self.ui.modelTree.indexOfTopLevelItem(self.ui.modelTree.currentItem())
        if 0 <= row < len(self._entries):
            self._onChosen(model=self._entries[row].name, left_out=frozenset())

    def _onAddModel(self, _checked: bool = False) -> None:
        self.ui.modelsCollapsibleButton.collapsed = False

    def _onStructures(self) -> None:
        structures = self.ui.structuresList
        items = [structures.item(row) for row in range(structures.count)]
        names = tuple(item.text() for item in items)
        chosen = tuple(item.text() for item in items if item.checkState() == qt.Qt.Checked)
        self._shownStructures = (names, chosen)  # the list must not be made anew while one of its items is changing
        self._onChosen(left_out=frozenset(names) - set(chosen))

    def _onNoStructures(self) -> None:
        if self.presenter.entry:
            self._onChosen(left_out=frozenset(self.presenter.entry.structures))

    def _poll(self) -> None:
        self._guarded(self.presenter.poll)

    def _guarded(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:  # the border of a Qt slot: the panel would stay busy for ever
            logging.exception("MedSegDL met an error that nobody foresaw")
            self.presenter.give_up(error)


def _square(color: tuple[int, int, int]):
    pixmap = qt.QPixmap(12, 12)
    pixmap.fill(qt.QColor(*color))
    return qt.QIcon(pixmap)
