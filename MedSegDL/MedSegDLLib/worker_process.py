"""The worker as a process: which Python runs it, in which environment, and the pipe to it."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import BinaryIO, Protocol

from .errors import WorkerError

PYTHON_VARIABLE = "MEDSEG_WORKER_PYTHON"
PYTHON_REMEDY = f"Let {PYTHON_VARIABLE} name a Python 3.11 or newer that has this extension's packages."

_PACKAGE_PARENT = str(Path(__file__).resolve().parents[1])
_SLICER_VARIABLES = (  # set by Slicer's launcher for its own Python; another one chokes on them
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONNOUSERSITE",  # would hide what its user installed with pip install --user
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "ITK_AUTOLOAD_PATH",  # another build of SimpleITK would load Slicer's libraries beside its own
)
_SECONDS_TO_DRAIN = 0.5


class Transport(Protocol):
    """A started program and its pipe. Everything is called on one thread; only `poll` may wait."""

    def start(self, command: list[str], environment: dict[str, str], log_path: Path) -> None:
        """Start the program, its stderr appended to the log; OSError where that fails. May be called again later."""

    def write(self, line: bytes) -> None:
        """Send a line; a program that is gone is not an error here, `is_alive` tells."""

    def poll(self, timeout_seconds: float) -> list[bytes]:
        """The complete lines that arrived; waits at most `timeout_seconds` for the first."""

    def kill(self) -> None:
        """End the program at once; no error where it has ended."""

    @property
    def is_alive(self) -> bool:
        """False once the program has ended; then all it wrote can be polled."""

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal, None while the program runs."""


class SubprocessTransport:
    """A child process; a thread reads its lines, so that polling never blocks."""

    def start(self, command: list[str], environment: dict[str, str], log_path: Path) -> None:
        with open(log_path, "ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self._end = weakref.finalize(self, self._process.kill)  # also for a client that is forgotten, or exits
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=_read_lines, args=(self._process.stdout, self._lines), daemon=True)
        self._reader.start()

    def write(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def poll(self, timeout_seconds: float) -> list[bytes]:
        lines = []
        with contextlib.suppress(queue.Empty):
            if timeout_seconds:
                lines.append(self._lines.get(timeout=timeout_seconds))
            while True:
                lines.append(self._lines.get_nowait())
        return [line for line in lines if line]

    def kill(self) -> None:
        self._end()
        self._process.wait()
        self._reader.join(_SECONDS_TO_DRAIN)
        with contextlib.suppress(OSError):  # what could not be written before the end
            self._process.stdin.close()

    @property
    def is_alive(self) -> bool:
        if self._process.poll() is None:
            return True
        self._reader.join(_SECONDS_TO_DRAIN)  # not for ever: a grandchild may hold the pipe open
        return False

    @property
    def returncode(self) -> int | None:
        return self._process.poll()


def _read_lines(stream: BinaryIO, lines: queue.SimpleQueue[bytes]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(b"")  # wakes up whoever waits for a line that will not come


def find_python(python: str | None = None) -> str:
    """The Python that runs the worker: the argument, else MEDSEG_WORKER_PYTHON, else Slicer's own or the running one.

    Raises:
        WorkerError: there is none.
    """
    chosen = python or os.environ.get(PYTHON_VARIABLE) or _running_python() or shutil.which("PythonSlicer")
    if not chosen:
        raise WorkerError("No Python was found that could run the worker.", PYTHON_REMEDY)
    return str(chosen)


def worker_command(python: str) -> list[str]:
    return [python, "-m", "MedSegDLLib.engine.worker"]


def worker_environment(python: str) -> dict[str, str]:
    """This process's environment, without what only Slicer's own Python understands, and with this package's folder."""
    own = python == sys.executable or Path(python).stem == "PythonSlicer"
    environment = {name: value for name, value in os.environ.items() if own or name not in _SLICER_VARIABLES}
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (_PACKAGE_PARENT, inherited)))
    environment["PYTHONSAFEPATH"] = "1"  # a folder that happens to hold a numpy.py is no place to import from
    environment["PYTHONUTF8"] = "1"
    environment["PYTHONUNBUFFERED"] = "1"  # what a crash leaves in the log is complete
    return environment


def describe_end(returncode: int) -> str:
    """How the worker ended, to follow 'The worker'."""
    if returncode == -9:
        return "was killed (signal 9), as the system does when memory runs out"
    if returncode < 0:
        return f"crashed (signal {-returncode})"
    return f"ended with exit code {returncode}"


def _running_python() -> str:
    """This process's Python; '' inside the Slicer application, which is none."""
    executable = sys.executable or ""
    return executable if Path(executable).stem.lower().startswith("python") else ""
