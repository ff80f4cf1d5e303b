"""What the structures of the data are called in the model: a table that is proposed, and that people correct.

    name in data, code in data   as found; codes (SNOMED CT as a rule) count before names, names without regard to case
    cases                        how many show it, for information
    structure, value             its name in the model and its value in the labelmap; '(leave out)', '(not annotated)'
    when missing                 'not contoured': nobody looked for it in a case without it; 'absent': it is not there
    color, category, type, ...   of the structure; codes are written scheme^value^meaning

Several rows may name one structure; they become one. Where structures overlap, the later row wins.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Code, Label, Terminology

from .case import IGNORE
from .found import FoundStructure
from .names import normalised

LEAVE_OUT, NOT_ANNOTATED = "(leave out)", "(not annotated)"
NOT_CONTOURED, ABSENT = "not contoured", "absent"

_TISSUE = Code("SCT", "85756007", "Tissue")
UNCODED = Terminology(_TISSUE, _TISSUE)
"""Slicer's own for a segment that nobody gave codes."""


@dataclass(frozen=True)
class Row:
    """A name in the data, and what becomes of it; see the head of this file."""

    name: str
    code: str
    cases: int
    structure: str
    value: int
    missing: str
    color: tuple[int, int, int]
    terminology: Terminology

    @property
    def is_kept(self) -> bool:
        return self.structure != LEAVE_OUT


@dataclass(frozen=True)
class StructureTable:
    """What becomes of each structure of the data, in the order in which they are drawn over one another."""

    rows: tuple[Row, ...]

    def __post_init__(self):
        object.__setattr__(self, "rows", tuple(self.rows))
        _check(self)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The structures of the model, by value; codes and colour are those of its first row that has codes."""
        rows = sorted(self.rows, key=lambda row: row.terminology == UNCODED)
        first = {row.value: row for row in reversed(rows) if row.is_kept and row.value != IGNORE}
        return tuple(Label(value, row.structure, row.color, row.terminology) for value, row in sorted(first.items()))

    @property
    def may_be_absent(self) -> frozenset[str]:
        """Structures that a case without them does not have, rather than nobody having looked for them."""
        return frozenset(row.structure for row in self.rows if row.missing == ABSENT)

    def row_of(self, found: FoundStructure) -> Row | None:
        """The row for a structure: of its code, among several of that code by name; else of its name."""
        coded = self._by_code.get(code_of(found.terminology), [])
        if len(coded) == 1:
            return coded[0]
        exact = [row for row in coded or self.rows if row.name == found.name]
        return (exact or self._by_name.get(normalised(found.name)) or coded or [None])[0]

    @cached_property
    def _by_code(self) -> dict[str, list[Row]]:
        return _grouped((row.code, row) for row in self.rows if row.code)

    @cached_property
    def _by_name(self) -> dict[str, list[Row]]:
        return _grouped((normalised(row.name), row) for row in self.rows)


def plain_label(value: int, name: str) -> Label:
    """A label that only has a name; its colour follows from the value."""
    return Label(value, name, color_of(value), UNCODED)


def name_of(value: int) -> str:
    """Of a label value for which the data have no name."""
    return f"structure {value}"


def color_of(value: int) -> tuple[int, int, int]:
    """Well apart from those of the values before it."""
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(value * 0.618034 % 1, 0.6, 0.85))


def code_of(terminology: Terminology | None) -> str:
    """What the codes say a structure is, and where; '' for none, and for Slicer's 'Tissue', which says nothing."""
    if terminology is None or (terminology.type.value == _TISSUE.value and not terminology.region):
        return ""
    parts = (terminology.type, terminology.type_modifier, terminology.region, terminology.region_modifier)
    return "~".join(f"{code.scheme}^{code.value}" if code else "" for code in parts).rstrip("~")


def _grouped(items: Iterable[tuple[str, Row]]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for key, row in items:
        groups.setdefault(key, []).append(row)
    return groups


def with_values(rows: list[Row]) -> list[Row]:
    """The rows with a value and a colour for each structure that has none; rows of one structure share theirs."""
    given = {row.structure: row for row in reversed(rows) if row.value}
    free = (value for value in range(1, IGNORE) if value not in {row.value for row in given.values()})
    filled = []
    for row in rows:
        value = {LEAVE_OUT: 0, NOT_ANNOTATED: IGNORE}.get(row.structure)
        if value is None:
            value = row.value or (given[row.structure].value if row.structure in given else next(free, 0))
        row = replace(row, value=value, color=row.color or color_of(value))
        given.setdefault(row.structure, row)
        filled.append(row)
    return filled


def _check(table: StructureTable) -> None:
    structure_of: dict[tuple[str, str], str] = {}
    for row in table.rows:
        first = structure_of.setdefault((row.name, row.code), row.structure)
        if first != row.structure:
            raise InputError(f"'{row.name}' has two rows, for '{first}' and for '{row.structure}'.", "Remove one.")
    kept = [row for row in table.rows if row.is_kept and row.structure != NOT_ANNOTATED]
    name_of_value, value_of_name = {}, {}
    for row in kept:
        if not 1 <= row.value < IGNORE:
            raise InputError(f"'{row.structure}' has the value {row.value}.", f"Give it one from 1 to {IGNORE - 1}.")
        if name_of_value.setdefault(row.value, row.structure) != row.structure:
            raise InputError(
                f"The structures '{name_of_value[row.value]}' and '{row.structure}' have the same value {row.value}.",
                "Give them different values, or the same name.",
            )
        if value_of_name.setdefault(row.structure, row.value) != row.value:
            raise InputError(f"The structure '{row.structure}' has two values.", "Give all its rows the same one.")
    if not kept:
        raise InputError("The table keeps no structure.", "Give at least one row a structure's name.")
