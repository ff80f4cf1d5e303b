"""The ranking as the report wrote it, and the model of each method."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..training.run_folder import DONE
from .runs_reader import BUNDLE, REPORT, RunView

_METADATA = Path("configs/metadata.json")


@dataclass(frozen=True)
class Ranked:
    """A method on a data set, as texts; `interval` is '' where nothing was compared."""

    data_set: str
    rank: str
    label: str
    dice: str
    interval: str = ""


def read_ranking(runs: Path, data_sets: Iterable[str]) -> list[Ranked]:
    """Data set by data set, the best first; empty where no report was written yet."""
    return [ranked for name in data_sets for ranked in _ranked(runs / REPORT / "tables", name)]


def best_bundle(runs: Sequence[RunView], data_set: str, label: str) -> Path | None:
    """Of the fold with the highest mean Dice; None for a method without a model."""
    done = [run for run in runs if (run.data_set, run.label, run.kind) == (data_set, label, DONE)]
    found = [run for run in done if (run.folder / BUNDLE / _METADATA).is_file()]
    best = max(found, key=lambda run: run.dice or 0.0, default=None)
    return best.folder / BUNDLE if best else None


def _ranked(tables: Path, data_set: str) -> list[Ranked]:
    rows = _rows(tables / f"{data_set}-ranking.csv", 4)
    if rows:
        return [Ranked(data_set, rank, label, dice, interval) for rank, label, dice, interval, *_ in rows]
    scores = _rows(tables / f"{data_set}-scores.csv", 3)  # of a single method, which has no rank
    return [Ranked(data_set, "", label, dice) for label, _cases, dice, *_ in scores]


def _rows(path: Path, columns: int) -> list[list[str]]:
    """Without the heads, and without rows of fewer columns; empty where the file is missing or no table."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.reader(file) if len(row) >= columns][1:]
    except (OSError, ValueError, csv.Error):
        return []
