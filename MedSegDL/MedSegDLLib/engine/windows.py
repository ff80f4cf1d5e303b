"""Sliding windows: where they lie, how they are weighted, and their sum, layer by layer.

The sum is never held for the whole volume. Windows are run in rows from the first layer to the last; as soon as no
later row reaches a layer, it is divided by its weight, handed on, and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..errors import CancelledError
from .runtime import Runtime

_SIGMA = 1 / 8  # of the window's size, as nnU-Net weights its windows
_BACKGROUND_LOGIT = 1.0  # where every window was skipped as air; the other classes are 0 there


def starts(size: int, window: int, overlap: float) -> list[int]:
    """First voxels of evenly spread windows that cover an axis, each overlapping the next by at least `overlap`."""
    if size <= window:
        return [(size - window) // 2]  # centred, reaching out on both sides
    count = int(np.ceil((size - window) / (window * (1 - overlap)))) + 1
    count = min(count, size - window + 1)
    return np.round(np.linspace(0, size - window, count)).astype(int).tolist()


def gaussian(window: tuple[int, int, int]) -> np.ndarray:
    """Weights (k, j, i) float32, largest in the centre, never 0."""
    axes = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n * _SIGMA)) ** 2) for n in window]
    return np.maximum(np.einsum("k,j,i->kji", *axes), 1e-4).astype(np.float32)


@dataclass(frozen=True)
class Span:
    """A window's part inside the volume, along one axis: voxels of the volume, and of the window."""

    volume: slice
    window: slice

    @staticmethod
    def of(start: int, window: int, size: int) -> Span:
        low, high = max(0, start), min(size, start + window)
        return Span(slice(low, high), slice(low - start, high - start))


class SlidingWindow:
    """Runs a network over a prepared volume.

    Args:
        runtime: the network on its device.
        window: its size (k, j, i).
        overlap: share of a window that its neighbour covers.
        mirror: average over windows mirrored along these axes (k, j, i).
        air: a window in which no value of the first channel is above it counts as background unseen; None looks at
            every window.
    """

    def __init__(
        self,
        runtime: Runtime,
        window: tuple[int, int, int],
        overlap: float,
        mirror: tuple[bool, bool, bool] = (False, False, False),
        air: float | None = None,
    ):
        self._runtime = runtime
        self._window = window
        self._overlap = overlap
        self._flips = list(product(*((1, -1) if axis and size > 1 else (1,) for axis, size in zip(mirror, window))))
        self._air = air
        self.windows = 0
        self.skipped = 0

    def layers(
        self,
        image: np.ndarray,
        progress: Callable[[int, int, str], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator:
        """Yield the logits (classes, n, j, i) of the image (channels, k, j, i), n layers at a time, on the device.

        What is yielded is a view that lasts until the next is asked for.
        Raises CancelledError before the next window once `cancelled()` is true.
        """
        shape = image.shape[1:]
        rows = self._rows(image[0])
        total = self.windows - self.skipped
        window_sum = _WindowSum(self._runtime, self._window, shape)
        done = 0
        for row, (span_k, spans_ji) in enumerate(rows):
            for span_j, span_i in spans_ji:
                if cancelled and cancelled():
                    raise CancelledError("The segmentation was cancelled.")
                spans = (span_k, span_j, span_i)
                for logits in self._logits(image, spans):
                    window_sum.add(logits, spans)
                done += 1
                if progress:
                    progress(done, total, "Segmenting")
            finished = rows[row + 1][0].volume.start if row + 1 < len(rows) else shape[0]
            yield window_sum.average_until(finished)
            window_sum.drop_until(finished)

    def _rows(self, channel: np.ndarray) -> list[tuple[Span, list[tuple[Span, Span]]]]:
        """The windows that have something to see in the first channel (k, j, i), in rows along its first axis."""
        spans_k, spans_j, spans_i = (
            [Span.of(start, window, size) for start in starts(size, window, self._overlap)]
            for size, window in zip(channel.shape, self._window)
        )
        rows = [
            (k, [(j, i) for j in spans_j for i in spans_i if self._is_seen(channel[k.volume, j.volume, i.volume])])
            for k in spans_k
        ]
        self.windows = len(spans_k) * len(spans_j) * len(spans_i)
        self.skipped = self.windows - sum(len(spans) for _, spans in rows)
        return rows

    def _is_seen(self, part: np.ndarray) -> bool:
        return self._air is None or bool((part > self._air).any())

    def _logits(self, image: np.ndarray, spans: tuple[Span, Span, Span]) -> Iterator:
        """The window's logits; if mirrored, once for each way of mirroring it, turned back."""
        patch = np.zeros((len(image), *self._window), dtype=np.float32)
        patch[(slice(None), *(s.window for s in spans))] = image[(slice(None), *(s.volume for s in spans))]
        for steps in self._flips:
            reversal = (slice(None), *(slice(None, None, step) for step in steps))
            yield self._runtime.unmirrored(self._runtime(np.ascontiguousarray(patch[reversal])), steps)


class _WindowSum:
    """Weighted sum of the windows for the layers that are still being added to."""

    def __init__(self, runtime: Runtime, window: tuple[int, int, int], shape: tuple[int, int, int]):
        depth = min(window[0], shape[0])
        self._runtime = runtime
        self._sum = runtime.zeros((runtime.classes, depth, *shape[1:]))
        self._weight = runtime.zeros((depth, *shape[1:]))
        self._gaussian = runtime.upload(gaussian(window))
        self._first = 0  # the layer of the volume that lies first in the buffer

    def add(self, logits, spans: tuple[Span, Span, Span]) -> None:
        """Add a window's logits (classes, k, j, i)."""
        inside = tuple(s.window for s in spans)
        k, j, i = (s.volume for s in spans)
        here = (slice(k.start - self._first, k.stop - self._first), j, i)
        weight = self._gaussian[inside]
        self._runtime.add_weighted(self._sum[(slice(None), *here)], logits[(slice(None), *inside)], weight)
        self._weight[here] += weight

    def average_until(self, layer: int):
        """Average of the layers before `layer`, in place of their sum."""
        count = layer - self._first
        weight, total = self._weight[:count], self._sum[:, :count]
        unseen = weight == 0
        weight[unseen] = 1
        total[0][unseen] = _BACKGROUND_LOGIT
        total /= weight
        return total

    def drop_until(self, layer: int) -> None:
        """Move on to the layers from `layer`."""
        count = layer - self._first
        rest = self._weight.shape[0] - count
        for buffer in (self._sum.swapaxes(0, 1), self._weight):
            _move_up(buffer, count, rest)
        self._first = layer


def _move_up(buffer, count: int, rest: int) -> None:
    """Drop the first `count` layers; the new ones at the end are zero. Copies in steps that do not overlap."""
    for start in range(0, rest, count):
        stop = min(start + count, rest)
        buffer[start:stop] = buffer[start + count : stop + count]
    buffer[rest:] = 0
