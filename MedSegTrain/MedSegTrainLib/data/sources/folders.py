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
from ..examination import examine_all
from ..found import Drawing, Findings, FoundCase, FoundImage, FoundStructure
from ..images import read_image, read_values
from ..layouts import Layout, Pair
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
    values_of = {} if layout.names else _values(folder, layout, progress, cancelled)
    cases = []
    for pair in layout.pairs:
        if pair.label.name.lower().endswith(SEGMENTATION_SUFFIX):
            _add_segmentation(pair, layout, cases, skipped)
            continue
        values = layout.names or {value: name_of(value) for value in values_of[pair.name]}
        if layout.ignored:
            values = values | {layout.ignored: "ignore"}
        cases.append(_case(pair, layout, LabelFile(pair.label, values)))
    if not cases:
        why = f" The first, '{skipped[0].what}': {skipped[0].why}" if skipped else ""
        raise InputError(f"'{folder}' holds no image with labels.{why}", "Add labelled cases.")
    channels = tuple(channel.name for channel in layout.channels)
    return Findings(layout.kind, tuple(cases), tuple(skipped), channels, layout.about)


def _values(folder: Path, layout: Layout, progress, cancelled) -> dict[str, list[int]]:
    """The values of each label file that can be read; the import says why the others cannot."""
    labelmaps = [pair for pair in layout.pairs if not pair.label.name.lower().endswith(SEGMENTATION_SUFFIX)]
    cases = [Case(pair.name, pair.images, pair.label) for pair in labelmaps]
    seen = examine_all(folder, cases, progress, cancelled)
    return {case.name: sorted({*(one.counts or {})} - {0}) for case, one in zip(cases, seen)}


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
