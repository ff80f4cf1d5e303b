"""What a picture needs to know of each structure that was found: its voxels, its size, what it surrounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..labels import Label, volumes_ml
from ..volume import Grid, Volume

_MARGIN = 3  # voxels of empty space around the occupancy, so that surfaces close and blurring has room


@dataclass(frozen=True)
class Structure:
    """One label cut out of its labelmap.

    Args:
        label: its name and colour.
        volume_ml: of its voxels.
        occupancy: uint8, 0 or 255, axes (k, j, i); for an envelope also of everything inside it.
        grid: of the occupancy.
        is_envelope: it surrounds all other structures, as the skin does.
    """

    label: Label
    volume_ml: float
    occupancy: np.ndarray
    grid: Grid
    is_envelope: bool

    @property
    def rgb(self) -> np.ndarray:
        return np.array(self.label.color) / 255


def find_structures(labelmap: Volume, labels: tuple[Label, ...]) -> tuple[Structure, ...]:
    """The labels with voxels, in the order given."""
    spans = _spans(labelmap.array, max((label.value for label in labels), default=0))
    found = [label for label in labels if label.value in spans]
    volumes = volumes_ml(labelmap.array, labels, labelmap.grid.voxel_volume_ml)
    structures = []
    for label in found:
        others = [spans[other.value] for other in found if other is not label]
        is_envelope = bool(others) and all(_contains(spans[label.value], other) for other in others)
        occupancy, grid = _cut_out(labelmap, label.value, spans[label.value], is_envelope)
        structures.append(Structure(label, volumes[label.name], occupancy, grid, is_envelope))
    return tuple(structures)


def richest_point(labelmap: Volume, structures: tuple[Structure, ...]) -> np.ndarray:
    """RAS where the three planes meet: each lies where most structures show most of their section.

    Every structure counts alike, so a large one does not push the small ones out of the picture.
    """
    inner = [s.label.value for s in structures if not s.is_envelope] or [s.label.value for s in structures]
    step = max(1, round((labelmap.array.size / 2e6) ** (1 / 3)))
    thinned = labelmap.array[::step, ::step, ::step]
    kji = np.argwhere(np.isin(thinned, inner))
    if kji.size == 0:
        return labelmap.grid.center_ras
    values = thinned[tuple(kji.T)]
    ras = labelmap.grid.ras(kji[:, ::-1] * step)
    width_mm = float(labelmap.grid.spacing_mm.max()) * step
    return np.array([_richest_position(ras[:, axis], values, width_mm) for axis in range(3)])


def _richest_position(positions_mm: np.ndarray, values: np.ndarray, width_mm: float) -> float:
    start = positions_mm.min()
    bins = np.round((positions_mm - start) / width_mm).astype(int)
    sections = np.array([np.bincount(bins[values == value], minlength=bins.max() + 1) for value in np.unique(values)])
    score = (sections / sections.max(axis=1, keepdims=True)).sum(axis=0)
    return float(start + np.argmax(score) * width_mm)


def _spans(array: np.ndarray, highest: int) -> dict[int, tuple[slice, slice, slice]]:
    """Bounding box (k, j, i) of each value from 1 to `highest` that occurs."""
    present = []
    for axis in range(3):
        layers = np.moveaxis(array, axis, 0)
        seen = np.zeros((len(layers), max(int(array.max()), highest) + 1), dtype=bool)
        for n, layer in enumerate(layers):
            seen[n, layer.ravel()] = True
        present.append(seen)
    return {v: tuple(_span(seen[:, v]) for seen in present) for v in range(1, highest + 1) if present[0][:, v].any()}


def _span(flags: np.ndarray) -> slice:
    where = np.flatnonzero(flags)
    return slice(int(where[0]), int(where[-1]) + 1)


def _contains(outer, inner) -> bool:
    return all(o.start <= i.start and i.stop <= o.stop for o, i in zip(outer, inner))


def _cut_out(labelmap: Volume, value: int, region, with_contents: bool) -> tuple[np.ndarray, Grid]:
    inside = labelmap.array[region]
    mask = inside > 0 if with_contents else inside == value
    grown = tuple(slice(s.start - _MARGIN, s.stop + _MARGIN) for s in region)
    return np.pad(mask * np.uint8(255), _MARGIN), labelmap.grid.cropped(grown)
