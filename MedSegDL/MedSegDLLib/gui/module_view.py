"""The module's panel: shows what the presenter says, and hands on what the user does."""

from __future__ import annotations

import logging
from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from ..interaction.device_list import device_rows
from ..interaction.module import ModulePresenter
from ..interaction.module_ports import KEEP_LARGEST, Panel
from ..interaction.module_wording import ModuleWording
from ..interaction.outcome import Outcome
from .channel_selectors import ChannelSelectors
from .dicom_export import canExport
from .lists import choose, chosen, fill, silent
from .model_list import ModelList

_MILLISECONDS_BETWEEN_POLLS = 50


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
        self._shownStructures: tuple = ()
        self._shownDevices: tuple = ()
        self._resultItems: list = []
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN_POLLS)
        self._timer.connect("timeout()", self._poll)
        self._models = ModelList(ui, wording, lambda name: onChosen(model=name, left_out=frozenset()))
        self._channels = ChannelSelectors(
            ui.channelsFrame, ui.volumeLabel, lambda nodes: onChosen(more_volumes=list(nodes))
        )
        self._fillLists()
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
        self._channels.close()
        if self.presenter:
            self.presenter.close()

    # Shown

    def show(self, panel: Panel) -> None:
        """See `interaction.module_ports.View`."""
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
            self.refresh()

    def refresh(self) -> None:
        """Show the choices and the models anew: what was installed, what it takes on this volume."""
        choices = self.presenter.choices
        self._models.show(self.presenter)
        self._channels.show(self.presenter.channels, choices.more_volume_nodes)
        choose(self.ui.regionCombo, choices.where)
        self._showDevices(choices.device)
        keep_largest = next(name for name, value in KEEP_LARGEST.items() if value is choices.keep_largest)
        choose(self.ui.keepLargestCombo, keep_largest)
        self.ui.roiSelector.visible = self.ui.roiLabel.visible = choices.where == "roi"
        self.ui.allFramesCheckBox.visible = self.presenter.frames > 1
        self._showStructures()

    def _showDevices(self, name: str) -> None:
        """A list must not be made anew while one of its rows is being chosen."""
        rows = device_rows(self.presenter.devices, name, _)
        if rows != self._shownDevices:
            self._shownDevices = rows
            fill(self.ui.deviceCombo, rows)
        choose(self.ui.deviceCombo, name)

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

    def _showStructures(self) -> None:
        entry, choices = self.presenter.entry, self.presenter.choices
        names = entry.structures if entry else ()
        wanted = tuple(name for name in names if name not in choices.left_out)
        text = _("all ({count})") if wanted == names else _("{chosen} of {count}")
        self.ui.structuresLabel.text = text.format(chosen=len(wanted), count=len(names)) if names else ""
        self.ui.chooseStructuresButton.enabled = bool(names)
        listed = bool(names) and self.ui.chooseStructuresButton.checked
        for widget in (self.ui.structuresList, self.ui.allStructuresButton, self.ui.noStructuresButton):
            widget.visible = listed
        if (names, wanted) == self._shownStructures:
            return
        self._shownStructures = (names, wanted)
        with silent(self.ui.structuresList) as structures:
            structures.clear()
            structures.addItems(list(names))
            for row, name in enumerate(names):
                structures.item(row).setCheckState(qt.Qt.Checked if name in wanted else qt.Qt.Unchecked)

    def _fillLists(self) -> None:
        regions = (
            ("whole", _("Whole volume")),
            ("view", _("What the red slice view shows")),
            ("roi", _("Region of interest (ROI)")),
            ("segments", _("Around the visible segments of the output")),
        )
        fill(self.ui.regionCombo, regions)
        texts = (_("as the model says"), _("yes"), _("no"))
        fill(self.ui.keepLargestCombo, zip(KEEP_LARGEST, texts))

    # What the user does

    def _connect(self) -> None:
        ui = self.ui
        ui.applyButton.connect("clicked(bool)", self._onApply)
        ui.addModelButton.connect("clicked(bool)", self._onAddModel)
        ui.chooseStructuresButton.connect("toggled(bool)", lambda _checked: self._showStructures())
        ui.structuresList.connect("itemChanged(QListWidgetItem*)", lambda _item: self._onStructures())
        ui.allStructuresButton.connect("clicked(bool)", lambda _checked: self._onChosen(left_out=frozenset()))
        ui.noStructuresButton.connect("clicked(bool)", lambda _checked: self._onNoStructures())
        ui.regionCombo.connect("currentIndexChanged(int)", lambda _row: self._onChosen(where=chosen(ui.regionCombo)))
        ui.deviceCombo.connect("currentIndexChanged(int)", lambda _row: self._onChosen(device=chosen(ui.deviceCombo)))
        ui.keepLargestCombo.connect(
            "currentIndexChanged(int)", lambda _row: self._onChosen(keep_largest=chosen(ui.keepLargestCombo))
        )
        ui.detailsButton.connect("toggled(bool)", lambda _checked: self._showFailure(self._panel))

    def _onApply(self, _checked: bool = False) -> None:
        self._guarded(self.presenter.press)

    def _onAddModel(self, _checked: bool = False) -> None:
        self.ui.modelsCollapsibleButton.collapsed = False

    def _onStructures(self) -> None:
        structures = self.ui.structuresList
        items = [structures.item(row) for row in range(structures.count)]
        names = tuple(item.text() for item in items)
        wanted = tuple(item.text() for item in items if item.checkState() == qt.Qt.Checked)
        self._shownStructures = (names, wanted)  # the list must not be made anew while one of its items is changing
        self._onChosen(left_out=frozenset(names) - set(wanted))

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
