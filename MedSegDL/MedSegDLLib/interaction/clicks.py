"""Clicks, strokes and boxes: taken or refused, made into a preview, and the preview kept or dropped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..client import PromptedMask
from ..connection import Request
from ..errors import MedSegError
from ..prompts import Prompt, Prompts
from ..volume import Grid
from .effect_ports import PromptOptions, Scene
from .effect_run import EffectRun
from .limits import box_within, point_within, stroke_within
from .prompting import Prompting
from .situation import Situation
from .states import State
from .wording import EffectWording


class Clicks:
    """What the user does with the mouse and with what came of it.

    Args:
        run: while it is busy, clicks are refused.
        options: how prompts become a structure, asked each time.
    """

    def __init__(
        self,
        scene: Scene,
        prompting: Prompting,
        run: EffectRun,
        situation: Situation,
        words: EffectWording,
        options: Callable[[], PromptOptions],
    ):
        self._scene = scene
        self._prompting = prompting
        self._run = run
        self._situation = situation
        self._words = words
        self._options = options

    @property
    def prompts(self) -> Prompts:
        """What is drawn."""
        return self._prompting.prompts

    @property
    def preview(self) -> PromptedMask | None:
        """What was made of it."""
        return self._prompting.preview

    def add_point(self, ras, include: bool = True) -> bool:
        """A click. Returns False where it was refused; the status line then says why."""
        return self._add(lambda grid: point_within(grid, ras, include))

    def add_stroke(self, ras, include: bool = True, radius_mm: float = 0.0) -> bool:
        """A drag through these positions (n, 3); those outside the volume are left out."""
        return self._add(lambda grid: stroke_within(grid, ras, include, radius_mm))

    def add_box(self, ras, include: bool = True) -> bool:
        """A box between two opposite corners (2, 3), cut to the volume."""
        return self._add(lambda grid: box_within(grid, ras, include))

    def undo(self) -> None:
        """Take back what was drawn last."""
        self._ask(self.prompts.without_last())

    def remove(self, index: int) -> None:
        """Take back one of the prompts, by its place."""
        self._ask(self.prompts.without(index))

    def ask_again(self) -> None:
        """Make the preview anew, when prompts are to become a structure in another way."""
        self._ask(self.prompts)

    def discard(self) -> None:
        """Take back everything that was drawn, and what was made of it."""
        self._situation.begin_anew()
        self._prompting.drop()
        self._situation.rest()

    def keep(self, mode: str = "add") -> bool:
        """Write the preview into the selected segment, in one undo step; one that is not there yet when it is.

        Args:
            mode: "add", "remove" or "set".

        Returns:
            False where there is nothing to keep, or it could not be written; the status line then says why.
        """
        self._situation.notice = ""
        if self.drop_if_outdated():
            return False
        if self._prompting.is_waiting:
            self._prompting.keep_when_there(mode)
            self._situation.notice = self._words.kept_when_done()
            self._situation.show()
            return True
        if self.preview is None:
            return self._situation.refuse(self._words.nothing_to_keep())
        return self._write(mode)

    def drop_if_outdated(self) -> bool:
        """Whether what is drawn was of other nodes than those there now."""
        if not self._prompting.is_outdated:
            return False
        gone = self._scene.key() is None
        self._situation.notice = self._words.dropped_nodes_gone() if gone else self._words.dropped_volume_changed()
        self._prompting.drop()
        self._situation.rest()
        return True

    def answered(self, request: Request, keep_mode: str) -> None:
        """Take in the worker's answer, and keep it at once where that was asked for."""
        if self.drop_if_outdated():
            return
        if request.error:
            self._situation.fail(request.error)
            return
        found = self._prompting.take(request.result())
        self._situation.notice = "" if found else self._words.nothing_found()
        self._situation.enter(State.PREVIEWING)
        if found and keep_mode:
            self._write(keep_mode)

    def _add(self, make: Callable[[Grid], Prompt | None]) -> bool:
        """Add what `make` makes of it, on the grid of the image; None is outside."""
        self._situation.notice = ""
        if self._run.is_busy:
            return self._situation.refuse(self._words.busy())
        self.drop_if_outdated()  # then the click counts for what is there now
        try:
            prompt = make(self._scene.image().grid)
        except MedSegError as error:
            self._situation.fail(error)
            return False
        if prompt is None:
            return self._situation.refuse(self._words.outside())
        return self._take(lambda: self._prompting.add(prompt, self._options()))

    def _ask(self, prompts: Prompts) -> None:
        if not self.drop_if_outdated():
            self._take(lambda: self._prompting.ask(prompts, self._options()))

    def _write(self, mode: str) -> bool:
        mask = self.preview

        def write() -> None:
            self._scene.write(mask, mode)
            self._prompting.drop()
            volume_ml = float(np.count_nonzero(mask.array)) * mask.grid.voxel_volume_ml
            self._situation.notice = self._words.kept(volume_ml)

        return self._take(write)

    def _take(self, step: Callable[[], None]) -> bool:
        self._situation.begin_anew()
        taken = self._situation.attempt(step)
        if taken:
            self._situation.rest()
        return taken
