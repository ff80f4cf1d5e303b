"""The folder of a training, as others see it: what it says of itself, and what it can be asked.

    status.json     how it stands: see `Status`
    events.jsonl    a line an epoch: epoch, step, loss, validation_loss, dice, miou, learning_rate, seconds,
                    remaining_seconds; null where there is no value
    request         pause, continue or stop, until the training has read it

Plain Python, so that Slicer's process can watch a training and steer it. The training's own side is `run_session`.
"""

from __future__ import annotations

import json
import math
import os
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import InputError

WAITING, PREPARING, TRAINING, PAUSED = "waiting", "preparing", "training", "paused"
DONE, FAILED, STOPPED = "done", "failed", "stopped"
STATES = (WAITING, PREPARING, TRAINING, PAUSED, DONE, FAILED, STOPPED)
WITH_A_PROCESS = (PREPARING, TRAINING, PAUSED)

PAUSE, CONTINUE, STOP = "pause", "continue", "stop"
REQUESTS = (PAUSE, CONTINUE, STOP)

SECONDS_BETWEEN_SIGNS = 5.0
"""A training writes its status at least this often."""
_SILENT_AFTER_SECONDS = 12 * SECONDS_BETWEEN_SIGNS
_ANOTHER_AFTER_SECONDS = 30 * 60.0  # a process of its number then is another one, as after a restart of the computer


@dataclass(frozen=True)
class Status:
    """How a training stands.

    Attributes:
        state: one of `STATES`.
        message: one line for people.
        pid, host: the process, and the machine it runs on.
        updated: when this was written, in seconds since 1970.
        step, steps, epoch, epochs: done, and in all; 0 where not known yet.
        remaining_seconds: until the end; None where not known yet.
    """

    state: str = WAITING
    message: str = ""
    pid: int = 0
    host: str = ""
    updated: float = 0.0
    step: int = 0
    steps: int = 0
    epoch: int = 0
    epochs: int = 0
    remaining_seconds: float | None = None

    @property
    def has_process(self) -> bool:
        """Whether the process that said so still runs; False for one that was killed or lost its power."""
        if self.state not in WITH_A_PROCESS:
            return False
        silent = time.time() - self.updated
        if self.host == socket.gethostname() and sys.platform != "win32":  # there, os.kill would end it
            return _exists(self.pid) and silent < _ANOTHER_AFTER_SECONDS
        return silent < _SILENT_AFTER_SECONDS


@dataclass(frozen=True)
class RunFolder:
    """The folder of one training; it need not exist yet."""

    path: Path

    def __post_init__(self):
        object.__setattr__(self, "path", Path(self.path))

    def status(self) -> Status:
        """What the training last said; "waiting" where it has said nothing yet."""
        try:
            data = json.loads(self._status.read_text(encoding="utf-8"))
            return Status(**{field.name: data[field.name] for field in fields(Status) if field.name in data})
        except (OSError, ValueError, TypeError):
            return Status()

    def events(self, since: int = 0) -> list[dict]:
        """The epochs after the epoch `since`, oldest first. Epochs are counted from 1."""
        return [event for event in self._events() if event["epoch"] > since]

    def ask(self, request: str) -> None:
        """Ask the training to pause, to continue or to stop; it answers, by its status, within a step.

        Raises InputError where no training runs here or the request is unknown, OutputError where it cannot be written.
        """
        if request not in REQUESTS:
            raise InputError(f"A training cannot be asked to '{request}'.", f"Ask one of: {', '.join(REQUESTS)}.")
        if not self.status().has_process:
            raise InputError(f"No training runs in '{self.path}'.", "Start it by its first command; it goes on.")
        with replacing(self._request) as partial:
            partial.write_text(request, encoding="utf-8")

    # The training's own side

    def write_status(self, status: Status) -> None:
        self._write(self._status, asdict(status))

    def add_event(self, event: dict) -> None:
        """Add the line of an epoch."""
        with output_errors(self._events_file), open(self._events_file, "a", encoding="utf-8") as file:
            file.write(_line(event))

    def forget_events_after(self, step: int) -> None:
        """Drop the epochs that a training did after the checkpoint from which it now goes on."""
        with replacing(self._events_file) as partial:
            partial.write_text("".join(map(_line, (e for e in self._events() if e["step"] <= step))), encoding="utf-8")

    def is_asked_to_stop(self) -> bool:
        """Without taking the request."""
        try:
            return self._request.read_text(encoding="utf-8") == STOP
        except OSError:
            return False

    def take_request(self) -> str:
        """What was asked since the last call; "" if nothing was."""
        taken = self.path / ".request"
        try:
            os.replace(self._request, taken)  # first, so that what is asked while this is read stays for the next call
            request = taken.read_text(encoding="utf-8")
            taken.unlink()
        except OSError:
            return ""
        return request if request in REQUESTS else ""

    @property
    def _status(self) -> Path:
        return self.path / "status.json"

    @property
    def _events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def _request(self) -> Path:
        return self.path / "request"

    def _events(self) -> Iterable[dict]:
        with suppress(OSError):
            for line in self._events_file.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):  # the last line of a process that was killed while it wrote
                    yield json.loads(line)

    @staticmethod
    def _write(path: Path, data: dict) -> None:
        with replacing(path) as partial:
            partial.write_text(json.dumps(_finite(data), indent=2) + "\n", encoding="utf-8")


def _line(event: dict) -> str:
    return json.dumps(_finite(event)) + "\n"


def _finite(data: dict) -> dict:
    """JSON has no word for what is not a number."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in data.items()}


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return pid > 0
