"""What the mouse means: clicks, strokes and boxes from presses, moves and releases, and where they lie in the patient.

Positions in a view are pixels (x, y) from its lower left corner; a view's `xy_to_ras` is 4x4, its z counts slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from ..prompts import Box, Point, Prompt, Prompts, Stroke

CLICK_PIXELS = 4  # a hand trembles: less than that is no drag
MARK_PIXELS = 6  # half the size of a drawn point
_NEAR_SLICES = 0.5  # what is drawn further from the slice does not show in it


class Kind(Enum):
    CLICK = "click"
    STROKE = "stroke"
    BOX = "box"


@dataclass(frozen=True)
class Gesture:
    """What was done with the mouse.

    Args:
        path: where it went, (x, y); one position for a click, two opposite corners for a box.
        inverted: with Ctrl: the other of include and exclude.
    """

    kind: Kind
    path: tuple[tuple[int, int], ...]
    inverted: bool = False


class Drag:
    """The mouse from press to release.

    Args:
        xy: where it was pressed.
        inverted: Ctrl was held.
        boxed: Shift was held.
    """

    def __init__(self, xy: tuple[int, int], inverted: bool = False, boxed: bool = False):
        self._path = [tuple(xy)]
        self._inverted = inverted
        self._boxed = boxed
        self._is_far = False

    def move(self, xy: tuple[int, int]) -> None:
        if tuple(xy) != self._path[-1]:
            self._path.append(tuple(xy))
        self._is_far = self._is_far or _distance(self._path[0], xy) >= CLICK_PIXELS

    @property
    def gesture(self) -> Gesture:
        """What it is if it ends here."""
        if not self._is_far:
            return Gesture(Kind.CLICK, (self._path[0],), self._inverted)
        if self._boxed:
            return Gesture(Kind.BOX, (self._path[0], self._path[-1]), self._inverted)
        return Gesture(Kind.STROKE, tuple(self._path), self._inverted)


def to_ras(path, xy_to_ras: np.ndarray) -> np.ndarray:
    """RAS (n, 3) of positions in a view."""
    xy = np.asarray(path, dtype=float)
    return np.column_stack([xy, np.zeros(len(xy)), np.ones(len(xy))]) @ xy_to_ras[:3].T


def behind_surface(picked_ras, camera_ras, depth_mm: float) -> np.ndarray:
    """The picked position (n, 3) that the eye sees, moved into the structure along the line of sight.

    Args:
        picked_ras: where the ray through the pixel met surfaces.
        depth_mm: how far behind the surface; about a voxel.
    """
    picked, camera = np.asarray(picked_ras, dtype=float), np.asarray(camera_ras, dtype=float)
    distances = np.linalg.norm(picked - camera, axis=1)
    nearest = picked[np.argmin(distances)]
    return nearest + (nearest - camera) * (depth_mm / max(distances.min(), 1e-6))


def point_at(prompts: Prompts, xy: tuple[int, int], xy_to_ras: np.ndarray) -> int | None:
    """Place, among all prompts, of the drawn point that was hit; None where there is none."""
    hits = []
    for index, prompt in enumerate(prompts.entries):
        if isinstance(prompt, Point) and (shown := _shown(prompt.ras, xy_to_ras)) is not None:
            hits.append((_distance(shown, xy), index))
    distance, index = min(hits, default=(np.inf, None))
    return index if distance <= MARK_PIXELS else None


def marks(prompts: Prompts, xy_to_ras: np.ndarray, include: bool) -> list[np.ndarray]:
    """The lines (n, 2), in pixels, that show a slice view's prompts: plus or minus, strokes, boxes."""
    chosen = prompts.included if include else prompts.excluded
    return [line for prompt in chosen.entries for line in _lines(prompt, xy_to_ras)]


def gesture_marks(gesture: Gesture) -> list[np.ndarray]:
    """The lines that show a drag before it has ended."""
    if gesture.kind is Kind.STROKE:
        return [np.asarray(gesture.path, dtype=float)]
    return [_rectangle(*gesture.path)] if gesture.kind is Kind.BOX else []


def _lines(prompt: Prompt, xy_to_ras: np.ndarray) -> list[np.ndarray]:
    positions = _to_view(np.atleast_2d(prompt.ras), xy_to_ras)
    if isinstance(prompt, Box):
        nearest, furthest = sorted(positions[:, 2])
        crosses = nearest - _NEAR_SLICES <= 0 <= furthest + _NEAR_SLICES
        return [_rectangle(*positions[:, :2])] if crosses else []
    if np.abs(positions[:, 2]).min() > _NEAR_SLICES:
        return []
    if isinstance(prompt, Stroke) and len(positions) > 1:
        return [positions[:, :2]]
    return _sign(positions[0, :2], prompt.include)


def _sign(xy: np.ndarray, include: bool) -> list[np.ndarray]:
    across = xy + np.array([[-MARK_PIXELS, 0], [MARK_PIXELS, 0]])
    upright = xy + np.array([[0, -MARK_PIXELS], [0, MARK_PIXELS]])
    return [across, upright] if include else [across]


def _rectangle(corner, opposite) -> np.ndarray:
    (left, bottom), (right, top) = corner, opposite
    return np.array([(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)], dtype=float)


def _shown(ras, xy_to_ras: np.ndarray) -> np.ndarray | None:
    x, y, slices = _to_view(np.atleast_2d(ras), xy_to_ras)[0]
    return np.array([x, y]) if abs(slices) <= _NEAR_SLICES else None


def _to_view(ras: np.ndarray, xy_to_ras: np.ndarray) -> np.ndarray:
    """Positions (n, 3) in pixels and slices."""
    return np.column_stack([ras, np.ones(len(ras))]) @ np.linalg.inv(xy_to_ras)[:3].T


def _distance(first, second) -> float:
    return float(np.hypot(*(np.asarray(second, dtype=float) - first)))
