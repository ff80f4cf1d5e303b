"""The patients of Slicer's DICOM database, to be ticked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from MedSegDLLib.gui.lists import silent
from MedSegDLLib.interaction.dicom_patients import files_of_patients


class PatientList:
    """Fills a QListWidget.

    Args:
        onTicked: called when another choice of patients is ticked.
    """

    def __init__(self, widget, onTicked: Callable[[], None]):
        self._widget, self._onTicked = widget, onTicked
        self._patients: list[str] = []
        self.files: tuple[Path, ...] = ()
        widget.connect("itemChanged(QListWidgetItem*)", self._onItem)

    def fill(self) -> None:
        """List the patients anew, none of them ticked."""
        self.files, self._patients = (), _patientsOfDatabase()
        nobody = _("The DICOM database has no patients. Import some in the DICOM module.")
        with silent(self._widget):
            self._widget.clear()
            self._widget.addItems([_called(patient) for patient in self._patients] or [nobody])
            for row in range(len(self._patients)):
                item = self._widget.item(row)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
                item.setCheckState(qt.Qt.Unchecked)

    def _onItem(self, _item) -> None:
        ticked = [
            patient
            for row, patient in enumerate(self._patients)
            if self._widget.item(row).checkState() == qt.Qt.Checked
        ]
        self.files = files_of_patients(slicer.dicomDatabase, ticked) if ticked else ()
        self._onTicked()


def _patientsOfDatabase() -> list[str]:
    database = getattr(slicer, "dicomDatabase", None)
    return list(database.patients()) if database and database.isOpen else []


def _called(patient: str) -> str:
    database = slicer.dicomDatabase
    text = _("{name}, {count} studies")
    return text.format(name=database.nameForPatient(patient), count=len(database.studiesForPatient(patient)))
