"""The patients of Slicer's DICOM database, to be ticked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..interaction.dicom_patients import files_of_patients
from .lists import silent


class PatientList:
    """Fills a QListWidget.

    Args:
        onTicked: called when the user ticks another choice of patients.

    Attributes:
        files: of the patients that are ticked.
    """

    def __init__(self, widget, onTicked: Callable[[], None]):
        self._widget, self._onTicked = widget, onTicked
        self._patients: list[str] = []
        self.files: tuple[Path, ...] = ()
        widget.connect("itemChanged(QListWidgetItem*)", self._onItem)

    def fill(self) -> None:
        """List the patients that are there by now; those that were ticked stay so."""
        ticked = set(self._ticked())
        self._patients = _patientsOfDatabase()
        nobody = _("The DICOM database has no patients. Import some in the DICOM module.")
        with silent(self._widget):
            self._widget.clear()
            self._widget.addItems([_called(patient) for patient in self._patients] or [nobody])
            for row, patient in enumerate(self._patients):
                item = self._widget.item(row)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
                item.setCheckState(qt.Qt.Checked if patient in ticked else qt.Qt.Unchecked)
        self._readFiles()

    def _onItem(self, _item) -> None:
        self._readFiles()
        self._onTicked()

    def _readFiles(self) -> None:
        ticked = self._ticked()
        self.files = files_of_patients(slicer.dicomDatabase, ticked) if ticked else ()

    def _ticked(self) -> list[str]:
        rows = enumerate(self._patients)
        return [patient for row, patient in rows if self._widget.item(row).checkState() == qt.Qt.Checked]


def _patientsOfDatabase() -> list[str]:
    database = getattr(slicer, "dicomDatabase", None)
    return list(database.patients()) if database and database.isOpen else []


def _called(patient: str) -> str:
    database = slicer.dicomDatabase
    text = _("{name}, {count} studies")
    return text.format(name=database.nameForPatient(patient), count=len(database.studiesForPatient(patient)))
