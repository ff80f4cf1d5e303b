"""The prompter that needs no training and no GPU."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import CancelledError
from ...prompts import Prompts
from ...volume import Volume
from .correction import correct, distance_to_correct
from .first_guess import first_guess
from .marks import Drawing, draw
from .parameters import Parameters
from .prompter import Mask
from .pyramid import Pyramid
from .selection import Selection

_REMEMBERED = 24


@dataclass(frozen=True)
class _Answer:
    """What was selected after some marks, and how far each of them was trusted."""

    selection: Selection
    radii_mm: tuple[float, ...]


class FrontPrompter:
    """Fronts from the clicks against fronts from around them; see the package's docstring.

    It remembers the current image's pyramid and what it answered to the prompts so far: the next click costs one step.
    """

    device = "cpu"

    def __init__(self, parameters: Parameters | None = None):
        self._parameters = parameters or Parameters()
        self._array: Callable[[], np.ndarray | None] = lambda: None
        self._geometry: bytes = b""
        self._pyramid: Pyramid | None = None
        self._answers: OrderedDict[Prompts, _Answer] = OrderedDict()

    def warm(self, volume: Volume, cancelled: Callable[[], bool] = lambda: False) -> None:
        """See `Prompter.warm`."""
        check = _check(cancelled)
        check()
        self._turn_to(volume)
        self._pyramid.complete(check)

    def segment(self, volume: Volume, prompts: Prompts, cancelled: Callable[[], bool] = lambda: False) -> Mask:
        """See `Prompter.segment`."""
        check = _check(cancelled)
        check()
        draw(prompts, volume.grid)  # what is wrong with them is said before anything is computed
        self._turn_to(volume)
        first = next(n for n, prompt in enumerate(prompts.entries, 1) if prompt.include)
        answer = None
        for length in range(first, len(prompts) + 1):
            known = Prompts(prompts.entries[:length])
            answer = self._answers.get(known) or self._next(answer, draw(known, volume.grid), check)
            self._remember(known, answer)
        selection = answer.selection.trimmed()
        return Mask(selection.mask, tuple(int(n) for n in selection.window.start))

    def _turn_to(self, volume: Volume) -> None:
        geometry = volume.ijk_to_ras.tobytes()
        if self._array() is not volume.array or self._geometry != geometry:
            self._answers.clear()
            self._pyramid = Pyramid(volume)
            self._array, self._geometry = weakref.ref(volume.array), geometry

    def _next(self, answer: _Answer | None, drawing: Drawing, check: Callable[[], None]) -> _Answer:
        if answer is None:
            return self._first(drawing, check)
        if len(drawing.marks) == len(answer.radii_mm):  # only a limit has come
            return _Answer(answer.selection.obeying(drawing), answer.radii_mm)
        mark = drawing.marks[-1]
        distance = distance_to_correct(mark, answer.selection, self._pyramid) if mark.grows else 0.0
        if mark.include and distance > self._parameters.another_part * answer.selection.radius_mm():
            return self._another_part(answer, drawing, check)
        radii = (*answer.radii_mm, self._parameters.trust * distance)
        selection = answer.selection
        if distance:
            selection = correct(selection, drawing, radii, distance, self._pyramid, self._parameters, check)
        return _Answer(selection.obeying(drawing), radii)

    def _first(self, drawing: Drawing, check: Callable[[], None]) -> _Answer:
        selection = self._with_guess(Selection.empty(self._pyramid.image), drawing, check)
        return _Answer(selection.obeying(drawing), (0.0,) * len(drawing.marks))

    def _another_part(self, answer: _Answer, drawing: Drawing, check: Callable[[], None]) -> _Answer:
        """So far from what is selected the distance says nothing of the size: this is a first click once more."""
        around = Drawing(
            tuple(mark for mark in drawing.marks[:-1] if not mark.include) + drawing.marks[-1:], drawing.limits
        )
        selection = self._with_guess(answer.selection, around, check)
        return _Answer(selection.obeying(drawing), (*answer.radii_mm, 0.0))

    def _with_guess(self, selection: Selection, drawing: Drawing, check: Callable[[], None]) -> Selection:
        window, mask = first_guess(self._pyramid, drawing, self._parameters, check)
        before = selection.on(window) > 0.5
        return selection.changed(window, before, before | mask)

    def _remember(self, prompts: Prompts, answer: _Answer) -> None:
        self._answers[prompts] = answer
        self._answers.move_to_end(prompts)
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)


def _check(cancelled: Callable[[], bool]) -> Callable[[], None]:
    def check() -> None:
        if cancelled():
            raise CancelledError("The run was stopped.")

    return check
