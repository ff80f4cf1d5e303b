"""From logits at the network's resolution to labels at the image's, exactly, without logits at the image's.

The label of a voxel is the class whose trilinearly interpolated logit is largest. An interpolated value is a convex
combination of the eight samples around it, so

- where one class is largest at all eight, it is largest between them: most of a volume is filled by copying;
- elsewhere only a class whose largest sample reaches the best class's smallest can win. Only those are interpolated,
  for the few voxels that lie there.

The result equals interpolating all classes and taking the largest, but for rounding where two classes tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MIXED = 255  # marks voxels whose class must be interpolated; hence at most 255 classes
_VOXELS_PER_SLAB = 4_000_000
_FEW_CLASSES = 3  # cheaper to interpolate all than to find out which can win
_CELLS_PER_CHUNK = 32_768  # what fits a processor's cache with its samples


@dataclass(frozen=True)
class Axis:
    """Linear interpolation along one axis: output voxel n lies between samples low[n] and low[n] + 1.

    Both ends of the axis are voxel edges (not centres), and beyond the outer samples the value is constant: what
    torch calls align_corners=False and skimage mode="edge".
    """

    samples: int
    low: np.ndarray
    weight: np.ndarray

    @staticmethod
    def between(samples: int, voxels: int) -> Axis:
        position = np.clip((np.arange(voxels) + 0.5) * samples / voxels - 0.5, 0, samples - 1)
        low = np.minimum(position.astype(int), max(samples - 2, 0))
        return Axis(samples, low, (position - low).astype(np.float32))

    @property
    def cells(self) -> int:
        return max(self.samples - 1, 1)

    def voxels_of(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First voxel, and number of voxels, between each sample in `cells` and the next."""
        first = np.searchsorted(self.low, np.arange(self.cells + 1))
        return first[cells], np.diff(first)[cells]


class LabelUpsampler:
    """Takes logits layer by layer and writes labels.

    Args:
        shape: layers, rows and columns (k, j, i) of the logits to come.
        out: labels (k, j, i) uint8, written in place; any memory layout.
        class_values: label value of each class, at most 255 of them.
    """

    def __init__(self, shape: tuple[int, int, int], out: np.ndarray, class_values: np.ndarray):
        if len(class_values) > _MIXED:
            raise ValueError(f"{len(class_values)} classes; {_MIXED} at most")
        self._axes = tuple(Axis.between(n, m) for n, m in zip(shape, out.shape))
        self._same_grid = tuple(shape) == out.shape
        self._out = out
        self._values = class_values
        self._plain_values = np.array_equal(class_values, np.arange(len(class_values)))
        self._pending = None  # the last layer that came: the lower neighbour of the next
        self._received = 0

    def push(self, logits: np.ndarray) -> None:
        """Add layers (classes, n, j, i) float32 and write every label that they decide."""
        first = self._received
        self._received += logits.shape[1]
        if self._same_grid:
            self._write(slice(first, self._received), largest(logits))
            return
        if self._pending is not None:
            self._decide(np.concatenate((self._pending, logits[:, :1]), axis=1), first - 1)
        self._decide(logits, first)
        self._pending = logits[:, -1:].copy()

    def _decide(self, logits: np.ndarray, first: int) -> None:
        """Write the labels between the layers of logits, the first of which is the layer `first` of all."""
        for layers, voxels in self._slabs(first, first + logits.shape[1]):
            self._write(voxels, self._labels(logits[:, layers.start - first : layers.stop - first], layers, voxels))

    def _slabs(self, first: int, stop: int):
        """Layers of logits, each with its upper neighbour, and the layers of labels that lie between them."""
        last_cell = stop - 1 if self._axes[0].samples > 1 else stop
        per_slab = max(1, int(_VOXELS_PER_SLAB / self._out[0].size * self._axes[0].samples / len(self._out)))
        low = self._axes[0].low
        for cell in range(first, last_cell, per_slab):
            end = min(cell + per_slab, last_cell)
            voxels = slice(int(np.searchsorted(low, cell)), int(np.searchsorted(low, end)))
            if voxels.stop > voxels.start:
                yield slice(cell, min(end + 1, stop)), voxels

    def _labels(self, logits: np.ndarray, layers: slice, voxels: slice) -> np.ndarray:
        axis_k = self._axes[0]
        slab_axes = (
            Axis(logits.shape[1], axis_k.low[voxels] - layers.start, axis_k.weight[voxels]),
            *self._axes[1:],
        )
        return upsampled_labels(logits, slab_axes)

    def _write(self, voxels: slice, classes: np.ndarray) -> None:
        self._out[voxels] = classes if self._plain_values else self._values[classes]


def largest(logits: np.ndarray) -> np.ndarray:
    """Class index (uint8) of the largest of (classes, k, j, i); the first of equals. Faster than argmax on axis 0."""
    best, classes = logits[0].copy(), np.zeros(logits.shape[1:], dtype=np.uint8)
    for index in range(1, len(logits)):
        np.putmask(classes, logits[index] > best, index)
        np.maximum(best, logits[index], out=best)
    return classes


def upsampled_labels(logits: np.ndarray, axes: tuple[Axis, Axis, Axis]) -> np.ndarray:
    """Class indices (uint8) of the voxels that `axes` place among the samples of logits (classes, k, j, i)."""
    cells = _cell_classes(largest(logits))
    labels = cells
    for axis in (2, 1, 0):  # the last axis first: the large copies are then of whole rows
        labels = labels.take(axes[axis].low, axis=axis)
    mixed = np.flatnonzero(cells == _MIXED)
    flat = _flattened(logits) if mixed.size else ()
    for start in range(0, mixed.size, _CELLS_PER_CHUNK):
        cell = np.unravel_index(mixed[start : start + _CELLS_PER_CHUNK], cells.shape)
        _fill(labels, _rivals(flat, _corner_indices(cell, logits.shape[1:])), cell, axes)
    return labels


