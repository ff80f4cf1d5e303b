"""What the panel of networks and recipe is told, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from MedSegDLLib.interaction import ports


class PlanState(Enum):
    """CHECKING: the worker's packages are looked at. ESTIMATED: what is chosen can be started."""

    CHOOSING = auto()
    CHECKING = auto()
    ESTIMATING = auto()
    ESTIMATED = auto()


BUSY = (PlanState.CHECKING, PlanState.ESTIMATING)


@dataclass(frozen=True)
class MethodRow:
    """A network or baseline in the list.

    Args:
        key: by which it is ticked.
        kind: on slices, on volumes, or without a network.
        parameters: with their unit, '' for a baseline.
        problem: why it cannot be trained here, '' where nothing is known against it.
    """

    key: str
    title: str
    kind: str
    parameters: str
    source: str
    is_ticked: bool
    problem: str = ""


@dataclass(frozen=True)
class PlanPanel:
    """What the view shows.

    Args:
        button: "Plan", "Start" or "Cancel".
        tip: what the button does, or why it is grey.
        estimate: "about 9 h on NVIDIA RTX 4090, 14 GB of disk", or what is being done.
        progress: (done, total) networks while they are estimated; None otherwise.
        problem: the line tells of something that failed, or that will not do.
        details: for whoever is asked for help with it.
    """

    state: PlanState
    methods: tuple[MethodRow, ...]
    button: str
    tip: str
    enabled: bool
    estimate: str
    progress: tuple[int, int] | None = None
    problem: bool = False
    details: str = ""

    @property
    def is_busy(self) -> bool:
        return self.state in BUSY


View = ports.View[PlanPanel]
