"""From what was answered about data to the rows of the window's tables."""

from __future__ import annotations

from ..data.structures import ABSENT, NOT_ANNOTATED, UNCODED, Row, StructureTable
from .data_ports import CaseRow, StructureRow
from .data_wording import DataWording
from .structure_edits import cases_without


def case_rows(answer: dict, words: DataWording) -> tuple[CaseRow, ...]:
    """A row for each case that was found or imported."""
    return tuple(_case_row(case, answer, words) for case in answer.get("cases", ()))


def skipped_rows(answer: dict, words: DataWording) -> tuple[CaseRow, ...]:
    """A row for each thing that is not in the data set, with the reason."""
    return tuple(
        CaseRow(what, structures=words.left_out(), warnings=why, is_left_out=True)
        for what, why in answer.get("skipped", ())
    )


def structure_rows(table: StructureTable | None, answer: dict, words: DataWording) -> tuple[StructureRow, ...]:
    """The table as it is corrected, or without one the structures of a data set that is imported already."""
    if table is None:
        return _fixed_rows(answer, words)
    found = _found(answer, table)
    return tuple(_structure_row(row, table, found, words) for row in table.rows)


def _fixed_rows(answer: dict, words: DataWording) -> tuple[StructureRow, ...]:
    return tuple(
        StructureRow(
            name=one["label"],
            cases=str(one["shown"]),
            structure=one["label"],
            without=words.without(one["not_contoured"], absent=False),
            absent=False,
            codes="",
            codes_tip="",
            can_change=False,
        )
        for one in answer.get("structures", ())
    )


def _case_row(case: dict, answer: dict, words: DataWording) -> CaseRow:
    return CaseRow(
        name=case["name"],
        modality=case.get("modality") or answer.get("modality", ""),
        size=words.size(case.get("shape"), case.get("spacing_mm")),
        structures=", ".join(case["structures"]),
        warnings=words.case_warnings(case.get("warnings", []), case.get("not_contoured", [])),
    )


def _found(answer: dict, table: StructureTable) -> list[set[str]]:
    """The names in the data that each case has; an imported case tells of the model's names."""
    names_of = {}
    for row in table.rows:
        names_of.setdefault(row.structure, set()).add(row.name)
    if "folder" not in answer:
        return [set(case["structures"]) for case in answer.get("cases", ())]
    return [set().union(*(names_of.get(name, set()) for name in case["structures"])) for case in answer["cases"]]


def _structure_row(row: Row, table: StructureTable, found: list[set[str]], words: DataWording) -> StructureRow:
    is_used = row.is_kept and row.structure != NOT_ANNOTATED
    codes = row.terminology.type.meaning if row.terminology != UNCODED else words.no_codes()
    place = row.terminology.region or row.terminology.type_modifier
    return StructureRow(
        name=row.name,
        cases=str(row.cases),
        structure=row.structure if row.is_kept else "",
        without=words.without(cases_without(row, table, found), row.missing == ABSENT) if is_used else "",
        absent=row.missing == ABSENT,
        codes=(f"{codes}, {place.meaning}" if place else codes) if is_used else "",
        codes_tip=words.codes_tip(row.terminology.to_slicer()) if is_used else "",
    )
