"""The untrained prompter, on bright and dark bodies whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from MedSegDLLib.engine.prompting import FrontPrompter
from MedSegDLLib.engine.prompting.fusion import threshold_of_best_dice
from MedSegDLLib.engine.prompting.pyramid import Pyramid, resampled
from MedSegDLLib.errors import CancelledError, InputError
from MedSegDLLib.prompts import Box, Point, Prompts, Stroke
from MedSegDLLib.volume import Volume

SPACING_MM = (1.0, 1.5, 2.5)  # i, j, k
SHAPE = (24, 40, 48)
OBLIQUE = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]])


def placed(array, spacing_mm=SPACING_MM, directions=OBLIQUE, origin=(-30.0, 12.0, 7.5)):
    matrix = np.eye(4)
    matrix[:3, :3] = directions * spacing_mm
    matrix[:3, 3] = origin
    return Volume(array, matrix)


def distance_mm(grid, kji):
    """Of every voxel from one of them."""
    indices = np.indices(grid.shape)[::-1].reshape(3, -1).T
    return np.linalg.norm(grid.ras(indices) - grid.ras(kji[::-1]), axis=1).reshape(grid.shape)


def noisy(mask, contrast=100.0, seed=0):
    """A scanner's blur and noise on a body."""
    rng = np.random.default_rng(seed)
    sigma = [0.0 if size == 1 else 0.6 for size in mask.shape]
    grey = ndimage.gaussian_filter(contrast * mask.astype(np.float32), sigma)
    return (grey + rng.normal(0, 8, mask.shape)).astype(np.int16)


def click(volume, kji, include=True):
    return Point(volume.grid.ras(kji[::-1]), include)


def segment(volume, *prompts, prompter=None):
    """The mask on the whole grid."""
    found = (prompter or FrontPrompter()).segment(volume, Prompts(prompts))
    whole = np.zeros(volume.array.shape, bool)
    whole[tuple(slice(start, start + size) for start, size in zip(found.start, found.array.shape))] = found.array
    assert found.array.dtype == bool and whole.sum() == found.array.sum()
    return whole


def dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.fixture(scope="module")
def ball():
    """A ball in an oblique, anisotropic, flipped volume; its centre and its mask."""
    centre = (12, 20, 24)
    grid = placed(np.zeros(SHAPE)).grid
    mask = distance_mm(grid, centre) < 13
    return placed(noisy(mask)), centre, mask


@pytest.fixture(scope="module")
def dumbbell():
    """Two equal balls and a bridge between them; the centres and the masks of the balls."""
    grid = placed(np.zeros((24, 40, 80)), SPACING_MM).grid
    left, right = (12, 20, 20), (12, 20, 58)
    masks = [distance_mm(grid, centre) < 12 for centre in (left, right)]
    bridge = np.zeros(grid.shape, bool)
    bridge[11:14, 18:23, 20:58] = True
    return placed(noisy(masks[0] | masks[1] | bridge)), (left, right), masks


# One click


@pytest.mark.parametrize("contrast", [100.0, -100.0])
def test_one_click_finds_a_ball_bright_or_dark(ball, contrast):
    volume, centre, mask = ball
    volume = volume.with_array(noisy(mask, contrast))
    assert dice(segment(volume, click(volume, centre)), mask) > 0.9


def test_the_click_need_not_be_in_the_middle(ball):
    volume, (k, j, i), mask = ball
    assert dice(segment(volume, click(volume, (k + 2, j - 3, i + 6))), mask) > 0.85


def test_the_result_lies_near_the_click_and_not_on_a_like_structure_elsewhere(dumbbell):
    volume, (left, right), masks = dumbbell
    alone = volume.with_array(noisy(masks[0] | masks[1]))
    found = segment(alone, click(alone, left))
    assert dice(found, masks[0]) > 0.85 and not (found & masks[1]).any()


def test_a_structure_wider_than_any_fixed_crop():
    grid = placed(np.zeros((60, 60, 60)), (4.0, 4.0, 4.0)).grid
    mask = distance_mm(grid, (30, 30, 30)) < 95
    volume = placed(noisy(mask), (4.0, 4.0, 4.0))
    assert dice(segment(volume, click(volume, (30, 30, 30))), mask) > 0.9


