"""Spline resampling as matrix products.

Resampling along one axis is linear, so it is a matrix; B-splines of order 3 make it nearly banded, because their
prefilter fades by 0.27 a sample. The operator is therefore kept as dense blocks around the diagonal, and a volume is
resampled by three rounds of small matrix products: what scipy's `zoom(mode="nearest", grid_mode=True)` computes, to
rounding, at a tenth of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import zoom

CUBIC, LINEAR = 3, 1

_ROWS_PER_BLOCK = 32
_NEGLIGIBLE = 1e-7  # below the rounding of a 32-bit float
_SLAB_BYTES = 32 << 20


@dataclass(frozen=True)
class Block:
    """Output rows `rows` are `matrix @ input[columns]`."""

    rows: slice
    columns: slice
    matrix: np.ndarray


def resample(array: np.ndarray, shape: tuple[int, int, int], orders: tuple[int, int, int]) -> np.ndarray:
    """Resample a volume to another number of voxels between the same edges.

    Args:
        array: (k, j, i), any real type and memory layout.
        shape: voxels of the result along k, j, i.
        orders: spline order along k, j, i.

    Returns:
        float32 array, within the range of the input's values. At any time only the input, the result, one
        intermediate of at most their larger size, and slabs of 32 MiB are in memory.
    """
    low, high = float(array.min()), float(array.max())
    result = array
    for axis in sorted(range(3), key=lambda a: shape[a] / array.shape[a]):
        if shape[axis] != array.shape[axis]:
            result = _resample_axis(result, axis, operator(array.shape[axis], shape[axis], orders[axis]))
    if result is array:
        return np.array(array, dtype=np.float32, order="C")
    return np.clip(result, low, high, out=result)


def orders_for(spacing_mm) -> tuple[int, int, int]:
    """Spline order along k, j, i for an image of this spacing (i, j, k).

    Cubic; linear along an axis more than three times coarser than the finest, where a cubic would ring between
    slices that have little to do with each other (nnU-Net's threshold).
    """
    spacing_kji = np.asarray(spacing_mm)[::-1]
    return tuple(LINEAR if spacing > 3 * spacing_kji.min() else CUBIC for spacing in spacing_kji)


@lru_cache(maxsize=64)
def operator(n: int, m: int, order: int) -> tuple[Block, ...]:
    """The blocks of the operator from n samples to m."""
    matrix = dense_operator(n, m, order)
    return tuple(_block(matrix, start) for start in range(0, m, _ROWS_PER_BLOCK))


@lru_cache(maxsize=64)
def dense_operator(n: int, m: int, order: int) -> np.ndarray:
    """(m, n) float32: the response of scipy's zoom to each unit sample."""
    if n == 1:
        return np.ones((m, 1), dtype=np.float32)
    matrix = zoom(np.eye(n), (m / n, 1), order=order, mode="nearest", grid_mode=True)
    return matrix.astype(np.float32)


def _block(matrix: np.ndarray, start: int) -> Block:
    rows = slice(start, min(start + _ROWS_PER_BLOCK, len(matrix)))
    used = np.flatnonzero(np.abs(matrix[rows]).max(axis=0) > _NEGLIGIBLE)
    columns = slice(int(used[0]), int(used[-1]) + 1)
    return Block(rows, columns, np.ascontiguousarray(matrix[rows, columns]))


def _resample_axis(array: np.ndarray, axis: int, blocks: tuple[Block, ...]) -> np.ndarray:
    shape = list(array.shape)
    shape[axis] = blocks[-1].rows.stop
    result = np.empty(shape, dtype=np.float32)
    for part in _slabs(array, across=1 if axis == 0 else 0):
        slab = np.ascontiguousarray(array[part], dtype=np.float32)
        for block in blocks:
            _apply(block, slab, axis, result[part])
    return result


def _apply(block: Block, slab: np.ndarray, axis: int, out: np.ndarray) -> None:
    if axis == 0:
        rows = np.tensordot(block.matrix, slab[block.columns], axes=1)
        out[block.rows] = rows
    elif axis == 1:
        np.matmul(block.matrix, slab[:, block.columns], out=out[:, block.rows])
    else:
        np.matmul(slab[..., block.columns], block.matrix.T, out=out[..., block.rows])


def _slabs(array: np.ndarray, across: int):
    """Index tuples that cut the array along the axis `across` into float32 slabs of at most _SLAB_BYTES."""
    layer_bytes = 4 * array.size // array.shape[across]
    step = max(1, _SLAB_BYTES // layer_bytes)
    for start in range(0, array.shape[across], step):
        yield (slice(None),) * across + (slice(start, start + step),)
