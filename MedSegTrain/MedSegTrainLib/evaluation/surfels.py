"""The pieces of surface between voxels: how large a piece is, by which of the voxels around it are inside.

Where voxel centres are the corners of cells, a cell with corners inside and outside holds a piece of surface. Its
triangles join the middles of the cut edges, as in marching cubes (Lorensen and Cline 1987, doi:10.1145/37401.37422):
fifteen cases, a cell with more than four corners inside being the same as its opposite. These are the surface elements
of DeepMind's surface-distance (Nikolov et al. 2018, arXiv:1809.04430), whose areas the tests compare.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations, product

import numpy as np

Corner = tuple[int, int, int]
Corners = frozenset[Corner]

# Connected corners inside, and the surface that cuts them off as a fan of triangles around its first point.
# Corners have the coordinates 0 and 2, so that the middle of an edge has a 1.
_SHAPES: tuple[tuple[str, str], ...] = (
    ("000", "100 010 001"),
    ("000 200", "010 001 201 210"),
    ("000 200 020", "201 210 120 021 001"),
    ("000 200 020 220", "001 201 221 021"),
    ("000 200 020 002", "210 120 021 012 102 201"),
    ("200 000 020 022", "210 201 001 012 122 120"),
)


def cell_sizes(spacing_mm) -> np.ndarray:
    """Area (mm2) of the surface in a cell by the code of its corners: 256 numbers; length (mm), 16 numbers, in 2D.

    The code is `sum(inside * 2**n)`, where n counts the corners with the last axis fastest, from the last to the first.

    Args:
        spacing_mm: distance of voxel centres along each axis of the array, two or three numbers.
    """
    spacing = np.asarray(spacing_mm, dtype=float)
    if len(spacing) == 2:
        return _lengths(spacing)
    vectors, codes = _area_vectors()
    areas = np.linalg.norm(vectors * (spacing.prod() / spacing), axis=1)
    return np.bincount(codes, weights=areas, minlength=256)


def _lengths(spacing: np.ndarray) -> np.ndarray:
    down, across = spacing
    slant = np.hypot(down, across) / 2
    of_half = {0b0000: 0, 0b0001: slant, 0b0010: slant, 0b0100: slant, 0b1000: slant}
    of_half |= {0b0011: across, 0b0101: down, 0b0110: 2 * slant}
    return np.array([of_half[code] if code in of_half else of_half[15 - code] for code in range(16)])


@cache
def _area_vectors() -> tuple[np.ndarray, np.ndarray]:
    """Area vectors (N, 3) of the triangles of all cells at spacing 1, and the code (N,) each belongs to."""
    cube = list(product((0, 2), repeat=3))
    surfaces = _surfaces()
    vectors, codes = [], []
    for code in range(1, 255):
        inside = frozenset(corner for n, corner in enumerate(cube) if code >> (7 - n) & 1)
        if len(inside) > 4:
            inside = frozenset(cube) - inside
        for piece in _connected(inside):
            vectors += surfaces[piece]
            codes += [code] * len(surfaces[piece])
    return np.array(vectors), np.array(codes)


def _surfaces() -> dict[Corners, list[np.ndarray]]:
    """Area vectors of the triangles that cut off connected corners, for every place and orientation in the cell."""
    found = {}
    for corners, fan in _SHAPES:
        for axes, mirrored in product(permutations(range(3)), product((False, True), repeat=3)):
            inside = frozenset(_turned(corner, axes, mirrored) for corner in corners.split())
            if inside not in found:
                first, *rest = (np.array(_turned(point, axes, mirrored)) / 2 for point in fan.split())
                found[inside] = [np.cross(a - first, b - first) / 2 for a, b in zip(rest, rest[1:])]
    return found


def _turned(point: str, axes: tuple[int, ...], mirrored: tuple[bool, ...]) -> Corner:
    return tuple(2 - int(point[axis]) if flip else int(point[axis]) for axis, flip in zip(axes, mirrored))


def _connected(corners: Corners) -> list[Corners]:
    """The corners in groups that hang together along edges."""
    groups = []
    left = set(corners)
    while left:
        group = {left.pop()}
        while near := {a for a in left if any(sum(abs(p - q) for p, q in zip(a, b)) == 2 for b in group)}:
            group |= near
            left -= near
        groups.append(frozenset(group))
    return groups