def _flattened(logits: np.ndarray) -> Sequence[np.ndarray]:
    """The samples of each class in a row: views of a few classes, else one array, a copy if need be."""
    if len(logits) <= _FEW_CLASSES:
        return [samples.reshape(-1) for samples in logits]
    return logits.reshape(len(logits), -1)


def _cell_classes(classes: np.ndarray) -> np.ndarray:
    """For each cell between eight samples their common class, or _MIXED."""
    low = high = classes
    for axis in range(3):
        if classes.shape[axis] > 1:
            low = np.minimum(_without_last(low, axis), _without_first(low, axis))
            high = np.maximum(_without_last(high, axis), _without_first(high, axis))
    return np.where(low == high, low, np.uint8(_MIXED))


def _without_last(array: np.ndarray, axis: int) -> np.ndarray:
    return array[(slice(None),) * axis + (slice(None, -1),)]


def _without_first(array: np.ndarray, axis: int) -> np.ndarray:
    return array[(slice(None),) * axis + (slice(1, None),)]


@dataclass(frozen=True)
class _Rival:
    """The n-th class that can win in each of some cells: the cells, the classes, the samples (2, 2, 2, cells)."""

    cells: np.ndarray
    classes: np.ndarray
    samples: np.ndarray


def _rivals(flat: Sequence[np.ndarray], corners: np.ndarray) -> list[_Rival]:
    """Every cell's first class that can win, every cell's second, the third of those that have one, ...

    Args:
        flat: samples of each class.
        corners: indices (8, cells) of the samples around each cell.
    """
    if len(flat) <= _FEW_CLASSES:
        return _all_classes(flat, corners)
    low, high = zip(*(_range(samples, corners) for samples in flat))
    can_win = np.stack(high) >= np.max(low, axis=0)
    rank = np.cumsum(can_win, axis=0) - 1
    rivals = []
    for n in range(int(rank.max()) + 1):
        cells = np.flatnonzero(rank[-1] >= n)
        classes = np.argmax((rank == n) & can_win, axis=0)[cells]
        samples = flat.ravel().take(corners[:, cells] + classes * flat.shape[1])
        rivals.append(_Rival(cells, classes.astype(np.uint8), samples.reshape(2, 2, 2, -1)))
    return rivals


def _all_classes(flat: Sequence[np.ndarray], corners: np.ndarray) -> list[_Rival]:
    cells = np.arange(corners.shape[1])
    return [
        _Rival(cells, np.full(len(cells), n, dtype=np.uint8), samples.take(corners).reshape(2, 2, 2, -1))
        for n, samples in enumerate(flat)
    ]


def _corner_indices(cell: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Flat indices (8, cells) of the samples around each cell; an axis of one sample gives it twice."""
    offsets = [(0, int(n > 1)) for n in shape]
    corner = [np.ravel_multi_index((k, j, i), shape) for k in offsets[0] for j in offsets[1] for i in offsets[2]]
    return np.array(corner)[:, None] + np.ravel_multi_index(cell, shape)


def _range(samples: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest sample at the corners of each cell."""
    values = samples.take(corners)
    return values.min(axis=0), values.max(axis=0)


def _fill(labels: np.ndarray, rivals: list[_Rival], cell: tuple[np.ndarray, ...], axes: tuple[Axis, ...]) -> None:
    """Write the winning class into every voxel of the cells: the n-th voxel of all cells at once, along each axis."""
    first, count = zip(*(axis.voxels_of(c) for axis, c in zip(axes, cell)))
    weights = [
        [axis.weight[np.minimum(f + n, len(axis.weight) - 1)] for n in range(int(c.max(initial=0)))]
        for axis, f, c in zip(axes, first, count)
    ]
    voxel = np.ravel_multi_index(first, labels.shape, mode="clip")  # a last cell may begin behind the last voxel
    step_k, step_j = labels.shape[1] * labels.shape[2], labels.shape[2]
    flat = labels.ravel()
    for k, weight_k in enumerate(weights[0]):
        planes = [_between(rival.samples, weight_k[rival.cells]) for rival in rivals]
        for j, weight_j in enumerate(weights[1]):
            lines = [_between(plane, weight_j[rival.cells]) for plane, rival in zip(planes, rivals)]
            in_plane = (count[0] > k) & (count[1] > j)
            for i, weight_i in enumerate(weights[2]):
                values = [_between(line, weight_i[rival.cells]) for line, rival in zip(lines, rivals)]
                inside = in_plane & (count[2] > i)
                flat[(voxel + (k * step_k + j * step_j + i))[inside]] = _winners(rivals, values)[inside]


def _between(samples: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Interpolate away the first axis, of two samples."""
    low, high = samples
    return low + weight * (high - low)


def _winners(rivals: list[_Rival], values: list[np.ndarray]) -> np.ndarray:
    """Class with the largest value in each cell; the lowest of equals.

    A mixed cell has two rivals at least: each class that is largest at a corner can win.
    """
    winner = np.where(values[1] > values[0], rivals[1].classes, rivals[0].classes)
    best = np.maximum(values[0], values[1])
    for rival, value in zip(rivals[2:], values[2:]):
        better = value > best[rival.cells]
        cells = rival.cells[better]
        best[cells] = value[better]
        winner[cells] = rival.classes[better]
    return winner
