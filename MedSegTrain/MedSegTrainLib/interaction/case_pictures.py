"""The picture of the selected case, drawn by whoever has the data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from MedSegDLLib.errors import MedSegError

from .desks import Desk


class CasePictures:
    """Asks for one picture at a time; of several cases selected in a row the last one is drawn.

    Args:
        folder: for the files.
        changed: called with None when a picture has come or is gone, or with the error that came in its place.

    Attributes:
        selected: name of what is selected.
        is_awaited: a picture is being drawn.
        picture: of what is selected, None where there is none.
    """

    def __init__(self, folder: Path, changed: Callable[[MedSegError | None], None]):
        self._folder, self._changed = folder, changed
        self._wanted = ""
        self._count = 0
        self.selected = ""
        self.is_awaited = False
        self.picture: Path | None = None

    def select(self, name: str, can_be_drawn: bool, desk: Desk) -> None:
        """Draw a case; '' for none, and what was left out cannot be."""
        self.selected, self._wanted, self.picture = name, name if can_be_drawn else "", None
        if self._wanted and not self.is_awaited:
            self._ask(desk)
        self._changed(None)

    def forget(self) -> None:
        """Of a picture that was asked for nobody wants to know any more: the desk is asked something else."""
        self.selected = self._wanted = ""
        self.picture, self.is_awaited = None, False

    def _ask(self, desk: Desk) -> None:
        name = self._wanted
        self._count += 1
        self.is_awaited = True
        question = {"ask": "picture", "case": name, "output": str(self._folder / f"{self._count}.png")}

        def drawn(answer: dict | None, error: MedSegError | None) -> None:
            if not self.is_awaited:
                return
            self.is_awaited = False
            if name != self._wanted:
                if self._wanted:
                    self._ask(desk)
                return
            self.picture = Path(answer["picture"]) if error is None else None
            self._changed(error)

        try:
            desk.ask(question, lambda *_: None, drawn)
        except MedSegError as error:
            drawn(None, error)
