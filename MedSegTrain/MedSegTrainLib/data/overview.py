"""A data set in tables, for a terminal and for the module: its cases, its structures, what was skipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from MedSegDLLib.labels import Label

from .case import Case
from .dataset import Dataset
from .examination import volumes_of

CASE_COLUMNS = ("case", "patient", "size", "spacing (mm)", "structures", "not contoured", "warnings")


@dataclass(frozen=True)
class StructureSummary:
    """How a structure occurs in the cases of a data set.

    Args:
        shown: cases with voxels of it.
        not_contoured: cases in which nobody looked for it.
        mean_ml: volume in the cases that show it.
    """

    label: Label
    shown: int
    not_contoured: int
    mean_ml: float


def case_rows(dataset: Dataset) -> list[tuple[str, ...]]:
    """A row for each case, of `CASE_COLUMNS`."""
    return [_case_row(case, dataset) for case in dataset.cases]


def structure_summaries(dataset: Dataset) -> list[StructureSummary]:
    """In the order of the labels."""
    volumes = [volumes_of(case, dataset.labels) for case in dataset.cases]
    return [_summary(label, dataset, [found.get(label.name, 0.0) for found in volumes]) for label in dataset.labels]


def warnings_of(dataset: Dataset) -> list[str]:
    """What to know before training on it."""
    total = len(dataset.cases)
    found = [
        f"'{one.label.name}' is not contoured in {one.not_contoured} of {total} cases; only the others teach it."
        for one in structure_summaries(dataset)
        if one.not_contoured * 2 >= total
    ]
    patients = len({case.patient for case in dataset.cases})
    if patients < 10:
        found.append(f"There {'are' if patients > 1 else 'is'} {counted(patients, 'patient')}; so few say little.")
    return found


def counted(number: int, word: str) -> str:
    """'1 case', '2 cases'."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns side by side, as wide as their widest cell; the last one is not padded."""
    lines = [tuple(map(str, columns)), *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def _case_row(case: Case, dataset: Dataset) -> tuple[str, ...]:
    facts = case.facts
    shown = [name for name, ml in volumes_of(case, dataset.labels).items() if ml > 0]
    return (
        case.name,
        case.patient,
        " x ".join(map(str, facts.shape[::-1])) if facts else "",
        " x ".join(f"{mm:.3g}" for mm in facts.spacing_mm) if facts else "",
        ", ".join(shown),
        ", ".join(sorted(case.not_contoured)),
        " ".join(facts.warnings) if facts else "",
    )


def _summary(label: Label, dataset: Dataset, volumes: list[float]) -> StructureSummary:
    shown = [ml for ml in volumes if ml > 0]
    return StructureSummary(
        label=label,
        shown=len(shown),
        not_contoured=sum(label.name in case.not_contoured for case in dataset.cases),
        mean_ml=float(np.mean(shown)) if shown else 0.0,
    )
