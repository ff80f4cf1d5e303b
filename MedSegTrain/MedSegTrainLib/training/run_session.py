"""A training's hold on its folder: no second one may come in, and others see that it lives and how it ended."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import filelock
from lightning.pytorch.utilities import rank_zero_only

from MedSegDLLib.atomic import output_errors
from MedSegDLLib.errors import CancelledError, InputError, MedSegError, OutputError

from .run_folder import DONE, FAILED, PREPARING, SECONDS_BETWEEN_SIGNS, STOPPED, RunFolder, Status


class RunSession:
    """What a training does in its folder, as a context.

        with RunSession(folder) as session:
            session.say(PREPARING, "Reading 12 cases")

    Leaving it by an error writes "failed" with the reason, by a CancelledError or Ctrl+C "stopped". Where several
    processes train together, only the first one writes.
    """

    def __init__(self, path: str | Path):
        self.folder = RunFolder(Path(path))
        self.leads = rank_zero_only.rank == 0 and int(os.environ.get("NODE_RANK", 0)) == 0
        self._status = Status(PREPARING, pid=os.getpid(), host=socket.gethostname())
        self._former = Status()
        self._lock = filelock.FileLock(self.folder.path / ".lock", timeout=0)
        self._ended = threading.Event()
        self._writing = threading.Lock()
        self.paused_seconds = 0.0

    def __enter__(self) -> RunSession:
        if self.leads:
            self._occupy()
            self._former = self.folder.status()
            self.folder.take_request()  # one that was meant for a training that has ended
            self.say(PREPARING)
            threading.Thread(target=self._give_signs, daemon=True).start()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if not self.leads:
            return
        if isinstance(error, CancelledError):
            self.say(STOPPED, error.message)
        elif isinstance(error, KeyboardInterrupt):
            self.say(STOPPED, "Interrupted.")
        elif isinstance(error, InputError) and self._former.state == DONE and self._status.state == PREPARING:
            self.leave_as_it_was()  # a command that was refused takes nothing from a finished training
        elif error is not None:
            self.say(FAILED, str(error) if isinstance(error, MedSegError) else f"{kind.__name__}: {error}")
        self._ended.set()
        self._lock.release()

    @property
    def status(self) -> Status:
        return self._status

    def say(self, state: str, message: str = "", **progress) -> None:
        """Write how the training stands; `progress` are further entries of `Status`, the others stay."""
        self._status = replace(self._status, state=state, message=message, **progress)
        if self.leads:
            self._write()

    def leave_as_it_was(self) -> None:
        """Say what the folder's status said before this session."""
        self._status = self._former
        self._ended.set()
        if self.leads:
            self._write(self._former.updated)

    def is_asked_to_stop(self) -> bool:
        """For what is done before the training; it takes no request from the training."""
        return self.leads and self.folder.is_asked_to_stop()

    def take_request(self) -> str:
        """What another process asked for since the last call; "" if nothing."""
        return self.folder.take_request() if self.leads else ""

    def _occupy(self) -> None:
        path = self.folder.path
        with output_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except filelock.Timeout as error:
                other = self.folder.status()
                raise InputError(
                    f"Another training runs in '{path}': process {other.pid} on {other.host}.",
                    "Wait until it has ended, stop it, or choose another folder.",
                ) from error

    def _give_signs(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_SIGNS):
            self._write()

    def _write(self, updated: float | None = None) -> None:
        """A status that cannot be written, as on a full disk, ends no training."""
        with self._writing, suppress(OutputError):
            self.folder.write_status(replace(self._status, updated=updated or time.time()))
