"""Smoother outlines and no stray pieces: what a person asked for by a prompt is there all the same."""

from __future__ import annotations

import numpy as np
import pytest

from MedSegDLLib.engine.prompting import Mask
from MedSegDLLib.engine.prompting.finishing import finished
from MedSegDLLib.errors import InputError
from MedSegDLLib.prompts import Box, Point, Prompts, Stroke
from test_prompting import distance_mm, placed

SHAPE = (24, 40, 48)
CENTRE = (12, 20, 24)
GRID = placed(np.zeros(SHAPE)).grid  # oblique, 1.0 x 1.5 x 2.5 mm


def at(kji, include=True) -> Point:
    return Point(GRID.ras(kji[::-1]), include)


def finish(mask: np.ndarray, *prompts, grid=GRID, **options) -> np.ndarray:
    """As if the prompter had found the mask; on the whole grid, before and after."""
    box = tuple(slice(int(found.min()), int(found.max()) + 1) for found in np.nonzero(mask))
    part = Mask(mask[box], tuple(s.start for s in box))
    found = finished(part, grid, Prompts(prompts), **options)
    whole = np.zeros(mask.shape, bool)
    whole[tuple(slice(start, start + size) for start, size in zip(found.start, found.array.shape))] = found.array
    assert found.array.dtype == bool and whole.sum() == found.array.sum()
    return whole


@pytest.fixture
def ball() -> np.ndarray:
    return distance_mm(GRID, CENTRE) < 13


def surface(mask: np.ndarray) -> int:
    """Faces between inside and outside."""
    return sum(int(np.diff(mask.astype(np.int8), axis=axis).astype(bool).sum()) for axis in range(3))


def test_nothing_asked_for_is_nothing_done(ball):
    mask = Mask(ball, (0, 0, 0))
    assert finished(mask, GRID, Prompts([at(CENTRE)])) is mask


def test_a_rough_outline_becomes_smooth_and_keeps_its_size(ball):
    rng = np.random.default_rng(0)
    near = np.abs(distance_mm(GRID, CENTRE) - 13) < 1.5
    rough = np.where(near, rng.random(SHAPE) < 0.5, ball)
    smooth = finish(rough, at(CENTRE), smoothing_mm=2.0)
    assert surface(smooth) < 0.7 * surface(rough)
    assert 2 * (smooth & ball).sum() / (smooth.sum() + ball.sum()) > 0.96


def test_smoothing_is_in_mm(ball):
    """A spike of 2.5 mm, one voxel, along k is as thin as one of 2 or 3 voxels along the finer axes."""
    spiked = ball.copy()
    spiked[12, 19:22, :] = True  # 4.5 mm wide
    assert finish(spiked, at(CENTRE), smoothing_mm=0.3)[12, 20, 0]
    assert not finish(spiked, at(CENTRE), smoothing_mm=3.0)[12, 20, 0]


def test_no_included_voxel_is_lost_and_no_excluded_one_won(ball):
    mask = ball.copy()
    tip, hole = (3, 5, 5), (12, 22, 27)
    mask[tip], mask[hole] = True, False
    line = Stroke(GRID.ras([(24, 20, 12), (24, 38, 12)]))
    mask[12, 20:39, 24] = True
    smooth = finish(mask, at(CENTRE), at(tip), at(hole, include=False), line, smoothing_mm=4.0)
    assert smooth[CENTRE] and smooth[tip] and not smooth[hole]
    assert smooth[12, 20:39, 24].all()


def test_smoothing_stays_within_a_box(ball):
    limit = Box(GRID.ras([(14, 10, 12), (24, 30, 12)]))
    mask = ball & (np.arange(SHAPE[2]) <= 24)
    smooth = finish(mask, at((12, 20, 20)), limit, smoothing_mm=3.0)
    assert smooth.any() and not smooth[:, :, 25:].any()


def test_a_structure_that_the_image_cuts_off_keeps_its_end():
    mask = np.zeros(SHAPE, bool)
    mask[:, 15:26, 18:31] = True  # from the first slice to the last
    smooth = finish(mask, at(CENTRE), smoothing_mm=2.0)
    assert np.array_equal(smooth[0], smooth[12]) and np.array_equal(smooth[-1], smooth[12])
    assert smooth[0].sum() > 0.9 * mask[0].sum()


@pytest.mark.parametrize("shape", [(1, 40, 48), (24, 1, 48), (24, 40, 1)])
def test_a_picture_is_smoothed_in_its_plane(shape):
    grid = placed(np.zeros(shape), (1.0, 1.0, 1.0)).grid
    centre = tuple(size // 2 for size in shape)
    mask = distance_mm(grid, centre) < 9
    smooth = finish(mask, Point(grid.ras(centre[::-1])), grid=grid, smoothing_mm=2.0)
    assert 2 * (smooth & mask).sum() / (smooth.sum() + mask.sum()) > 0.95


def test_only_pieces_with_a_click_stay(ball):
    mask = ball.copy()
    mask[2:4, 3:6, 3:6] = mask[20:22, 34:37, 40:44] = True
    assert np.array_equal(finish(mask, at(CENTRE), islands="clicked"), ball)
    kept = finish(mask, at(CENTRE), at((3, 4, 4)), at((21, 35, 42), include=False), islands="clicked")
    assert kept[3, 4, 4] and not kept[20:22, 34:37, 40:44].any()


def test_pieces_that_touch_at_a_corner_are_one():
    mask = np.zeros(SHAPE, bool)
    mask[5:8, 5:8, 5:8] = mask[8:11, 8:11, 8:11] = True
    assert np.array_equal(finish(mask, at((6, 6, 6)), islands="clicked"), mask)


def test_what_smoothing_tears_off_is_an_island_too(ball):
    mask = ball.copy()
    mask[12, 20, 24:46] = True  # a thread
    mask[10:15, 17:24, 42:48] = True
    both = finish(mask, at(CENTRE), smoothing_mm=2.0)
    clicked = finish(mask, at(CENTRE), smoothing_mm=2.0, islands="clicked")
    assert both[12, 20, 45] and not clicked[12, 20, 45] and clicked[CENTRE]


def test_a_box_without_a_click_counts_by_its_middle(ball):
    mask = ball.copy()
    mask[2:4, 3:6, 3:6] = True
    assert np.array_equal(finish(mask, Box(GRID.ras([(5, 5, 12), (43, 35, 12)])), islands="clicked"), ball)


def test_an_empty_mask_stays_empty():
    empty = Mask(np.zeros((1, 1, 1), bool), (0, 0, 0))
    assert finished(empty, GRID, Prompts([at(CENTRE)]), 2.0, "clicked") is empty


@pytest.mark.parametrize("options", [{"smoothing_mm": -1.0}, {"smoothing_mm": float("nan")}, {"islands": "largest"}])
def test_what_is_not_understood_is_said(ball, options):
    with pytest.raises(InputError, match="cannot be smoothed by"):
        finished(Mask(ball, (0, 0, 0)), GRID, Prompts([at(CENTRE)]), **options)
