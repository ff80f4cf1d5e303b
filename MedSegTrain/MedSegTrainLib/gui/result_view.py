"""The result in MedSegTrain.ui: shows what `ResultPresenter` says, and hands on what the user does."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

from ..interaction.result import ResultPresenter
from ..interaction.result_ports import ResultPanel
from .tables import Cell, TextTable

_MILLISECONDS_BETWEEN_POLLS = 300


class ResultView:
    """A ranking, and what can be done with it.

    Args:
        ui: the widgets of MedSegTrain.ui by name.
    """

    def __init__(self, ui):
        self.ui = ui
        self.presenter: ResultPresenter | None = None
        self._table = TextTable(ui.rankingTable)
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN_POLLS)
        self._timer.connect("timeout()", lambda: self.presenter.poll())
        self._connect()

    def start(self, presenter: ResultPresenter) -> None:
        """Begin to show a presenter, in the place of an earlier one."""
        self.close()
        self.presenter = presenter
        presenter.show()

    def close(self) -> None:
        """Give up what is being done, and listen no more."""
        self._timer.stop()
        if self.presenter:
            self.presenter.close()

    # What the user does

    def _connect(self) -> None:
        ui = self.ui
        ui.rankingTable.connect("currentCellChanged(int,int,int,int)", self._onCell)
        ui.reportButton.connect("clicked(bool)", lambda _checked=False: self.presenter.make_report())
        ui.openReportButton.connect("clicked(bool)", lambda _checked=False: self.presenter.open_report())
        ui.useButton.connect("clicked(bool)", lambda _checked=False: self.presenter.use())

    def _onCell(self, row: int, _column: int, _formerRow: int, _formerColumn: int) -> None:
        self.presenter.select(row)

    def confirms(self, question: str) -> bool:
        return slicer.util.confirmOkCancelDisplay(question, "MedSegTrain")

    def open(self, path: Path) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(path)))

    # Shown

    def show(self, panel: ResultPanel) -> None:
        """See `interaction.result_ports.View`."""
        ui = self.ui
        self._table.show([(Cell(row.rank), Cell(row.title), Cell(row.dice), Cell(row.interval)) for row in panel.rows])
        chosen = next((number for number, row in enumerate(panel.rows) if row.is_selected), None)
        if chosen is not None:
            self._table.select(chosen)
        ui.rankingTable.visible = bool(panel.rows)
        ui.reportButton.enabled, ui.reportButton.toolTip = panel.can_report, panel.report_tip
        ui.openReportButton.enabled = panel.can_open
        ui.useButton.enabled, ui.useButton.toolTip = panel.can_use, panel.use_tip
        ui.resultProgressBar.visible = panel.is_busy
        ui.resultStatusLabel.text, ui.resultStatusLabel.toolTip = panel.status, panel.details
        if panel.is_busy and not self._timer.active:
            self._timer.start()
        elif not panel.is_busy:
            self._timer.stop()
