"""Every figure of every case, as one table for one's own statistics."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from MedSegDLLib.atomic import output_errors, replacing

from ...evaluation.rows import Row, measure_names
from ..order import Order
from .collect import Results
from .numbers import without_folders

FILE = "rows.csv"

_OF_THE_RUN = ("data set", "method", "fold", "seed")
_OF_THE_CASE = ("case", "patient", "structure", "status", "seconds")


def write_all_rows(results: Results, folder: Path) -> Path:
    """Write a row for each data set, method, fold, seed, case and structure. Raises OutputError."""
    names = measure_names(row for _, row in _all(results))
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / FILE) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_OF_THE_RUN, *_OF_THE_CASE, *names, "reason"])
        for order, row in _all(results):
            run = (order.data_set.name, order.method.name, order.fold, order.seed)
            case = [getattr(row, name) for name in _OF_THE_CASE]
            writer.writerow([*run, *case, *(row.values.get(name) for name in names), without_folders(row.reason)])
    return folder / FILE


def _all(results: Results) -> Iterator[tuple[Order, Row]]:
    for data_set in results.data_sets:
        for method in data_set.methods:
            for run, result in method.finished:
                for row in result.rows:
                    yield run.order, row
