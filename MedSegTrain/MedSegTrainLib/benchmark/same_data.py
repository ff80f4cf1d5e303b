"""A training goes on only with the cases that it began with; else it may have learned from what it is judged on."""

from __future__ import annotations

import hashlib
import json

from MedSegDLLib.atomic import output_errors
from MedSegDLLib.errors import InputError

from ..data.json_files import read_json
from .runs import Run, free_name
from .selection import Selection

_FILE = "data.json"


def begin_on(run: Run, chosen: Selection) -> None:
    """Note which cases the run's training is on; one that was begun on others, and not finished, steps aside.

    Raises OutputError.
    """
    now = {"cases": _digest(chosen)}
    if run.training.exists() and _noted(run) not in (None, now):
        print("The data set has changed since this run began. Its training begins anew.")
        with output_errors(run.folder):
            run.training.rename(free_name(run.training.with_name(f"{run.training.name}.other-data")))
    run.write_json(_FILE, now)


def _noted(run: Run) -> dict | None:
    try:
        return read_json(run.folder / _FILE)
    except InputError:  # a run of an earlier version
        return None


def _digest(chosen: Selection) -> str:
    """Of the cases, whatever their folder, and of the part that each has in the split."""
    parts = [[case.name for case in part] for part in (chosen.training, chosen.validation, chosen.test)]
    return hashlib.sha256(json.dumps([chosen.digest, *parts]).encode()).hexdigest()[:16]
