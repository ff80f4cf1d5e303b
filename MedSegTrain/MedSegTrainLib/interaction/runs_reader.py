"""How the runs of a benchmark stand, told from their files alone, without locks, so that Slicer's process can look."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from MedSegDLLib.errors import InputError, MedSegError

from ..evaluation.rows import read_rows
from ..evaluation.summary import over_structures
from ..training.run_folder import DONE, FAILED, PAUSED, STOPPED, TRAINING, WAITING, RunFolder, Status

PLAN, SESSION, REPORT, BUNDLE = "plan.json", "session", "report", "bundle"
PREPARING, JUDGING = "preparing", "judging"
AT_WORK = (PREPARING, TRAINING, PAUSED, JUDGING)

MEASURE = "dice"


@dataclass(frozen=True)
class RunView:
    """One run.

    Attributes:
        kind: waiting, preparing, training, paused, judging, done, failed or stopped.
        dice: of a run that is done, the mean over its cases.
        reason: why it failed.
    """

    folder: Path
    data_set: str
    method: str
    label: str
    is_network: bool
    fold: int
    seed: int
    kind: str = WAITING
    epoch: int = 0
    epochs: int = 0
    remaining_seconds: float | None = None
    dice: float | None = None
    reason: str = ""

    @property
    def training(self) -> RunFolder:
        return RunFolder(self.folder / "training")

    @property
    def name(self) -> str:
        return f"{self.data_set}/{self.method}/{self.folder.name}"


class RunsReader:
    """Reads a benchmark's folder again and again; a finished run only once.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path):
        self.path = path
        self._dice: dict[tuple[Path, int], float | None] = {}

    @property
    def session(self) -> RunFolder:
        """Of the process that does the runs, if it was started from a window."""
        return RunFolder(self.path / SESSION)

    def plan(self) -> dict[str, Any]:
        """Raises InputError where no benchmark was begun here."""
        if not self.path.is_dir():
            raise InputError(f"The folder '{self.path}' is not there.", "Connect its disk, or choose another folder.")
        data = _json(self.path / PLAN)
        if data is None or not isinstance(data.get("data_sets"), list):
            raise InputError(f"'{self.path}' holds no benchmark.", "Choose the folder of the runs.")
        return data

    def runs(self) -> list[RunView]:
        """Every run of the plan, method by method. Raises InputError."""
        plan, alive = self.plan(), self.session.status().has_process
        try:
            return [self._seen(run, alive) for run in _planned(plan, self.path)]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{PLAN} in '{self.path}' is damaged.", "Start the benchmark again.", repr(error)
            ) from error

    def _seen(self, run: RunView, session_is_alive: bool) -> RunView:
        written = _json(run.folder / "run.json") or {}
        result = _json(run.folder / "result.json")
        if result is not None and result.get("key") == written.get("key"):
            return _with(run, kind=DONE, dice=self._dice_of(run.folder / "rows.csv"))
        state = _json(run.folder / "state.json") or {}
        training = run.training.status()
        if state.get("name") == FAILED:
            kind = STOPPED if training.state == STOPPED else FAILED
            return _with(run, training, kind=kind, reason=str(state.get("reason", "")))
        if state.get("name") == "running" and (session_is_alive or training.has_process or _lives(state)):
            return _with(run, training, kind=_phase(training))
        interrupted = training.epoch > 0
        return _with(run, training if interrupted else None, kind=STOPPED if interrupted else WAITING)

    def _dice_of(self, rows: Path) -> float | None:
        try:
            key = (rows, rows.stat().st_mtime_ns)
            if key not in self._dice:
                self._dice[key] = over_structures(read_rows(rows), MEASURE).mean
            return self._dice[key]
        except (OSError, ValueError, KeyError, MedSegError):  # whatever was done to the file
            return None


def _planned(plan: dict[str, Any], path: Path) -> Iterable[RunView]:
    folds = plan.get("only_folds") or range(plan.get("folds", 5))
    methods = [*plan.get("networks", ()), *plan.get("baselines", ())]
    for data_set in plan["data_sets"]:
        for method in methods:
            name = method["name"]
            for seed in plan.get("seeds", (0,)):
                for fold in folds:
                    folder = path / data_set["name"] / name / f"fold-{fold}-seed-{seed}"
                    label = method.get("label") or name
                    yield RunView(folder, data_set["name"], name, label, "network" in method, fold, seed)


def _phase(training: Status) -> str:
    """Of a run at work: before its training there is nothing, after it the test cases are judged."""
    if training.state in (TRAINING, PAUSED) and training.has_process:
        return PAUSED if training.state == PAUSED else TRAINING
    return JUDGING if training.state == DONE else PREPARING


def _lives(state: dict[str, Any]) -> bool:
    """Whether the process that wrote it does, where that can be told; it writes only once, so its age tells nothing."""
    if state.get("host") != socket.gethostname() or sys.platform == "win32":
        return False
    return Status(TRAINING, pid=state.get("pid", 0), host=state["host"], updated=time.time()).has_process


def _with(run: RunView, training: Status | None = None, **changes) -> RunView:
    if training is not None:
        changes |= {
            "epoch": training.epoch,
            "epochs": training.epochs,
            "remaining_seconds": training.remaining_seconds,
        }
    return replace(run, **changes)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
