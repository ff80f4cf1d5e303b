"""Requests to a worker and their replies, over any transport.

Nothing here blocks except `wait` and `shut_down`: `poll` takes in what has arrived and calls the requests'
callbacks on the calling thread, and `feed` does so for one line, for a transport that calls back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from . import protocol
from .errors import CancelledError, MedSegError, WorkerError
from .worker_process import PYTHON_REMEDY, Transport, describe_end

_SECONDS_TO_SHUT_DOWN = 1.0
_SECONDS_BETWEEN_LOOKS = 0.05
_LOG_TAIL_BYTES = 4000


class Progress(NamedTuple):
    """How far a request has come, counted in windows or whatever its steps are.

    Args:
        memory_bytes: what the worker occupies of the memory of the device it runs on; 0 where it did not say.
        device_bytes: all the memory of that device.
    """

    done: int
    total: int
    message: str
    memory_bytes: int = 0
    device_bytes: int = 0

    @property
    def fraction(self) -> float:
        return self.done / self.total if self.total else 0.0


@dataclass(eq=False)
class Request:
    """A request to the worker and, in time, its result.

    Args:
        interpret: makes the result from the worker's reply.
        on_progress: called with done, total, message.
        on_done: called with this request once it is `done`, whatever came of it.
        builds_on: earlier requests; where one of them failed, that is why this one did.
        clean_up: called when the worker has said its last word on it.
    """

    id: int
    method: str
    params: dict
    interpret: Callable[[dict], Any] = dict
    on_progress: Callable[[int, int, str], None] | None = None
    on_done: Callable[[Request], None] | None = None
    builds_on: tuple[Request, ...] = ()
    clean_up: Callable[[], None] | None = None
    progress: Progress | None = field(default=None, init=False)
    error: MedSegError | None = field(default=None, init=False)
    done: bool = field(default=False, init=False)
    _value: Any = field(default=None, init=False, repr=False)

    def result(self) -> Any:
        """What came of it; raises the worker's typed error. Only for a request that is `done`."""
        if not self.done:
            raise RuntimeError(f"'{self.method}' is not done yet")
        if self.error:
            raise self.error
        return self._value

    def advance(self, progress: Progress) -> None:
        self.progress = progress
        if self.on_progress and not self.done:
            self.on_progress(progress.done, progress.total, progress.message)

    def settle(self, outcome: dict | MedSegError) -> None:
        """Take the worker's last word; of a request that was given up meanwhile only its files are left."""
        try:
            self.conclude(outcome)
        finally:
            if self.clean_up:
                self.clean_up()

    def conclude(self, outcome: dict | MedSegError) -> None:
        """The first outcome counts."""
        if self.done:
            return
        if isinstance(outcome, MedSegError):
            self.error = next((earlier.error for earlier in self.builds_on if earlier.error), outcome)
        else:
            self._take(outcome)
        self.done = True
        if self.on_done:
            self.on_done(self)

    def _take(self, reply: dict) -> None:
        try:
            self._value = self.interpret(reply)
        except MedSegError as error:
            self.error = error


