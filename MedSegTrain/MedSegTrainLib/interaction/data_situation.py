"""How the data are: what was found, what is said of them, and what stands in the way; shown after each change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from MedSegDLLib.errors import CancelledError, MedSegError

from ..data.structures import StructureTable
from .case_pictures import CasePictures
from .data_ports import BUSY, DATABASE, FOLDER, SCENE, DataChoices, DataPanel, DataState, View
from .data_tables import case_rows, skipped_rows, structure_rows
from .data_wording import DataWording


class DataSituation:
    """What the presenter decides on, and the view is told.

    Args:
        view: told after each change.
        words: the sentences, in the user's language.
        folder: for the pictures of cases.

    Attributes:
        answer: what was told of the data last, see `DataDesk.answer`.
        table: their structures as they are corrected; None without data, and for a data set that is opened.
        dataset: folder of the one to train on.
        progress: (done, total) while something is done.
        status, details: what was said last, of a `problem` or not.
    """

    def __init__(self, view: View, words: DataWording, folder: Path):
        self._view, self.words = view, words
        self.pictures = CasePictures(folder, self._picture_changed)
        self.state, self.choices = DataState.NOTHING, DataChoices()
        self.answer: dict[str, Any] = {}
        self.table: StructureTable | None = None
        self.dataset: Path | None = None
        self.progress: tuple[int, int] | None = None
        self.status, self.details, self.problem = words.empty(), "", False

    @property
    def is_busy(self) -> bool:
        return self.state in BUSY

    @property
    def channels(self) -> list[str]:
        """As they are chosen, or proposed."""
        chosen = [name.strip() for name in self.choices.channels.split(",") if name.strip()]
        return chosen or self.answer["channels"]

    def has_case(self, name: str) -> bool:
        """Rather than something that was left out."""
        return name in {case["name"] for case in self.answer.get("cases", ())}

    def reason_not_to_look(self) -> str:
        """A sentence; '' where nothing is in the way."""
        if self.is_busy:
            return self.words.busy()
        choices = self.choices
        chosen = {FOLDER: choices.folder, DATABASE: choices.files, SCENE: True}[choices.source]
        return "" if chosen else self.words.choose_source(choices.source)

    def reason_not_to_import(self) -> str:
        """A sentence; '' where nothing is in the way."""
        if self.is_busy:
            return self.words.busy()
        if self.table is None:
            return self.words.imported_already() if self.dataset else self.words.look_first()
        return "" if self.choices.output else self.words.choose_output()

    def enter(self, state: DataState, status: str, progress: tuple[int, int] | None = None, **more) -> None:
        """Be in a state; the others as for `say`."""
        self.state, self.progress = state, progress
        self.say(status, **more)

    def fail(self, error: MedSegError) -> None:
        """What was done came to nothing; what was found before stays."""
        state = DataState.NOTHING if self.table is None else DataState.FOUND
        if isinstance(error, CancelledError):
            self.enter(state, self.words.empty() if self.table is None else self.words.cancelled())
        else:
            self.enter(state, str(error), details=error.details, problem=True)

    def say(self, status: str, details: str = "", problem: bool = False) -> None:
        self.status, self.details, self.problem = status, details, problem
        self.show()

    def show(self) -> None:
        """Have the view show how things are."""
        self._view.show(self.panel())

    def panel(self) -> DataPanel:
        """Everything that the view shows."""
        words, answer, pictures = self.words, self.answer, self.pictures
        reason, obstacle = self.reason_not_to_look(), self.reason_not_to_import()
        return DataPanel(
            state=self.state,
            cases=(*case_rows(answer, words), *skipped_rows(answer, words)),
            structures=structure_rows(self.table, answer, words),
            status=self.status,
            can_look=not reason,
            look_tip=reason or words.look_tip(self.choices.source),
            can_import=not obstacle,
            import_tip=obstacle or words.import_tip(),
            progress=self.progress,
            channels=", ".join(answer.get("channels", ())),
            channels_tip=words.channels_tip(answer.get("available", {})),
            selected=pictures.selected,
            picture=pictures.picture,
            problem=self.problem,
            details=self.details,
        )

    def _picture_changed(self, error: MedSegError | None) -> None:
        if error is not None:
            self.say(str(error), error.details, problem=True)
        else:
            self.show()
