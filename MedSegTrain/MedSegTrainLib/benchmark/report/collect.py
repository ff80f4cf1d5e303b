"""What is finished of a benchmark, by data set and method; what is not, is told beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

from ...evaluation.rows import Row
from ...evaluation.summary import Summary, over_structures
from ...training.run_folder import RunFolder
from ..folder import Benchmark
from ..plan import DataSet, Method, NetworkMethod
from ..runs import Result, Run, State


@dataclass(frozen=True)
class MethodResults:
    """A method on one data set: its finished runs, and the places (fold, seed) of those that are not."""

    method: Method
    finished: tuple[tuple[Run, Result], ...]
    missing: tuple[tuple[int, int], ...]

    @property
    def label(self) -> str:
        return self.method.label

    @property
    def network(self) -> str:
        """Of the registry; "" for a baseline."""
        return self.method.network if isinstance(self.method, NetworkMethod) else ""

    @cached_property
    def rows(self) -> list[Row]:
        """Of all folds and seeds; with several seeds a case is there several times."""
        return [row for _, result in self.finished for row in result.rows]

    @property
    def cases(self) -> int:
        return len({row.case for row in self.rows})

    def summary(self, measure: str) -> Summary:
        return over_structures(self.rows, measure)

    def fact(self, *keys: str) -> float | None:
        """The mean over the finished runs of a number among their facts; None where none has it."""
        found = [_entry(result.facts, keys) for _, result in self.finished]
        numbers = [number for number in found if isinstance(number, int | float)]
        return fmean(numbers) if numbers else None

    @property
    def curves(self) -> list[list[dict]]:
        """The events of each finished training, an entry an epoch."""
        curves = [RunFolder(run.training).events() for run, _ in self.finished]
        return [events for events in curves if events]

    @property
    def examples(self) -> dict[str, list[Path]]:
        """Kept pictures by what they show ("best", "median", "worst"), one a run."""
        kept: dict[str, list[Path]] = {}
        for run, _ in self.finished:
            for path in sorted((run.folder / "examples").glob("*.npz")):
                kept.setdefault(path.stem, []).append(path)
        return kept


@dataclass(frozen=True)
class DataSetResults:
    """All methods on one data set, in the order of the plan."""

    data_set: DataSet
    methods: tuple[MethodResults, ...]

    @property
    def title(self) -> str:
        return self.data_set.title or self.data_set.name

    @property
    def with_results(self) -> list[MethodResults]:
        return [method for method in self.methods if method.rows]

    @property
    def structures(self) -> list[str]:
        return list(dict.fromkeys(row.structure for method in self.methods for row in method.rows))

    def facts(self, *keys: str) -> list:
        """The different values of an entry of the finished runs' facts, such as the processors they ran on."""
        found = [_entry(result.facts, keys) for method in self.methods for _, result in method.finished]
        return [value for n, value in enumerate(found) if value is not None and value not in found[:n]]


@dataclass(frozen=True)
class Results:
    """Everything that a report is made of."""

    benchmark: Benchmark
    states: tuple[tuple[Run, State], ...]
    data_sets: tuple[DataSetResults, ...]


def collect(benchmark: Benchmark) -> Results:
    """Read what the runs of a benchmark wrote; each is read once."""
    read = [(run, run.state(), run.result()) for run in benchmark.runs]
    return Results(
        benchmark,
        tuple((run, state) for run, state, _ in read),
        tuple(
            DataSetResults(data_set, tuple(_method(method, data_set, read) for method in benchmark.plan.methods))
            for data_set in benchmark.plan.data_sets
        ),
    )


def _method(method: Method, data_set: DataSet, read: list[tuple[Run, State, Result | None]]) -> MethodResults:
    ours = [
        (run, result)
        for run, _, result in read
        if run.order.method.name == method.name and run.order.data_set.name == data_set.name
    ]
    return MethodResults(
        method,
        tuple((run, result) for run, result in ours if result is not None),
        tuple((run.order.fold, run.order.seed) for run, result in ours if result is None),
    )


def _entry(facts: dict, keys: tuple[str, ...]):
    for key in keys:
        facts = facts.get(key) if isinstance(facts, dict) else None
    return facts
