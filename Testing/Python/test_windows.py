"""Sliding windows: they cover everything, and their sum, layer by layer, is the sum over the whole volume."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from MedSegDLLib.engine import windows
from MedSegDLLib.engine.windows import SlidingWindow, gaussian, starts
from MedSegDLLib.errors import CancelledError

SIZES = [((7, 8, 9), (7, 8, 9)), ((20, 17, 13), (8, 8, 8)), ((3, 5, 4), (8, 6, 8)), ((30, 4, 9), (8, 8, 1))]
every_size = pytest.mark.parametrize(("size", "window"), SIZES)


class Numbers:
    """A runtime in numpy; its network, a function of the channels, sees the window's position through its values."""

    precision = "f32"

    def __init__(self, network, classes: int = 3):
        self.network = network
        self.classes = classes
        self.seen = []
        self.largest_array = 0

    def __call__(self, window):
        assert window.dtype == np.float32 and window.flags.c_contiguous
        self.seen.append(window.copy())
        return self.network(*window)

    def unmirrored(self, logits, steps):
        return logits[(slice(None), *(slice(None, None, step) for step in steps))]

    def add_weighted(self, total, logits, weight):
        total += logits * weight

    def zeros(self, shape):
        self.largest_array = max(self.largest_array, int(np.prod(shape)))
        return np.zeros(shape, np.float32)

    def upload(self, array):
        return array


def uneven(window: np.ndarray) -> np.ndarray:
    """Depends on the place in the window, is not symmetric, and uses neighbours."""
    ramp = np.arange(window.size, dtype=np.float32).reshape(window.shape) / window.size
    return np.stack([np.roll(window, 1, axis=2) + ramp, window * ramp, np.cumsum(window, axis=1)])


def joined(runtime, image, window, overlap, mirror=(False,) * 3, air=None, **more) -> tuple[np.ndarray, SlidingWindow]:
    """The logits of an image (k, j, i), or of one of several channels."""
    sliding = SlidingWindow(runtime, window, overlap, mirror, air)
    channels = image if image.ndim == 4 else image[None]
    return np.concatenate([layers.copy() for layers in sliding.layers(channels, **more)], axis=1), sliding


def brute_force(network, image, window, overlap) -> np.ndarray:
    """Every window into arrays of the whole volume, padded generously."""
    pad = max(window)
    padded = np.pad(image, pad)
    total, weight = np.zeros((3, *padded.shape)), np.zeros(padded.shape)
    for corner in product(*(starts(n, m, overlap) for n, m in zip(image.shape, window))):
        part = tuple(slice(start + pad, start + pad + m) for start, m in zip(corner, window))
        total[(slice(None), *part)] += network(padded[part]) * gaussian(window)
        weight[part] += gaussian(window)
    inside = (slice(pad, -pad),) * 3
    return total[(slice(None), *inside)] / weight[inside]


def noise(shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("window", [1, 2, 7, 8, 64])
@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 16, 63, 65, 200])
def test_windows_cover_the_axis_and_overlap(size, window, overlap):
    first = starts(size, window, overlap)
    if size <= window:
        assert len(first) == 1 and first[0] <= 0 and first[0] + window >= size
        assert abs((first[0] + window - size) + first[0]) <= 1  # as much before as behind
        return
    steps = np.diff(first)
    assert first[0] == 0 and first[-1] == size - window
    assert steps.min() >= 1 and steps.max() <= max(1, np.ceil(window * (1 - overlap) - 1e-9))


def test_no_more_windows_than_needed():
    assert starts(128, 64, 0.5) == [0, 32, 64]
    assert starts(128, 64, 0.0) == [0, 64]
    assert starts(129, 64, 0.0) == [0, 32, 65]


