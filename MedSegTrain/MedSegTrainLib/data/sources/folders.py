"""Image and label files in folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import Grid

from ..case import Case, check_same_grid
from ..dataset import Skipped
from ..examination import Examination, examine_all
from ..found import Drawing, Findings, FoundCase, FoundImage, FoundStructure
from ..images import read_image, read_values
from ..layouts import NAMES_BELONG_TOGETHER, Layout, Pair
from ..structures import name_of

SEGMENTATION_SUFFIX = ".seg.nrrd"


class LabelFile(Drawing):
    """A labelmap file; each of its values is a structure."""

    def __init__(self, path: Path, values: dict[int, str]):
        super().__init__([FoundStructure(name, value) for value, name in values.items()], name=path.name)
        self._path = path
        self._names = values

    def masks(self, grid: Grid) -> Iterator[tuple[FoundStructure, np.ndarray]]:
        labels = read_values(self._path)
        check_same_grid(grid, labels.grid, f"The labels {self._path.name}")
        for value in np.unique(labels.array):
            if value:
                name = self._names.get(int(value), name_of(value))
                yield FoundStructure(name, int(value)), labels.array == value


def find_in_folder(
    folder: Path,
    layout: Layout,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Findings:
    """The pairs of a layout. Where it names no structures, every label file is read for its values.

    Raises:
        InputError: there is no pair.
        CancelledError
    """
    skipped = [Skipped(*item) for item in layout.unmatched]
    seen = {} if layout.names else _seen(folder, layout, progress, cancelled)
    cases = []
    for pair in layout.pairs:
        if pair.label.name.lower().endswith(SEGMENTATION_SUFFIX):
            _add_segmentation(pair, layout, cases, skipped)
            continue
        if pair.name in seen and seen[pair.name].counts is None:
            skipped.append(Skipped(pair.name, seen[pair.name].problem))
            continue
        values = layout.names or {value: name_of(value) for value in sorted({*seen[pair.name].counts} - {0})}
        if layout.ignored:
            values = values | {layout.ignored: "ignore"}
        cases.append(_case(pair, layout, LabelFile(pair.label, values)))
    if not cases:
        why = f" The first, '{skipped[0].what}': {skipped[0].why}" if skipped else ""
        raise InputError(f"'{folder}' holds no image with labels that can be read.{why}", NAMES_BELONG_TOGETHER)
    channels = tuple(channel.name for channel in layout.channels)
    return Findings(layout.kind, tuple(cases), tuple(skipped), channels, layout.about)


def _seen(folder: Path, layout: Layout, progress, cancelled) -> dict[str, Examination]:
    """What is known of each labelmap; the import says what else is wrong with a case than labels without a value."""
    labelmaps = [pair for pair in layout.pairs if not pair.label.name.lower().endswith(SEGMENTATION_SUFFIX)]
    cases = [Case(pair.name, pair.images, pair.label) for pair in labelmaps]
    return dict(zip((case.name for case in cases), examine_all(folder, cases, progress, cancelled)))


def _add_segmentation(pair: Pair, layout: Layout, cases: list[FoundCase], skipped: list[Skipped]) -> None:
    try:
        from .scene import SegmentationFile  # needs Slicer's libraries, which nothing else here does
    except ImportError:
        needs = "can only be read with Slicer's libraries. Let Slicer's own Python train, or add slicer-core to yours."
        skipped.append(Skipped(pair.name, f"{SEGMENTATION_SUFFIX} {needs}"))
        return
    try:
        cases.append(_case(pair, layout, SegmentationFile(pair.label)))
    except InputError as reason:
        skipped.append(Skipped(pair.name, str(reason)))


def _case(pair: Pair, layout: Layout, drawing: Drawing) -> FoundCase:
    images = [
        FoundImage(channel.name, channel.name, channel.modality, partial(read_image, path))
        for channel, path in zip(layout.channels, pair.images)
    ]
    return FoundCase(
        name=pair.name,
        patient=layout.patients.get(pair.name, pair.name),
        images=tuple(images),
        drawings=(drawing,),
        files=(*pair.images, pair.label),
    )
