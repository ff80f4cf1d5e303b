"""What the panel of the result is told, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from MedSegDLLib.interaction.ports import AskingView


@dataclass(frozen=True)
class ResultRow:
    """A method in the ranking.

    Args:
        dice: its mean.
        interval: in which the mean lies with 95 %, or its deviation where nothing was compared.
        bundle: of its best fold, None for what MedSegDL cannot run.
    """

    rank: str
    title: str
    dice: str
    interval: str
    bundle: Path | None
    is_selected: bool = False


@dataclass(frozen=True)
class ResultPanel:
    """What the view shows.

    Args:
        can_report: with `report_tip` as the reason why not.
        can_open: there is a report to look at.
        can_use: with `use_tip` as the reason why not.
        is_busy: a report is written, or a model is copied.
        problem: the status line tells of something that failed.
    """

    rows: tuple[ResultRow, ...]
    status: str
    can_report: bool
    report_tip: str
    can_open: bool
    can_use: bool
    use_tip: str
    is_busy: bool = False
    problem: bool = False
    details: str = ""


class View(AskingView[ResultPanel], Protocol):
    def open(self, path: Path) -> None:
        """Show a file in the system's own program."""
