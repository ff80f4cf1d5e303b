"""The panel of data in MedSegTrain.ui: shows what `DataPresenter` says, and hands on what the user does."""

from __future__ import annotations

from pathlib import Path

import qt
from slicer.i18n import tr as _

from MedSegDLLib.gui.lists import fill, remember
from MedSegDLLib.gui.patients import PatientList

from ..interaction.data import DataPresenter
from ..interaction.data_ports import DATABASE, FOLDER, SCENE, CaseRow, DataChoices, DataPanel, StructureRow
from .tables import Cell, TextTable
from .terminology import chosenTerminology

_MILLISECONDS_BETWEEN_POLLS = 100
_NAME, _CASES, _STRUCTURE, _WITHOUT, _ABSENT, _CODES = range(6)


class DataView:
    """Data in, a data set out.

    Args:
        ui: the widgets of MedSegTrain.ui by name.
    """

    def __init__(self, ui):
        self.ui = ui
        self.presenter: DataPresenter | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN_POLLS)
        self._cases, self._structures = TextTable(ui.casesTable), TextTable(ui.structuresTable)
        self._patients = PatientList(ui.patientList, self.choose)
        self._shownPicture: Path | None = None
        fill(ui.sourceCombo, _sources())
        self._timer.connect("timeout()", self._poll)
        self._connect()
        self._showSource()

    def start(self, presenter: DataPresenter) -> None:
        """Begin to show a presenter, in the place of an earlier one."""
        self.close()
        self.presenter = presenter
        self.choose()

    def close(self) -> None:
        """End what is being done, and listen no more."""
        self._timer.stop()
        if self.presenter:
            self.presenter.close()

    def refresh(self) -> None:
        """The module is entered: patients may have been added to the database meanwhile."""
        if not self.presenter.is_busy:
            self._showSource()
            self.choose()

    # What the user does

    def choose(self, _change=None) -> None:
        """Take what is chosen in the panel."""
        source = self.ui.sourceCombo.itemData(self.ui.sourceCombo.currentIndex)
        self.presenter.choose(
            DataChoices(
                source=source,
                folder=_path(self.ui.folderEdit),
                files=self._patients.files if source == DATABASE else (),
                output=_path(self.ui.outputEdit),
                channels=self.ui.channelsEdit.text,
            )
        )

    def _connect(self) -> None:
        ui = self.ui
        ui.sourceCombo.connect("currentIndexChanged(int)", self._onSource)
        ui.folderEdit.connect("currentPathChanged(QString)", self.choose)
        ui.outputEdit.connect("currentPathChanged(QString)", self.choose)
        ui.channelsEdit.connect("textChanged(QString)", self.choose)
        ui.lookButton.connect("clicked(bool)", self._onLook)
        ui.importButton.connect("clicked(bool)", lambda _checked=False: self.presenter.import_data())
        ui.cancelDataButton.connect("clicked(bool)", lambda _checked=False: self.presenter.cancel())
        ui.casesTable.connect("itemSelectionChanged()", self._onCase)
        ui.structuresTable.connect("itemChanged(QTableWidgetItem*)", self._onStructure)
        ui.structuresTable.connect("cellDoubleClicked(int,int)", self._onCodes)

    def _onSource(self, _index: int) -> None:
        self._showSource()
        self.choose()

    def _onLook(self, _checked: bool = False) -> None:
        remember(self.ui.folderEdit)
        self.presenter.look()

    def _onCase(self) -> None:
        items = self.ui.casesTable.selectedItems()
        row = items[0].row() if items else -1
        self.presenter.select(self.ui.casesTable.item(row, 0).text() if row >= 0 else "")

    def _onStructure(self, item) -> None:
        row, column = item.row(), item.column()
        self._structures.forget(row)
        text, absent = item.text(), item.checkState() == qt.Qt.Checked

        def correct() -> None:
            if column == _STRUCTURE:
                self.presenter.rename(row, text)
            elif column == _ABSENT:
                self.presenter.set_absent(row, absent)

        qt.QTimer.singleShot(0, correct)  # not while the table still works on the item

    def _onCodes(self, row: int, column: int) -> None:
        current = self.presenter.terminology(row) if column == _CODES else None
        chosen = chosenTerminology(current, self.ui.structuresTable) if current else None
        if chosen:
            self.presenter.set_terminology(row, chosen)

    # Shown

    def show(self, panel: DataPanel) -> None:
        """See `interaction.data_ports.View`."""
        ui = self.ui
        ui.lookButton.enabled, ui.lookButton.toolTip = panel.can_look, panel.look_tip
        ui.importButton.enabled, ui.importButton.toolTip = panel.can_import, panel.import_tip
        ui.cancelDataButton.visible = ui.dataProgressBar.visible = panel.is_busy
        for widget in (ui.sourceCombo, ui.folderEdit, ui.patientList, ui.outputEdit, ui.structuresTable):
            widget.enabled = not panel.is_busy
        done, total = panel.progress or (0, 0)
        ui.dataProgressBar.maximum, ui.dataProgressBar.value = total, done  # a total of 0 lets the bar move to and fro
        ui.dataStatusLabel.text, ui.dataStatusLabel.toolTip = panel.status, panel.details
        ui.channelsEdit.placeholderText, ui.channelsEdit.toolTip = panel.channels, panel.channels_tip
        self._cases.show([_caseCells(row) for row in panel.cases])
        names = [row.name for row in panel.cases]
        self._cases.select(names.index(panel.selected) if panel.selected in names else -1)
        self._structures.show([_structureCells(row) for row in panel.structures])
        self._showPicture(panel.picture)
        self._followWork()

    def _followWork(self) -> None:
        """The timer runs as long as something is awaited."""
        if self.presenter.needs_polling != self._timer.active:
            (self._timer.stop if self._timer.active else self._timer.start)()

    def _poll(self) -> None:
        self.presenter.poll()
        self._followWork()

    def _showPicture(self, picture: Path | None) -> None:
        self.ui.pictureLabel.visible = picture is not None
        if picture is not None and picture != self._shownPicture:
            self.ui.pictureLabel.setPixmap(qt.QPixmap(str(picture)))
        self._shownPicture = picture

    def _showSource(self) -> None:
        source = self.ui.sourceCombo.itemData(self.ui.sourceCombo.currentIndex)
        self.ui.folderEdit.visible = self.ui.folderLabel.visible = source == FOLDER
        self.ui.patientList.visible = self.ui.patientsLabel.visible = source == DATABASE
        if source == DATABASE:
            self._patients.fill()


def _sources() -> list[tuple[str, str]]:
    return [
        (FOLDER, _("Folder")),
        (DATABASE, _("Patients of the DICOM database")),
        (SCENE, _("What is loaded in the scene")),
    ]


def _caseCells(row: CaseRow) -> tuple[Cell, ...]:
    texts = (row.name, row.modality, row.size, row.structures, row.warnings)
    return tuple(Cell(text, row.warnings) for text in texts)


def _structureCells(row: StructureRow) -> tuple[Cell, ...]:
    return (
        Cell(row.name),
        Cell(row.cases),
        Cell(row.structure, _("The structure in the model; empty leaves it out."), editable=row.can_change),
        Cell(row.without),
        Cell("", _("Ticked: a case without it does not have it."), checked=row.absent if row.can_change else None),
        Cell(row.codes, row.codes_tip),
    )


def _path(edit) -> Path | None:
    return Path(edit.currentPath) if edit.currentPath else None
