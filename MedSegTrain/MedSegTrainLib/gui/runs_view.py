"""The runs in MedSegTrain.ui: shows what `RunsPresenter` says, and hands on what the user does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt
import slicer
from slicer.i18n import tr as _

from ..interaction.runs import RunsPresenter
from ..interaction.runs_ports import RunsPanel
from ..scene.curves import show_curves
from .tables import Cell, TextTable

_MILLISECONDS_BETWEEN_POLLS = 1000


class RunsView:
    """A table of networks and folds, and the curves of the one that is selected.

    Args:
        ui: the widgets of MedSegTrain.ui by name.
        onShown: called when the panel was shown anew.
    """

    def __init__(self, ui, onShown: Callable[[], None]):
        self.ui = ui
        self.presenter: RunsPresenter | None = None
        self._onShown = onShown
        self._table = TextTable(ui.runsTable)
        self._titleInLayout = ""
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN_POLLS)
        self._timer.connect("timeout()", lambda: self.presenter.poll())
        self._connect()

    def start(self, presenter: RunsPresenter) -> None:
        """Begin to show a presenter, in the place of an earlier one."""
        self.close()
        self.presenter = presenter
        presenter.show()

    def close(self, stop: bool = False) -> None:
        """Watch no more; what runs goes on, or ends after its present step."""
        self._timer.stop()
        if self.presenter:
            self.presenter.close(stop)

    # What the user does

    def _connect(self) -> None:
        ui = self.ui
        ui.runsTable.connect("currentCellChanged(int,int,int,int)", self._onCell)
        ui.pauseButton.connect("clicked(bool)", lambda _checked=False: self.presenter.pause())
        ui.stopButton.connect("clicked(bool)", lambda _checked=False: self.presenter.stop())
        ui.goOnButton.connect("clicked(bool)", lambda _checked=False: self.presenter.go_on())
        ui.trainingLogButton.connect("clicked(bool)", self._onLog)

    def _onCell(self, row: int, column: int, _formerRow: int, _formerColumn: int) -> None:
        if row >= 0 and column > 0:
            self._titleInLayout = ""  # another run was asked for: bring its curves to the front
            self.presenter.select(row, column - 1)

    def _onLog(self, _checked: bool = False) -> None:
        log = self.presenter.log
        if log and log.is_file():
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(log)))
        else:
            self.ui.runsStatusLabel.text = _("There is no log yet: no benchmark was started from here.")

    # Shown

    def show(self, panel: RunsPanel) -> None:
        """See `interaction.runs_ports.View`."""
        ui = self.ui
        self._table.setHeads(["", *panel.columns])
        self._table.show([(Cell(row.title), *(Cell(cell.text, cell.tip) for cell in row.cells)) for row in panel.rows])
        self._table.select(*_selected(panel))
        ui.runsTable.visible = bool(panel.rows)
        ui.pauseButton.enabled, ui.pauseButton.text = panel.can_pause, panel.pause_text
        ui.stopButton.enabled = panel.can_stop
        ui.goOnButton.enabled, ui.goOnButton.toolTip = panel.can_go_on, panel.go_on_tip
        ui.runsProgressBar.visible = bool(panel.rows)
        ui.runsProgressBar.value = round(100 * panel.fraction)
        ui.runsStatusLabel.text, ui.runsStatusLabel.toolTip = panel.status, panel.details
        self._followWork()
        self._onShown()

    def show_curves(self, title: str, events: Sequence[dict]) -> None:
        """In the scene; and in the layout, where there is one, when another run was selected."""
        chart = show_curves(slicer.mrmlScene, title, events)
        if title != self._titleInLayout and slicer.app.layoutManager():
            slicer.modules.plots.logic().ShowChartInLayout(chart)
        self._titleInLayout = title

    def _followWork(self) -> None:
        """The timer runs as long as something may change."""
        if self.presenter.needs_polling != self._timer.active:
            (self._timer.stop if self._timer.active else self._timer.start)()


def _selected(panel: RunsPanel) -> tuple[int, int]:
    """Row and column of the selected run in the table, whose first column are the methods; (-1, -1) for none."""
    for number, row in enumerate(panel.rows):
        for column, cell in enumerate(row.cells, start=1):
            if cell.is_selected:
                return number, column
    return -1, -1
