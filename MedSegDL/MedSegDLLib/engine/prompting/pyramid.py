"""The image at several resolutions, and boxes of voxels of one of them.

Positions are continuous voxel indices (k, j, i) of the image itself, whatever the level. An axis with a single voxel
is flat: nothing is ever measured along it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...volume import Volume

_SAMPLES_PER_AXIS = 64
_LEAST_VOXELS = 6  # of an axis that is halved


@dataclass(frozen=True, eq=False)
class Level:
    """The image, coarsened by whole factors.

    Args:
        array: axes (k, j, i).
        factor: voxels of the image to a voxel here, along each axis.
        spacing_mm: along k, j, i.
    """

    array: np.ndarray
    factor: np.ndarray
    spacing_mm: np.ndarray

    @property
    def flat(self) -> np.ndarray:
        return np.array(self.array.shape) == 1

    @cached_property
    def voxel_mm(self) -> float:
        """The shortest spacing."""
        return float(self.spacing_mm[~self.flat].min())

    def window(self, low, high) -> Window:
        """The voxels that hold the positions from `low` to `high`, as far as there are any."""
        shape = np.array(self.array.shape)
        start = np.clip(np.floor((np.asarray(low) + 0.5) / self.factor), 0, shape - 1).astype(int)
        stop = np.clip(np.ceil((np.asarray(high) + 0.5) / self.factor), start + 1, shape).astype(int)
        return Window(self, start, stop - start)


@dataclass(frozen=True, eq=False)
class Window:
    """A box of voxels of a level: `start` and `shape` (k, j, i) in its voxels."""

    level: Level
    start: np.ndarray
    shape: np.ndarray

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(start, start + size) for start, size in zip(self.start, self.shape))

    @property
    def low(self) -> np.ndarray:
        """First voxel of the image in it."""
        return self.start * self.level.factor

    @property
    def high(self) -> np.ndarray:
        """First voxel of the image after it."""
        return (self.start + self.shape) * self.level.factor

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def image(self) -> np.ndarray:
        return self.level.array[self.slices].astype(np.float32)

    def indices(self, positions) -> np.ndarray:
        """Continuous indices in this window of positions (..., 3)."""
        return (np.asarray(positions, dtype=float) + 0.5) / self.level.factor - 0.5 - self.start

    def empty(self) -> np.ndarray:
        return np.zeros(self.shape, bool)

    def border(self) -> np.ndarray:
        """Its outermost voxels; a flat axis has none."""
        border = self.empty()
        for axis in np.flatnonzero(self.shape > 1):
            faces = np.moveaxis(border, axis, 0)
            faces[0] = faces[-1] = True
        return border

    def within(self, mask: np.ndarray) -> Window:
        """The smallest window around a mask that lies on this one."""
        found = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        start = np.array([indices[0] for indices in found])
        stop = np.array([indices[-1] + 1 for indices in found])
        return Window(self.level, self.start + start, stop - start)


class Pyramid:
    """An image and its coarser versions, each made when it is first asked for.

    Raises:
        InputError: there is nothing to see in the image.
    """

    def __init__(self, volume: Volume):
        volume.check_usable()
        self._levels = [Level(volume.array, np.ones(3, int), volume.grid.spacing_mm[::-1])]
        self.low, self.high = _grey_range(volume.array)

    @property
    def image(self) -> Level:
        return self._levels[0]

    def level(self, number: int) -> Level:
        """The image itself is number 0; beyond the last level comes the last."""
        while len(self._levels) <= number:
            coarser = _coarsened(self._levels[-1])
            if coarser is None:
                return self._levels[-1]
            self._levels.append(coarser)
        return self._levels[number]

    def complete(self, check: Callable[[], None] = lambda: None) -> None:
        """Make every level; `check` is called before each, and may raise."""
        number = 1
        while self.level(number) is not self.level(number - 1):
            check()
            number += 1

    def level_for(self, length_mm: float, most_voxels: float) -> Level:
        """The finest level on which a length has no more voxels than that, or the last."""
        number = 0
        while length_mm > most_voxels * self.level(number).voxel_mm and self.level(number + 1) is not self.level(
            number
        ):
            number += 1
        return self.level(number)

    def window_of_at_most(self, voxels: int, level: Level, low, high) -> Window:
        """From one position to another, on this level or the next coarser one that has no more voxels there."""
        number = self._number(level)
        while self.level(number).window(low, high).size > voxels and self.level(number + 1) is not self.level(number):
            number += 1
        return self.level(number).window(low, high)

    def finer(self, level: Level) -> Level | None:
        number = self._number(level)
        return self._levels[number - 1] if number else None

    def _number(self, level: Level) -> int:
        return next(number for number, known in enumerate(self._levels) if known is level)


def _coarsened(level: Level) -> Level | None:
    """Half the voxels along the axes whose spacing is the finest, so that voxels become cubes."""
    halved = ~level.flat & (level.spacing_mm < 1.5 * level.voxel_mm)
    if (np.array(level.array.shape)[halved] < _LEAST_VOXELS).any():
        return None
    array = level.array
    for axis in np.flatnonzero(halved):
        array = _halved(array, axis)
    steps = np.where(halved, 2, 1)
    return Level(array, level.factor * steps, level.spacing_mm * steps)


def _halved(array: np.ndarray, axis: int) -> np.ndarray:
    """Means of pairs of neighbours; an odd last voxel is left out."""
    pairs = array.shape[axis] // 2
    first, second = (array[(slice(None),) * axis + (slice(n, 2 * pairs, 2),)] for n in (0, 1))
    return np.multiply(np.add(first, second, dtype=np.float32), np.float32(0.5))


def _grey_range(array: np.ndarray) -> tuple[float, float]:
    """What all but a few voxels lie between, from a sample of them."""
    sample = array[tuple(slice(None, None, max(1, size // _SAMPLES_PER_AXIS)) for size in array.shape)]
    low, high = np.percentile(sample.astype(float), (1, 99))
    return (low, high) if high > low else (float(array.min()), float(array.max()))


def resampled(values: np.ndarray, source: Window, target: Window) -> np.ndarray:
    """Values on one window brought to another: means where that is coarser, linear where finer; zero outside."""
    values = values.astype(np.float32)
    for axis in range(3):
        fine, coarse = source.level.factor[axis], target.level.factor[axis]
        start, size = target.start[axis], target.shape[axis]
        resample = _means if coarse > fine else _interpolated if coarse < fine else _shifted
        values = resample(values, axis, source.start[axis], start, size, fine, coarse)
    return values


def _shifted(values: np.ndarray, axis: int, old: int, new: int, size: int, *_) -> np.ndarray:
    shape = list(values.shape)
    shape[axis] = size
    result = np.zeros(shape, values.dtype)
    start, stop = max(old, new), min(old + values.shape[axis], new + size)
    if stop > start:
        before = (slice(None),) * axis
        result[(*before, slice(start - new, stop - new))] = values[(*before, slice(start - old, stop - old))]
    return result


def _means(values: np.ndarray, axis: int, old: int, new: int, size: int, fine: int, coarse: int) -> np.ndarray:
    ratio = coarse // fine
    values = _shifted(values, axis, old, new * ratio, size * ratio)
    return values.reshape(*values.shape[:axis], size, ratio, *values.shape[axis + 1 :]).mean(axis=axis + 1)


def _interpolated(values: np.ndarray, axis: int, old: int, new: int, size: int, coarse: int, fine: int) -> np.ndarray:
    position = (np.arange(new, new + size) + 0.5) * fine / coarse - 0.5 - old
    last = values.shape[axis] - 1
    below = np.floor(position).astype(int)
    share = np.where((position < -0.5) | (position > last + 0.5), np.nan, position - below).astype(np.float32)
    share = share.reshape([-1 if n == axis else 1 for n in range(3)])
    first, second = (values.take(np.clip(index, 0, last), axis=axis) for index in (below, below + 1))
    return np.nan_to_num(first + (second - first) * share, copy=False)
