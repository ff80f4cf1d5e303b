"""The batch in its window: the command line as a child process, a row for each case; without Qt or slicer.

    presenter = BatchPresenter(view)
    presenter.choose(BatchChoices(inputs=(folder,), output=results, model="hippocampus-mr"))
    presenter.start()
    presenter.poll()            # every now and then, while presenter.is_active

A child process of its own keeps the window free while images are read and written, and outlives no crash of either:
what is done lies complete on the disk, and starting again goes on with the rest.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from ..batch_events import CANCEL, PAUSE
from ..errors import MedSegError, WorkerError
from ..worker_process import (
    PYTHON_REMEDY,
    SubprocessTransport,
    Transport,
    describe_end,
    find_python,
    worker_environment,
)
from .batch_wording import BatchWording

_SECONDS_TO_CANCEL = 0.8  # a library that reads or writes a large file does not listen
_LOG_TAIL = 4000


class BatchState(Enum):
    """SEARCHING: the images are being looked for. PAUSED: the same choices can be gone on with."""

    IDLE = auto()
    SEARCHING = auto()
    RUNNING = auto()
    PAUSING = auto()
    PAUSED = auto()
    CANCELLING = auto()
    FAILED = auto()


_ACTIVE = (BatchState.SEARCHING, BatchState.RUNNING, BatchState.PAUSING, BatchState.CANCELLING)


@dataclass(frozen=True)
class BatchChoices:
    """What to segment, with what, and where the results go.

    Args:
        inputs: folders, searched with all below them, or single files.
        files: image files that were chosen one by one, such as all of some series in a database.
        arguments: further ones of 'medseg segment', such as ("--overlap", "0.25").
    """

    inputs: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    output: Path | None = None
    model: str = ""
    device: str = "auto"
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchRow:
    """A case in the table.

    Args:
        kind: "waiting", "running", "done", "failed" or "left out".
        status: the same for the user to read.
    """

    name: str
    source: str = ""
    kind: str = "waiting"
    status: str = ""
    seconds: str = ""
    message: str = ""


@dataclass(frozen=True)
class BatchPanel:
    """What the view shows.

    Args:
        can_start: with `start_tip` as the reason why not.
        start_text: "Start" or "Resume".
        fraction: of all cases, None while it is not known.
        details: for whoever is asked for help with a failure; '' without one.
    """

    state: BatchState
    rows: tuple[BatchRow, ...]
    status: str
    start_text: str
    start_tip: str
    can_start: bool
    can_pause: bool
    can_cancel: bool
    fraction: float | None
    details: str = ""


class View(Protocol):
    def show(self, panel: BatchPanel) -> None: ...


@dataclass
class _Run:
    """What the child process has said so far."""

    began: float
    cases: dict[str, BatchRow] = field(default_factory=dict)
    others: tuple[BatchRow, ...] = ()
    found: bool = False
    done: int = 0
    fraction: float = 0.0
    reused: int = 0
    finished: dict | None = None
    failure: MedSegError | None = None

    @property
    def rows(self) -> tuple[BatchRow, ...]:
        return (*self.cases.values(), *self.others)

    @property
    def share(self) -> float | None:
        """Of all cases, None while they are not known."""
        return (self.done + self.fraction) / len(self.cases) if self.found and self.cases else None

    def seconds_left(self, now: float) -> float | None:
        """From what this run took so far; cases that were done before cost nothing and would flatter it."""
        own = self.done + self.fraction - self.reused
        if own < 0.5:
            return None
        return (now - self.began) / own * (len(self.cases) - self.done - self.fraction)


class BatchPresenter:
    """Starts, pauses, resumes and cancels the child process, and says what the view shows.

    Args:
        view: told after each change.
        wording: the sentences, in the user's language.
        make_transport: a pipe to a program; a test puts another in its place.
        python: finds the Python that runs the command line.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        view: View,
        wording: BatchWording | None = None,
        make_transport: Callable[[], Transport] = SubprocessTransport,
        python: Callable[[], str] = find_python,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._view = view
        self._wording = wording or BatchWording()
        self._make_transport = make_transport
        self._python = python
        self._clock = clock
        self._transport: Transport | None = None
        self._temporary: tempfile.TemporaryDirectory | None = None
        self._run = _Run(0.0)
        self._kill_at = 0.0
        self._status = ""
        self._details = ""
        self.state = BatchState.IDLE
        self.choices = BatchChoices()

    # What the user does

    @property
    def is_active(self) -> bool:
        return self.state in _ACTIVE

    def choose(self, choices: BatchChoices) -> None:
        """Take new choices; a batch that was paused with others cannot be resumed any more."""
        if self.state is BatchState.PAUSED and choices != self.choices:
            self.state = BatchState.IDLE
        self.choices = choices
        self._show()

    def reason_not_to_start(self) -> str:
        """'' where all is chosen."""
        if self.is_active:
            return self._wording.already_running()
        if not (self.choices.inputs or self.choices.files):
            return self._wording.choose_images()
        if not self.choices.model:
            return self._wording.choose_model()
        return "" if self.choices.output else self._wording.choose_output()

    def start(self) -> None:
        """Begin, or go on with what was paused or interrupted."""
        if self.reason_not_to_start():
            return
        known = (
            self._run if self.state is BatchState.PAUSED else _Run(0.0)
        )  # its rows are shown until they are told anew
        self._run = _Run(self._clock(), known.cases, known.others)
        try:
            self._open()
        except MedSegError as error:
            self._end(BatchState.FAILED, str(error), error.details)
        else:
            self._enter(BatchState.SEARCHING, self._wording.searching())

    def pause(self) -> None:
        """Stop after the present case."""
        if self.state in (BatchState.SEARCHING, BatchState.RUNNING):
            self._transport.write(f"{PAUSE}\n".encode())
            self._enter(BatchState.PAUSING, self._wording.pausing())

    def cancel(self) -> None:
        """Stop within a second; what is done stays done."""
        if self.is_active and self.state is not BatchState.CANCELLING:
            self._transport.write(f"{CANCEL}\n".encode())
            self._kill_at = self._clock() + _SECONDS_TO_CANCEL
            self._enter(BatchState.CANCELLING, self._wording.cancelling())

    def close(self) -> None:
        """End the process at once, when the window closes."""
        if self._transport:
            self._transport.kill()
        self._leave()
        self.state = BatchState.IDLE

    def poll(self) -> None:
        """Take in what the process has said, and notice its end; never blocks."""
        if not self.is_active:
            return
        alive = self._transport.is_alive  # asked first, so that all it wrote before its end is taken in
        heard = [self._hear(line) for line in self._transport.poll(0.0)]
        if not alive:
            self._conclude()
        elif self.state is BatchState.CANCELLING and self._clock() > self._kill_at:
            self._transport.kill()
            self._conclude()
        elif heard:
            self._show()

    # The child process

    def _open(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="medseg-batch-", ignore_cleanup_errors=True)
        python = self._python()
        self._transport = self._make_transport()
        try:
            self._transport.start(self._command(python), worker_environment(python), self._log_path)
        except OSError as error:
            self._transport = None
            raise WorkerError(self._wording.no_python(python), PYTHON_REMEDY, str(error)) from error

    def _command(self, python: str) -> list[str]:
        chosen = self.choices
        command = [python, "-m", "MedSegDLLib", "segment", *map(str, chosen.inputs), "--progress", "json"]
        command += ["--model", chosen.model, "--output", str(chosen.output), "--device", chosen.device]
        if chosen.files:  # there may be more of them than a command line takes
            listed = Path(self._temporary.name) / "files.txt"
            listed.write_text("\n".join(map(str, chosen.files)), encoding="utf-8")
            command += ["--list", str(listed)]
        return [*command, *chosen.arguments]

    @property
    def _log_path(self) -> Path:
        return Path(self._temporary.name) / "batch.log"

    def _log_tail(self) -> str:
        return self._log_path.read_bytes()[-_LOG_TAIL:].decode("utf-8", errors="replace")

    def _leave(self) -> None:
        self._transport = None
        if self._temporary:
            self._temporary.cleanup()
            self._temporary = None

    # What it says

    def _hear(self, line: bytes) -> None:
        event = json.loads(line)
        getattr(self, f"_hear_{event.pop('event')}")(**event)

    def _hear_found(self, model: str, cases: list[dict], others: list[dict]) -> None:
        run, waiting = self._run, self._wording.status("waiting")
        names = {case["name"]: BatchRow(case["name"], case["source"], status=waiting) for case in cases}
        run.cases = {name: run.cases.get(name, row) for name, row in names.items()}
        run.others = tuple(self._row(**other) for other in others)
        run.found = True
        if self.state is BatchState.SEARCHING:
            self.state, self._status = BatchState.RUNNING, self._wording.found(len(cases), model)

    def _hear_progress(self, done: int, fraction: float, name: str) -> None:
        run = self._run
        run.done, run.fraction = done, fraction
        row = run.cases.get(name)
        if row and row.kind in ("waiting", "running"):
            run.cases[name] = replace(row, kind="running", status=self._wording.status("running", fraction))
        if self.state is BatchState.RUNNING and name:
            left = run.seconds_left(self._clock())
            self._status = self._wording.running(done, len(run.cases), name, left)

    def _hear_result(self, **result) -> None:
        row = self._row(**result)
        self._run.cases[row.name] = row
        self._run.reused += result["reused"]

    def _hear_finished(self, output: str, complete: bool) -> None:
        self._run.finished = {"output": output, "complete": complete}

    def _hear_failed(self, **error) -> None:
        self._run.failure = MedSegError.from_dict(error)

    def _row(self, name: str, source: str, status: str, message: str, seconds: float, reused: bool, **_) -> BatchRow:
        text = self._wording.status(status)
        if reused:
            return BatchRow(name, source, status, text, self._wording.done_before(), message)
        shown = self._wording.seconds(seconds) if seconds else ""  # nothing was tried
        return BatchRow(name, source, status, text, shown, message)

    # The end

    def _conclude(self) -> None:
        run, wording = self._run, self._wording
        self._put_back()
        if run.finished:
            self._finish(run.finished["output"], run.finished["complete"])
        elif self.state is BatchState.CANCELLING:
            self._end(BatchState.IDLE, wording.cancelled())
        elif run.failure:
            self._end(BatchState.FAILED, str(run.failure), run.failure.details)
        elif run.found and not run.cases:
            self._end(BatchState.IDLE, wording.nothing(bool(run.rows)))
        else:
            self._end(BatchState.FAILED, wording.died(describe_end(self._transport.returncode)), self._log_tail())

    def _finish(self, output: str, complete: bool) -> None:
        kinds = [row.kind for row in self._run.rows]
        done, failed = kinds.count("done"), kinds.count("failed")
        seconds = self._clock() - self._run.began
        if complete:
            self._end(BatchState.IDLE, self._wording.finished(done, failed, seconds, output))
        else:
            self._end(BatchState.PAUSED, self._wording.paused(done, kinds.count("waiting")))

    def _put_back(self) -> None:
        """A case that was not brought to its end waits again."""
        waiting = self._wording.status("waiting")
        for name, row in self._run.cases.items():
            if row.kind == "running":
                self._run.cases[name] = replace(row, kind="waiting", status=waiting)

    def _end(self, state: BatchState, status: str, details: str = "") -> None:
        self._leave()
        self._enter(state, status, details)

    def _enter(self, state: BatchState, status: str, details: str = "") -> None:
        self.state, self._status, self._details = state, status, details
        self._show()

    def _show(self) -> None:
        self._view.show(self.panel())

    def panel(self) -> BatchPanel:
        reason, run = self.reason_not_to_start(), self._run
        resuming = self.state is BatchState.PAUSED
        return BatchPanel(
            state=self.state,
            rows=run.rows,
            status=self._status,
            start_text=self._wording.resume() if resuming else self._wording.start(),
            start_tip=reason or (self._wording.resume_tip() if resuming else self._wording.start_tip()),
            can_start=not reason,
            can_pause=self.state in (BatchState.SEARCHING, BatchState.RUNNING),
            can_cancel=self.is_active and self.state is not BatchState.CANCELLING,
            fraction=run.share,
            details=self._details,
        )


class Database(Protocol):
    """What is used of Slicer's DICOM database."""

    def studiesForPatient(self, patient: str) -> Iterable[str]: ...

    def seriesForStudy(self, study: str) -> Iterable[str]: ...

    def filesForSeries(self, series: str) -> Iterable[str]: ...


def files_of_patients(database: Database, patients: Iterable[str]) -> tuple[Path, ...]:
    """Every file of the patients, by the numbers that the database gives them; those that lie elsewhere are not."""
    return tuple(
        Path(file)
        for patient in patients
        for study in database.studiesForPatient(patient)
        for series in database.seriesForStudy(study)
        for file in database.filesForSeries(series)
        if file
    )
