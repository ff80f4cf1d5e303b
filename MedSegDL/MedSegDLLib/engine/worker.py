"""The worker process: answers the requests of `protocol` on stdin and stdout.

A thread reads the requests, so that `cancel` is heard while the main thread segments. Whatever a library prints
goes to stderr, which the client directs into a log. When the client is gone, stdin ends, and so does the worker.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO

from .. import protocol
from ..errors import CancelledError, DeviceError, MedSegError, OutputError, WorkerError
from .session import Engine, Run, Session

SECONDS_TO_LEAVE = 3.0  # after the client is gone; a single window of a large network can take longer than that

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "bad_alloc", "bad allocation")


class Server:
    """Requests in, replies and progress out: reads on a thread of its own, works on the thread that calls `serve`."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO, session: Session):
        self._requests = requests
        self._replies = replies
        self._session = session
        self._writing = threading.Lock()
        self._runs: dict[int, Run] = {}
        self._work: queue.SimpleQueue[dict | None] = queue.SimpleQueue()

    def serve(self) -> None:
        """Answer until the client asks for `shutdown` or is gone."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while (request := self._work.get()) is not None:
            self._answer(request)

    def _read(self) -> None:
        for line in self._requests:
            try:
                request = protocol.decode_request(line)
            except WorkerError as error:
                self._send(protocol.failure(None, error, protocol.PARSE_ERROR))
                continue
            self._receive(request)
            if request["method"] == "shutdown":
                break
        self._leave()

    def _receive(self, request: dict) -> None:
        identifier, method = request["id"], request["method"]
        if method == "cancel":
            self._stop(request["params"]["id"])
        if method in ("cancel", "shutdown"):
            self._send(protocol.reply(identifier, {}))
        elif method in self._session.methods:
            self._runs[identifier] = Run(identifier, self._send)
            self._work.put(request)
        else:
            self._send(protocol.failure(identifier, _unknown(method), protocol.UNKNOWN_METHOD))

    def _stop(self, identifier: int) -> None:
        run = self._runs.get(identifier)
        if run:  # else it has already been answered
            run.stopped.set()

    def _leave(self) -> None:
        """Stop what runs and what waits; a run that does not listen soon enough is ended with the process."""
        for identifier in list(self._runs):
            self._stop(identifier)
        self._work.put(None)
        time.sleep(SECONDS_TO_LEAVE)
        os._exit(1)

    def _answer(self, request: dict) -> None:
        run = self._runs[request["id"]]
        try:
            if run.cancelled():
                raise CancelledError("The run was stopped before it began.")
            result = self._session.methods[request["method"]](run, **request["params"])
            self._send(protocol.reply(run.identifier, result))
        except Exception as error:  # the border of the process: the client hears of every failure
            self._send(protocol.failure(run.identifier, as_medseg_error(error)))
        finally:
            del self._runs[run.identifier]

    def _send(self, message: dict) -> None:
        line = protocol.encode(message)
        with self._writing, contextlib.suppress(OSError):  # the client is gone: the reading thread notices
            self._replies.write(line)
            self._replies.flush()


def as_medseg_error(error: Exception) -> MedSegError:
    """The typed error that tells a user what an exception of the engine means."""
    if isinstance(error, MedSegError):
        return error
    details = "".join(traceback.format_exception(error))
    if _is_out_of_memory(error):
        return DeviceError(
            "The device ran out of memory.",
            "Close other programs, choose a smaller region, or run on the CPU.",
            details,
        )
    if isinstance(error, ImportError):
        return WorkerError(
            f"The worker's Python, {sys.executable}, cannot import a package: {error}.",
            "Install it there anew, or let MEDSEG_WORKER_PYTHON name a Python that has it.",
            details,
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError("The disk is full.", "Free some space on it and try again.", details)
    return WorkerError(
        f"The worker met an error that nobody foresaw: {type(error).__name__}: {error}.",
        "Try again; if it comes back, report it with the log.",
        details,
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Known by name and words, since torch, which has its own class for it, need not be there."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _MEMORY_WORDS)


def _unknown(method: Any) -> WorkerError:
    return WorkerError(
        f"The worker does not know the request '{method}'.", "Install the same version of MedSegDL on both sides."
    )


def _claim_stdio() -> tuple[BinaryIO, BinaryIO]:
    """The streams of the protocol. Descriptor 0 becomes empty and 1 the log, for whatever else reads or prints.

    On Windows it also keeps libraries from hanging: they look at standard input while the other thread waits on it.
    """
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return requests, replies


def main(engine: Engine | None = None) -> None:
    requests, replies = _claim_stdio()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is for the client, which cancels
    faulthandler.enable()
    Server(requests, replies, Session(engine or Engine())).serve()


if __name__ == "__main__":
    main()
