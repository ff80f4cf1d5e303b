"""The list of installed models, and adding and removing them; without Qt or slicer.

    presenter = ModelsPresenter(ModelStore(), view, run=Background)
    presenter.add("/home/me/liver-ct.zip")
    presenter.add("https://example.org/liver-ct.zip", checksum)
    presenter.remove("liver-ct")

A model is copied, fetched and checked beside the window, and installed when its licence was accepted.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import CancelledError, MedSegError
from ..model_store import InstalledModel, ModelStore, StagedModel, is_address
from .measures import bytes_text
from .models_wording import ModelsWording
from .ports import AskingView, Run


@dataclass(frozen=True)
class ModelRow:
    """A row of the table; `problem` is '' for a model that can be used."""

    name: str
    title: str
    modality: str
    structures: str
    licence: str
    size: str
    where: str
    folder: Path
    can_remove: bool
    problem: str = ""


@dataclass(frozen=True)
class ModelsPanel:
    """What the view shows.

    Args:
        status: what is being done, or what came of it.
        progress: (done, total) in bytes while something is done, total 0 where it is not known; None otherwise.
        details: for whoever is asked for help with a failure.
    """

    rows: tuple[ModelRow, ...]
    status: str
    progress: tuple[int, int] | None
    details: str = ""

    @property
    def is_busy(self) -> bool:
        return self.progress is not None


@dataclass(frozen=True)
class Licence:
    """What is shown to whoever shall accept it; `text` may be ''."""

    question: str
    text: str


class View(AskingView[ModelsPanel], Protocol):
    def accepts(self, licence: Licence) -> bool:
        """Ask; no answer is no."""


class ModelsPresenter:
    """Decides what the list of models shows and does.

    Args:
        store: the models.
        view: told after each change, and asked.
        run: runs a function beside the window: called with the function, which is given `report`, and with what takes
            its reports and its (result, error) on the window's thread.
        wording: the sentences, in the user's language.
        on_changed: called when a model was added or removed.
    """

    def __init__(
        self,
        store: ModelStore,
        view: View,
        run: Run,
        wording: ModelsWording | None = None,
        on_changed: Callable[[], None] = lambda: None,
    ):
        self._store = store
        self._view = view
        self._run = run
        self._wording = wording or ModelsWording()
        self._on_changed = on_changed
        self._cancelled: threading.Event | None = None  # of what is being done; also tells it from what was given up
        self._job: Any = None  # kept, since nobody else does
        self._status = ""
        self._details = ""
        self._progress: tuple[int, int] | None = None
        self._rows: tuple[ModelRow, ...] = ()

    def refresh(self) -> None:
        """Read what is installed, and show it."""
        self._rows = tuple(self._row(model) for model in self._store.models())
        self._show()

    def add(self, source: str | Path, checksum: str = "") -> None:
        """Begin to install a model from its folder, its zip, or the address of its zip."""
        if self._cancelled:
            return
        cancelled = self._cancelled = threading.Event()

        def stage(report: Callable[..., None]) -> StagedModel:
            return self._store.stage(source, checksum, report, cancelled.is_set)

        self._say(self._wording.fetching() if is_address(source) else self._wording.copying(), progress=(0, 0))
        self._job = self._run(
            stage,
            lambda done, total, what: self._advance(cancelled, done, total, what),
            lambda staged, error: self._staged(cancelled, staged, error),
        )

    def cancel(self) -> None:
        """Give up what is being done, at once; what was downloaded is kept for another time."""
        if self._cancelled:
            self._cancelled.set()
            self._cancelled = None
            self._say(self._wording.cancelled())

    def remove(self, name: str) -> None:
        """Delete a model, if the user confirms it."""
        row = next((row for row in self._rows if row.name == name), None)
        if row is None or not row.can_remove or not self._view.confirms(self._wording.confirm_removal(row.title)):
            return
        try:
            self._store.remove(name)
        except MedSegError as error:
            self._say(str(error), error.details)
        else:
            self._changed(self._wording.removed(row.title, row.size))

    def _advance(self, cancelled: threading.Event, done: int, total: int, what: str) -> None:
        if cancelled is self._cancelled:
            text = self._wording.progress(what, bytes_text(done), bytes_text(total) if total else "")
            self._say(text, progress=(done, total))

    def _staged(self, cancelled: threading.Event, staged: StagedModel | None, error: Exception | None) -> None:
        if cancelled is not self._cancelled:  # given up meanwhile
            if staged:
                staged.discard()
            return
        self._cancelled = None
        if error is None:
            with staged:
                self._offer(staged)
        elif isinstance(error, CancelledError):
            self._say(self._wording.cancelled())
        elif isinstance(error, MedSegError):
            self._say(str(error), error.details)
        else:
            self._say(self._wording.unforeseen(error), "".join(traceback.format_exception(error)))

    def _offer(self, staged: StagedModel) -> None:
        """Ask for what must be asked, and install."""
        title, clash = _title(staged.bundle), staged.clash
        question = self._wording.accept(title, staged.licence, bytes_text(staged.size_bytes))
        if not self._view.accepts(Licence(question, staged.licence_text)):
            self._say(self._wording.not_accepted(title))
            return
        if clash and not self._view.confirms(self._wording.confirm_replacement(title, clash.is_shipped)):
            self._say(self._wording.not_replaced(title))
            return
        try:
            staged.install(replace=clash is not None)
        except MedSegError as error:
            self._say(str(error), error.details)
        else:
            self._changed(self._wording.installed(title))

    def _changed(self, status: str) -> None:
        self._say(status)
        self.refresh()
        self._on_changed()

    def _say(self, status: str, details: str = "", progress: tuple[int, int] | None = None) -> None:
        self._status, self._details, self._progress = status, details, progress
        self._show()

    def _show(self) -> None:
        status = self._status or ("" if self._rows else self._wording.empty())
        self._view.show(ModelsPanel(self._rows, status, self._progress, self._details))

    def _row(self, model: InstalledModel) -> ModelRow:
        bundle = model.bundle
        return ModelRow(
            name=model.name,
            title=_title(bundle) if bundle else model.name,
            modality=", ".join(bundle.spec.modality) if bundle else "",
            structures=", ".join(label.name for label in bundle.spec.labels) if bundle else "",
            licence=bundle.spec.licence if bundle else "",
            size=bytes_text(model.size_bytes),
            where=self._wording.shipped() if model.is_shipped else str(model.folder.parent),
            folder=model.folder,
            can_remove=not model.is_shipped,
            problem=model.problem,
        )


def _title(bundle) -> str:
    return bundle.metadata.get("title", bundle.name)
