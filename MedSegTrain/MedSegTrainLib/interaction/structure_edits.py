"""Corrections of a structure table, one at a time; each raises InputError and changes nothing where it cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from MedSegDLLib.labels import Terminology

from ..data.structures import ABSENT, LEAVE_OUT, NOT_ANNOTATED, NOT_CONTOURED, Row, StructureTable, with_values


def renamed(table: StructureTable, number: int, name: str) -> StructureTable:
    """Another structure of the model for a row, '' to leave it out; rows of one name become one structure."""
    rows = list(table.rows)
    rows[number] = replace(rows[number], structure=name.strip() or LEAVE_OUT, value=0)
    return StructureTable(with_values(rows))


def with_missing(table: StructureTable, number: int, absent: bool) -> StructureTable:
    """What a case without the structure means, the same in all rows of that structure."""
    missing, structure = ABSENT if absent else NOT_CONTOURED, table.rows[number].structure
    rows = (replace(row, missing=missing) if row.structure == structure else row for row in table.rows)
    return StructureTable(tuple(rows))


def with_terminology(table: StructureTable, number: int, terminology: Terminology) -> StructureTable:
    """The codes of a structure, in all its rows."""
    structure = table.rows[number].structure
    rows = (replace(row, terminology=terminology) if row.structure == structure else row for row in table.rows)
    return StructureTable(tuple(rows))


def corrected_as_before(table: StructureTable, former: StructureTable) -> StructureTable:
    """A proposal with what somebody corrected in an earlier table of the same data."""
    known = {(row.name, row.code): row for row in former.rows}
    rows = [
        replace(known[row.name, row.code], cases=row.cases) if (row.name, row.code) in known else _without_value(row)
        for row in table.rows
    ]
    return StructureTable(with_values(rows))


def cases_without(row: Row, table: StructureTable, cases: Sequence[Iterable[str]]) -> int:
    """Cases in which nothing becomes the row's structure; `cases` are the names in the data that each has."""
    if row.structure in (LEAVE_OUT, NOT_ANNOTATED):
        return 0
    names = {one.name for one in table.rows if one.structure == row.structure}
    return sum(names.isdisjoint(found) for found in cases)


def _without_value(row: Row) -> Row:
    return replace(row, value=0) if row.is_kept else row