@pytest.mark.parametrize("window", [(8, 8, 8), (9, 4, 1)])
def test_weights_are_symmetric_positive_and_fall_from_the_centre(window):
    weights = gaussian(window)
    assert weights.shape == window and weights.dtype == np.float32
    assert weights.min() >= 1e-4
    assert weights.max() == weights[tuple(n // 2 for n in window)] <= 1
    assert np.allclose(weights, weights[::-1, ::-1, ::-1])
    assert weights[0, 0, 0] == weights.min()


@every_size
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
def test_the_sum_equals_that_over_the_whole_volume(size, window, overlap):
    image = noise(size)
    found, sliding = joined(Numbers(uneven), image, window, overlap)
    assert found.shape == (3, *size)
    assert np.allclose(found, brute_force(uneven, image, window, overlap), atol=1e-4)
    assert sliding.windows == np.prod([len(starts(n, m, overlap)) for n, m in zip(size, window)])


@every_size
@pytest.mark.parametrize("mirror", [(False,) * 3, (True, False, True)])
def test_every_channel_reaches_the_network_in_its_place(size, window, mirror):
    """A network that is linear in its channels answers with that combination of them."""
    image = noise((2, *size))
    found, _ = joined(Numbers(lambda a, b: np.stack([a, b, a - 2 * b])), image, window, 0.5, mirror)
    assert np.allclose(found, [image[0], image[1], image[0] - 2 * image[1]], atol=1e-5)


def test_air_is_judged_by_the_first_channel():
    image = np.stack([np.full((8, 8, 16), -1000.0), np.full((8, 8, 16), 50.0)]).astype(np.float32)
    image[0, :, :, 12:] = 50
    runtime = Numbers(lambda a, b: np.stack([a, b, a]))
    _, sliding = joined(runtime, image, (8, 8, 8), 0.0, air=-500)
    assert (sliding.windows, sliding.skipped, len(runtime.seen)) == (2, 1, 1)


@every_size
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
def test_a_constant_network_stays_constant(size, window, overlap):
    found, _ = joined(Numbers(lambda w: np.stack([w * 0 + n for n in range(3)])), noise(size), window, overlap)
    assert np.allclose(found, np.arange(3)[:, None, None, None], atol=1e-6)


@pytest.mark.parametrize("mirror", [(True, True, True), (False, False, True), (True, False, False)])
@pytest.mark.parametrize(("size", "window"), [((12, 9, 10), (8, 8, 8)), ((4, 9, 10), (1, 8, 8))])
def test_mirroring_averages_over_the_directions_allowed(size, window, mirror):
    image, runtime = noise(size), Numbers(uneven)
    found, sliding = joined(runtime, image, window, 0.5, mirror=mirror)
    turned = [axis and width > 1 for axis, width in zip(mirror, window)]
    directions = list(product(*((1, -1) if axis else (1,) for axis in turned)))

    def averaged(part):
        turns = [tuple(slice(None, None, step) for step in steps) for steps in directions]
        return np.mean([uneven(part[turn])[(slice(None), *turn)] for turn in turns], axis=0)

    assert np.allclose(found, brute_force(averaged, image, window, 0.5), atol=1e-4)
    assert len(runtime.seen) == len(directions) * sliding.windows


def test_air_is_background_and_not_looked_at():
    image = np.full((8, 8, 24), -1000, np.float32)
    image[:, :, 20:] = 50  # in the last of five windows, and at the end of the fourth
    runtime = Numbers(lambda w: np.stack([w * 0, w * 0 + 5, w * 0]))
    found, sliding = joined(runtime, image, (8, 8, 8), 0.5, air=-500)
    assert starts(24, 8, 0.5) == [0, 4, 8, 12, 16]
    assert (sliding.windows, sliding.skipped, len(runtime.seen)) == (5, 4, 1)
    assert all((window > -500).any() for window in runtime.seen)
    classes = found.argmax(axis=0)
    assert (classes[:, :, :16] == 0).all() and (classes[:, :, 16:] == 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_skipping_air_changes_nothing_where_something_is(seed):
    image = noise((20, 18, 16), seed)
    image[:12, :9] = -10
    looked, _ = joined(Numbers(uneven), image, (6, 6, 6), 0.5)
    skipped, sliding = joined(Numbers(uneven), image, (6, 6, 6), 0.5, air=-9)
    assert sliding.skipped > 0
    kept = np.ones(image.shape, bool)
    for corner in product(*(starts(n, 6, 0.5) for n in image.shape)):
        part = tuple(slice(start, start + 6) for start in corner)
        if (image[part] <= -9).all():
            kept[part] = False
    assert np.allclose(looked[:, kept], skipped[:, kept], atol=1e-5)
    assert (skipped[:, image > -9].any(axis=0)).all()


def test_nothing_but_air():
    runtime = Numbers(uneven)
    found, sliding = joined(runtime, np.full((20, 9, 9), -1.0, np.float32), (8, 8, 8), 0.5, air=-1.0)
    assert runtime.seen == [] and sliding.skipped == sliding.windows == 4 * 2 * 2
    assert found.shape == (3, 20, 9, 9) and (found.argmax(axis=0) == 0).all()


def test_progress_counts_every_window_that_is_looked_at():
    image = noise((20, 9, 9))
    image[:8] = -10
    calls = []
    _, sliding = joined(Numbers(uneven), image, (8, 8, 8), 0.5, air=-9, progress=lambda *call: calls.append(call))
    total = sliding.windows - sliding.skipped
    assert calls == [(n, total, "Segmenting") for n in range(1, total + 1)]


def test_cancelling_stops_before_the_next_window():
    runtime = Numbers(uneven)
    with pytest.raises(CancelledError):
        joined(runtime, noise((20, 9, 9)), (8, 8, 8), 0.5, cancelled=lambda: len(runtime.seen) == 3)
    assert len(runtime.seen) == 3


def test_memory_is_one_window_deep():
    runtime = Numbers(uneven)
    found, _ = joined(runtime, noise((100, 9, 10)), (8, 8, 8), 0.5)
    assert runtime.largest_array == 3 * 8 * 9 * 10
    assert found.shape == (3, 100, 9, 10)


def test_layers_come_as_soon_as_they_are_decided():
    runtime = Numbers(uneven)
    sliding = SlidingWindow(runtime, (8, 8, 8), 0.5)
    sizes, seen = [], []
    for layers in sliding.layers(noise((1, 20, 8, 8))):
        sizes.append(layers.shape[1])
        seen.append(len(runtime.seen))
    assert sizes == [4, 4, 4, 8] and seen == [1, 2, 3, 4]


@pytest.mark.parametrize(("count", "rest"), [(1, 7), (3, 5), (4, 4), (7, 1), (8, 0)])
def test_the_buffer_moves_up(count, rest):
    buffer = np.arange(1, 9)
    windows._move_up(buffer, count, rest)
    assert buffer.tolist() == [*range(count + 1, 9), *[0] * count]
