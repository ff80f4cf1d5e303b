"""Which run comes next, and whether there is still time for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .durations import Durations
from .runs import DONE
from .task import Outcome, Task


@dataclass(frozen=True)
class Budget:
    """How much is started in one call.

    Attributes:
        runs: at most; None for all.
        seconds: no run is started that is not expected to end in this time; None for no limit.
    """

    runs: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Rest:
    """Runs that are not done yet, and about how long they take; None where that is not known."""

    runs: int
    seconds: float | None


class Queue:
    """Hands out the tasks that are not done yet, one by one, to any number of threads.

    Args:
        tasks: in the order in which they are started.
        budget: after which none is handed out any more; all are if None.
        starts, ends: told of each task that is handed out; of how each ended, and what is left then.
        clock: seconds.

    Attributes:
        outcomes: how the tasks that were handed out ended.
        left: tasks that the budget did not reach.
    """

    def __init__(
        self,
        tasks: Iterable[Task],
        budget: Budget | None = None,
        starts: Callable[[Task], None] = lambda task: None,
        ends: Callable[[Outcome, Rest], None] = lambda outcome, rest: None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.outcomes: list[Outcome] = []
        self.left: list[Task] = list(tasks)
        self._budget = budget or Budget()
        self._starts, self._ends, self._clock = starts, ends, clock
        self._begin = clock()
        self._started = 0
        self._running: set[str] = set()
        self._durations = Durations()
        self._lock = threading.Lock()

    def take(self) -> Task | None:
        """The next task, or None if nothing is to be started any more.

        A task that another process has done meanwhile is passed over; one that would take too long waits for the next
        call, while a shorter one may still fit.
        """
        with self._lock:
            if self._budget.runs is not None and self._started >= self._budget.runs:
                return None
            self.left = [task for task in self.left if not self._was_done(task)]
            task = next((task for task in self.left if self._fits(task)), None)
            if task is not None:
                self.left.remove(task)
                self._running.add(task.run.name)
                self._started += 1
                self._starts(task)
            return task

    def ended(self, outcome: Outcome) -> None:
        with self._lock:
            self.outcomes.append(outcome)
            at_once = max(1, len(self._running))
            self._running.discard(outcome.name)
            if outcome.outcome == DONE:
                self._durations.learn(outcome.name, outcome.seconds)
            self._ends(outcome, self._rest(at_once))

    def _rest(self, at_once: int) -> Rest:
        names = [*self._running, *(task.run.name for task in self.left)]
        seconds = self._durations.of_all(names)
        return Rest(len(names), None if seconds is None else seconds / at_once)

    def _was_done(self, task: Task) -> bool:
        if task.run.state().name != DONE:
            return False
        self._durations.learn(task.run.name, task.run.seconds())
        return True

    def _fits(self, task: Task) -> bool:
        if self._budget.seconds is None:
            return True
        rest = self._budget.seconds - (self._clock() - self._begin)
        seconds = self._durations.expected(task.run.name) or 0.0  # what was never run somebody has to find out
        return rest > 0 and seconds <= rest
