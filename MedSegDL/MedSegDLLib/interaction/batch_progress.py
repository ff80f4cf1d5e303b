"""What the child process of a batch has said so far: a row for each case, and how long the rest will take."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from ..errors import MedSegError
from .batch_ports import BatchRow
from .batch_wording import BatchWording


@dataclass(frozen=True)
class Finished:
    """The last word: where the results are, and whether no case waits any more."""

    output: str
    complete: bool


@dataclass
class BatchProgress:
    """Takes in the events of `medseg segment --progress json`; see `batch_events`.

    Args:
        words: for the rows and the status line.
        began: seconds, by the same clock as `now` below.
        cases: rows that are shown until they are told anew.
        status: the sentence on what is being done; '' while there is nothing new to say.
    """

    words: BatchWording
    began: float = 0.0
    cases: dict[str, BatchRow] = field(default_factory=dict)
    others: tuple[BatchRow, ...] = ()
    found: bool = False
    done: int = 0
    fraction: float = 0.0
    reused: int = 0
    finished: Finished | None = None
    failure: MedSegError | None = None
    status: str = ""

    @property
    def rows(self) -> tuple[BatchRow, ...]:
        return (*self.cases.values(), *self.others)

    @property
    def share(self) -> float | None:
        """Of all cases, None while they are not known."""
        return (self.done + self.fraction) / len(self.cases) if self.found and self.cases else None

    def seconds_left(self, now: float) -> float | None:
        """From what this run took so far; cases that were done before cost nothing and would flatter it."""
        own = self.done + self.fraction - self.reused
        if own < 0.5:
            return None
        return (now - self.began) / own * (len(self.cases) - self.done - self.fraction)

    def hear(self, line: bytes, now: float) -> None:
        """Take in a line of the process."""
        event = json.loads(line)
        kind = event.pop("event")
        if kind == "found":
            self._hear_found(**event)
        elif kind == "progress":
            self._hear_progress(**event, now=now)
        elif kind == "result":
            self._hear_result(**event)
        elif kind == "finished":
            self.finished = Finished(**event)
        else:
            self.failure = MedSegError.from_dict(event)

    def put_back(self) -> None:
        """A case that was not brought to its end waits again."""
        waiting = self.words.status("waiting")
        for name, row in self.cases.items():
            if row.kind == "running":
                self.cases[name] = replace(row, kind="waiting", status=waiting)

    def _hear_found(self, model: str, cases: list[dict], others: list[dict]) -> None:
        waiting = self.words.status("waiting")
        names = {case["name"]: BatchRow(case["name"], case["source"], status=waiting) for case in cases}
        self.cases = {name: self.cases.get(name, row) for name, row in names.items()}
        self.others = tuple(self._row(**other) for other in others)
        self.found = True
        self.status = self.words.found(len(cases), model)

    def _hear_progress(self, done: int, fraction: float, name: str, now: float) -> None:
        self.done, self.fraction = done, fraction
        row = self.cases.get(name)
        if row and row.kind in ("waiting", "running"):
            self.cases[name] = replace(row, kind="running", status=self.words.status("running", fraction))
        if name:
            self.status = self.words.running(done, len(self.cases), name, self.seconds_left(now))

    def _hear_result(self, **result) -> None:
        row = self._row(**result)
        self.cases[row.name] = row
        self.reused += result["reused"]

    def _row(self, name: str, source: str, status: str, message: str, seconds: float, reused: bool, **_) -> BatchRow:
        text = self.words.status(status)
        if reused:
            return BatchRow(name, source, status, text, self.words.done_before(), message)
        shown = self.words.seconds(seconds) if seconds else ""  # nothing was tried
        return BatchRow(name, source, status, text, shown, message)
