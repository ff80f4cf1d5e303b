"""The overview: is everything where a radiologist looks for it? Judged by its parts and by its pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from MedSegDLLib.errors import OutputError
from MedSegDLLib.scene.picture import PLANES, draw_overview
from MedSegDLLib.scene.render import draw_surfaces
from MedSegDLLib.scene.structures import find_structures, richest_point
from MedSegDLLib.volume import Volume
from scene_cases import GRIDS, LABELS, labelmap_on, placed, rotation

BACKGROUND = (0.0, 0.0, 0.0)
HEART, KIDNEY, TUMOUR = (
    replace(label, color=color) for label, color in zip(LABELS, ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
)


def boxes(shape=(40, 40, 40), ijk_to_ras=None, **regions) -> Volume:
    """A labelmap in RAS with the regions painted in order: `heart=((k, k), (j, j), (i, i))`."""
    array = np.zeros(shape, dtype=np.uint8)
    values = {"heart": HEART.value, "kidney": KIDNEY.value, "tumour": TUMOUR.value}
    for name, bounds in regions.items():
        array[tuple(slice(*edges) for edges in bounds)] = values[name]
    return Volume(array, np.eye(4) if ijk_to_ras is None else ijk_to_ras)


def center_of(image: np.ndarray, channel: int) -> tuple[float, float]:
    """Row and column of the pixels where the channel dominates, as shares of the image."""
    others = [n for n in range(3) if n != channel]
    rows, columns = np.nonzero(image[..., channel] > image[..., others].max(axis=-1) + 0.2)
    return rows.mean() / image.shape[0], columns.mean() / image.shape[1]


@pytest.mark.parametrize("ijk_to_ras", [np.eye(4), placed(np.diag([-1.0, -1, -1, 1]), (1, 1, 1))], ids=["RAS", "LPI"])
def test_the_patients_right_is_left_and_the_head_is_up(ijk_to_ras):
    labelmap = boxes(heart=((2, 10), (16, 24), (2, 10)), kidney=((30, 38), (16, 24), (30, 38)), ijk_to_ras=ijk_to_ras)
    image = draw_surfaces(find_structures(labelmap, (HEART, KIDNEY)), 120, BACKGROUND)
    (heart_row, heart_column), (kidney_row, kidney_column) = center_of(image, 0), center_of(image, 1)
    kidney_is_right_and_up = ijk_to_ras[0, 0] > 0
    assert (kidney_column < heart_column) == kidney_is_right_and_up
    assert (kidney_row < heart_row) == kidney_is_right_and_up


def test_what_lies_in_front_hides_what_lies_behind():
    labelmap = boxes(heart=((10, 30), (30, 36), (10, 30)), kidney=((14, 26), (4, 10), (14, 26)))
    image = draw_surfaces(find_structures(labelmap, (HEART, KIDNEY)), 120, BACKGROUND)
    red, green = (image[..., n] > image[..., 1 - n] + 0.2 for n in (0, 1))
    assert red.sum() > 4 * green.sum()


def test_an_envelope_is_glass():
    labelmap = boxes(heart=((2, 38), (2, 38), (2, 38)), kidney=((14, 26), (14, 26), (14, 26)))
    structures = find_structures(labelmap, (HEART, KIDNEY))
    assert [s.is_envelope for s in structures] == [True, False]
    assert structures[0].occupancy[20, 20, 20] > 0  # the hole where the kidney lies is closed
    image = draw_surfaces(structures, 120, BACKGROUND)
    row, column = (np.array(image.shape[:2]) / 2).astype(int)
    assert image[row, column].argmax() == 1


def test_a_surface_has_the_size_of_its_structure():
    """A ball, whose outline is a circle from every side."""
    k, j, i = np.indices((50, 50, 50)) - 24.5
    ball = Volume((k**2 + j**2 + i**2 < 18**2).astype(np.uint8), np.eye(4))
    image = draw_surfaces(find_structures(ball, (HEART,)), 200, BACKGROUND)
    rows = np.flatnonzero(image[..., 0].max(axis=1) > 0.05)
    columns = np.flatnonzero(image[..., 0].max(axis=0) > 0.05)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert abs(height - width) <= 3
    area = (image[..., 0] > 0.05).sum()
    assert area == pytest.approx(np.pi / 4 * height * width, rel=0.03)


def test_the_planes_meet_where_most_is_seen():
    labelmap = boxes(
        heart=((2, 36), (2, 36), (2, 36)), kidney=((4, 12), (30, 36), (20, 26)), tumour=((6, 9), (31, 34), (22, 25))
    )
    labelmap.array[0:1] = 0
    structures = find_structures(labelmap, (HEART, KIDNEY, TUMOUR))
    x, y, z = richest_point(labelmap, structures)
    assert 22 <= x < 25
    assert 31 <= y < 34
    assert 6 <= z < 9


def test_planes_follow_the_radiological_convention():
    sides = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    for plane in PLANES:
        left, right, top, bottom = (np.array(sides[letter]) for letter in plane.letters)
        np.testing.assert_array_equal(plane.right, right)
        np.testing.assert_array_equal(plane.right, -left)
        np.testing.assert_array_equal(plane.down, bottom)
        np.testing.assert_array_equal(plane.down, -top)
    assert [plane.letters[:2] for plane in PLANES] == ["RL", "RL", "AP"]
    assert [plane.letters[2] for plane in PLANES] == ["A", "S", "S"]


def test_the_axial_plane_shows_a_structure_on_the_patients_side(tmp_path):
    """Right, front and head corner of an oblique grid: upper left of the axial plane, which is the upper left cell."""
    labelmap = boxes(heart=((24, 36), (24, 36), (24, 36)), ijk_to_ras=rotation(8, -6, 5))
    image = read(draw_overview(tmp_path / "a.png", labelmap, labelmap, (HEART,)))
    rows, columns = image.shape[:2]
    cell = image[int(0.06 * rows) : rows // 2, : int(0.41 * columns)]
    row, column = center_of(cell, 0)
    assert row < 0.45
    assert column < 0.45


@pytest.mark.parametrize("pixels", [30, 200], ids=["voxels finer than pixels", "voxels coarser than pixels"])
def test_the_size_of_the_picture_does_not_move_the_surface(pixels):
    labelmap = boxes(heart=((4, 34), (6, 32), (7, 31)))
    image = draw_surfaces(find_structures(labelmap, (HEART,)), pixels, BACKGROUND)
    expected = draw_surfaces(find_structures(labelmap, (HEART,)), 100, BACKGROUND)
    assert (image[..., 0] > 0.05).mean() == pytest.approx((expected[..., 0] > 0.05).mean(), rel=0.05)


@pytest.mark.parametrize("grid", GRIDS)
def test_every_grid_gives_a_picture(grid, tmp_path):
    labelmap = labelmap_on(GRIDS[grid])
    image = Volume(labelmap.array.astype(np.int16) * 50, GRIDS[grid], "CT")
    picture = read(draw_overview(tmp_path / "a.png", image, labelmap, LABELS, "Title", "footer"))
    assert picture.shape[1] == 1600
    assert 800 < picture.shape[0] < 2200


@pytest.mark.parametrize("case", ["nothing found", "one slice", "one voxel", "no labels"])
def test_odd_results_give_a_picture(case, tmp_path):
    labelmap = labelmap_on(GRIDS["anisotropic"])
    if case == "nothing found":
        labelmap.array[:] = 0
    if case == "one slice":
        labelmap = labelmap.cropped((slice(3, 4), slice(0, 18), slice(0, 22)))
    if case == "one voxel":
        labelmap.array[:] = 0
        labelmap.array[7, 8, 9] = 1
    labels = () if case == "no labels" else LABELS
    image = labelmap.with_array(np.ones(labelmap.array.shape, np.float32))
    assert read(draw_overview(tmp_path / "a.png", image, labelmap, labels)).std() > 0


def test_a_picture_that_cannot_be_written_is_told(tmp_path):
    labelmap = boxes(shape=(6, 6, 6), heart=((2, 4), (2, 4), (2, 4)))
    with pytest.raises(OutputError, match="the folder does not exist"):
        draw_overview(tmp_path / "nowhere" / "a.png", labelmap, labelmap, (HEART,))


def read(path) -> np.ndarray:
    from matplotlib.image import imread

    return imread(path)[..., :3]
