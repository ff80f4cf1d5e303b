"""The folder of a benchmark: its plan, and the folders of its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import InputError

from .order import orders
from .plan import Plan
from .runs import BusyError, Run, State

_PLAN = "plan.json"


@dataclass(frozen=True)
class Benchmark:
    """A plan and where its runs are."""

    folder: Path
    plan: Plan

    @property
    def runs(self) -> list[Run]:
        return [Run(self.folder, order) for order in orders(self.plan)]

    def states(self) -> list[tuple[Run, State]]:
        return [(run, run.state()) for run in self.runs]

    def chosen(self, methods: Sequence[str]) -> list[Run]:
        """The runs of these methods, or all. Raises InputError for a method that the plan does not have."""
        known = [method.name for method in self.plan.methods]
        for name in methods:
            if name not in known:
                raise InputError(f"The plan has no method '{name}'.", f"It has {', '.join(known)}.")
        return [run for run in self.runs if not methods or run.order.method.name in methods]


def create(folder: Path, plan: Plan) -> tuple[Benchmark, list[str]]:
    """Take a folder for a plan, or go on in it; also the names of runs whose earlier results now step aside.

    Raises InputError if another benchmark is in the folder, OutputError.
    """
    if (folder / _PLAN).exists() and (name := opened(folder).plan.name) != plan.name:
        raise InputError(f"'{folder.name}' holds the benchmark '{name}', not '{plan.name}'.", "Choose another folder.")
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / _PLAN) as partial:
        partial.write_text(plan.model_dump_json(indent=1) + "\n", encoding="utf-8")
    benchmark = Benchmark(folder, plan)
    return benchmark, [run.name for run in benchmark.runs if _settled(run)]


def opened(folder: Path) -> Benchmark:
    """A benchmark that was begun. Raises InputError."""
    try:
        text = (folder / _PLAN).read_text(encoding="utf-8")
        return Benchmark(folder, Plan.model_validate_json(text))
    except OSError as error:
        remedy = "Name the folder that was given to 'medseg benchmark PLAN --output'."
        raise InputError(f"'{folder}' holds no benchmark: it has no {_PLAN}.", remedy, str(error)) from error
    except ValidationError as error:
        remedy = "Start 'medseg benchmark' with its plan again; nothing that is finished is lost."
        raise InputError(f"{_PLAN} of '{folder.name}' is damaged.", remedy, str(error)) from error


def summary(states: list[State]) -> str:
    """ "12 done, 1 failed, 3 waiting"."""
    counts = Counter(state.name for state in states)
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "no runs"


def _settled(run: Run) -> bool:
    try:
        return run.settle()
    except BusyError:  # by a process with the former plan; claiming the run will tell
        return False
