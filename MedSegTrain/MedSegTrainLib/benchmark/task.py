"""A run as it is handed to the process that does it, on this machine or another."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from .order import Order
from .runs import DONE, FAILED, Result, Run

EXECUTE = "MedSegTrainLib.benchmark.execute:execute"

BUSY, STOPPED = "busy", "stopped"
OUTCOMES = (DONE, FAILED, BUSY, STOPPED)


@dataclass(frozen=True)
class Task:
    """A run, and what does not decide its figures.

    Attributes:
        order: as JSON.
        benchmark: folder of the benchmark. On a cluster all workers see it under the same path.
        data: folder that data sets with a relative path lie in.
        device: to train and predict on: "auto" (a GPU, which must be there) or "cpu".
        threads: processor cores for the network; 0 for all.
        work: the function that does it, "module:function"; it takes the task and the run and gives a Result.
    """

    order: str
    benchmark: str
    data: str = ""
    device: str = "auto"
    threads: int = 0
    work: str = EXECUTE

    @property
    def run(self) -> Run:
        return Run(Path(self.benchmark), Order.model_validate_json(self.order))

    @property
    def function(self) -> Callable[[Task, Run], Result]:
        module, _, name = self.work.partition(":")
        return getattr(import_module(module), name)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(line: str) -> Task:
        return Task(**json.loads(line))


@dataclass(frozen=True)
class Outcome:
    """How a run's process ended: done, failed, stopped by a request, or busy where another process works on the run."""

    name: str
    outcome: str
    reason: str = ""
    seconds: float = 0.0
