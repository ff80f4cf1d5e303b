"""A DICOM series as a volume with its true geometry and true values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from ..volume import Volume
from .gantry import straightened
from .headers import Frame
from .pixels import stored_frames
from .series import Series
from .stack import Stack


def read_series(series: Series) -> Volume:
    """Read the pixels of a series.

    Returns:
        Volume of rescaled values, int16 where they all fit, else float32; orthogonal also where the gantry was tilted.

    Raises:
        InputError: the series is not one complete volume of grey values, or a file of it is damaged.
    """
    stack = series.stack()
    volume = Volume(_rescaled(series, stack), stack.grid.ijk_to_ras, series.modality, series.name)
    return volume if volume.grid.is_orthogonal() else straightened(volume)


def _rescaled(series: Series, stack: Stack) -> np.ndarray:
    """Values (k, j, i): int16 until a plane does not fit, for half the memory of float32."""
    array = np.empty(stack.grid.shape, dtype=np.int16)
    for k, values in _planes(series, stack):
        if array.dtype == np.int16 and not _fits_int16(values):
            array = array.astype(np.float32)
        array[k] = values
    return array


def _planes(series: Series, stack: Stack) -> Iterator[tuple[int, np.ndarray]]:
    """Index and rescaled values of each plane, file by file, so that each file is read once."""
    frames_of_file = defaultdict(list)
    for k, frame in enumerate(stack.frames):
        frames_of_file[frame.file].append((k, frame))
    for file, places in frames_of_file.items():
        stored = stored_frames(series.files[file])
        for k, frame in places:
            yield k, _values(stored[frame.number], frame)


def _values(stored: np.ndarray, frame: Frame) -> np.ndarray:
    if stored.dtype.kind in "iu" and frame.slope.is_integer() and frame.intercept.is_integer():
        return stored.astype(np.int32 if stored.itemsize < 4 else np.int64) * int(frame.slope) + int(frame.intercept)
    return stored.astype(np.float64) * frame.slope + frame.intercept


def _fits_int16(values: np.ndarray) -> bool:
    limits = np.iinfo(np.int16)
    if values.min() < limits.min or values.max() > limits.max:
        return False
    return values.dtype.kind in "iu" or bool((values == np.rint(values)).all())
