"""The images of patients that were chosen in Slicer's DICOM database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class Database(Protocol):
    """What is used of Slicer's DICOM database."""

    def studiesForPatient(self, patient: str) -> Iterable[str]: ...

    def seriesForStudy(self, study: str) -> Iterable[str]: ...

    def filesForSeries(self, series: str) -> Iterable[str]: ...


def files_of_patients(database: Database, patients: Iterable[str]) -> tuple[Path, ...]:
    """Every file of the patients, by the numbers that the database gives them; those that lie elsewhere are not."""
    return tuple(
        Path(file)
        for patient in patients
        for study in database.studiesForPatient(patient)
        for series in database.seriesForStudy(study)
        for file in database.filesForSeries(series)
        if file
    )
