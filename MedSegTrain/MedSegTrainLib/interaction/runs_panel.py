"""What the panel of runs says, from how they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from MedSegDLLib.errors import MedSegError

from ..training.run_folder import DONE
from .runs_ports import BUSY, STOPPABLE, CellView, RunsPanel, RunsRow, RunsState
from .runs_reader import RunView
from .runs_wording import RunsWording


def grid_of(runs: Sequence[RunView]) -> list[list[RunView]]:
    """A row for each method on each data set, in it a run for each fold and seed."""
    grid: dict[tuple[str, str], list[RunView]] = {}
    for run in runs:
        grid.setdefault((run.data_set, run.method), []).append(run)
    return list(grid.values())


@dataclass(frozen=True)
class Standing:
    """How a benchmark stands.

    Args:
        selected: folder of the run whose curves are shown.
        error: what went wrong last.
        seconds: since it was started.
    """

    state: RunsState
    runs: Sequence[RunView]
    selected: Path | None = None
    error: MedSegError | None = None
    seconds: float = 0.0

    @property
    def is_busy(self) -> bool:
        return self.state in BUSY

    @property
    def is_done(self) -> bool:
        return bool(self.runs) and all(run.kind == DONE for run in self.runs)

    @property
    def can_go_on(self) -> bool:
        return bool(self.runs) and not self.is_busy and not self.is_done


def runs_panel(standing: Standing, words: RunsWording) -> RunsPanel:
    """Everything that the view shows."""
    state, runs, error, grid = standing.state, standing.runs, standing.error, grid_of(standing.runs)
    several_seeds = len({run.seed for run in runs}) > 1
    several_data_sets = len({run.data_set for run in runs}) > 1
    first = grid[0] if grid else []
    return RunsPanel(
        state=state,
        columns=tuple(words.column(run.fold, run.seed, several_seeds) for run in first),
        rows=tuple(
            RunsRow(words.row(row[0], several_data_sets), tuple(_cell(run, standing, words) for run in row))
            for row in grid
        ),
        status=_status(standing, words),
        can_pause=state in (RunsState.RUNNING, RunsState.PAUSED),
        pause_text=words.go_on_training() if state is RunsState.PAUSED else words.pause(),
        can_stop=state in STOPPABLE,
        can_go_on=standing.can_go_on,
        go_on_tip=_go_on_tip(standing, words),
        fraction=sum(run.kind == DONE for run in runs) / len(runs) if runs else 0.0,
        problem=error is not None,
        details=error.details if error else "",
    )


def _cell(run: RunView, standing: Standing, words: RunsWording) -> CellView:
    return CellView(words.cell(run), words.cell_tip(run), run.folder == standing.selected)


def _status(standing: Standing, words: RunsWording) -> str:
    """What went wrong; and how it goes, where it goes on all the same."""
    if standing.error is None:
        return _course(standing, words)
    return f"{standing.error} {_course(standing, words)}" if standing.is_busy else str(standing.error)


def _course(standing: Standing, words: RunsWording) -> str:
    return {
        RunsState.NOTHING: words.nothing,
        RunsState.CHECKING: words.checking,
        RunsState.STARTING: lambda: words.starting(standing.seconds),
        RunsState.RUNNING: lambda: words.standing(standing.runs),
        RunsState.PAUSED: lambda: words.paused(standing.runs),
        RunsState.STOPPING: words.stopping,
        RunsState.RESTING: lambda: words.resting(standing.runs),
    }[standing.state]()


def _go_on_tip(standing: Standing, words: RunsWording) -> str:
    if standing.is_busy:
        return words.running()
    if standing.is_done:
        return words.all_done()
    return words.go_on_tip() if standing.runs else words.nothing()
