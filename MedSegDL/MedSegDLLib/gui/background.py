"""Work that only waits for files, the network or another process, beside the window."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import qt

# While Slicer waits for events, its main thread keeps Python's lock: the thread only gets on while Python code on the
# main thread sleeps. So it sleeps, too short a while to be noticed, and often.
_MILLISECONDS_BETWEEN_LOOKS = 30
_SECONDS_FOR_THE_THREAD = 0.015


class Background:
    """Runs a function on a thread of its own; what it says and returns arrives on Slicer's main thread.

        self.background = Background(lambda report: fetch(url, report), onReport, onDone)

    The function must touch neither Qt nor the scene. Keep the object; `abandon` makes it silent.

    Args:
        function: called with `report`, which takes any arguments and hands them on to `onReport`.
        onReport: called with what was reported; only the newest report of each look is handed on.
        onDone: called with (result, None) or (None, error).
    """

    def __init__(
        self,
        function: Callable[[Callable[..., None]], Any],
        onReport: Callable[..., None],
        onDone: Callable[[Any, Exception | None], None],
    ):
        self._onReport = onReport
        self._onDone = onDone
        self._messages: queue.SimpleQueue = queue.SimpleQueue()
        self._timer = qt.QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN_LOOKS)
        self._timer.connect("timeout()", self._look)
        self._timer.start()
        threading.Thread(target=_run, args=(function, self._messages), daemon=True).start()

    @property
    def isActive(self) -> bool:
        return self._timer.active

    def abandon(self) -> None:
        """Hear no more of it; the function itself runs on until it notices."""
        self._timer.stop()

    def _look(self) -> None:
        time.sleep(_SECONDS_FOR_THE_THREAD)
        newest, end = None, None
        while not self._messages.empty():
            kind, *content = self._messages.get()
            if kind == "report":
                newest = content
            else:
                end = content
        if newest is not None:
            self._onReport(*newest)
        if end is not None and self._timer.active:
            self._timer.stop()
            self._onDone(*end)


def _run(function: Callable[[Callable[..., None]], Any], messages: queue.SimpleQueue) -> None:
    try:
        result = function(lambda *arguments: messages.put(("report", *arguments)))
    except Exception as error:  # the border of a thread: nobody else would hear of it
        messages.put(("end", None, error))
    else:
        messages.put(("end", result, None))
