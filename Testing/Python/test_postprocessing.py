"""Cleaning a labelmap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from MedSegDLLib.engine.postprocessing import bounding_box, keep_largest


def largest_by_scipy(labels: np.ndarray) -> np.ndarray:
    result = np.zeros_like(labels)
    for value in np.unique(labels[labels > 0]):
        pieces, count = ndimage.label(labels == value, np.ones((3, 3, 3)))
        sizes = ndimage.sum_labels(np.ones(labels.shape), pieces, range(1, count + 1))
        result[pieces == np.argmax(sizes) + 1] = value
    return result


def test_small_pieces_go_and_every_structure_keeps_one():
    labels = np.zeros((10, 10, 20), np.uint8)
    labels[1:4, 1:4, 1:4] = 3
    labels[4, 4, 4] = 3  # touches at a corner: 26 neighbours
    labels[8, 8, 8] = 3
    labels[1:3, 1:3, 10:18] = 200
    labels[6:8, 6:8, 15] = 200
    labels[3, 1:3, 10:18] = 7  # beside 200, not part of it
    keep_largest(labels)
    assert np.count_nonzero(labels == 3) == 28 and labels[8, 8, 8] == 0
    assert np.count_nonzero(labels == 200) == 32
    assert np.count_nonzero(labels == 7) == 16


@pytest.mark.parametrize("seed", range(4))
def test_it_equals_scipy_one_structure_at_a_time(seed):
    noise = np.random.default_rng(seed).normal(size=(20, 24, 28))
    labels = np.digitize(ndimage.gaussian_filter(noise, 1.5), [0.02, 0.06, 0.1]).astype(np.uint8) * 80
    expected = largest_by_scipy(labels)
    sizes = [np.bincount(ndimage.label(labels == v, np.ones((3, 3, 3)))[0].ravel())[1:] for v in (80, 160, 240)]
    assert all(np.count_nonzero(size == size.max()) == 1 for size in sizes)  # no tie
    view = np.zeros((28, 24, 20), np.uint8).transpose(2, 1, 0)[::-1]
    view[:] = labels
    keep_largest(view)
    assert np.array_equal(view, expected)
    assert not np.array_equal(labels, expected)


def test_nothing_stays_nothing():
    labels = np.zeros((3, 4, 5), np.uint8)
    keep_largest(labels)
    assert not labels.any()


def test_a_bounding_box_is_tight():
    mask = np.zeros((6, 7, 8), bool)
    assert bounding_box(mask) is None
    mask[2, 3, 4] = mask[4, 3, 7] = True
    assert bounding_box(mask) == (slice(2, 5), slice(3, 4), slice(4, 8))
    assert bounding_box(np.ones((2, 3, 4), bool)) == (slice(0, 2), slice(0, 3), slice(0, 4))
