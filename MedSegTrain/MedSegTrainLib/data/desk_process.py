"""python -m MedSegTrainLib.data.desk_process: answers the window's questions about data, a line of JSON each.

    in    {"id": 1, "ask": "look", "folder": "/data", ...}      see `DataDesk.answer`
          {"cancel": 1}
    out   {"id": 1, "event": "progress", "done": 3, "total": 20, "name": "case-04"}
          {"id": 1, "event": "done", "answer": {...}}  or  {"id": 1, "event": "failed", "error": {...}}

The end of its input is its end. What libraries print goes where errors go.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable

from MedSegDLLib.errors import MedSegError

from .desk import DataDesk
from .reserved_output import reserved_output


def main() -> int:
    output = reserved_output()
    questions: queue.SimpleQueue[dict] = queue.SimpleQueue()
    cancelled: set[int] = set()
    threading.Thread(target=_listen, args=(questions, cancelled), daemon=True).start()
    desk = DataDesk()
    while True:
        question = questions.get()
        _write(output, answered(desk, question, lambda event: _write(output, event), cancelled))


def answered(desk: DataDesk, question: dict, tell: Callable[[dict], None], cancelled: set[int]) -> dict:
    """The last word on a question; never raises."""
    number = question["id"]

    def progress(done: int, total: int, name: str) -> None:
        tell({"id": number, "event": "progress", "done": done, "total": total, "name": name})

    try:
        answer = desk.answer(question, progress, lambda: number in cancelled)
    except Exception as error:  # the border of the process: the window must hear of it, and may go on to ask
        return {"id": number, "event": "failed", "error": _as_error(error).to_dict()}
    return {"id": number, "event": "done", "answer": answer}


def _as_error(error: Exception) -> MedSegError:
    if isinstance(error, MedSegError):
        return error
    details = "".join(traceback.format_exception(error))
    return MedSegError(f"An error that nobody foresaw: {type(error).__name__}: {error}.", details=details)


def _listen(questions: queue.SimpleQueue, cancelled: set[int]) -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if "cancel" in message:
            cancelled.add(message["cancel"])
        else:
            questions.put(message)
    os._exit(0)  # whoever asked is gone; a library that reads a large file would not listen


def _write(output, event: dict) -> None:
    output.write(json.dumps(event) + "\n")
    output.flush()


if __name__ == "__main__":
    sys.exit(main())
