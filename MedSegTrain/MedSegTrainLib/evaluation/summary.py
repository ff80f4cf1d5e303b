"""Rows in figures: mean, spread, and how many values stand behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .definitions import measure
from .metrics import BOTH_EMPTY, FALSE_POSITIVE, MISSED, NOT_CONTOURED
from .rows import DAMAGED, FAILED, Row


@dataclass(frozen=True)
class Summary:
    """One measure over rows; mean, sd and median of the values there are, and everything that stands beside them.

    Attributes:
        mean, sd, median: None without a value; sd is the sample's, None below two values.
        valid: values behind the mean.
        missed, false_positives, failed: rows that count against the method. Their Dice is 0 and in the mean, their
            distances have no value and are not: read a mean distance beside these numbers.
        empty, not_contoured, damaged: rows that do not count.
    """

    mean: float | None
    sd: float | None
    median: float | None
    valid: int
    missed: int
    false_positives: int
    failed: int
    empty: int
    not_contoured: int
    damaged: int


def summarise(rows: Sequence[Row], name: str) -> Summary:
    """Of one measure over all the rows, whatever their structure."""
    numbers = np.array([value for row in rows if (value := _value(row, name)) is not None])
    statuses = (MISSED, FALSE_POSITIVE, FAILED, BOTH_EMPTY, NOT_CONTOURED, DAMAGED)
    counts = [sum(row.status == status for row in rows) for status in statuses]
    return Summary(*_moments(numbers), len(numbers), *counts)


def by_structure(rows: Iterable[Row], name: str) -> dict[str, Summary]:
    """The same for each structure."""
    return {structure: summarise(its, name) for structure, its in grouped(rows, "structure").items()}


def over_structures(rows: Iterable[Row], name: str) -> Summary:
    """The same of the cases' means over their structures; rows are counted, not cases."""
    rows = list(rows)
    means = np.array([mean for mean in case_means(rows, name).values() if mean is not None])
    mean, sd, median = _moments(means)
    return replace(summarise(rows, name), mean=mean, sd=sd, median=median, valid=len(means))


def case_means(rows: Iterable[Row], name: str) -> dict[str, float | None]:
    """The mean over the structures of each case; None where none has a value."""
    means = {}
    for case, its in grouped(rows, "case").items():
        values = [value for row in its if (value := _value(row, name)) is not None]
        means[case] = float(np.mean(values)) if values else None
    return means


def case_seconds(rows: Iterable[Row]) -> dict[str, float]:
    """What segmenting each case took; cases that were not segmented are left out."""
    return {row.case: row.seconds for row in rows if row.seconds is not None}


def grouped(rows: Iterable[Row], attribute: str) -> dict[str, list[Row]]:
    """Rows by case, patient or structure, in the order in which these first appear."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(getattr(row, attribute), []).append(row)
    return groups


def _value(row: Row, name: str) -> float | None:
    """A method that gave no result is not spared: it counts as a miss does. Volumes, which it has none of, do not."""
    if row.status != FAILED:
        return row.value(name)
    defined = measure(name)
    return None if defined.unit == "ml" else defined.worst


def _moments(numbers: np.ndarray) -> tuple[float | None, float | None, float | None]:
    if not len(numbers):
        return None, None, None
    sd = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
    return float(numbers.mean()), sd, float(np.median(numbers))
