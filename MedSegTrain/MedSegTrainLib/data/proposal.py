"""A structure table for data that nobody has looked at yet, for people to correct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from MedSegDLLib.errors import InputError

from .case import IGNORE
from .found import Findings, FoundStructure
from .names import group_name, normalised
from .structures import NOT_ANNOTATED, NOT_CONTOURED, UNCODED, Row, StructureTable, code_of, with_values


def propose(findings: Findings) -> StructureTable:
    """A row for each name in the data.

    Values of labelmaps stay what they are. Of other structures, those of the same code become one, and those without
    codes whose names differ only by a running number or by the image they were drawn on ('GTV_1' and 'GTV 2').

    Raises:
        InputError: there is no structure, or there are more than a labelmap can hold.
    """
    found: dict[tuple, FoundStructure] = {}
    cases = Counter()
    for case in findings.cases:
        structures = {_key(one): one for drawing in case.drawings for one in drawing.structures}
        found = {**structures, **found}
        cases.update(structures.keys())
    ordered = sorted(found.values(), key=lambda one: (one.value or 0, group_name(one.name).casefold(), one.name))
    names = _model_names(sorted(ordered, key=lambda one: -cases[_key(one)]))
    _check_count(len({*names.values()}))
    rows = [_proposed(one, names[_key(one)], cases[_key(one)]) for one in ordered]
    return StructureTable(with_values(rows))


def _check_count(structures: int) -> None:
    if not structures:
        raise InputError("The labels hold no structure: every voxel is background.", "Choose cases with structures.")
    if structures >= IGNORE:
        raise InputError(
            f"The labels hold {structures} structures, and a model can have {IGNORE - 1}.",
            "If they are numbers of single objects, give each object a mask file of its own, CASE/masks/*.png beside"
            " CASE/images/*.png, or give all objects the value 1.",
        )


def _key(found: FoundStructure) -> tuple:
    return found.name, code_of(found.terminology), found.value


def _model_names(found: list[FoundStructure]) -> dict[tuple, str]:
    """The proposed name of each structure: that of the first one in its group."""
    name_of_group: dict[tuple, str] = {}
    names = {}
    for one in sorted(found, key=lambda one: not _is_certain(one)):
        group, name = _group(one)
        if not _is_certain(one):  # a name without codes joins the same name with codes
            same = (other for other in found if normalised(other.name) == normalised(one.name))
            group = next((_group(other)[0] for other in same if _is_certain(other)), group)
        names[_key(one)] = name_of_group.setdefault(group, _unused(name, name_of_group.values()))
    return names


def _is_certain(found: FoundStructure) -> bool:
    return found.value is not None or bool(code_of(found.terminology))


def _group(found: FoundStructure) -> tuple[tuple, str]:
    """What is the same for structures that become one, and the name that this one brings."""
    if found.value is not None:
        return ("value", found.value), found.name
    if code_of(found.terminology):
        return ("code", code_of(found.terminology)), found.name
    name = group_name(found.name)
    return ("name", normalised(name)), name


def _unused(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    candidates = (name if n == 1 else f"{name} ({n})" for n in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)


def _proposed(found: FoundStructure, name: str, cases: int) -> Row:
    usable_value = found.value if found.value and found.value < IGNORE else 0
    return Row(
        name=found.name,
        code=code_of(found.terminology),
        cases=cases,
        structure=NOT_ANNOTATED if found.name.lower() == "ignore" else name,
        value=usable_value,
        missing=NOT_CONTOURED,
        color=found.color or (),
        terminology=found.terminology or UNCODED,
    )
