"""What stays of a run's results beside its figures: labelmaps, or pictures of three cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from MedSegDLLib.atomic import output_errors
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume

from ..data.case import Case
from ..evaluation.evaluate import Segmenter
from ..evaluation.rows import Row
from . import examples

BUNDLE, BASELINE, PREDICTIONS = "bundle", "baseline", "predictions"
"""Folders of a run."""


class Remembering:
    """A segmenter whose last result can be written to a file."""

    def __init__(self, segmenter: Segmenter):
        self._segmenter = segmenter
        self._result: Volume | None = None

    def segment(self, volumes: Sequence[Volume]) -> Volume:
        self._result = None
        self._result = self._segmenter.segment(volumes)
        return self._result

    def write(self, path: Path) -> None:
        """Unless there is none, because it failed. Raises OutputError."""
        if self._result is not None:
            with output_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_volume(self._result, path)


def keep_examples(segmenter: Segmenter, cases: Sequence[Case], rows: Sequence[Row], folder: Path) -> None:
    """Segment the best, the median and the worst case once more, and keep a picture of each."""
    by_name = {case.name: case for case in cases}
    for what, (name, dice) in examples.chosen_cases(rows).items():
        images, truth = by_name[name].load()
        picture = examples.example(name, dice, images[0], truth, segmenter.segment(images))
        picture.write(folder / examples.FOLDER / f"{what}.npz")
