"""A batch that a window runs as a child process: one JSON object a line on its output, one word a line on its input.

Events, by their "event":

    found      model, cases: [{name, source}], others: rows as in "result", for what is not segmented
    progress   done: cases, fraction: of the present one, name: of the present one
    result     a row of results.csv, the fields of `CaseResult`
    finished   output: the folder, complete: False where it was paused
    failed     code, message, remedy, details: nothing can be done at all

Commands: "pause" stops after the present case, "cancel" at once; so does the end of the input, when the window is gone.
"""

from __future__ import annotations

import _thread
import json
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from .errors import MedSegError

PAUSE, CANCEL = "pause", "cancel"

_SECONDS_BETWEEN_PROGRESS = 0.1


class JsonLines:
    """Tells a program of a batch; the same calls as for people, see `cli`."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._last_progress = 0.0

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_) -> None:
        pass

    def found(self, model: str, cases: list, others: list) -> None:
        named = [{"name": case.name, "source": str(case.source)} for case in cases]
        self._send("found", model=model, cases=named, others=[asdict(result) for result in others])

    def progress(self, done: int, fraction: float, name: str) -> None:
        now = time.monotonic()
        if not fraction or now - self._last_progress > _SECONDS_BETWEEN_PROGRESS:
            self._last_progress = now
            self._send("progress", done=done, fraction=fraction, name=name)

    def result(self, result) -> None:
        self._send("result", **asdict(result))

    def finished(self, output: Path, complete: bool) -> None:
        self._send("finished", output=str(output), complete=complete)

    def failed(self, error: MedSegError) -> None:
        self._send("failed", **error.to_dict())

    def _send(self, event: str, **content) -> None:
        with suppress(OSError):  # the window is gone: the end of its commands stops the batch
            self._stream.write(json.dumps({"event": event, **content}).encode("ascii") + b"\n")
            self._stream.flush()


class Commands:
    """Listens to the window, on a thread of its own."""

    def __init__(self, stream: BinaryIO):
        self._paused = threading.Event()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have switched it off
        threading.Thread(target=self._listen, args=(stream,), daemon=True).start()

    def is_pausing(self) -> bool:
        return self._paused.is_set()

    def _listen(self, stream: BinaryIO) -> None:
        for line in stream:
            if line.strip() == PAUSE.encode():
                self._paused.set()
            elif line.strip() == CANCEL.encode():
                break
        _thread.interrupt_main()  # as Ctrl+C


def claimed_streams() -> tuple[BinaryIO, BinaryIO]:
    """Commands and events. Descriptor 0 becomes empty and 1 the log, for whatever else reads or prints."""
    commands, events = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return commands, events