def test_a_picture():
    grid = placed(np.zeros((1, 90, 120)), (0.5, 0.5, 1.0)).grid
    mask = distance_mm(grid, (0, 50, 40)) < 9
    volume = placed(noisy(mask), (0.5, 0.5, 1.0))
    assert dice(segment(volume, click(volume, (0, 50, 40))), mask) > 0.9
    in_front = Point(volume.grid.ras((40, 50, 3)))  # a slice view that stands somewhat off the image
    assert dice(segment(volume, in_front), mask) > 0.9


@pytest.mark.parametrize("shape", [(30, 1, 40), (30, 40, 1), (2, 30, 40), (3, 3, 60), (1, 1, 60)])
def test_thin_volumes(shape):
    centre = tuple(size // 2 for size in shape)
    mask = distance_mm(placed(np.zeros(shape)).grid, centre) < 12
    volume = placed(noisy(mask))
    found = segment(volume, click(volume, centre))
    assert found[centre] and dice(found, mask) > 0.6


# Later prompts


def test_an_include_click_adds_a_part_and_keeps_the_rest(dumbbell):
    volume, (left, right), masks = dumbbell
    found = segment(volume, click(volume, left), click(volume, right))
    assert [(found & mask).sum() > 0.8 * mask.sum() for mask in masks] == [True, True]
    assert dice(found, masks[0] | masks[1]) > 0.85


def test_a_click_far_from_a_small_structure_finds_another_part_and_does_not_leak():
    """Two small balls at either end: the distance between them says nothing of their size."""
    grid = placed(np.zeros((24, 40, 160))).grid
    left, right = (12, 20, 12), (12, 20, 147)
    masks = [distance_mm(grid, centre) < 8 for centre in (left, right)]
    volume = placed(noisy(masks[0] | masks[1]))
    first = segment(volume, click(volume, left))
    both = segment(volume, click(volume, left), click(volume, right))
    assert dice(both, masks[0] | masks[1]) > 0.8 and (both & first).sum() == first.sum()


def test_a_far_click_keeps_to_what_was_excluded():
    grid = placed(np.zeros((24, 40, 160))).grid
    left, right, out = (12, 20, 12), (12, 20, 147), (12, 20, 144)
    volume = placed(noisy(distance_mm(grid, left) < 8) + noisy(distance_mm(grid, right) < 8))
    found = segment(volume, click(volume, left), click(volume, out, include=False), click(volume, right))
    assert found[left] and found[right] and not found[out]


def test_an_include_click_where_all_was_taken_away_is_a_first_click(ball):
    volume, centre, mask = ball
    taken_away = [click(volume, centre), click(volume, centre, include=False)]
    assert not segment(volume, *taken_away)[centre]
    assert np.array_equal(segment(volume, *taken_away, click(volume, centre)), segment(volume, click(volume, centre)))


def test_an_exclude_click_cuts():
    rod = np.zeros((24, 40, 80), bool)
    rod[9:15, 14:26, 10:70] = True
    volume = placed(noisy(rod))
    whole = [click(volume, (12, 20, i)) for i in (20, 40, 60)]
    before = segment(volume, *whole)
    assert dice(before, rod) > 0.8
    after = segment(volume, *whole[:2], click(volume, (12, 20, 65), include=False))
    assert (after & rod)[..., 62:].sum() < 0.5 * rod[..., 62:].sum()
    assert (after & rod)[..., :45].sum() > 0.8 * rod[..., :45].sum()


def test_a_click_that_agrees_changes_nothing(ball):
    volume, centre, mask = ball
    found = segment(volume, click(volume, centre))
    inside = tuple(np.argwhere(found)[found.sum() // 3])
    assert np.array_equal(segment(volume, click(volume, centre), click(volume, inside)), found)


def test_every_click_is_honoured_to_the_voxel(ball):
    volume, centre, _ = ball
    rng = np.random.default_rng(3)
    prompts, wanted = [click(volume, centre)], {}
    for _ in range(6):
        kji, include = tuple(int(n) for n in rng.integers(0, SHAPE)), bool(rng.integers(2))
        prompts.append(click(volume, kji, include))
        wanted[kji] = include
    found = segment(volume, *prompts)
    assert {kji: bool(found[kji]) for kji in wanted} == wanted


def test_an_exclude_click_before_the_first_include_click(ball):
    volume, centre, mask = ball
    outside = (2, 3, 4)
    found = segment(volume, click(volume, outside, include=False), click(volume, centre))
    assert dice(found, mask) > 0.85 and not found[outside]


def test_a_hole_made_on_purpose_stays(ball):
    volume, centre, mask = ball
    cavity = distance_mm(volume.grid, centre) < 4
    volume = volume.with_array(noisy(mask & ~cavity))
    k, j, i = centre
    found = segment(volume, click(volume, (k, j, i + 9)), click(volume, centre, include=False))
    assert (found & cavity).sum() < 0.5 * cavity.sum()


# Strokes and boxes


def test_a_stroke_belongs_to_the_structure_over_its_width(dumbbell):
    volume, (left, right), masks = dumbbell
    ras = volume.grid.ras([left[::-1], right[::-1]])
    found = segment(volume, Stroke(ras, radius_mm=3.0))
    assert dice(found, masks[0] | masks[1]) > 0.8
    assert found[12, 20, 20:59].all() and found[12, 18:23, 40].all()


def test_an_exclude_stroke_parts_what_hangs_together(dumbbell):
    volume, (left, right), _ = dumbbell
    across = volume.grid.ras([(40, 12, 12), (40, 28, 12)])
    found = segment(volume, click(volume, left), click(volume, right), Stroke(across, include=False, radius_mm=2.0))
    assert not found[12, 12:29, 40].any() and found[left] and found[right]


def test_a_flat_box_limits_the_structure_in_every_slice(dumbbell):
    volume, (left, _), masks = dumbbell
    drawn = Box(volume.grid.ras([(5, 8, 12), (35, 32, 12)]))
    found = segment(volume, drawn)
    _, j, i = np.nonzero(found)
    assert (j.min() >= 8, j.max() <= 32, i.min() >= 5, i.max() <= 35) == (True,) * 4
    assert dice(found, masks[0]) > 0.85 and found.any(axis=(1, 2)).sum() > 5


def test_a_box_after_a_click_cuts_what_sticks_out(ball):
    volume, centre, mask = ball
    box = Box(volume.grid.ras([(0, 0, 12), (24, 39, 12)]))
    found = segment(volume, click(volume, centre), box)
    assert found[centre] and not found[:, :, 25:].any()
    assert dice(found, mask & (np.arange(SHAPE[2]) <= 24)) > 0.85


def test_an_exclude_box_is_taken_away_whole(ball):
    volume, centre, mask = ball
    box = Box(volume.grid.ras([(24, 20, 12), (40, 35, 14)]), include=False)
    found = segment(volume, click(volume, (12, 15, 20)), box)
    assert not found[12:15, 20:36, 24:41].any() and dice(found, mask) > 0.7


# What it refuses


@pytest.mark.parametrize("entries", [(), (Point((0, 0, 0), include=False),)])
def test_without_an_include_prompt(ball, entries):
    volume, centre, _ = ball
    exclude = [click(volume, centre, include=False)] if entries else []
    with pytest.raises(InputError, match="belongs") as caught:
        segment(volume, *exclude)
    assert caught.value.remedy


@pytest.mark.parametrize("kji", [(-1, 20, 24), (12, 40, 24), (12, 20, -3)])
def test_outside_the_image(ball, kji):
    volume, centre, _ = ball
    for prompt in (click(volume, kji), Stroke([volume.grid.ras(kji[::-1])])):
        with pytest.raises(InputError, match="outside") as caught:
            segment(volume, click(volume, centre), prompt)
        assert caught.value.remedy


def test_a_box_beside_the_image(ball):
    volume, _, _ = ball
    with pytest.raises(InputError, match="outside"):
        segment(volume, Box(volume.grid.ras([(-20, 5, 5), (-10, 9, 9)])))


def test_a_stroke_may_leave_the_image(ball):
    volume, centre, _ = ball
    found = segment(volume, Stroke(volume.grid.ras([centre[::-1], (60, 20, 12)])))
    assert found[12, 20, 24:].all()


def test_an_image_without_contrast():
    volume = placed(np.full(SHAPE, 7, np.int16))
    with pytest.raises(InputError, match="empty"):
        segment(volume, click(volume, (5, 5, 5)))


@pytest.mark.parametrize("patience", [0, 1, 5])
def test_cancelling(ball, patience):
    volume, centre, _ = ball
    answers = iter([False] * patience)
    with pytest.raises(CancelledError):
        FrontPrompter().segment(volume, Prompts([click(volume, centre)]), lambda: next(answers, True))


def test_a_cancelled_click_leaves_the_former_ones(ball):
    volume, centre, _ = ball
    prompts = Prompts([click(volume, centre), click(volume, (3, 5, 5))])
    prompter = FrontPrompter()
    first = prompter.segment(volume, prompts.without_last())
    answers = iter([False, False])
    with pytest.raises(CancelledError):
        prompter.segment(volume, prompts, lambda: next(answers, True))
    assert np.array_equal(prompter.segment(volume, prompts.without_last()).array, first.array)


# The same answer every time


def test_the_answer_depends_on_nothing_but_volume_and_prompts(ball, dumbbell):
    volume, centre, _ = ball
    prompts = [click(volume, centre), click(volume, (4, 6, 6)), click(volume, (12, 20, 30), include=False)]
    fresh = segment(volume, *prompts)
    used = FrontPrompter()
    segment(dumbbell[0], click(dumbbell[0], dumbbell[1][0]), prompter=used)
    for count in (1, 3):
        again = segment(volume, *prompts[:count], prompter=used)
    assert np.array_equal(again, fresh)
    moved = Volume(volume.array, placed(volume.array, (2.0, 2.0, 2.0)).ijk_to_ras)
    first = segment(moved, click(moved, centre))
    segment(volume, *prompts, prompter=used)
    assert np.array_equal(segment(moved, click(moved, centre), prompter=used), first)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64, bool])
def test_every_kind_of_grey_value(ball, dtype):
    volume, centre, mask = ball
    array = mask if dtype is bool else np.clip(noisy(mask), 0, 255).astype(dtype)
    assert dice(segment(volume.with_array(array), click(volume, centre)), mask) > 0.9


# Its parts


def test_threshold_of_the_best_expected_dice():
    shares = np.repeat([0.9, 0.5, 0.1], (100, 50, 1000))
    best = max((2 * shares[shares >= t].sum() / ((shares >= t).sum() + shares.sum()), t) for t in np.unique(shares))
    assert threshold_of_best_dice(shares) == best[1]


def test_a_pyramid_keeps_every_voxel_in_its_place():
    """A ramp stays the same ramp on every level, and comes back from there."""
    shape = (10, 64, 48)
    ramp = np.indices(shape)[2].astype(np.float32)
    pyramid = Pyramid(placed(ramp, (1.0, 1.0, 4.0)))
    whole = pyramid.image.window((0, 0, 0), np.array(shape) - 1)
    for number in (1, 2, 3):
        level = pyramid.level(number)
        window = level.window((0, 8, 8), (9, 55, 39))
        expected = (np.arange(*(window.start[2], (window.start + window.shape)[2])) + 0.5) * level.factor[2] - 0.5
        assert np.allclose(window.image(), expected)
        assert np.allclose(resampled(ramp, whole, window), window.image())
        inner = pyramid.image.window((2, 20, 20), (6, 30, 30))
        assert np.allclose(resampled(window.image(), window, inner), ramp[inner.slices], atol=1e-4)
    assert pyramid.level(1).factor.tolist() == [1, 2, 2] and pyramid.level(3).factor.tolist() == [2, 8, 8]
    assert pyramid.level(99) is pyramid.level(98)
