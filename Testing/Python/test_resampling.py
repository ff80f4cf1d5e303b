"""Resampling by matrices equals scipy's splines, whatever array comes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.ndimage import zoom

from MedSegDLLib.engine import resampling
from MedSegDLLib.engine.resampling import CUBIC, LINEAR, operator, orders_for, resample

CUBIC_EVERYWHERE = (CUBIC,) * 3


def scipys(array: np.ndarray, shape, order: int) -> np.ndarray:
    """scipy's result, limited to the range of the input as nnU-Net does."""
    factors = [m / n for m, n in zip(shape, array.shape)]
    result = zoom(array.astype(np.float64), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(result, array.min(), array.max())


def noise(shape, dtype=np.float32, seed=0) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) * 250).astype(dtype)


@pytest.mark.parametrize("order", [CUBIC, LINEAR])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((20, 24, 30), (31, 36, 44)),
        ((20, 24, 30), (13, 11, 7)),
        ((20, 24, 30), (27, 24, 11)),
        ((9, 40, 41), (180, 20, 41)),
        ((100, 12, 70), (5, 13, 140)),
        ((12, 13, 14), (1, 1, 1)),
        ((1, 16, 17), (5, 20, 9)),
        ((15, 1, 1), (9, 1, 3)),
        ((2, 3, 4), (5, 5, 5)),
    ],
)
def test_it_equals_scipy(old, new, order):
    array = noise(old)
    found = resample(array, new, (order,) * 3)
    assert found.shape == new and found.dtype == np.float32 and found.flags.c_contiguous
    assert np.abs(found - scipys(array, new, order)).max() < 1e-5 * np.ptp(array)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i2", np.int32, np.float16, np.float64, bool])
def test_every_type_is_taken(dtype):
    array = noise((14, 15, 16), dtype)
    found = resample(array, (20, 9, 16), CUBIC_EVERYWHERE)
    assert np.abs(found - scipys(array.astype(np.float64), (20, 9, 16), CUBIC)).max() < 1e-5 * 250


def test_every_layout_is_taken():
    array = noise((14, 15, 16), np.int16)
    view = array.transpose(2, 0, 1)[::-1, :, ::-1]
    expected = resample(np.ascontiguousarray(view), (20, 9, 11), CUBIC_EVERYWHERE)
    assert np.array_equal(resample(view, (20, 9, 11), CUBIC_EVERYWHERE), expected)


def test_orders_belong_to_axes():
    array = noise((8, 20, 21))
    found = resample(array, (24, 30, 31), (LINEAR, CUBIC, CUBIC))
    in_plane = zoom(array.astype(float), (1, 30 / 20, 31 / 21), order=CUBIC, mode="nearest", grid_mode=True)
    expected = zoom(in_plane, (3, 1, 1), order=LINEAR, mode="nearest", grid_mode=True)
    assert np.abs(found - np.clip(expected, array.min(), array.max())).max() < 2e-3
    assert np.abs(found - scipys(array, (24, 30, 31), CUBIC)).max() > 1


def test_the_same_shape_is_an_exact_copy():
    array = noise((5, 6, 7), np.int16)
    found = resample(array, (5, 6, 7), CUBIC_EVERYWHERE)
    assert np.array_equal(found, array) and found.dtype == np.float32
    same = noise((5, 6, 7))
    found = resample(same, (5, 6, 7), CUBIC_EVERYWHERE)
    found[:] = 0
    assert same.max() > 0


def test_values_stay_in_the_range_where_a_spline_would_ring():
    step = np.zeros((16, 16, 16), np.int16)
    step[:, :, 8:] = 1000
    assert zoom(step.astype(float), 2.5, order=CUBIC, mode="nearest", grid_mode=True).min() < -20
    found = resample(step, (40, 40, 40), CUBIC_EVERYWHERE)
    assert found.min() == 0 and found.max() == 1000


def test_a_line_stays_a_line_where_neighbours_reach():
    ramp = np.broadcast_to(np.arange(32.0), (3, 3, 32))
    found = resample(ramp, (3, 3, 64), CUBIC_EVERYWHERE)[0, 0]
    expected = (np.arange(64) + 0.5) / 2 - 0.5
    assert np.allclose(found[16:-16], expected[16:-16], atol=1e-4)


def test_slabs_make_no_difference(monkeypatch):
    array = noise((33, 34, 35))
    whole = resample(array, (50, 20, 41), CUBIC_EVERYWHERE)
    monkeypatch.setattr(resampling, "_SLAB_BYTES", 20_000)
    assert np.abs(resample(array, (50, 20, 41), CUBIC_EVERYWHERE) - whole).max() < 1e-4


def test_blocks_cover_every_row_once_and_are_narrow():
    blocks = operator(512, 340, CUBIC)
    assert [block.rows.start for block in blocks] == list(range(0, 340, 32))
    assert blocks[-1].rows.stop == 340
    assert all(block.columns.stop - block.columns.start < 100 for block in blocks)


@pytest.mark.parametrize(
    ("spacing_mm", "orders"),
    [
        ((1, 1, 1), (CUBIC, CUBIC, CUBIC)),
        ((1, 1, 3), (CUBIC, CUBIC, CUBIC)),
        ((1, 1, 3.01), (LINEAR, CUBIC, CUBIC)),
        ((0.5, 0.5, 10), (LINEAR, CUBIC, CUBIC)),
        ((5, 1, 5), (LINEAR, CUBIC, LINEAR)),
    ],
)
def test_thick_slices_are_interpolated_linearly(spacing_mm, orders):
    assert orders_for(spacing_mm) == orders


def test_memory_is_the_result_one_intermediate_and_slabs():
    array = noise((40, 256, 256), np.int16)
    shape = (80, 200, 300)
    resample(array[:2], (80, 200, 300), CUBIC_EVERYWHERE)  # keeps the operators
    tracemalloc.start()
    resample(array, shape, CUBIC_EVERYWHERE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    larger = 4 * max(np.prod(shape), array.size)
    assert peak < 2 * larger + 2.5 * (32 << 20)
