"""What was found in the scene, copied, so that it can be imported on another thread while the scene goes on to live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import Grid, Volume

from ..found import Drawing, Findings, FoundCase, FoundImage, FoundStructure


class FrozenDrawing(Drawing):
    """The masks of a drawing on one grid."""

    def __init__(self, drawing: Drawing, grid: Grid):
        super().__init__(drawing.structures, drawing.image, drawing.name)
        self._grid = grid
        self._masks = [(structure, np.packbits(mask)) for structure, mask in drawing.masks(grid)]
        self._warnings = drawing.warnings

    def masks(self, grid: Grid) -> Iterator[tuple[FoundStructure, np.ndarray]]:
        if not self._grid.agrees_with(grid):
            raise InputError(f"'{self.name}' was drawn on another image.", "Choose the one that it was drawn on.")
        count = int(np.prod(grid.shape))
        for structure, bits in self._masks:
            yield structure, np.unpackbits(bits, count=count).astype(bool).reshape(grid.shape)

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._warnings


def frozen_cases(findings: Findings) -> Iterator[FoundCase]:
    """The cases one by one, each copied when it is asked for: on Slicer's main thread.

    Images that nothing was drawn on are copied as well, as they may become channels. Raises InputError.
    """
    for case in findings.cases:
        volumes = {image.key: _copied(image.load()) for image in case.images}
        images = tuple(replace(image, load=_Held(volumes[image.key])) for image in case.images)
        drawings = tuple(_frozen(drawing, case.images, volumes) for drawing in case.drawings)
        yield replace(case, images=images, drawings=drawings)


class _Held:
    """Gives a volume, whenever it is asked for."""

    def __init__(self, volume: Volume):
        self._volume = volume

    def __call__(self) -> Volume:
        return self._volume


def _frozen(drawing: Drawing, images: tuple[FoundImage, ...], volumes: dict[str, Volume]) -> FrozenDrawing:
    key = drawing.image or images[0].key
    return FrozenDrawing(drawing, volumes[key].grid)


def _copied(volume: Volume) -> Volume:
    return volume.with_array(volume.array.copy())
