"""Segment cases and judge the results: with the predictor that a clinician gets, or any other method."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from MedSegDLLib.errors import CancelledError, InputError, MedSegError
from MedSegDLLib.labels import Label
from MedSegDLLib.volume import Volume

from .metrics import MISSED, Settings, case_scores
from .row_file import RowFile
from .rows import DAMAGED, FAILED, Row, rows_of_case

# What data can bring about in a reader or a method, third-party ones included. A mistake in the code (TypeError,
# NameError) is not among them: it would fail every case alike, and must be seen at once.
_FAILURES = (MedSegError, ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, ValueError)

Progress = Callable[[int, int, str], None]


class Segmenter(Protocol):
    """Anything that labels: the engine's Predictor, a classical baseline."""

    def segment(self, volumes: Sequence[Volume]) -> Volume: ...


class LabelledCase(Protocol):
    """`data.case.Case`, or anything with its names."""

    name: str
    patient: str
    not_contoured: Collection[str]

    def load(self) -> tuple[Sequence[Volume], Volume]: ...


def evaluate(
    segmenter: Segmenter,
    cases: Iterable[LabelledCase],
    labels: Sequence[Label],
    *,
    settings: Settings | None = None,
    output: RowFile | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Row]:
    """A row for every case and label.

    A case that cannot be read, or that the method fails on, gets rows that say why, and the others go on.

    Args:
        segmenter: its labels have the values of `labels`.
        cases: with labels of the same values.
        settings: tolerances and margins.
        output: rows are written there as they come, and cases that are in it already are not segmented again, unless
            they failed.
        progress: called with (cases done, cases in all, name of the case that comes next, '' at the end).
        cancelled: asked before each case.

    Raises CancelledError (the rows so far are in the output), OutputError.
    """
    cases = list(cases)
    rows = output.finished() if output else []
    done = {row.case for row in rows}
    waiting = [case for case in cases if case.name not in done]
    try:
        for n, case in enumerate(waiting, start=len(cases) - len(waiting)):
            if progress:
                progress(n, len(cases), case.name)
            if cancelled and cancelled():
                raise CancelledError("The evaluation was stopped.", "The same call goes on where it stopped.")
            rows += evaluate_case(segmenter, case, labels, settings)
            if output:
                output.write_now_and_then(rows)
        if progress:
            progress(len(cases), len(cases), "")
    finally:
        if output and waiting:
            output.write(rows)
    by_case = {case.name: n for n, case in enumerate(cases)}
    return sorted((row for row in rows if row.case in by_case), key=lambda row: by_case[row.case])


def evaluate_case(
    segmenter: Segmenter, case: LabelledCase, labels: Sequence[Label], settings: Settings | None = None
) -> list[Row]:
    """The rows of one case; where it failed, they say why."""
    try:
        images, truth = case.load()
    except CancelledError:
        raise
    except _FAILURES as error:
        return [Row(case.name, case.patient, label.name, DAMAGED, reason=_reason(error)) for label in labels]
    start = time.perf_counter()
    try:
        result = segmenter.segment(images)
        seconds = time.perf_counter() - start
        return rows_of_case(case.name, case.patient, _judged(result.array, truth, case, labels, settings), seconds)
    except CancelledError:
        raise
    except _FAILURES as error:
        return _failed(case, truth, labels, _reason(error))


def _judged(array: np.ndarray, truth: Volume, case: LabelledCase, labels: Sequence[Label], settings: Settings | None):
    return case_scores(array, truth.array, labels, truth.grid.spacing_mm, case.not_contoured, settings)


def _failed(case: LabelledCase, truth: Volume, labels: Sequence[Label], reason: str) -> list[Row]:
    """As if nothing had been found: the structures that are there failed, the others stay uncounted."""
    rows = rows_of_case(
        case.name, case.patient, _judged(np.zeros_like(truth.array), truth, case, labels, Settings(tolerances_mm=()))
    )
    return [replace(row, status=FAILED, values={}, reason=reason) if row.status == MISSED else row for row in rows]


def _reason(error: Exception) -> str:
    text = str(error) if isinstance(error, MedSegError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


class Renumbered:
    """A segmenter whose labels get the values of another labelmap, by name.

    Args:
        segmenter: gives values of `own`.
        own, wanted: labels before and after; what is not in `wanted` becomes background.

    Attributes:
        labels: those of `wanted` that the segmenter can find.

    Raises InputError where there is none.
    """

    def __init__(self, segmenter: Segmenter, own: Sequence[Label], wanted: Sequence[Label]):
        self._segmenter = segmenter
        value_of = {label.name.casefold(): label.value for label in own}
        self.labels = tuple(label for label in wanted if label.name.casefold() in value_of)
        if not self.labels:
            raise InputError(
                f"The model finds {', '.join(label.name for label in own)}; the data show "
                f"{', '.join(label.name for label in wanted)}.",
                "Name them alike when importing the data, or say that the values are the same (--same-values).",
            )
        self._values = np.zeros(256, dtype=np.uint8)
        for label in self.labels:
            self._values[value_of[label.name.casefold()]] = label.value

    def segment(self, volumes: Sequence[Volume]) -> Volume:
        result = self._segmenter.segment(volumes)
        return replace(result, array=self._values[result.array])
