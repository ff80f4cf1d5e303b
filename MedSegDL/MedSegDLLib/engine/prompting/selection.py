"""What is selected so far, at the image's own resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .marks import Drawing
from .pyramid import Level, Window, resampled
from .shapes import ball_radius, surroundings


@dataclass(frozen=True, eq=False)
class Selection:
    """A mask (bool) on a window of the image itself; nothing else is selected."""

    window: Window
    mask: np.ndarray

    @staticmethod
    def empty(image: Level) -> Selection:
        window = Window(image, np.zeros(3, int), np.ones(3, int))
        return Selection(window, window.empty())

    def on(self, window: Window) -> np.ndarray:
        """Which share of each voxel of a window is selected."""
        seen = _overlap(self.window, window)
        if seen is None:
            return np.zeros(window.shape, np.float32)
        part = self.mask[tuple(slice(a, b) for a, b in zip(seen.start - self.window.start, _stop(seen, self.window)))]
        return resampled(part, seen, window)

    def radius_mm(self) -> float:
        """Of the ball, or in a picture of the disc, of the same volume; 0 where nothing is selected."""
        extended = ~self.window.level.flat
        measure = self.mask.sum() * np.prod(self.window.level.spacing_mm[extended])
        return ball_radius(measure, int(extended.sum()))

    def changed(self, window: Window, before: np.ndarray, after: np.ndarray) -> Selection:
        """With a new mask on a window of any level; only where it differs from the former one there."""
        difference = before != after
        if not difference.any():
            return self
        touched = difference | surroundings(difference, 1)
        area = window.within(touched)
        image = self.window.level
        fine = image.window(area.low, area.high - 1)
        whole = _union(self.window, fine)
        mask = _placed(self.mask, self.window, whole)
        part = mask[tuple(slice(a, b) for a, b in zip(fine.start - whole.start, _stop(fine, whole)))]
        new = resampled(after, window, fine) > 0.5
        np.copyto(part, new, where=resampled(touched, window, fine) > 0)
        return Selection(whole, mask)

    def obeying(self, drawing: Drawing) -> Selection:
        """Every mark honoured to the voxel, and the limits too."""
        included = [mark for mark in drawing.marks if mark.include]
        low = np.min([mark.low.min(axis=0) for mark in included], axis=0)
        high = np.max([mark.high.max(axis=0) for mark in included], axis=0)
        whole = _union(self.window, self.window.level.window(low, high))
        inside, outside = drawing.seeds(whole, ())
        mask = (_placed(self.mask, self.window, whole) | inside) & ~outside
        return Selection(whole, mask)

    def trimmed(self) -> Selection:
        if not self.mask.any():
            return Selection.empty(self.window.level)
        tight = self.window.within(self.mask)
        part = tuple(slice(a, b) for a, b in zip(tight.start - self.window.start, _stop(tight, self.window)))
        return Selection(tight, np.ascontiguousarray(self.mask[part]))


def _stop(inner: Window, outer: Window) -> np.ndarray:
    return inner.start + inner.shape - outer.start


def _union(first: Window, second: Window) -> Window:
    start = np.minimum(first.start, second.start)
    return Window(first.level, start, np.maximum(first.start + first.shape, second.start + second.shape) - start)


def _overlap(own: Window, other: Window) -> Window | None:
    """What of `own`, a window of the image, the other one sees."""
    start, stop = np.maximum(own.low, other.low), np.minimum(own.high, other.high)
    return Window(own.level, start, stop - start) if (stop > start).all() else None


def _placed(mask: np.ndarray, window: Window, whole: Window) -> np.ndarray:
    result = whole.empty()
    result[tuple(slice(a, b) for a, b in zip(window.start - whole.start, _stop(window, whole)))] = mask
    return result
