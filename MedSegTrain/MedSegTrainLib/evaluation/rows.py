"""The table of an evaluation: a row for each case and structure, in CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from MedSegDLLib.atomic import replacing
from MedSegDLLib.errors import InputError

from .definitions import measure
from .metrics import FALSE_POSITIVE, FOUND, MISSED, Scores

FAILED = "failed"
"""The method gave no result for the case: counts as if it had missed every structure."""
DAMAGED = "damaged"
"""The case itself cannot be read: no method could have done better, it does not count."""
COUNTED = (FOUND, MISSED, FALSE_POSITIVE, FAILED)

_BEFORE = ("case", "patient", "structure", "status", "seconds", "worst_mm")
_AFTER = "reason"


@dataclass(frozen=True)
class Row:
    """What was measured of one structure in one case.

    Attributes:
        case, patient, structure: names.
        status: as `metrics.Scores.status`, "failed" or "damaged".
        values: measures by name; one that has no value here is missing.
        seconds: what segmenting the whole case took; the same in all its rows. None where it failed.
        worst_mm: the image's diagonal, which stands in for distances where there is none.
        reason: why it failed or is damaged.
    """

    case: str
    patient: str
    structure: str
    status: str
    values: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    worst_mm: float = 0.0
    reason: str = ""

    @property
    def counts(self) -> bool:
        """Whether it says something about the method: the truth is known, and truth or result have the structure."""
        return self.status in COUNTED

    def value(self, name: str) -> float | None:
        """The measure, None where it has no value."""
        return self.values.get(name)

    def value_or_worst(self, name: str) -> float | None:
        """The measure; where the structure was missed or wrongly found, the worst it can be. For comparing methods.

        None where it has no meaning: the row does not count, or the truth, which the measure refers to, is empty.
        """
        if not self.counts:
            return None
        if name in self.values:
            return self.values[name]
        defined = measure(name)
        if self.status == FALSE_POSITIVE and defined.worst is not None:
            return None
        return self.worst_mm if defined.worst is None else defined.worst


def rows_of_case(case: str, patient: str, scores: dict[str, Scores], seconds: float | None = None) -> list[Row]:
    """A row for each structure of a case that was segmented."""
    return [
        Row(case, patient, structure, each.status, each.values, seconds, each.worst_mm)
        for structure, each in scores.items()
    ]


def write_rows(path: str | Path, rows: Sequence[Row]) -> None:
    """A CSV file, whole or not at all; what has no value is an empty cell. Raises OutputError."""
    names = measure_names(rows)
    with replacing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_BEFORE, *names, _AFTER])
        for row in rows:
            fixed = [row.case, row.patient, row.structure, row.status, _text(row.seconds), _text(row.worst_mm)]
            writer.writerow([*fixed, *(_text(row.values.get(name)) for name in names), row.reason])


def read_rows(path: str | Path) -> list[Row]:
    """Rows of a CSV file. Raises InputError for a file that is none of these tables."""
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if missing := {*_BEFORE, _AFTER} - {*(reader.fieldnames or ())}:
                raise ValueError(f"it lacks the column '{min(missing)}'")
            return [_row(data) for data in reader]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(
            f"'{path}' is not a table of results: {type(error).__name__} {error}.",
            "Name a file that 'evaluate' wrote.",
        ) from error


def measure_names(rows: Iterable[Row]) -> list[str]:
    """Every measure that some row has, in the order in which they first appear in a row that has the most."""
    by_size = sorted((row.values for row in rows), key=len, reverse=True)
    return list(dict.fromkeys(name for values in by_size for name in values))


def _row(data: dict[str, str]) -> Row:
    values = {name: float(text) for name, text in data.items() if name not in (*_BEFORE, _AFTER) and text}
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value}")
    return Row(
        data["case"],
        data["patient"],
        data["structure"],
        data["status"],
        values,
        float(data["seconds"]) if data["seconds"] else None,
        float(data["worst_mm"]),
        data["reason"],
    )


def _text(number: float | None) -> str:
    """Ten digits: more than any measure has, few enough to read."""
    return "" if number is None else f"{number:.10g}"
