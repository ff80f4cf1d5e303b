"""Who answers the window's questions about data: a process, or a thread that holds what was copied out of the scene."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from MedSegDLLib.errors import CancelledError, MedSegError
from MedSegDLLib.interaction.ports import Run
from MedSegDLLib.worker_process import SubprocessTransport

from ..data.desk import DataDesk
from ..data.found import Findings
from .python_process import JsonProcess, MakeTransport

OnProgress = Callable[[int, int, str], None]
OnAnswer = Callable[[dict | None, MedSegError | None], None]

_PROCESS = "MedSegTrainLib.data.desk_process"
_SECONDS_TO_CANCEL = 5.0  # a library that reads a large file does not listen


class Desk(Protocol):
    """Answers one question at a time; see `DataDesk.answer`."""

    def ask(self, question: dict, progress: OnProgress, answer: OnAnswer) -> None: ...

    def cancel(self) -> None:
        """Give the question up; its answer is a CancelledError, soon."""

    def poll(self) -> None:
        """Hand on what has come; never blocks."""

    def close(self) -> None: ...


class ProcessDesk:
    """A process of its own, started with the first question; what it found is gone when it is killed or closed.

    Args:
        python: finds the Python that runs it.
    """

    def __init__(
        self,
        python: Callable[[], str],
        make_transport: MakeTransport = SubprocessTransport,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._python, self._make_transport, self._clock = python, make_transport, clock
        self._process: JsonProcess | None = None
        self._number = 0
        self._waiting: tuple[OnProgress, OnAnswer] | None = None
        self._kill_at = float("inf")

    def ask(self, question: dict, progress: OnProgress, answer: OnAnswer) -> None:
        """Raises WorkerError where no process can be started."""
        if self._process is None:
            self._process = JsonProcess([_PROCESS], self._python, self._make_transport)
        self._number += 1
        self._waiting, self._kill_at = (progress, answer), float("inf")
        self._process.say({"id": self._number, **question})

    def cancel(self) -> None:
        if self._waiting and self._kill_at == float("inf"):
            self._process.say({"cancel": self._number})
            self._kill_at = self._clock() + _SECONDS_TO_CANCEL

    def poll(self) -> None:
        if self._process is None:
            return
        alive = self._process.is_alive  # asked first, so that all it said before its end is heard
        for event in self._process.events():
            self._hear(event)
        if self._process is None or (alive and self._clock() < self._kill_at):
            return
        error = CancelledError("Cancelled.") if alive else self._process.end()
        self.close(error)

    def close(self, error: MedSegError | None = None) -> None:
        process, self._process = self._process, None
        waiting, self._waiting = self._waiting, None
        if process:
            process.close()
        if waiting and error:
            waiting[1](None, error)

    def _hear(self, event: dict) -> None:
        if self._waiting is None or event.get("id") != self._number:
            return
        progress, answer = self._waiting
        if event["event"] == "progress":
            progress(event["done"], event["total"], event["name"])
            return
        self._waiting, self._kill_at = None, float("inf")
        if event["event"] == "done":
            answer(event["answer"], None)
        else:
            answer(None, MedSegError.from_dict(event["error"]))


class ThreadDesk:
    """For what was copied out of the scene, which no other process has.

    Args:
        run: runs a function beside the window, as `gui.background.Background` does.
    """

    def __init__(self, findings: Findings, run: Run):
        self._desk, self._run = DataDesk(findings), run
        self._cancelled = False
        self._job: Any = None  # kept, since nobody else does

    def ask(self, question: dict, progress: OnProgress, answer: OnAnswer) -> None:
        self._cancelled = False
        self._job = self._run(
            lambda report: self._desk.answer(question, report, lambda: self._cancelled),
            progress,
            lambda result, error: answer(result, error and _as_medseg_error(error)),
        )

    def cancel(self) -> None:
        self._cancelled = True

    def poll(self) -> None:
        pass

    def close(self) -> None:
        self._cancelled = True
        if self._job is not None:
            self._job.abandon()


def _as_medseg_error(error: Exception) -> MedSegError:
    if isinstance(error, MedSegError):
        return error
    return MedSegError(f"An error that nobody foresaw: {type(error).__name__}: {error}.")
