"""What a person draws to say which structure is meant: points, strokes and boxes, in RAS mm.

Everything here is immutable and compares by value, so that a preview can be told from the prompts it was made for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .errors import InputError

Position = tuple[float, float, float]


@dataclass(frozen=True)
class Point:
    """A click.

    Args:
        ras: its position.
        include: False where the click takes away.
    """

    ras: Position
    include: bool = True

    def __post_init__(self):
        (position,) = _positions([self.ras])
        object.__setattr__(self, "ras", position)


@dataclass(frozen=True)
class Stroke:
    """A drag with a round brush.

    Args:
        ras: the positions it went through, (n, 3).
        include: False where it takes away.
        radius_mm: half the brush's width; 0 is a line one voxel wide.
    """

    ras: tuple[Position, ...]
    include: bool = True
    radius_mm: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "ras", _positions(self.ras))


@dataclass(frozen=True)
class Box:
    """A rectangle around the structure as it was drawn, often flat: it limits the structure in the slice it lies in.

    Args:
        ras: two opposite corners, (2, 3).
        include: False where what lies inside is taken away.
    """

    ras: tuple[Position, Position]
    include: bool = True

    def __post_init__(self):
        corners = _positions(self.ras)
        if len(corners) != 2:
            raise ValueError(f"a box has two corners, not {len(corners)}")
        object.__setattr__(self, "ras", corners)


Prompt = Point | Stroke | Box


@dataclass(frozen=True)
class Prompts:
    """All that was drawn for one structure, in the order in which it was drawn."""

    entries: tuple[Prompt, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "entries", tuple(self.entries))

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def points(self) -> tuple[Point, ...]:
        return self._of(Point)

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        return self._of(Stroke)

    @property
    def boxes(self) -> tuple[Box, ...]:
        return self._of(Box)

    @property
    def included(self) -> Prompts:
        """Those that say what belongs to the structure."""
        return Prompts(prompt for prompt in self.entries if prompt.include)

    @property
    def excluded(self) -> Prompts:
        """Those that say what does not."""
        return Prompts(prompt for prompt in self.entries if not prompt.include)

    def with_prompt(self, prompt: Prompt) -> Prompts:
        return replace(self, entries=(*self.entries, prompt))

    def without(self, index: int) -> Prompts:
        """Without the entry at this place."""
        return replace(self, entries=self.entries[:index] + self.entries[index + 1 :])

    def without_last(self) -> Prompts:
        """Without the entry that was drawn last; the same where there is none."""
        return replace(self, entries=self.entries[:-1])

    def to_dict(self) -> dict:
        """Plain lists and numbers, as they go through the worker's pipe."""
        return {"entries": [_to_dict(prompt) for prompt in self.entries]}

    @staticmethod
    def from_dict(data: dict) -> Prompts:
        """What `to_dict` made.

        Raises:
            InputError: it is something else.
        """
        try:
            return Prompts(_from_dict(entry) for entry in data["entries"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"The points that were sent cannot be read: {type(error).__name__}: {error}.",
                "Install the same version of MedSegDL on both sides.",
            ) from error

    def _of(self, kind: type) -> tuple:
        return tuple(prompt for prompt in self.entries if isinstance(prompt, kind))


_KINDS = {"point": Point, "stroke": Stroke, "box": Box}
_NAMES = {cls: name for name, cls in _KINDS.items()}


def _to_dict(prompt: Prompt) -> dict:
    return {"kind": _NAMES[type(prompt)], **vars(prompt)}


def _from_dict(entry: dict) -> Prompt:
    values = dict(entry)
    return _KINDS[values.pop("kind")](**values)


def _positions(ras) -> tuple[Position, ...]:
    array = np.asarray(ras, dtype=float)
    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        raise ValueError(f"positions have the shape (n, 3), not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("a position is not a number")
    return tuple(tuple(position) for position in array.tolist())
