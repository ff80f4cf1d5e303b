"""Data in the window: looked at, their structures corrected, imported; without Qt or slicer.

presenter = DataPresenter(view, ProcessDesk(find_python))
presenter.choose(DataChoices(folder=folder, output=output))
presenter.look()
presenter.rename(0, "Liver")
presenter.import_data()
presenter.poll()            # every now and then, while presenter.needs_polling
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from MedSegDLLib.errors import CancelledError, InputError, MedSegError
from MedSegDLLib.labels import Terminology

from ..data.dataset import Dataset, is_imported
from ..data.found import Findings
from ..data.importing import STRUCTURES
from ..data.structure_files import read_table, write_table
from ..data.structures import StructureTable
from . import structure_edits as edits
from .data_ports import DataChoices, DataPanel, DataState, View
from .data_situation import DataSituation
from .data_wording import DataWording
from .desks import Desk
from .looking import Looking


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
        self._wording, self._on_dataset = wording or DataWording(), on_dataset
        self._temporary = tempfile.TemporaryDirectory(prefix="medseg-data-", ignore_cleanup_errors=True)
        folder = Path(self._temporary.name)
        self._proposal, self._corrected = folder / "proposed.csv", folder / "corrected.csv"
        self._looking = Looking(desk, scene, scene_desk, self._proposal, self._advance, self._looked)
        self._data = DataSituation(view, self._wording, folder)
        self._corrections: StructureTable | None = None  # of the data that are looked at anew

    @property
    def state(self) -> DataState:
        return self._data.state

    @property
    def choices(self) -> DataChoices:
        return self._data.choices

    @property
    def dataset(self) -> Path | None:
        """Folder of the data set to train on."""
        return self._data.dataset

    @property
    def is_busy(self) -> bool:
        return self._data.is_busy

    @property
    def needs_polling(self) -> bool:
        return self.is_busy or self._data.pictures.is_awaited

    # What the user does

    def choose(self, choices: DataChoices) -> None:
        """Take new choices; what was found elsewhere can no longer be imported."""
        former, self._data.choices = self.choices, choices
        place = (choices.source, choices.folder, choices.files)
        if place != (former.source, former.folder, former.files) and not self.is_busy:
            self._corrections = None
            self._forget()
        elif choices.output != former.output and self._data.table is not None and not self.is_busy:
            self._look_at_output()
        self.show()

    def look(self) -> None:
        """See what there is; the tables come with `poll`. Corrections of the same data are kept."""
        if self._data.reason_not_to_look():
            self.show()
            return
        self._corrections = self._data.table or self._corrections
        self._forget()
        self._guarded(self._begin_look)

    def import_data(self) -> None:
        """Write the data set; it goes on where it was cancelled."""
        if self._data.reason_not_to_import():
            self.show()
            return
        self._guarded(self._begin_import)

    def cancel(self) -> None:
        """Give up what is being done."""
        if self.state is DataState.COPYING:
            self._looking.give_up_copying()
            self._data.fail(CancelledError(""))
        elif self.is_busy and self.state is not DataState.CANCELLING:
            self._looking.desk.cancel()
            self._data.enter(DataState.CANCELLING, self._wording.cancelling())

    def scene_closed(self) -> None:
        """Give up copying what is no longer there; what is copied stays."""
        if self.state is DataState.COPYING:
            self.cancel()

    def select(self, name: str) -> None:
        """Show a case; its picture comes with `poll`."""
        if self.is_busy:
            self.show()
        else:
            self._data.pictures.select(name, self._data.has_case(name), self._looking.desk)

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
        table = self._data.table
        return table.rows[number].terminology if table and number < len(table.rows) else None

    def poll(self) -> None:
        """Take in what was answered, or copy one more case; never waits."""
        if self.state is DataState.COPYING:
            self._guarded(self._copy_one)
        else:
            self._looking.desk.poll()

    def close(self) -> None:
        """End what is being done, when the window closes; finished cases stay."""
        self._looking.close()
        self._temporary.cleanup()

    # Looking

    def _begin_look(self) -> None:
        self._looking.begin(self.choices)
        self._enter_looking()

    def _copy_one(self) -> None:
        self._looking.copy_one()
        self._enter_looking()

    def _enter_looking(self) -> None:
        copied = self._looking.copied
        if copied:
            self._data.enter(DataState.COPYING, self._wording.copying(*copied), copied)
        else:
            self._data.enter(DataState.LOOKING, self._wording.looking(0, 0, ""), (0, 0))

    def _looked(self, answer: dict | None, error: MedSegError | None) -> None:
        if error is not None:
            self._data.fail(error)
        elif "folder" in answer:
            self._take_dataset(answer)
        else:
            self._data.answer, self._data.table = answer, read_table(self._proposal)
            found = self._wording.found(answer["kind"], len(answer["cases"]), len(answer["skipped"]))
            self._data.enter(DataState.FOUND, found)
            self._look_at_output()
            if self._corrections is not None:
                self._data.table = edits.corrected_as_before(self._data.table, self._corrections)
                self.show()

    def _look_at_output(self) -> None:
        """Of an import into the same folder that was interrupted, or is to be extended, the corrections are taken up;
        a data set of other cases is not replaced without a word."""
        output = self.choices.output
        if output is None or not (output / STRUCTURES).is_file():
            return
        try:
            self._data.table = edits.corrected_as_before(self._data.table, read_table(output / STRUCTURES))
            dataset = Dataset.read(output) if is_imported(output) else None
        except InputError as error:
            self._data.say(str(error), error.details, problem=True)
            return
        if dataset and not any(self._data.has_case(case.name) for case in dataset.cases):
            self._data.say(self._wording.other_data_set(dataset.name, len(dataset.cases)), problem=True)
        else:
            self.show()

    # Importing

    def _begin_import(self) -> None:
        self._data.pictures.forget()
        write_table(self._data.table, self._corrected)
        question = {"ask": "import", "table": str(self._corrected), "output": str(self.choices.output)}
        self._looking.desk.ask(question | {"channels": self._data.channels}, self._advance, self._imported)
        self._data.enter(DataState.IMPORTING, self._wording.importing(0, 0, ""), (0, 0))

    def _imported(self, answer: dict | None, error: MedSegError | None) -> None:
        if error is not None:
            self._data.fail(error)
        else:
            self._take_dataset(answer, keep_table=True)

    def _take_dataset(self, answer: dict, keep_table: bool = False) -> None:
        data = self._data
        data.answer = answer | {"available": data.answer.get("available", {})}
        if not keep_table:
            data.table = None
        self._set_dataset(Path(answer["folder"]))
        counts = len(answer["cases"]), len(answer["structures"])
        self._data.enter(DataState.READY, self._wording.ready(answer["name"], *counts, tuple(answer["warnings"])))

    # Small matters

    def _edit(self, change: Callable[[StructureTable], StructureTable]) -> None:
        former = self._data.table
        if former is None or self.is_busy:
            self.show()
            return
        try:
            self._data.table = change(former)
        except InputError as error:
            self._data.say(str(error), problem=True)
            return
        if self._data.table != former and self.state is DataState.READY:
            self._set_dataset(None)
            self._data.enter(DataState.FOUND, self._wording.changed())
        else:
            self.show()

    def _advance(self, done: int, total: int, name: str) -> None:
        if self.state is DataState.LOOKING:
            self._data.enter(self.state, self._wording.looking(done, total, name), (done, total))
        elif self.state is DataState.IMPORTING:
            self._data.enter(self.state, self._wording.importing(done, total, name), (done, total))

    def _forget(self) -> None:
        was_something = bool(self._data.answer)
        self._data.answer, self._data.table = {}, None
        self._data.pictures.forget()
        self._set_dataset(None)
        status = self._wording.source_changed() if was_something else self._wording.empty()
        self._data.enter(DataState.NOTHING, status)

    def _set_dataset(self, folder: Path | None) -> None:
        if folder != self.dataset:
            self._data.dataset = folder
            self._on_dataset(folder)

    def _guarded(self, begin: Callable[[], None]) -> None:
        try:
            begin()
        except MedSegError as error:
            self._looking.give_up_copying()
            self._data.fail(error)

    def show(self) -> None:
        """Have the view show how things are."""
        self._data.show()

    def panel(self) -> DataPanel:
        return self._data.panel()
