"""Many masks to one labelmap, by the structure table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from MedSegDLLib.volume import Grid

from .found import Drawing
from .structures import Row, StructureTable


@dataclass(frozen=True)
class Painted:
    """A labelmap and what became of the drawings.

    Args:
        labels: uint8 (k, j, i), values of the table.
        contoured: names of the structures that were drawn, inside the image or not.
        warnings: overlaps, structures outside the image, names that the table lacks.
    """

    labels: np.ndarray
    contoured: frozenset[str]
    warnings: tuple[str, ...]


def paint(drawings: Iterable[Drawing], table: StructureTable, grid: Grid) -> Painted:
    """Fill the structures of the drawings on a grid, those of later rows over those of earlier ones.

    Where two drawings hold a structure of the same name, that of the later drawing counts. Raises InputError where a
    drawing cannot be filled.
    """
    masks, warnings = _masks(drawings, table, grid)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    overlaps: Counter = Counter()
    for row, mask in sorted(masks, key=lambda item: table.rows.index(item[0])):
        if mask is None:
            warnings.append(f"'{row.name}' lies outside the image.")
            continue
        below = labels[mask.region]
        covered = below[mask.inside & (below != 0) & (below != row.value)]
        for value in np.unique(covered):
            overlaps[_name_of(int(value), table), row.structure] += int(np.count_nonzero(covered == value))
        below[mask.inside] = row.value
    warnings += [f"{n} voxels are in '{a}' and in '{b}'; they count as '{b}'." for (a, b), n in overlaps.items()]
    return Painted(labels, frozenset(row.structure for row, _ in masks), tuple(warnings))


@dataclass(frozen=True)
class _Cropped:
    """A mask within its bounding box, for whole ones of a hundred structures would not fit into memory."""

    region: tuple[slice, ...]
    inside: np.ndarray


def _masks(
    drawings: Iterable[Drawing], table: StructureTable, grid: Grid
) -> tuple[list[tuple[Row, _Cropped | None]], list[str]]:
    found: dict[tuple[str, int | None], tuple[Row, _Cropped | None]] = {}
    warnings: list[str] = []
    for drawing in drawings:
        for structure, mask in drawing.masks(grid):
            row = table.row_of(structure)
            if row is None:
                warnings.append(f"'{structure.name}' is not in the table of structures; it was left out.")
            elif row.is_kept:
                key = structure.name, structure.value
                if key in found:
                    warnings.append(f"'{structure.name}' was drawn more than once; the last drawing counts.")
                found[key] = row, _cropped(mask)
        warnings += drawing.warnings
    return list(found.values()), warnings


def _cropped(mask: np.ndarray) -> _Cropped | None:
    """None for an empty mask."""
    region = []
    for axis in range(mask.ndim):
        where = np.flatnonzero(mask.any(axis=tuple(n for n in range(mask.ndim) if n != axis)))
        if not where.size:
            return None
        region.append(slice(int(where[0]), int(where[-1]) + 1))
    return _Cropped(tuple(region), mask[tuple(region)].copy())


def _name_of(value: int, table: StructureTable) -> str:
    return next(row.structure for row in table.rows if row.value == value)
