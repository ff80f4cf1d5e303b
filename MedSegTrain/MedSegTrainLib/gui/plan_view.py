"""Networks and recipe in MedSegTrain.ui: shows what `PlanPresenter` says, and hands on what the user does."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from MedSegDLLib.gui.lists import fill, silent

from ..interaction.methods import preset_names
from ..interaction.plan import PlanPresenter
from ..interaction.plan_ports import MethodRow, PlanPanel
from ..interaction.plan_wording import PlanWording

_MILLISECONDS_BETWEEN_POLLS = 200
_COLUMNS = 4


class PlanView:
    """What `PlanPresenter` shows itself in.

    Args:
        ui: the widgets of MedSegTrain.ui by name.
        onChosen: told what the user chose, by the names of the parameters.
    """

    def __init__(self, ui, onChosen: Callable[..., None]):
        self.ui = ui
        self.presenter: PlanPresenter | None = None
        self.wording = PlanWording(_)
        self._onChosen = onChosen
        self._rows: tuple[MethodRow, ...] = ()
        self._items: list = []
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN_POLLS)
        self._timer.connect("timeout()", lambda: self.presenter.poll())
        fill(ui.presetCombo, [(name, self.wording.preset(name)) for name in preset_names()])
        self._connect()

    def start(self, presenter: PlanPresenter) -> None:
        """Begin to show a presenter, in the place of an earlier one."""
        self.close()
        self.presenter = presenter
        presenter.show()

    def close(self) -> None:
        """Give up what is being done, and listen no more."""
        self._timer.stop()
        if self.presenter:
            self.presenter.close()

    def showChoices(self, preset: str, overrides: str) -> None:
        """What a parameter node says of the widgets that follow none by themselves."""
        ui = self.ui
        with silent(ui.presetCombo):
            ui.presetCombo.setCurrentIndex(max(0, ui.presetCombo.findData(preset)))
        if ui.overridesEdit.plainText != overrides:  # else the cursor would jump while somebody types
            with silent(ui.overridesEdit):
                ui.overridesEdit.setPlainText(overrides)

    # What the user does

    def _connect(self) -> None:
        ui = self.ui
        ui.methodsTree.connect("itemChanged(QTreeWidgetItem*,int)", self._onTick)
        ui.methodSearchEdit.connect("textChanged(QString)", lambda _text: self._showMatching())
        ui.presetCombo.connect(
            "currentIndexChanged(int)", lambda row: self._onChosen(preset=ui.presetCombo.itemData(row))
        )
        ui.overridesEdit.connect("textChanged()", lambda: self._onChosen(overrides=ui.overridesEdit.plainText))
        ui.planButton.connect("clicked(bool)", lambda _checked=False: self.presenter.press())

    def _onTick(self, item, column: int) -> None:
        number = self.ui.methodsTree.indexOfTopLevelItem(item)
        if column != 0 or not 0 <= number < len(self._rows):
            return
        is_ticked = item.checkState(0) == qt.Qt.Checked
        ticked = (is_ticked if n == number else row.is_ticked for n, row in enumerate(self._rows))
        self._onChosen(methods=[row.key for row, chosen in zip(self._rows, ticked) if chosen])

    # Shown

    def show(self, panel: PlanPanel) -> None:
        """See `interaction.plan_ports.View`."""
        ui = self.ui
        self._showMethods(panel.methods)
        ui.planButton.text, ui.planButton.toolTip, ui.planButton.enabled = panel.button, panel.tip, panel.enabled
        ui.estimateLabel.text = panel.estimate or ("" if panel.enabled else panel.tip)
        ui.estimateLabel.toolTip = panel.details
        done, total = panel.progress or (0, 0)
        ui.planProgressBar.visible = panel.is_busy
        ui.planProgressBar.maximum, ui.planProgressBar.value = total, done  # of 0 the bar moves to and fro
        if panel.is_busy and not self._timer.active:
            self._timer.start()
        elif not panel.is_busy:
            self._timer.stop()

    def _showMethods(self, rows: tuple[MethodRow, ...]) -> None:
        if rows == self._rows:
            return
        tree = self.ui.methodsTree
        with silent(tree):
            if not self._items:
                self._fill(len(rows))
            for item, row in zip(self._items, rows):
                _write(item, row)
        if not self._rows:
            for column in range(_COLUMNS):
                tree.resizeColumnToContents(column)
        self._rows = rows

    def _fill(self, count: int) -> None:
        self._items = [qt.QTreeWidgetItem() for _number in range(count)]
        for item in self._items:
            item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
            self.ui.methodsTree.addTopLevelItem(item)

    def _showMatching(self) -> None:
        words = self.ui.methodSearchEdit.text.casefold().split()
        for item, row in zip(self._items, self._rows):
            text = " ".join((row.title, row.kind, row.source)).casefold()
            item.setHidden(not all(word in text for word in words))


def _write(item, row: MethodRow) -> None:
    for column, text in enumerate((row.title, row.kind, row.parameters, row.problem or row.source)):
        item.setText(column, text)
        item.setToolTip(column, row.problem or row.source)
    item.setCheckState(0, qt.Qt.Checked if row.is_ticked else qt.Qt.Unchecked)