class Connection:
    """A worker process and the requests it has not answered yet."""

    def __init__(self, transport: Transport, start_timeout_seconds: float):
        self._transport = transport
        self._start_timeout_seconds = start_timeout_seconds
        self._start_deadline: float | None = None  # None once the worker has said something
        self._pending: dict[int, Request] = {}
        self._last_id = 0
        self._log_path = Path()
        self.is_open = False
        self.end: MedSegError | None = None  # why the last process is no more

    def open(self, command: list[str], environment: dict[str, str], log_path: Path) -> None:
        """Start the process.

        Raises:
            WorkerError: it cannot be started.
        """
        self._log_path = log_path
        try:
            self._transport.start(command, environment, log_path)
        except OSError as error:
            message = f"The worker could not be started with {command[0]}: {error.strerror}."
            raise WorkerError(message, PYTHON_REMEDY, str(error)) from error
        self._start_deadline = time.monotonic() + self._start_timeout_seconds
        self.is_open, self.end = True, None

    def begin(self, method: str, params: dict, **arguments: Any) -> Request:
        """Send a request; `arguments` are those of `Request`."""
        self._last_id += 1
        request = Request(self._last_id, method, params, **arguments)
        self._pending[request.id] = request
        self._transport.write(protocol.encode(protocol.request(request.id, method, params)))
        return request

    def cancel(self, request: Request) -> None:
        """Give a request up: it is done at once, and the worker stops at its next window."""
        if not request.done:
            self.begin("cancel", {"id": request.id})
            request.conclude(CancelledError("The run was stopped."))

    def poll(self, timeout_seconds: float = 0.0) -> None:
        """Take in what has arrived, and notice an end; waits at most `timeout_seconds` for the first line."""
        if not self.is_open:
            return
        self._feed_all(timeout_seconds)
        if not self._transport.is_alive:
            self._feed_all(0.0)  # what it wrote in between
            self.abort(self._explain_end())
        elif self._start_deadline is not None and time.monotonic() > self._start_deadline:
            self.abort(self._explain_silence())

    def feed(self, line: bytes) -> None:
        """Take in one line of the worker."""
        self._start_deadline = None
        try:
            message = protocol.decode(line)
        except WorkerError as error:
            self.abort(error)
        else:
            self._receive(message)

    def wait(
        self,
        request: Request,
        timeout_seconds: float | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Any:
        """The request's result, in a blocking way; its callbacks are called meanwhile.

        Raises:
            MedSegError: whatever the worker met; CancelledError when `cancelled` says so.
            WorkerError: no answer within `timeout_seconds`; the request is then given up.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not request.done:
            self.poll(_SECONDS_BETWEEN_LOOKS)
            if cancelled and cancelled():
                self.cancel(request)
            elif deadline is not None and time.monotonic() > deadline and not request.done:
                self.cancel(request)
                raise WorkerError(
                    f"The worker did not finish '{request.method}' within {timeout_seconds:g} s.",
                    "Allow it more time, or restart the worker.",
                )
        return request.result()

    def shut_down(self) -> None:
        """End the process: ask, wait a moment, then kill. What was not answered is cancelled."""
        if not self.is_open:
            return
        self.begin("shutdown", {})
        deadline = time.monotonic() + _SECONDS_TO_SHUT_DOWN
        while self._transport.is_alive and time.monotonic() < deadline:
            self._transport.poll(_SECONDS_BETWEEN_LOOKS)
        self.abort(CancelledError("The worker was closed.", "Restart it to go on."))

    def abort(self, error: MedSegError) -> None:
        """End the process now, and every request with this error; the first such end counts."""
        if not self.is_open:
            return
        self.is_open, self.end = False, error
        self._transport.kill()
        abandoned, self._pending = self._pending, {}
        for request in abandoned.values():
            request.settle(error)

    def _feed_all(self, timeout_seconds: float) -> None:
        for line in self._transport.poll(timeout_seconds):
            self.feed(line)

    def _receive(self, message: dict) -> None:
        if message.get("method") == "progress":
            params = message["params"]
            request = self._pending.get(params["id"])
            if request:
                request.advance(Progress(**{name: params[name] for name in Progress._fields if name in params}))
        else:
            request = self._pending.pop(message.get("id"), None)
            if request:
                request.settle(self._with_log(protocol.error_of(message)) or message["result"])

    def _explain_end(self) -> WorkerError:
        started = self._start_deadline is None
        return self._with_log(
            WorkerError(
                f"The worker {describe_end(self._transport.returncode)}{'' if started else ' before it was ready'}.",
                "Restart it; close other programs first if memory is short." if started else PYTHON_REMEDY,
                self._log_tail(),
            )
        )

    def _explain_silence(self) -> WorkerError:
        return self._with_log(
            WorkerError(
                f"The worker did not answer within {self._start_timeout_seconds:g} s of its start.",
                f"Try again; if it stays so, its Python may be damaged. {PYTHON_REMEDY}",
                self._log_tail(),
            )
        )

    def _with_log(self, error: MedSegError | None) -> MedSegError | None:
        if isinstance(error, WorkerError):
            error.details = f"{error.details}\nLog: {self._log_path}".lstrip()
        return error

    def _log_tail(self) -> str:
        try:
            return self._log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", errors="replace")
        except OSError as error:
            return f"The log cannot be read: {error}."
