"""What the network sees: turned, resampled and normalised, and where that lies in the patient."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from bundle_makers import specification
from MedSegDLLib.bundle import Intensity
from MedSegDLLib.demand import network_grid
from MedSegDLLib.engine.preprocessing import normalise, prepare
from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import Volume
from test_volume import GRIDS


def image(shape=(12, 14, 16), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 50, shape).astype(np.float32)


def test_a_window_clips_and_scales_by_fixed_numbers():
    array = np.array([[[-2000, -1000, 0, 1000, 2000]]], np.float32)
    normalise(array, Intensity("window", low=-1000, high=1000, mean=-200, std=500))
    assert array.ravel().tolist() == pytest.approx([-1.6, -1.6, 0.4, 2.4, 2.4])


def test_zscore_has_mean_0_and_deviation_1():
    array = image()
    expected = (array - array.mean(dtype=np.float64)) / array.std(dtype=np.float64)
    normalise(array, Intensity("zscore"))
    assert np.allclose(array, expected, atol=1e-5)


def test_percentiles_are_those_of_the_image():
    array = image()
    array[0, 0, 0] = 1e6
    low, high = np.percentile(array, (1, 99))
    expected = np.clip(array, low, high).astype(np.float64)
    expected = (expected - expected.mean()) / expected.std()
    normalise(array, Intensity("percentile", low=1, high=99))
    assert np.allclose(array, expected, atol=1e-4)


def test_an_image_that_percentiles_make_constant_stays_finite():
    array = np.zeros((10, 10, 10), np.float32)
    array[0, 0, 0] = 5
    normalise(array, Intensity("percentile", low=1, high=99))
    assert np.isfinite(array).all()


def test_statistics_are_exact_far_from_zero():
    array = image() / 1000 + 30000
    expected = (array - array.mean(dtype=np.float64)) / array.std(dtype=np.float64)
    normalise(array, Intensity("zscore"))
    assert np.allclose(array, expected, atol=0.05)
    assert abs(float(array.std(dtype=np.float64)) - 1) < 0.01


def test_statistics_hold_no_copy_of_the_image():
    array = image((64, 128, 128))
    tracemalloc.start()
    normalise(array, Intensity("zscore"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < array.nbytes / 4


@pytest.mark.parametrize("matrix", GRIDS.values(), ids=GRIDS.keys())
def test_a_prepared_image_lies_where_it_was(matrix):
    """A linear function of the position stays that function, away from the edges."""
    volume = Volume(np.zeros((24, 26, 28)), matrix)
    ras = volume.grid.ras(np.indices(volume.array.shape).reshape(3, -1).T[:, ::-1]).reshape(*volume.array.shape, 3)
    slope = np.array([1.0, -2.0, 3.0])
    spec = specification(spacing_mm=(0.6, 0.8, 1.0), orientation="LPS")
    prepared = prepare(volume.with_array(ras @ slope), spec)
    assert prepared.grid.agrees_with(network_grid(volume.grid, spec))
    assert prepared.grid.orientation() == "LPS"
    found = prepared.grid.ras(np.indices(prepared.grid.shape).reshape(3, -1).T[:, ::-1]) @ slope
    inner = tuple(slice(n // 4, n - n // 4) for n in prepared.grid.shape)
    difference = prepared.array[0] - found.reshape(prepared.grid.shape)
    assert np.abs(difference[inner]).max() < 0.1  # of a range of more than 200


def test_the_network_grid_has_nearly_the_models_spacing():
    volume = Volume(np.zeros((10, 200, 100)), np.diag([0.7, 0.7, 5.0, 1.0]))
    grid = network_grid(volume.grid, specification(spacing_mm=(1.5, 1.5, 1.5), orientation="LPS"))
    assert grid.shape == (33, 93, 47)
    assert np.allclose(grid.spacing_mm, 1.5, rtol=0.02)
    assert np.allclose(sorted(grid.extent_mm), sorted(volume.grid.extent_mm))


def test_the_input_is_left_alone():
    volume = Volume(image(), np.eye(4))
    before = volume.array.copy()
    prepare(volume, specification(intensity=Intensity("zscore")))
    assert np.array_equal(volume.array, before)


@pytest.mark.parametrize("array", [np.zeros((2, 2, 2)), np.full((1, 1, 2), np.nan), np.zeros((0, 1, 1))])
def test_what_cannot_be_used_is_refused(array):
    with pytest.raises(InputError):
        prepare(Volume(array), specification())
