"""From a patient's volume to a network's input. Training prepares its cases with these same functions."""

from __future__ import annotations

import numpy as np

from ..bundle import Intensity, Specification
from ..volume import Grid, Volume
from .resampling import orders_for, resample


def network_grid(grid: Grid, spec: Specification) -> Grid:
    """The grid on which the network sees a volume: turned to the model's orientation, at its spacing."""
    turned = grid.steps_to(spec.orientation).apply_to_grid(grid)
    return turned.resized(turned.shape_at(spec.spacing_mm))


def prepare(volume: Volume, spec: Specification) -> Volume:
    """Turn, resample and normalise: a float32 volume on `network_grid(volume.grid, spec)`.

    Raises InputError if the volume is empty, constant or holds NaN.
    """
    volume.check_usable()
    turned = volume.reoriented(spec.orientation)
    grid = network_grid(volume.grid, spec)
    array = resample(turned.array, grid.shape, orders_for(turned.grid.spacing_mm))
    normalise(array, spec.intensity)
    return Volume(array, grid.ijk_to_ras, volume.modality, volume.name)


def normalise(array: np.ndarray, rule: Intensity) -> None:
    """Apply the intensity rule to a float32 array, in place."""
    mean, std, (low, high) = rule.mean, rule.std, _range(array, rule)
    if low is not None:
        np.clip(array, low, high, out=array)
    if rule.rule != "window":
        mean, std = _mean_and_std(array)
    array -= mean
    array /= max(std, 1e-8)


def _mean_and_std(array: np.ndarray) -> tuple[float, float]:
    """In double precision, but layer by layer: numpy's own std would hold the whole image in it."""
    mean = float(array.mean(dtype=np.float64))
    squares = sum(float(np.square(layer - np.float64(mean)).sum()) for layer in array)
    return mean, (squares / array.size) ** 0.5


def _range(array: np.ndarray, rule: Intensity) -> tuple[float | None, float | None]:
    if rule.rule == "percentile":
        return tuple(np.percentile(array, (rule.low, rule.high)))
    return rule.low, rule.high
