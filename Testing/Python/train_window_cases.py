"""What the tests of MedSegTrain's window share: views, processes and threads of our making, and small data."""

from __future__ import annotations

import json
import time
from pathlib import Path

from MedSegDLLib.errors import MedSegError
from MedSegTrainLib.data.desk import DataDesk
from MedSegTrainLib.data.desk_process import answered

PATIENCE_SECONDS = 180


class FakeView:
    """Keeps what it was told to show; answers yes to everything, unless told otherwise."""

    def __init__(self):
        self.panels, self.questions, self.curves, self.opened, self.answer = [], [], [], [], True

    def show(self, panel):
        self.panels.append(panel)

    @property
    def panel(self):
        return self.panels[-1]

    def confirms(self, question):
        self.questions.append(question)
        return self.answer

    def open(self, path):
        self.opened.append(path)

    def show_curves(self, title, events):
        self.curves.append((title, len(events)))


class Desk:
    """A true desk in this process, that answers when it is polled."""

    def __init__(self, findings=None):
        self.desk, self.waiting, self.questions = DataDesk(findings), None, []
        self.was_cancelled = self.is_closed = False

    def ask(self, question, progress, answer):
        self.questions.append(question)
        self.waiting = (question, progress, answer)

    def cancel(self):
        self.was_cancelled = True

    def close(self):
        self.is_closed = True

    def poll(self):
        if self.waiting is None:
            return
        (question, progress, answer), self.waiting = self.waiting, None
        cancelled = {1} if self.was_cancelled else set()
        last = answered(
            self.desk, {"id": 1, **question}, lambda e: progress(e["done"], e["total"], e["name"]), cancelled
        )
        self.was_cancelled = False
        answer(last.get("answer"), _error(last))


def _error(event):
    return MedSegError.from_dict(event["error"]) if event["event"] == "failed" else None


class Transport:
    """A child process that says what it is told to say."""

    def __init__(self):
        self.command = self.returncode = None
        self.is_alive = True
        self.written, self.lines = [], []
        self.log, self.was_killed = "", False

    def start(self, command, environment, log_path):
        self.command, self.environment, self._log_path = command, environment, log_path

    def write(self, line):
        self.written.append(json.loads(line))

    def poll(self, timeout_seconds):
        assert timeout_seconds == 0, "the window must not wait"
        lines, self.lines = self.lines, []
        return lines

    def kill(self):
        self.was_killed, self.is_alive = True, False

    def say(self, **event):
        self.lines.append(json.dumps(event).encode() + b"\n")

    def end(self, returncode=0, log=""):
        self._log_path.write_text(log)
        self.is_alive, self.returncode = False, returncode


class Transports:
    """Makes them, and keeps them."""

    def __init__(self):
        self.made = []

    def __call__(self):
        self.made.append(Transport())
        return self.made[-1]

    @property
    def last(self):
        return self.made[-1]


class Later:
    """In place of a thread: what was asked for happens when the test says so."""

    waiting: list = []

    def __init__(self, function, on_report, on_done):
        self._call, self.is_abandoned = (function, on_report, on_done), False
        Later.waiting.append(self)

    def abandon(self):
        self.is_abandoned = True

    @classmethod
    def happen(cls):
        waiting, cls.waiting[:] = list(cls.waiting), []
        for one in waiting:
            function, on_report, on_done = one._call
            try:
                result, error = function(on_report), None
            except Exception as raised:
                result, error = None, raised
            if not one.is_abandoned:
                on_done(result, error)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Process:
    """What the window keeps of a process that it started."""

    def __init__(self):
        self.returncode = None

    def poll(self):
        return self.returncode

    def kill(self):
        self.returncode = -9


def wait_until(condition, poll=lambda: None):
    """For what true processes do."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        poll()
        time.sleep(0.02)


def write_json(path: Path, data) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
