"""The batch's panel: shows what `BatchPresenter` says, and hands on what the user does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ctk
import qt
from slicer.i18n import tr as _

from ..interaction.batch import BatchPresenter
from ..interaction.batch_ports import BatchChoices, BatchPanel, BatchRow
from ..interaction.batch_wording import BatchWording
from ..interaction.module_ports import Choices
from ..worker_process import find_python
from .lists import remember
from .patients import PatientList

_MILLISECONDS_BETWEEN_POLLS = 100
_FOLDER, _DATABASE = 0, 1


class BatchView:
    """A folder or patients in, a table of cases out.

    Args:
        segmenterProvider: gives the session's `Segmenter`, whose worker is closed when a batch begins, so that the two
            do not share the device's memory.
        choices: gives what is chosen in the module at that moment: model, device, and what is under Advanced.
        python: finds the worker's Python.
        isBusy: whether that `Segmenter` runs at that moment; a batch then cannot begin.
    """

    def __init__(
        self,
        segmenterProvider: Callable,
        choices: Callable[[], Choices],
        python: Callable[[], str] = find_python,
        isBusy: Callable[[], bool] = lambda: False,
    ):
        self._segmenterProvider = segmenterProvider
        self._choices = choices
        self._isBusy = isBusy
        self._shownRows: tuple[BatchRow, ...] = ()
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN_POLLS)
        self._build()
        self.presenter = BatchPresenter(self, BatchWording(_), python=python)
        self._timer.connect("timeout()", self.presenter.poll)
        self._connect()
        self._showSource()
        self.choose()

    def close(self) -> None:
        """End a batch that runs, and listen no more; what is done stays done."""
        self._timer.stop()
        self.presenter.close()

    # Built

    def _build(self) -> None:
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        form = qt.QFormLayout()
        layout.addLayout(form)
        self._buildSource(form)
        self.outputEdit = self._folderEdit("MedSegDL/BatchOutput", _("Each case gets a folder of its own in it."))
        form.addRow(_("Results:"), self.outputEdit)
        self._buildButtons(layout)
        self._buildProgress(layout)
        self._buildTable(layout)

    def _buildSource(self, form) -> None:
        self.sourceCombo = qt.QComboBox()
        self.sourceCombo.addItems([_("Folder"), _("Patients of the DICOM database")])
        self.sourceCombo.toolTip = _("Where the images come from.")
        form.addRow(_("Images:"), self.sourceCombo)
        self.inputEdit = self._folderEdit(
            "MedSegDL/BatchInput", _("Searched with all folders below it: DICOM, NIfTI, NRRD, MetaImage.")
        )
        form.addRow("", self.inputEdit)
        self.patientList = qt.QListWidget()
        self.patientList.toolTip = _(
            "Tick the patients to segment; all their series of the model's modality are taken."
        )
        self.patientList.setMaximumHeight(120)
        self._patients = PatientList(self.patientList, self.choose)
        form.addRow("", self.patientList)

    def _buildButtons(self, layout) -> None:
        buttons = qt.QHBoxLayout()
        layout.addLayout(buttons)
        self.startButton = qt.QPushButton()
        self.pauseButton = qt.QPushButton(_("Pause"))
        self.pauseButton.toolTip = _("Stop after the present case; Resume goes on.")
        self.cancelButton = qt.QPushButton(_("Cancel"))
        self.cancelButton.toolTip = _("Stop at once. What is done stays.")
        for button in (self.startButton, self.pauseButton, self.cancelButton):
            buttons.addWidget(button)

    def _buildProgress(self, layout) -> None:
        self.progressBar = qt.QProgressBar()
        self.progressBar.visible = False
        layout.addWidget(self.progressBar)
        self.statusLabel = qt.QLabel()
        self.statusLabel.wordWrap = True
        layout.addWidget(self.statusLabel)

    def _buildTable(self, layout) -> None:
        self.table = qt.QTableWidget()
        self.table.setColumnCount(4)
        self.table.setHorizontalHeaderLabels([_("Case"), _("Status"), _("Time"), _("Message")])
        self.table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        self.table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self.table.verticalHeader().setVisible(False)
        self.table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.table.setMinimumHeight(150)
        self.table.toolTip = _("A row for each image that was found; empty until a batch was started.")
        layout.addWidget(self.table)

    @staticmethod
    def _folderEdit(settingKey: str, toolTip: str):
        edit = ctk.ctkPathLineEdit()
        edit.filters = ctk.ctkPathLineEdit.Dirs
        edit.settingKey = settingKey
        edit.toolTip = toolTip
        return edit

    def _connect(self) -> None:
        self.sourceCombo.connect("currentIndexChanged(int)", self.onSource)
        self.inputEdit.connect("currentPathChanged(QString)", self.choose)
        self.outputEdit.connect("currentPathChanged(QString)", self.choose)
        self.startButton.connect("clicked(bool)", self.onStart)
        self.pauseButton.connect("clicked(bool)", lambda _checked=False: self.presenter.pause())
        self.cancelButton.connect("clicked(bool)", lambda _checked=False: self.presenter.cancel())

    # What the user does

    def onSource(self, _index: int = 0) -> None:
        self._showSource()
        if self.sourceCombo.currentIndex == _DATABASE:
            self._patients.fill()
        self.choose()

    def choose(self, _change=None) -> None:
        """Take what is chosen in the panel, and the model."""
        fromDatabase, chosen = self.sourceCombo.currentIndex == _DATABASE, self._choices()
        folder = self.inputEdit.currentPath
        self.presenter.choose(
            BatchChoices(
                inputs=() if fromDatabase or not folder else (Path(folder),),
                files=self._patients.files if fromDatabase else (),
                output=Path(self.outputEdit.currentPath) if self.outputEdit.currentPath else None,
                model=chosen.model,
                device=chosen.device,
                arguments=chosen.arguments,
            )
        )

    def onStart(self, _checked: bool = False) -> None:
        self.choose()
        if self._isBusy():
            self.statusLabel.text = _("Another run is under way. Wait for it, or cancel it first.")
            return
        if self.presenter.reason_not_to_start():
            return
        self._segmenterProvider().close()
        for edit in (self.inputEdit, self.outputEdit):
            remember(edit)
        self.presenter.start()
        if self.presenter.is_active:
            self._timer.start()

    def choicesChanged(self) -> None:
        """Something else was chosen in the module."""
        if not self.presenter.is_active:
            self.choose()

    # Shown

    def show(self, panel: BatchPanel) -> None:
        """See `interaction.batch_ports.View`."""
        self.startButton.text = panel.start_text
        self.startButton.toolTip = panel.start_tip
        self.startButton.enabled = panel.can_start
        self.pauseButton.enabled = panel.can_pause
        self.cancelButton.enabled = panel.can_cancel
        self.statusLabel.text = panel.status
        self.statusLabel.toolTip = panel.details
        self._showProgress(panel)
        self._showRows(panel.rows)
        if not self.presenter.is_active:
            self._timer.stop()

    def _showProgress(self, panel: BatchPanel) -> None:
        self.progressBar.visible = panel.can_cancel
        self.progressBar.maximum = 0 if panel.fraction is None else 100  # 0 lets the bar move to and fro
        self.progressBar.value = round(100 * (panel.fraction or 0))

    def _showRows(self, rows: tuple[BatchRow, ...]) -> None:
        """Only what changed: a night's work has thousands of rows."""
        self.table.setRowCount(len(rows))
        shown = self._shownRows + (None,) * (len(rows) - len(self._shownRows))
        for number, (row, before) in enumerate(zip(rows, shown)):
            if row != before:
                self._showRow(number, row)
        self._shownRows = rows

    def _showRow(self, number: int, row: BatchRow) -> None:
        for column, text in enumerate((row.name, row.status, row.seconds, row.message)):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(row.message or row.source)
            self.table.setItem(number, column, item)

    def _showSource(self) -> None:
        fromDatabase = self.sourceCombo.currentIndex == _DATABASE
        self.inputEdit.visible = not fromDatabase
        self.patientList.visible = fromDatabase
