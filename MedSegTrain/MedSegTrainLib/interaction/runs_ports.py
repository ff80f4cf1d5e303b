"""What the panel of runs is told, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from MedSegDLLib.interaction import ports


class RunsState(Enum):
    """NOTHING: no folder is open. RESTING: nothing that a window began works on its runs; they can be gone on with
    unless all are done. CHECKING: the worker's packages are looked at."""

    NOTHING = auto()
    RESTING = auto()
    CHECKING = auto()
    STARTING = auto()
    RUNNING = auto()
    PAUSED = auto()
    STOPPING = auto()


STOPPABLE = (RunsState.STARTING, RunsState.RUNNING, RunsState.PAUSED)
BUSY = (RunsState.CHECKING, RunsState.STARTING, RunsState.RUNNING, RunsState.PAUSED, RunsState.STOPPING)


@dataclass(frozen=True)
class CellView:
    """A run in the table: its state in a few words, and more in its tip."""

    text: str
    tip: str
    is_selected: bool = False


@dataclass(frozen=True)
class RunsRow:
    """A method, on one of the data sets."""

    title: str
    cells: tuple[CellView, ...]


@dataclass(frozen=True)
class RunsPanel:
    """What the view shows.

    Args:
        columns: a fold each, and a seed where there are several.
        status: how far the benchmark is, and what it does.
        pause_text: "Pause" or "Continue".
        go_on_tip: what it does, or why it is grey.
        fraction: of all runs that are done, 0 to 1.
        problem: the status line tells of something that failed.
        details: for whoever is asked for help with it.
    """

    state: RunsState
    columns: tuple[str, ...]
    rows: tuple[RunsRow, ...]
    status: str
    can_pause: bool
    pause_text: str
    can_stop: bool
    can_go_on: bool
    go_on_tip: str
    fraction: float = 0.0
    problem: bool = False
    details: str = ""


class View(ports.View[RunsPanel], Protocol):
    def show_curves(self, title: str, events: Sequence[dict]) -> None:
        """Draw a training's curves; `events` are an entry an epoch, see `run_folder`."""
