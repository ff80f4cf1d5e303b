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

from MedSegDLLib.errors import MedSegError, WorkerError

from ..training.run_folder import CONTINUE, PAUSE, PAUSED
from .packages import PackageCheck, Prepare, nothing_to_prepare
from .runs_panel import Standing, grid_of, runs_panel
from .runs_ports import BUSY, STOPPABLE, RunsPanel, RunsState, View
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
        prepare: sees to that Python's packages before an earlier benchmark is gone on with.
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
        prepare: Prepare = nothing_to_prepare,
        wording: RunsWording | None = None,
        spawn: Spawn = spawn,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._view, self._wording = view, wording or RunsWording()
        self._python, self._spawn, self._clock = python, spawn, clock
        self._on_opened, self._on_rest = on_opened, on_rest
        self._check = PackageCheck(prepare)
        self._reader: RunsReader | None = None
        self._sessions: dict[Path, Session] = {}  # of every folder that was open: they keep their processes
        self._began = 0.0
        self._selected: Path | None = None
        self._drawn: tuple[Path, int] | None = None  # whose curves are shown, up to which epoch
        self._error: MedSegError | None = None  # of what was asked for last
        self._unreadable: MedSegError | None = None
        self.runs: list[RunView] = []
        self.state = RunsState.NOTHING

    # What the user does

    @property
    def folder(self) -> Path | None:
        """Of the runs that are shown."""
        return self._reader.path if self._reader else None

    @property
    def is_running(self) -> bool:
        return self.state in BUSY

    @property
    def needs_polling(self) -> bool:
        """Something may change: a command line may work in the same folder, and a disk that is gone come back."""
        return self.is_running or bool(self._unreadable) or any(run.kind in AT_WORK for run in self.runs)

    @property
    def log(self) -> Path | None:
        """What the process printed; None where no folder is open."""
        return self._session.log if self._reader else None

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
        self.state, self._error = RunsState.CHECKING, None
        self.show()
        self._check.begin(not self._session.options.cpu, self._prepared)

    def pause(self) -> None:
        """Let the trainings wait, or go on."""
        if self.state in (RunsState.RUNNING, RunsState.PAUSED):
            request = CONTINUE if self.state is RunsState.PAUSED else PAUSE
            self._steer(lambda: self._session.ask(request))

    def stop(self) -> None:
        """End it after the present step; what is done stays, and what is begun can be gone on with."""
        if self.state in STOPPABLE and self._steer(self._session.stop):
            self.state = RunsState.STOPPING if self._session.is_alive else RunsState.RESTING
            self.show()

    def close(self, stop: bool = False) -> None:
        """The window closes, without a word to the view; what runs goes on, or ends after its present step."""
        self._check.give_up()
        for session in self._sessions.values() if stop else ():
            if session.is_own or (self.is_running and session is self._session):
                with suppress(MedSegError):  # it has ended
                    session.stop()

    def scene_closed(self) -> None:
        """The curves went with the scene; they come back with the next run that is selected."""
        self._selected = self._drawn = None
        self.show()

    def select(self, row: int, column: int) -> None:
        """Show the curves of a run."""
        rows = grid_of(self.runs)
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
            self.runs, self._unreadable = self._reader.runs(), None
        except MedSegError as error:
            if not self._session.is_alive:  # else it has not written its plan yet
                self.runs, self._unreadable = [], error
        self._look_at_session()
        self._draw()
        self.show()
        if was_running and not self.is_running:
            self._on_rest()

    # Steps

    def _take(self, reader: RunsReader) -> None:
        self._check.give_up()
        self._reader = reader
        if reader.path not in self._sessions:
            self._sessions[reader.path] = Session(reader.session.path, self._python, self._spawn)
        self.runs, self._selected, self._drawn, self._error, self._unreadable = [], None, None, None, None
        self.state = RunsState.RESTING
        self._on_opened(reader.path)

    @property
    def _session(self) -> Session:
        return self._sessions[self._reader.path]

    def _prepared(self, reason: str) -> None:
        """What the look at the packages came to."""
        self.state = RunsState.RESTING
        if reason:
            self._say(WorkerError(reason))
            return
        try:
            self._start(self._reader.path / PLAN, self._session.options)
        except MedSegError as error:
            self._say(error)

    def _start(self, plan: Path, options: Options) -> None:
        self._session.start(plan, self._reader.path, options)
        self._error, self._began = None, self._clock()
        self.state = RunsState.STARTING
        self.poll()

    def _look_at_session(self) -> None:
        session = self._session
        if self.state is RunsState.CHECKING:
            return
        if not session.is_alive:
            if self.is_running:
                self._error = session.failure()
            self.state = RunsState.RESTING
            return
        if not self.is_running:
            self._error = None  # somebody has gone on with it
        if session.is_starting or not self.runs:
            self.state = RunsState.STARTING
        elif self.state is not RunsState.STOPPING:
            self.state = RunsState.PAUSED if session.status.state == PAUSED else RunsState.RUNNING

    def _steer(self, ask: Callable[[], None]) -> bool:
        """Whether it could be asked."""
        try:
            ask()
        except MedSegError as error:
            self._say(error)
            return False
        self._error = None
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

    def panel(self) -> RunsPanel:
        error = self._error or self._unreadable
        seconds = self._clock() - self._began
        return runs_panel(Standing(self.state, self.runs, self._selected, error, seconds), self._wording)
