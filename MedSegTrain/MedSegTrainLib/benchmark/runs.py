"""The folder of one run: who works on it, how it ended, what came out. Whatever is in it survives a kill at any time.

run.json       the order (see `order.py`) and its key
state.json     how the last attempt stands or ended
log.txt        what its process printed
data.json      which cases the training began with (see `same_data.py`)
training/      status, curve and checkpoints of the training, from which a killed one goes on
rows.csv       a row for each case and structure
result.json    all else that came out; written last: a run is done if it is there, whole, and of the same key
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.bundle import sha256
from MedSegDLLib.errors import ModelError

from ..evaluation.rows import Row, read_rows, write_rows
from .order import Order

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"

_LOCKS = ".locks"
_SECONDS_FOR_A_DYING_PROCESS = 3


class BusyError(Exception):
    """Another process works on the run."""


@dataclass(frozen=True)
class State:
    """How a run stands: waiting, running, done or failed; why, since when, and by whom."""

    name: str
    reason: str = ""
    since: str = ""
    host: str = ""
    pid: int = 0


@dataclass(frozen=True)
class Result:
    """What came out of a run: figures of each case, and everything else as JSON holds it (see `execute.py`)."""

    rows: list[Row]
    facts: dict[str, Any] = field(default_factory=dict)


class Run:
    """A run and its folder.

    Args:
        benchmark: folder of the whole benchmark.
        order: what is run.
    """

    def __init__(self, benchmark: Path, order: Order):
        self.order = order
        self.name = order.name
        self.folder = benchmark / order.folder
        self._lock = FileLock(benchmark / _LOCKS / f"{order.folder}.lock", mode=0o666)

    def __repr__(self) -> str:
        return f"Run({self.name})"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def training(self) -> Path:
        return self.folder / "training"

    def state(self) -> State:
        """Told from the files alone; a process that was killed while it worked leaves the run waiting."""
        if not self._is_ours():
            return State(WAITING, "The plan has changed since it was run." if self._written_key() else "")
        if self._result() is not None:
            return State(DONE)
        state = _read_json(self.folder / "state.json")
        if state is None or state.get("name") not in (WAITING, RUNNING, FAILED):
            return State(WAITING)
        if state["name"] == RUNNING and not self._is_locked():
            return State(WAITING, "Its process ended in the middle; it goes on from there.")
        return State(**state)

    def result(self) -> Result | None:
        """None unless the run is done."""
        facts = self._result() if self._is_ours() else None
        return None if facts is None else Result(read_rows(self.folder / "rows.csv"), facts)

    def seconds(self) -> float:
        """How long it took; 0 unless it is done."""
        facts = self._result() if self._is_ours() else None
        return sum((facts or {}).get("seconds", {}).values())

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Work on the run while no other process does. Raises BusyError where one does, OutputError."""
        with self._locked(_SECONDS_FOR_A_DYING_PROCESS):
            self._make_room()
            if self._written_key() != self.order.key:
                self.write_json("run.json", {"key": self.order.key, "order": self.order.model_dump(mode="json")})
            yield

    def settle(self) -> bool:
        """Let the results of another plan step aside for this one's; whether there were any."""
        with self._locked(_SECONDS_FOR_A_DYING_PROCESS):
            return self._make_room()

    def note(self, state: str, reason: str = "") -> None:
        """Write down how the run stands. Raises OutputError."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.write_json("state.json", asdict(State(state, reason, now, socket.gethostname(), os.getpid())))

    def note_if_unclaimed(self, state: str, reason: str) -> None:
        """The same for a process that does not work on the run itself, such as the one which saw its process die."""
        try:
            with self._locked(_SECONDS_FOR_A_DYING_PROCESS):
                if self.state().name != DONE:
                    self.note(state, reason)
        except BusyError:
            return

    def finish(self, result: Result) -> None:
        """Write what came out: from now on the run is done. Raises OutputError."""
        rows = self.folder / "rows.csv"
        write_rows(rows, result.rows)
        self.write_json("result.json", {"key": self.order.key, "rows_sha256": sha256(rows), **result.facts})
        self.note(DONE)
        if not self.order.keep.checkpoints:
            for checkpoint in self.training.glob("*.ckpt"):
                checkpoint.unlink(missing_ok=True)

    def write_json(self, name: str, data: dict) -> None:
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / name) as partial:
            partial.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _result(self) -> dict | None:
        """What result.json says if it is whole, of this key, and rows.csv is the one it was written for."""
        facts = _read_json(self.folder / "result.json")
        if facts is None or facts.get("key") != self.order.key:
            return None
        try:
            return facts if sha256(self.folder / "rows.csv") == facts.get("rows_sha256") else None
        except ModelError:
            return None

    def _written_key(self) -> str | None:
        return (_read_json(self.folder / "run.json") or {}).get("key")

    def _is_ours(self) -> bool:
        return self._written_key() == self.order.key

    def _make_room(self) -> bool:
        """Results of another key step aside, and those of this key that had stepped aside come back."""
        written = self._written_key()
        if written is None and self.training.exists():
            written = "unknown"
        if written == self.order.key:
            return False
        with output_errors(self.folder):
            if written is not None:
                self.folder.rename(free_name(self._aside(written)))
            if self._aside(self.order.key).is_dir() and not self.folder.exists():
                self._aside(self.order.key).rename(self.folder)
        return written is not None

    def _aside(self, key: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}.plan-{key}")

    def _is_locked(self) -> bool:
        try:
            with self._locked(0):
                return False
        except BusyError:
            return True

    @contextmanager
    def _locked(self, seconds: float) -> Iterator[None]:
        lock = Path(self._lock.lock_file)
        with output_errors(lock):
            lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=seconds, poll_interval=0.05)
            except Timeout as error:
                raise BusyError(self.name) from error
        try:
            yield
        finally:
            self._lock.release()


def free_name(folder: Path) -> Path:
    """The name, or the first like it that nothing has."""
    names = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return next(name for name in chain([folder], names) if not name.exists())


def _read_json(path: Path) -> dict | None:
    """None where the file is missing or damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
