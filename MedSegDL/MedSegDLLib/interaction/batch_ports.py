"""What the batch's presenter is given, and what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from . import ports


class BatchState(Enum):
    """SEARCHING: the images are being looked for. PAUSED: the same choices can be gone on with."""

    IDLE = auto()
    SEARCHING = auto()
    RUNNING = auto()
    PAUSING = auto()
    PAUSED = auto()
    CANCELLING = auto()
    FAILED = auto()


@dataclass(frozen=True)
class BatchChoices:
    """What to segment, with what, and where the results go.

    Args:
        inputs: folders, searched with all below them, or single files.
        files: image files that were chosen one by one, such as all of some series in a database.
        arguments: further ones of 'medseg segment', such as ("--overlap", "0.25").
    """

    inputs: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    output: Path | None = None
    model: str = ""
    device: str = "auto"
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchRow:
    """A case in the table.

    Args:
        kind: "waiting", "running", "done", "failed" or "left out".
        status: the same for the user to read.
    """

    name: str
    source: str = ""
    kind: str = "waiting"
    status: str = ""
    seconds: str = ""
    message: str = ""


@dataclass(frozen=True)
class BatchPanel:
    """What the view shows.

    Args:
        can_start: with `start_tip` as the reason why not.
        start_text: "Start" or "Resume".
        fraction: of all cases, None while it is not known.
        details: for whoever is asked for help with a failure; '' without one.
    """

    state: BatchState
    rows: tuple[BatchRow, ...]
    status: str
    start_text: str
    start_tip: str
    can_start: bool
    can_pause: bool
    can_cancel: bool
    fraction: float | None
    details: str = ""


View = ports.View[BatchPanel]
