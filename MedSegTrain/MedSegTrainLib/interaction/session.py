"""The process that does the runs of a benchmark: started from the window, and alive without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import InputError, WorkerError
from MedSegDLLib.worker_process import PYTHON_REMEDY, describe_end

from ..training.run_folder import DONE, FAILED, STOP, STOPPED, WAITING, RunFolder, Status
from .python_process import training_environment

_PROGRAM = "MedSegTrainLib.benchmark.background"
_OPTIONS, _LOG = "options.json", "log.txt"
_LOG_TAIL = 4000


class Process(Protocol):
    """What is used of subprocess.Popen."""

    def poll(self) -> int | None: ...

    def kill(self) -> None:
        """End it at once, with what it has started."""


Spawn = Callable[[Sequence[str], dict[str, str], Path], Process]


@dataclass(frozen=True)
class Options:
    """How a benchmark was started; going on with it does the same.

    Args:
        cpu: train on the processor.
        data: folder of data sets whose path is relative, '' for none.
    """

    cpu: bool = False
    data: str = ""


class _Background(subprocess.Popen):
    """With a process group of its own: Slicer's Python runs behind a launcher, and would outlive that one alone."""

    def kill(self) -> None:
        if os.name == "posix":
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        else:
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(self.pid)], capture_output=True, check=False)
        self.wait()


def spawn(command: Sequence[str], environment: dict[str, str], log: Path) -> Process:
    """A process that does not end with this one; what it prints goes into the log. Raises OSError."""
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)
    with open(log, "ab") as output:
        return _Background(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=log.parent,
            start_new_session=os.name == "posix",
            creationflags=flags,
        )


class Session:
    """What goes on in the folder of a benchmark, whoever started it.

    Args:
        folder: RUNS/session; it need not exist.
        python: finds the Python that runs it.
    """

    def __init__(self, folder: Path, python: Callable[[], str], spawn: Spawn = spawn):
        self._folder, self._python, self._spawn = RunFolder(folder), python, spawn
        self._process: Process | None = None  # None for one that an earlier window has started
        self._started = 0.0

    @property
    def log(self) -> Path:
        return self._folder.path / _LOG

    @property
    def status(self) -> Status:
        return self._folder.status()

    @property
    def is_own(self) -> bool:
        """It was started from here, rather than by an earlier window."""
        return self._process is not None

    @property
    def is_alive(self) -> bool:
        """Whether the runs are being done."""
        own = self._process is not None and self._process.poll() is None  # the poll also lets an ended one go
        return own or self.status.has_process

    @property
    def is_starting(self) -> bool:
        """It lives, but has not said anything yet."""
        return self._process is not None and self.status.updated < self._started

    @property
    def options(self) -> Options:
        """As it was started last; the defaults where no window has started it."""
        try:
            data = json.loads((self._folder.path / _OPTIONS).read_text(encoding="utf-8"))
            return Options(bool(data["cpu"]), str(data["data"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Options()

    def start(self, plan: Path, runs: Path, options: Options) -> None:
        """Begin, or go on.

        Raises:
            InputError: it is running already.
            WorkerError: there is no Python, or it cannot be started.
            OutputError: the folder cannot be written to.
        """
        if self.is_alive:
            raise InputError("The benchmark is running already.", "Watch it, or stop it first.")
        python, folder = self._python(), self._folder.path
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / _OPTIONS) as partial:
            partial.write_text(json.dumps(asdict(options)), encoding="utf-8")
        command = [python, "-m", _PROGRAM, str(plan.absolute()), "--output", str(runs.absolute())]
        command += (["--cpu"] if options.cpu else []) + (["--data", options.data] if options.data else [])
        self._started = time.time()
        try:
            self._process = self._spawn(command, training_environment(python), self.log)
        except OSError as error:
            raise WorkerError(f"{python} could not be started.", PYTHON_REMEDY, str(error)) from error

    def ask(self, request: str) -> None:
        """Pause, continue or stop. Raises InputError where nothing runs, OutputError."""
        self._folder.ask(request)

    def stop(self) -> None:
        """End it after its present step; one that has not said anything yet has begun nothing, and ends at once.

        Raises InputError where nothing runs, OutputError.
        """
        if self.is_starting and self._process.poll() is None:
            self._process.kill()
            self._process = None
        else:
            self.ask(STOP)

    def failure(self) -> WorkerError | None:
        """Why it ended before its time; None where it lives, has done its work, was stopped, or never began."""
        status = self.status
        if self.is_alive or (not self.is_starting and status.state in (DONE, STOPPED)):
            return None
        if status.state == FAILED and not self.is_starting:
            return WorkerError(status.message, details=self._log_tail())
        if self._process is not None:
            ended = describe_end(self._process.poll() or 0)
        elif status.state != WAITING:  # of an earlier window
            ended = "is gone without a word: killed, or the computer was switched off"
        else:
            return None
        remedy = "What is done stays, and Go on does the rest. The log says more."
        return WorkerError(f"The benchmark's process {ended}.", remedy, self._log_tail())

    def _log_tail(self) -> str:
        with suppress(OSError):
            return self.log.read_bytes()[-_LOG_TAIL:].decode("utf-8", errors="replace")
        return ""
