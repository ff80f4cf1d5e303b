"""Data in the window: looked at, their structures corrected, imported; without Qt or slicer.

presenter = DataPresenter(view, ProcessDesk(find_python))
presenter.choose(DataChoices(folder=folder, output=output))
presenter.look()
presenter.rename(0, "Liver")
presenter.import_data()
presenter.poll()            # every now and then, while presenter.is_busy
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from MedSegDLLib.errors import CancelledError, InputError, MedSegError
from MedSegDLLib.labels import Terminology

from ..data.found import Findings
from ..data.importing import STRUCTURES
from ..data.structure_files import read_table, write_table
from ..data.structures import StructureTable
from . import structure_edits as edits
from .case_pictures import CasePictures
from .data_ports import BUSY, DATABASE, FOLDER, SCENE, DataChoices, DataPanel, DataState, View
from .data_tables import case_rows, skipped_rows, structure_rows
from .data_wording import DataWording
from .desks import Desk
from .scene_copy import SceneCopy


class DataPresenter:
    """Decides what the panel of data shows and does.

    Args:
        view: told after each change.
        desk: answers questions about data outside this process.
        scene: finds what is loaded, on Slicer's main thread.
        scene_desk: makes a desk for what was copied out of the scene.
        wording: the sentences, in the user's language.
        on_dataset: called with the folder of the data set to train on, None where there is none any more.
    """

    def __init__(
        self,
        view: View,
        desk: Desk,
        scene: Callable[[], Findings] | None = None,
        scene_desk: Callable[[Findings], Desk] | None = None,
        wording: DataWording | None = None,
        on_dataset: Callable[[Path | None], None] = lambda folder: None,
    ):
        self._view, self._wording, self._on_dataset = view, wording or DataWording(), on_dataset
        self._files_desk = self._desk = desk
        self._scene, self._scene_desk = scene, scene_desk
        self._temporary = tempfile.TemporaryDirectory(prefix="medseg-data-", ignore_cleanup_errors=True)
        self._pictures = CasePictures(Path(self._temporary.name), self._picture_changed)
        self._copy: SceneCopy | None = None
        self._answer: dict[str, Any] = {}
        self._table: StructureTable | None = None
        self._progress: tuple[int, int] | None = None
        self._status, self._details, self._problem = self._wording.empty(), "", False
        self.state = DataState.NOTHING
        self.choices = DataChoices()
        self.dataset: Path | None = None

    # What the user does

    @property
    def is_busy(self) -> bool:
        return self.state in BUSY

    @property
    def needs_polling(self) -> bool:
        return self.is_busy or self._pictures.is_awaited

    def choose(self, choices: DataChoices) -> None:
        """Take new choices; what was found elsewhere can no longer be imported."""
        former, self.choices = self.choices, choices
        place = (choices.source, choices.folder, choices.files)
        if place != (former.source, former.folder, former.files) and not self.is_busy:
            self._forget()
        elif choices.output != former.output and self._table is not None and not self.is_busy:
            self._take_former_corrections()
        self.show()

    def reason_not_to_look(self) -> str:
        if self.is_busy:
            return self._wording.busy()
        chosen = {FOLDER: self.choices.folder, DATABASE: self.choices.files, SCENE: True}[self.choices.source]
        return "" if chosen else self._wording.choose_source(self.choices.source)

    def reason_not_to_import(self) -> str:
        if self.is_busy:
            return self._wording.busy()
        if self._table is None:
            return self._wording.imported_already() if self.dataset else self._wording.look_first()
        return "" if self.choices.output else self._wording.choose_output()

    def look(self) -> None:
        """See what there is; the tables come with `poll`."""
        if self.reason_not_to_look():
            self.show()
            return
        self._forget()
        self._guarded(self._look_at_scene if self.choices.source == SCENE else self._look_at_files)

    def import_data(self) -> None:
        """Write the data set; it goes on where it was cancelled."""
        if self.reason_not_to_import():
            self.show()
            return
        self._guarded(self._begin_import)

    def cancel(self) -> None:
        """Give up what is being done."""
        if self.state is DataState.COPYING:
            self._copy = None
            self._fail(CancelledError(""))
        elif self.is_busy and self.state is not DataState.CANCELLING:
            self._desk.cancel()
            self._enter(DataState.CANCELLING, self._wording.cancelling())

    def scene_closed(self) -> None:
        """Give up copying what is no longer there; what is copied stays."""
        if self.state is DataState.COPYING:
            self.cancel()

    def select(self, name: str) -> None:
        """Show a case; its picture comes with `poll`."""
        known = {case["name"] for case in self._answer.get("cases", ())}
        if not self.is_busy:
            self._pictures.select(name if name in known else "", self._desk)

    def rename(self, number: int, name: str) -> None:
        """Correct the structure that a row becomes; '' leaves it out."""
        self._edit(lambda table: edits.renamed(table, number, name))

    def set_absent(self, number: int, absent: bool) -> None:
        """Say whether a case without the structure does not have it."""
        self._edit(lambda table: edits.with_missing(table, number, absent))

    def set_terminology(self, number: int, terminology: Terminology) -> None:
        self._edit(lambda table: edits.with_terminology(table, number, terminology))

    def terminology(self, number: int) -> Terminology | None:
        """The codes of a row, None where it cannot be changed."""
        return self._table.rows[number].terminology if self._table and number < len(self._table.rows) else None

    def poll(self) -> None:
        """Take in what was answered, or copy one more case; never waits."""
        if self.state is DataState.COPYING:
            self._guarded(self._copy_one)
        else:
            self._desk.poll()

    def close(self) -> None:
        """End what is being done, when the window closes; finished cases stay."""
        self._desk.close()
        self._files_desk.close()
        self._temporary.cleanup()

    # Looking

    def _look_at_files(self) -> None:
        self._desk = self._files_desk
        choices = self.choices
        where = {"files": [str(path) for path in choices.files]}
        if choices.source == FOLDER:
            where = {"folder": str(choices.folder)}
        self._desk.ask({"ask": "look", "table": str(self._proposal), **where}, self._advance, self._looked)
        self._enter(DataState.LOOKING, self._wording.looking(0, 0, ""), (0, 0))

    def _look_at_scene(self) -> None:
        self._copy = SceneCopy(self._scene())
        self._enter(DataState.COPYING, self._wording.copying(*self._copy.progress), self._copy.progress)

    def _copy_one(self) -> None:
        findings = self._copy.step()
        if findings is None:
            self._enter(DataState.COPYING, self._wording.copying(*self._copy.progress), self._copy.progress)
            return
        self._copy = None
        self._desk = self._scene_desk(findings)
        self._desk.ask({"ask": "tell", "table": str(self._proposal)}, self._advance, self._looked)
        self._enter(DataState.LOOKING, self._wording.looking(0, 0, ""), (0, 0))

    def _looked(self, answer: dict | None, error: MedSegError | None) -> None:
        if error is not None:
            self._fail(error)
        elif "folder" in answer:
            self._take_dataset(answer)
        else:
            self._answer, self._table = answer, read_table(self._proposal)
            found = self._wording.found(answer["kind"], len(answer["cases"]), len(answer["skipped"]))
            self._take_former_corrections()
            self._enter(DataState.FOUND, found)

    def _take_former_corrections(self) -> None:
        """Of an import into the same folder that was interrupted, or is to be extended."""
        former = self.choices.output and self.choices.output / STRUCTURES
        if former and former.is_file():
            try:
                self._table = edits.corrected_as_before(self._table, read_table(former))
            except InputError as error:
                self._say(str(error), error.details, problem=True)

    # Importing

    def _begin_import(self) -> None:
        self._pictures.forget()
        corrected = Path(self._temporary.name) / "corrected.csv"
        write_table(self._table, corrected)
        question = {"ask": "import", "table": str(corrected), "output": str(self.choices.output)}
        self._desk.ask(question | {"channels": self._channels}, self._advance, self._imported)
        self._enter(DataState.IMPORTING, self._wording.importing(0, 0, ""), (0, 0))

    @property
    def _channels(self) -> list[str]:
        chosen = [name.strip() for name in self.choices.channels.split(",") if name.strip()]
        return chosen or self._answer["channels"]

    def _imported(self, answer: dict | None, error: MedSegError | None) -> None:
        if error is not None:
            self._fail(error)
        else:
            self._take_dataset(answer, keep_table=True)

    def _take_dataset(self, answer: dict, keep_table: bool = False) -> None:
        self._answer = answer | {"available": self._answer.get("available", {})}
        if not keep_table:
            self._table = None
        self._set_dataset(Path(answer["folder"]))
        counts = len(answer["cases"]), len(answer["structures"])
        self._enter(DataState.READY, self._wording.ready(answer["name"], *counts, tuple(answer["warnings"])))

    # Small matters

    def _edit(self, change: Callable[[StructureTable], StructureTable]) -> None:
        if self._table is None or self.is_busy:
            self.show()
            return
        try:
            table = change(self._table)
        except InputError as error:
            self._say(str(error), problem=True)
            return
        changes, self._table = table != self._table, table
        if changes and self.state is DataState.READY:
            self._set_dataset(None)
            self.state = DataState.FOUND
            self._say(self._wording.changed())
        else:
            self.show()

    def _picture_changed(self, error: MedSegError | None) -> None:
        if error is not None:
            self._say(str(error), error.details, problem=True)
        else:
            self.show()

    def _advance(self, done: int, total: int, name: str) -> None:
        if self.state is DataState.LOOKING:
            self._enter(self.state, self._wording.looking(done, total, name), (done, total))
        elif self.state is DataState.IMPORTING:
            self._enter(self.state, self._wording.importing(done, total, name), (done, total))

    def _forget(self) -> None:
        was_something = bool(self._answer)
        self._answer, self._table = {}, None
        self._pictures.forget()
        self._set_dataset(None)
        status = self._wording.source_changed() if was_something else self._wording.empty()
        self._enter(DataState.NOTHING, status)

    def _set_dataset(self, folder: Path | None) -> None:
        if folder != self.dataset:
            self.dataset = folder
            self._on_dataset(folder)

    def _guarded(self, begin: Callable[[], None]) -> None:
        try:
            begin()
        except MedSegError as error:
            self._fail(error)

    def _fail(self, error: MedSegError) -> None:
        state = DataState.FOUND if self._table is not None else DataState.NOTHING
        if isinstance(error, CancelledError):
            self._enter(state, self._wording.cancelled() if self._table is not None else self._wording.empty())
            return
        self._enter(state, str(error))
        self._say(str(error), error.details, problem=True)

    def _enter(self, state: DataState, status: str, progress: tuple[int, int] | None = None) -> None:
        self.state, self._progress = state, progress
        self._say(status)

    def _say(self, status: str, details: str = "", problem: bool = False) -> None:
        self._status, self._details, self._problem = status, details, problem
        self.show()

    @property
    def _proposal(self) -> Path:
        return Path(self._temporary.name) / "proposed.csv"

    def show(self) -> None:
        """Have the view show how things are."""
        self._view.show(self.panel())

    def panel(self) -> DataPanel:
        words, reason, obstacle = self._wording, self.reason_not_to_look(), self.reason_not_to_import()
        answer = self._answer
        return DataPanel(
            state=self.state,
            cases=(*case_rows(answer, words), *skipped_rows(answer, words)),
            structures=structure_rows(self._table, answer, words),
            status=self._status,
            can_look=not reason,
            look_tip=reason or words.look_tip(self.choices.source),
            can_import=not obstacle,
            import_tip=obstacle or words.import_tip(),
            progress=self._progress,
            channels=", ".join(answer.get("channels", ())),
            channels_tip=words.channels_tip(answer.get("available", {})),
            picture=self._pictures.picture,
            problem=self._problem,
            details=self._details,
        )
