"""From a patient's images to a network's input. Training prepares its cases with these same functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..bundle import Intensity, Specification
from ..demand import network_grid
from ..errors import InputError
from ..volume import Grid, Volume, as_volumes
from .alignment import aligned
from .resampling import orders_for, resample


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """What a network sees of a patient: float32 values, axes (channel, k, j, i), and where they lie."""

    array: np.ndarray
    grid: Grid


def prepare(volumes: Volume | Sequence[Volume], spec: Specification) -> NetworkInput:
    """Turn, resample and normalise the image of each channel.

    Args:
        volumes: one for each of the model's channels, in their order. The grid of the first counts: the others are
            brought to it first (`aligned`), and the result lies on `network_grid` of it.

    Raises:
        InputError: there are more or fewer images than channels, one is empty, constant or holds NaN, or they do not
            overlap.
    """
    volumes = as_volumes(volumes)
    check_images(volumes, spec)
    first = volumes[0].grid
    grid = network_grid(first, spec)
    channels = (_channel(volume, first, spec, rule) for volume, rule in zip(volumes, spec.intensities))
    return NetworkInput(_stacked(channels, len(volumes)), grid)


def check_images(volumes: tuple[Volume, ...], spec: Specification) -> None:
    """Raise InputError where there are more or fewer images than channels, or one that no model can use."""
    wanted, given = len(spec.channels), len(volumes)
    if given != wanted:
        raise InputError(
            f"The model takes {wanted} {'image' if wanted == 1 else 'images'} at once ({', '.join(spec.channels)}); "
            f"{given} {'was' if given == 1 else 'were'} given.",
            "Choose one image for each of its channels.",
        )
    for volume in volumes:
        volume.check_usable()


def _channel(volume: Volume, first: Grid, spec: Specification, rule: Intensity) -> np.ndarray:
    turned = first.steps_to(spec.orientation)
    array = turned.apply(aligned(volume, first))
    array = resample(array, network_grid(first, spec).shape, orders_for(turned.apply_to_grid(first).spacing_mm))
    normalise(array, rule)
    return array


def _stacked(channels: Iterable[np.ndarray], count: int) -> np.ndarray:
    """Along a new first axis; holds no more than the result and one channel, and copies nothing where there is one."""
    channels = iter(channels)
    first = next(channels)
    if count == 1:
        return first[None]
    result = np.empty((count, *first.shape), dtype=np.float32)
    result[0] = first
    del first
    for number in range(1, count):
        result[number] = next(channels)
    return result


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
