"""What the module's panel says, from how things are."""

from __future__ import annotations

from collections.abc import Callable

from .module_chosen import Chosen
from .module_ports import Failure, Panel
from .module_run import Job
from .module_wording import ModuleWording
from .outcome import Outcome
from .progress import ProgressClock
from .progress_wording import Counted
from .states import State


class PanelWriter:
    """Puts the panel together.

    Args:
        words: the sentences, in the user's language.
        clock: seconds.
    """

    def __init__(self, words: ModuleWording, chosen: Chosen, clock: Callable[[], float]):
        self._words = words
        self._chosen = chosen
        self._clock = clock

    def idle(self, state: State, status: str, outcome: Outcome | None, failure: Failure | None) -> Panel:
        """While nothing runs."""
        reason, chosen = self._chosen.reason_not_to_apply(), self._chosen
        ready = chosen.entry and not reason
        grid = chosen.segmented_grid() if ready else None
        tip = self._words.ready(chosen.expected_seconds(chosen.entry, grid), chosen.memory_bytes(grid)) if ready else ""
        return Panel(
            state,
            self._words.apply(),
            enabled=not reason,
            tip=reason or tip,
            status=status,
            outcome=outcome,
            summary=self._words.summary(outcome) if outcome else "",
            failure=failure,
        )

    def busy(self, state: State, job: Job | None) -> Panel:
        """While a run is under way, or its beginning is waited for."""
        clock = job.clock if job else ProgressClock()
        return Panel(
            state,
            self._words.cancel(),
            enabled=True,
            tip=self._words.cancel_tip(),
            status=self._status(job) if job else self._words.checking_installation(),
            progress=(clock.done, clock.total) if clock.total else None,
        )

    def _status(self, job: Job) -> str:
        words, now = self._words, self._clock()
        if job.clock.total:
            device = job.load.result()["device"] if job.load and job.load.done and not job.load.error else ""
            frame = words.frame(len(job.results) + 1, job.frames)
            return words.windows(Counted.of(job.clock, now, job.request, device), frame)
        if job.load is None or not job.load.done:
            return words.loading(job.title, now - job.started)
        return words.looking()
