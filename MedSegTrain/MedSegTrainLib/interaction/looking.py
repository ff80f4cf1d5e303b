"""Where data are looked for: among files, or in the scene, which is copied case by case before anybody looks at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..data.found import Findings
from .data_ports import FOLDER, SCENE, DataChoices
from .desks import Desk, OnAnswer, OnProgress
from .scene_copy import SceneCopy


class Looking:
    """Asks whoever has the data.

    Args:
        files: answers questions about files.
        scene: finds what is loaded, on Slicer's main thread.
        scene_desk: makes a desk for what was copied out of the scene.
        table: file that the proposed structure table is written to.
        progress, answer: what the desk says.

    Attributes:
        desk: of the data that were looked at last; it also imports and draws them.
    """

    def __init__(
        self,
        files: Desk,
        scene: Callable[[], Findings] | None,
        scene_desk: Callable[[Findings], Desk] | None,
        table: Path,
        progress: OnProgress,
        answer: OnAnswer,
    ):
        self._files, self._scene, self._scene_desk = files, scene, scene_desk
        self._table, self._progress, self._answer = table, progress, answer
        self._copy: SceneCopy | None = None
        self.desk = files

    @property
    def copied(self) -> tuple[int, int] | None:
        """Cases, and in all, while the scene is copied; None otherwise."""
        return self._copy.progress if self._copy else None

    def begin(self, choices: DataChoices) -> None:
        """Look at files, or begin to copy the scene. Raises MedSegError."""
        if choices.source == SCENE:
            self._copy = SceneCopy(self._scene())
            return
        self.desk = self._files
        where = {"files": [str(path) for path in choices.files]}
        if choices.source == FOLDER:
            where = {"folder": str(choices.folder)}
        self._ask({"ask": "look", **where})

    def copy_one(self) -> None:
        """Copy one more case; after the last one the copies are looked at. Raises MedSegError."""
        findings = self._copy.step()
        if findings is not None:
            self._copy = None
            self.desk = self._scene_desk(findings)
            self._ask({"ask": "tell"})

    def give_up_copying(self) -> None:
        self._copy = None

    def close(self) -> None:
        self.desk.close()
        self._files.close()

    def _ask(self, question: dict) -> None:
        self.desk.ask({**question, "table": str(self._table)}, self._progress, self._answer)
