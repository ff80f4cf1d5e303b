"""Which cases are of one patient, where a file patients.csv (columns case, patient) says it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from MedSegDLLib.errors import InputError
from MedSegDLLib.files import stem

from .csv_tables import read_rows
from .images import is_image_file

PATIENTS = "patients.csv"


def read_patients(folder: Path, cases: Collection[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The patient of each case that the table names; and the rows that name no case, each with that as the reason.

    A case that the table lacks is a patient of its own. Raises InputError for a table that cannot be read, or that
    names none of the cases: its scans of one patient would be in training and in test.
    """
    path = folder / PATIENTS
    if not path.is_file():
        return {}, []
    patients = {_case(row["case"]): row["patient"] for _, row in read_rows(path, ("case", "patient"))}
    unknown = [name for name in patients if name not in cases]
    if cases and unknown and len(unknown) == len(patients):
        raise InputError(
            f"'{path}' names none of the cases: it says '{unknown[0]}', and a case is called '{min(cases)}'.",
            "Correct the column 'case', or remove the file.",
        )
    return patients, [(f"{PATIENTS}: {name}", "No case has this name.") for name in unknown]


def _case(text: str) -> str:
    """A case, also where its file is named."""
    return stem(Path(text)) if is_image_file(Path(text)) else text
