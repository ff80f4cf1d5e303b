"""Tables in CSV that people edit, with whatever program they have."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from MedSegDLLib.errors import InputError


def read_rows(path: Path, columns: Collection[str]) -> list[tuple[int, dict[str, str]]]:
    """The number of the line and the cells of each row, without spaces around them; a short row ends in empty cells.

    Raises:
        InputError: the file is missing or cannot be read, or a column is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=_delimiter(file), restval="")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            rows = [(reader.line_num, row) for row in reader] if not missing else []
    except FileNotFoundError as error:
        raise InputError(f"There is no table '{path}'.", "Check the path.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The table '{path}' cannot be read.", "Save it as CSV in UTF-8.", str(error)) from error
    if missing:
        raise InputError(
            f"The table '{path}' lacks the column '{missing[0]}'.", "Add it, or remove the table to begin anew."
        )
    return [(number, {column: row[column].strip() for column in columns}) for number, row in rows]


def _delimiter(file) -> str:
    """Spreadsheets of some countries separate by semicolons, and some programs by tabs."""
    head = file.readline()
    file.seek(0)
    return max(",;\t", key=head.count)
