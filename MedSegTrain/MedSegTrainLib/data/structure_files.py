"""Structure tables as CSV, which any spreadsheet program opens."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Code, Terminology

from .structures import ABSENT, LEAVE_OUT, NOT_CONTOURED, UNCODED, Row, StructureTable, with_values

_CODES = tuple(item.name for item in fields(Terminology))
_COLUMNS = ("name in data", "code in data", "cases", "structure", "value", "when missing", "color") + tuple(
    name.replace("_", " ") for name in _CODES
)


def write_table(table: StructureTable, path: Path | str) -> None:
    """Write the table as CSV. Raises OutputError."""
    path = Path(path)
    with output_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(map(_to_cells, table.rows))


def read_table(path: Path | str) -> StructureTable:
    """A table that was written, and perhaps corrected. Raises InputError that names the line."""
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file, dialect=_dialect(file)))
    except FileNotFoundError as error:
        raise InputError(f"There is no table '{path}'.", "Check the path.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The table '{path}' cannot be read.", "Save it as CSV in UTF-8.", str(error)) from error
    return StructureTable(with_values([_from_cells(line, number) for number, line in enumerate(lines, start=2)]))


def _dialect(file) -> type[csv.Dialect]:
    """Spreadsheets of some countries separate by semicolons."""
    head = file.readline()
    file.seek(0)

    class Found(csv.excel):
        delimiter = ";" if head.count(";") > head.count(",") else ","

    return Found


def _to_cells(row: Row) -> list:
    codes = [str(code) if code else "" for code in (getattr(row.terminology, name) for name in _CODES)]
    color = "#{:02x}{:02x}{:02x}".format(*row.color)
    return [row.name, row.code, row.cases, row.structure, row.value or "", row.missing, color, *codes]


def _from_cells(line: dict, number: int) -> Row:
    try:
        cells = {column: (line[column] or "").strip() for column in _COLUMNS}
        codes = {name: _code(cells[name.replace("_", " ")]) for name in _CODES}
        missing = cells["when missing"] or NOT_CONTOURED
        if missing not in (NOT_CONTOURED, ABSENT):
            raise ValueError(f"'when missing' is '{missing}', not '{NOT_CONTOURED}' or '{ABSENT}'")
        return Row(
            name=cells["name in data"],
            code=cells["code in data"],
            cases=int(cells["cases"] or 0),
            structure=cells["structure"] or LEAVE_OUT,
            value=int(cells["value"] or 0),
            missing=missing,
            color=tuple(bytes.fromhex(cells["color"].removeprefix("#"))[:3]),
            terminology=Terminology(**codes) if codes["category"] and codes["type"] else UNCODED,
        )
    except KeyError as error:
        raise InputError(
            f"The table lacks the column {error}.", "Add it, or let the table be proposed again."
        ) from error
    except ValueError as error:
        raise InputError(f"Line {number} of the table is wrong: {error}.", "Correct it.") from error


def _code(text: str) -> Code | None:
    if not text:
        return None
    parts = text.split("^")
    if len(parts) != 3:
        raise ValueError(f"'{text}' is no code of the form scheme^value^meaning")
    return Code(*parts)
