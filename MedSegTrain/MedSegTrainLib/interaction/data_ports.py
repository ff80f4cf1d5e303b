"""What the panel of data is told, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from MedSegDLLib.interaction import ports

FOLDER, DATABASE, SCENE = "folder", "database", "scene"
SOURCES = (FOLDER, DATABASE, SCENE)


class DataState(Enum):
    """FOUND: something can be imported. READY: a data set is there to train on."""

    NOTHING = auto()
    LOOKING = auto()
    COPYING = auto()
    FOUND = auto()
    IMPORTING = auto()
    CANCELLING = auto()
    READY = auto()


BUSY = (DataState.LOOKING, DataState.COPYING, DataState.IMPORTING, DataState.CANCELLING)


@dataclass(frozen=True)
class DataChoices:
    """Where the data are, and where the data set goes.

    Args:
        files: of the patients that were ticked in the database.
        output: folder of the data set to write.
        channels: images of each case, separated by commas; '' as proposed.
    """

    source: str = FOLDER
    folder: Path | None = None
    files: tuple[Path, ...] = ()
    output: Path | None = None
    channels: str = ""


@dataclass(frozen=True)
class CaseRow:
    """A case in the table, or something that was left out: then `warnings` says why."""

    name: str
    modality: str = ""
    size: str = ""
    structures: str = ""
    warnings: str = ""
    is_left_out: bool = False


@dataclass(frozen=True)
class StructureRow:
    """A structure of the data and what becomes of it.

    Args:
        structure: its name in the model, '' where it is left out.
        without: how many cases do not show it, and what that means.
        absent: a case without it does not have it, rather than nobody having looked.
        codes: what it is in a terminology, in words.
        can_change: False for a data set that is imported already.
    """

    name: str
    cases: str
    structure: str
    without: str
    absent: bool
    codes: str
    codes_tip: str
    can_change: bool = True


@dataclass(frozen=True)
class DataPanel:
    """What the view shows.

    Args:
        look_tip, import_tip: what the buttons do, or why they are grey.
        progress: (done, total) while something is done, total 0 where it is not known; None otherwise.
        channels: as proposed, for the field that is empty.
        channels_tip: what images there are.
        selected: name of a case or of what was left out, '' for none.
        picture: of the selected case, None where there is none.
        problem: the status line tells of something that failed.
        details: for whoever is asked for help with it.
    """

    state: DataState
    cases: tuple[CaseRow, ...]
    structures: tuple[StructureRow, ...]
    status: str
    can_look: bool
    look_tip: str
    can_import: bool
    import_tip: str
    progress: tuple[int, int] | None = None
    channels: str = ""
    channels_tip: str = ""
    selected: str = ""
    picture: Path | None = None
    problem: bool = False
    details: str = ""

    @property
    def is_busy(self) -> bool:
        return self.state in BUSY


View = ports.View[DataPanel]
