"""The runs of a benchmark in the window: started, watched, paused, stopped, gone on with; without Qt or slicer.

    presenter = RunsPresenter(view, find_python)
    presenter.start(plan, runs, cpu=False)      # or, of one that was begun earlier:
    presenter.open(runs)
    presenter.poll()                            # every second or two, while presenter.needs_polling

The process that does the runs lives on when the window closes, and is found again by its folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from MedSegDLLib.errors import MedSegError

from ..training.run_folder import CONTINUE, DONE, PAUSE, PAUSED, STOP
from .runs_ports import WITH_A_PROCESS, CellView, RunsPanel, RunsRow, RunsState, View
from .runs_reader import AT_WORK, PLAN, RunsReader, RunView
from .runs_wording import RunsWording
from .session import Options, Session, Spawn, spawn


class RunsPresenter:
    """Decides what the panel of runs shows and does.

    Args:
        view: told after each change.
        python: finds the Python that trains.
        on_opened: called with the folder of the runs, so that it can be remembered.
        on_rest: called when a benchmark that ran has ended, for whatever reason.
        wording: the sentences, in the user's language.
        spawn: starts a process; a test puts another in its place.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        view: View,
        python: Callable[[], str],
        on_opened: Callable[[Path], None] = lambda folder: None,
        on_rest: Callable[[], None] = lambda: None,
        wording: RunsWording | None = None,
        spawn: Spawn = spawn,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._view, self._wording = view, wording or RunsWording()
        self._python, self._spawn, self._clock = python, spawn, clock
        self._on_opened, self._on_rest = on_opened, on_rest
        self._reader: RunsReader | None = None
        self._session: Session | None = None
        self._began = 0.0
        self._selected: Path | None = None
        self._drawn: tuple[Path, int] | None = None  # whose curves are shown, up to which epoch
        self._error: MedSegError | None = None
        self.runs: list[RunView] = []
        self.state = RunsState.NOTHING

    # What the user does

    @property
    def folder(self) -> Path | None:
        """Of the runs that are shown."""
        return self._reader.path if self._reader else None

    @property
    def is_running(self) -> bool:
        return self.state in WITH_A_PROCESS

    @property
    def needs_polling(self) -> bool:
        """Something may change: also what a command line does in the same folder."""
        return self.is_running or any(run.kind in AT_WORK for run in self.runs)

    @property
    def log(self) -> Path | None:
        """What the process printed; None where no folder is open."""
        return self._session.log if self._session else None

    def open(self, folder: Path) -> None:
        """Show the runs in a folder, whoever began them, running or not."""
        reader = RunsReader(folder)
        try:
            reader.plan()
        except MedSegError as error:
            self._say(error)
            return
        self._take(reader)
        self.poll()

    def start(self, plan: Path, folder: Path, cpu: bool) -> None:
        """Begin a benchmark, or with a changed plan go on in its folder. Raises MedSegError."""
        if not self._reader or self._reader.path != folder:
            self._take(RunsReader(folder))
        self._start(plan, Options(cpu))

    def go_on(self) -> None:
        """Do what is not done, as it was begun."""
        if self.is_running or self._reader is None:
            return
        try:
            self._start(self._reader.path / PLAN, self._session.options)
        except MedSegError as error:
            self._say(error)

    def pause(self) -> None:
        """Let the trainings wait, or go on."""
        self._ask(CONTINUE if self.state is RunsState.PAUSED else PAUSE)

    def stop(self) -> None:
        """End it after the present step; what is done stays, and what is begun can be gone on with."""
        if self._ask(STOP):
            self.state = RunsState.STOPPING
            self.show()

    def close(self, stop: bool = False) -> None:
        """The window closes, without a word to the view; what runs goes on, or ends after its present step."""
        if stop and self.is_running:
            with suppress(MedSegError):  # it has ended in this moment
                self._session.ask(STOP)

    def select(self, row: int, column: int) -> None:
        """Show the curves of a run."""
        rows = list(self._grid().values())
        if row < len(rows) and column < len(rows[row]):
            self._selected, self._drawn = rows[row][column].folder, None
            self._draw()
            self.show()

    def poll(self) -> None:
        """Look how the runs stand."""
        if self._reader is None:
            return
        was_running = self.is_running
        try:
            self.runs = self._reader.runs()
        except MedSegError as error:
            if not self._session.is_alive:  # else it has not written its plan yet
                self._error = self._session.failure() or error
                self.runs = []
        self._look_at_session()
        self._draw()
        self.show()
        if was_running and not self.is_running:
            self._on_rest()

    # Steps

    def _take(self, reader: RunsReader) -> None:
        self._reader, self._session = reader, Session(reader.session.path, self._python, self._spawn)
        self.runs, self._selected, self._drawn, self._error = [], None, None, None
        self.state = RunsState.RESTING
        self._on_opened(reader.path)

    def _start(self, plan: Path, options: Options) -> None:
        self._session.start(plan, self._reader.path, options)
        self._error, self._began = None, self._clock()
        self.state = RunsState.STARTING
        self.poll()

    def _look_at_session(self) -> None:
        session = self._session
        if not session.is_alive:
            if self.is_running:
                self._error = session.failure()
            self.state = RunsState.RESTING
        elif session.is_starting or not self.runs:
            self.state = RunsState.STARTING
        elif self.state is not RunsState.STOPPING:
            self.state = RunsState.PAUSED if session.status.state == PAUSED else RunsState.RUNNING

    def _ask(self, request: str) -> bool:
        if self.state not in (RunsState.RUNNING, RunsState.PAUSED):
            return False
        try:
            self._session.ask(request)
        except MedSegError as error:
            self._say(error)
            return False
        return True

    def _draw(self) -> None:
        """The curves of the selected run, if it has got further since they were drawn."""
        run = next((run for run in self.runs if run.folder == self._selected), None)
        if run is None or not run.is_network:
            return
        events = run.training.events()
        if events and self._drawn != (run.folder, len(events)):
            self._drawn = run.folder, len(events)
            self._view.show_curves(self._wording.curves_title(run), events)

    def _say(self, error: MedSegError) -> None:
        self._error = error
        self.show()

    def show(self) -> None:
        """Have the view show how things are."""
        self._view.show(self.panel())

    # The panel

    def panel(self) -> RunsPanel:
        words, grid = self._wording, self._grid()
        seeds = {run.seed for run in self.runs}
        data_sets = {run.data_set for run in self.runs}
        first = next(iter(grid.values()), [])
        is_done = bool(self.runs) and all(run.kind == DONE for run in self.runs)
        can_go_on = self._reader is not None and bool(self.runs) and not self.is_running and not is_done
        return RunsPanel(
            state=self.state,
            columns=tuple(words.column(run.fold, run.seed, len(seeds) > 1) for run in first),
            rows=tuple(
                RunsRow(words.row(runs[0], len(data_sets) > 1), tuple(map(self._cell, runs))) for runs in grid.values()
            ),
            status=str(self._error) if self._error else self._status(),
            can_pause=self.state in (RunsState.RUNNING, RunsState.PAUSED),
            pause_text=words.go_on_training() if self.state is RunsState.PAUSED else words.pause(),
            can_stop=self.state in (RunsState.RUNNING, RunsState.PAUSED),
            can_go_on=can_go_on,
            go_on_tip=self._go_on_tip(is_done),
            fraction=sum(run.kind == DONE for run in self.runs) / len(self.runs) if self.runs else 0.0,
            problem=self._error is not None,
            details=self._error.details if self._error else "",
        )

    def _grid(self) -> dict[tuple[str, str], list[RunView]]:
        grid: dict[tuple[str, str], list[RunView]] = {}
        for run in self.runs:
            grid.setdefault((run.data_set, run.method), []).append(run)
        return grid

    def _cell(self, run: RunView) -> CellView:
        return CellView(self._wording.cell(run), self._wording.cell_tip(run), run.folder == self._selected)

    def _status(self) -> str:
        words = self._wording
        if self.state is RunsState.NOTHING:
            return words.nothing()
        if self.state is RunsState.STARTING:
            return words.starting(self._clock() - self._began)
        if self.state is RunsState.STOPPING:
            return words.stopping()
        if self.state is RunsState.PAUSED:
            return words.paused(self.runs)
        return words.standing(self.runs) if self.state is RunsState.RUNNING else words.resting(self.runs)

    def _go_on_tip(self, is_done: bool) -> str:
        if self.is_running:
            return self._wording.running()
        if is_done:
            return self._wording.all_done()
        return self._wording.go_on_tip() if self.runs else self._wording.nothing()
