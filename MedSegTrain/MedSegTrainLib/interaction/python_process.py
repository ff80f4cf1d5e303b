"""Child processes in the worker's Python: what they are started with, and what those have said that speak JSON."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from MedSegDLLib.errors import WorkerError
from MedSegDLLib.worker_process import PYTHON_REMEDY, SubprocessTransport, Transport, describe_end, worker_environment

_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
_LOG_TAIL = 4000

MakeTransport = Callable[[], Transport]


def training_environment(python: str) -> dict[str, str]:
    """As for a MedSegDL worker, with this package's folder too."""
    environment = worker_environment(python)
    environment["PYTHONPATH"] = os.pathsep.join([_PACKAGE_PARENT, environment["PYTHONPATH"]])
    return environment


class JsonProcess:
    """A process each of whose lines is an event; started when it is made, and to be closed in the end.

    Args:
        arguments: after "python -m".
        python: finds the Python that runs it.
        make_transport: a pipe to a program; a test puts another in its place.

    Raises:
        WorkerError: there is no such Python, or it cannot be started.
    """

    def __init__(
        self, arguments: Sequence[str], python: Callable[[], str], make_transport: MakeTransport = SubprocessTransport
    ):
        program = python()
        self._temporary = tempfile.TemporaryDirectory(prefix="medseg-train-", ignore_cleanup_errors=True)
        self._log = Path(self._temporary.name) / "process.log"
        self._transport = make_transport()
        try:
            self._transport.start([program, "-m", *arguments], training_environment(program), self._log)
        except OSError as error:
            self._temporary.cleanup()
            raise WorkerError(f"{program} could not be started.", PYTHON_REMEDY, str(error)) from error

    @property
    def is_alive(self) -> bool:
        return self._transport.is_alive

    @property
    def returncode(self) -> int | None:
        return self._transport.returncode

    def say(self, message: dict) -> None:
        self._transport.write(json.dumps(message).encode() + b"\n")

    def events(self) -> list[dict]:
        """What it has said since the last call; a line that is no event, such as a library's, is passed over."""
        return [event for line in self._transport.poll(0.0) if (event := _parsed(line)) is not None]

    def end(self) -> WorkerError:
        """How it ended before it had said its last word; to be asked before it is closed."""
        log = self._log.read_bytes()[-_LOG_TAIL:].decode("utf-8", errors="replace") if self._log.exists() else ""
        ended = describe_end(self._transport.returncode or 0)
        return WorkerError(f"The process {ended}.", "Try again; the details say more.", log)

    def close(self) -> None:
        """End it, if it has not ended, and remove what it had on the disk for itself."""
        self._transport.kill()
        self._temporary.cleanup()


def _parsed(line: bytes) -> dict | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
