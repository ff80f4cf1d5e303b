"""Structure tables as CSV, which any spreadsheet program opens."""

from __future__ import annotations

import csv
import re
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Code, Terminology

from .csv_tables import read_rows
from .structures import ABSENT, LEAVE_OUT, NOT_ANNOTATED, NOT_CONTOURED, UNCODED, Row, StructureTable, with_values

_CODES = tuple(item.name for item in fields(Terminology))
_COLUMNS = ("name in data", "code in data", "cases", "structure", "value", "when missing", "color") + tuple(
    name.replace("_", " ") for name in _CODES
)
_COLOR = re.compile("#?[0-9a-fA-F]{6}")
_ALIKE = 0.8  # of two words that are probably meant to be the same


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
    return StructureTable(with_values([_from_cells(cells, line) for line, cells in read_rows(Path(path), _COLUMNS)]))


def _to_cells(row: Row) -> list:
    codes = [str(code) if code else "" for code in (getattr(row.terminology, name) for name in _CODES)]
    color = "#{:02x}{:02x}{:02x}".format(*row.color)
    return [row.name, row.code, row.cases, row.structure, row.value or "", row.missing, color, *codes]


def _from_cells(cells: dict[str, str], line: int) -> Row:
    try:
        codes = {name: _code(cells[name.replace("_", " ")]) for name in _CODES}
        return Row(
            name=cells["name in data"],
            code=cells["code in data"],
            cases=_number(cells, "cases"),
            structure=_structure(cells),
            value=_number(cells, "value"),
            missing=_missing(cells["when missing"]),
            color=_color(cells["color"]),
            terminology=Terminology(**codes) if codes["category"] and codes["type"] else UNCODED,
        )
    except ValueError as error:
        raise InputError(f"Line {line} of the table is wrong: {error}.", "Correct it.") from error


def _structure(cells: dict[str, str]) -> str:
    """A word in brackets is one of ours; misspelt it would become a structure of that name."""
    text = cells["structure"] or LEAVE_OUT
    if text == cells["name in data"]:
        return text
    meant = get_close_matches(text.casefold(), (LEAVE_OUT, NOT_ANNOTATED), 1, _ALIKE)
    if meant and meant[0] != text.casefold():
        raise ValueError(f"'structure' is '{text}', not '{meant[0]}'")
    return meant[0] if meant else text


def _number(cells: dict[str, str], column: str) -> int:
    text = cells[column] or "0"
    if not text.removeprefix("-").isdecimal():
        raise ValueError(f"'{column}' is '{text}', which is no whole number")
    return int(text)


def _missing(text: str) -> str:
    missing = text.casefold() or NOT_CONTOURED
    if missing not in (NOT_CONTOURED, ABSENT):
        raise ValueError(f"'when missing' is '{text}', not '{NOT_CONTOURED}' or '{ABSENT}'")
    return missing


def _color(text: str) -> tuple[int, ...]:
    """Empty for none."""
    if text and not _COLOR.fullmatch(text):
        raise ValueError(f"'color' is '{text}', not of the form #ff8000")
    return tuple(bytes.fromhex(text.removeprefix("#")))


def _code(text: str) -> Code | None:
    if not text:
        return None
    parts = text.split("^")
    if len(parts) != 3:
        raise ValueError(f"'{text}' is no code of the form scheme^value^meaning")
    return Code(*parts)
