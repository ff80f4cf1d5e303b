"""Images of one patient on different grids: every grey value stays where it was in space."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from MedSegDLLib.engine.alignment import aligned, covers, overlap
from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import Grid, Volume
from test_volume import GRIDS, ijk_to_ras, rotation

TARGET = Grid((9, 14, 12), ijk_to_ras(rotation(-10, 25, 5), (1.5, 1.0, 2.0)))


def noise(shape=(12, 20, 24), seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-500, 500, shape).astype(np.int16)


def positions(grid: Grid) -> np.ndarray:
    """RAS of every voxel centre, (k, j, i, 3)."""
    return grid.ras(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)[..., ::-1])


def by_hand(volume: Volume, grid: Grid) -> np.ndarray:
    """Linear between voxel centres, constant from the outer centres to the edges, the lowest value beyond."""
    kji = volume.grid.ijk(positions(grid))[..., ::-1]
    inside = ((kji >= -0.5) & (kji <= np.array(volume.array.shape) - 0.5)).all(axis=-1)
    values = map_coordinates(volume.array.astype(float), np.moveaxis(kji, -1, 0), order=1, mode="nearest")
    return np.where(inside, values, volume.array.min())


@pytest.mark.parametrize("matrix", GRIDS.values(), ids=GRIDS.keys())
def test_values_are_those_at_the_same_place(matrix):
    volume = Volume(noise(), matrix)
    moved = TARGET.ijk_to_ras.copy()
    moved[:3, 3] += volume.grid.center_ras - TARGET.center_ras
    target = Grid(TARGET.shape, moved)
    expected = by_hand(volume, target)
    found = aligned(volume, target)
    assert found.dtype == np.float32 and found.shape == target.shape
    assert (expected != volume.array.min()).mean() > 0.2  # there is something to see
    assert np.mean(np.abs(found - expected) > 0.1) < 1e-3  # a voxel centre may lie just on the edge


def test_the_same_grid_costs_nothing():
    volume = Volume(noise(), GRIDS["oblique"])
    assert aligned(volume, volume.grid) is volume.array


def test_a_part_of_the_same_grid_is_taken_as_it_is():
    volume = Volume(noise(), GRIDS["oblique"])
    region = (slice(2, 9), slice(5, 15), slice(0, 20))
    assert np.allclose(aligned(volume, volume.grid.cropped(region)), volume.array[region], atol=1e-2)


def test_beyond_the_image_lies_its_lowest_value():
    volume = Volume(noise((4, 4, 4)) + 1000, np.eye(4))
    found = aligned(volume, Grid((6, 4, 4), np.eye(4)))
    assert np.allclose(found[:4], volume.array) and (found[4:] == volume.array.min()).all()


def test_a_single_slice_has_a_thickness():
    picture = Volume(noise((1, 5, 6)), np.diag([1.0, 1.0, 4.0, 1.0]))
    found = aligned(picture, Grid((7, 5, 6), ijk_to_ras(np.eye(3), (1, 1, 1), (0, 0, -3))))
    assert np.allclose(found[1:5], picture.array) and (found[[0, 6]] == picture.array.min()).all()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int64, np.float16, np.float64])
def test_every_kind_of_grey_value(dtype):
    array = (noise((3, 4, 5)) > 0).astype(dtype)
    assert aligned(Volume(array), Grid((3, 4, 4), np.eye(4))).tolist() == array[..., :4].astype(float).tolist()


def test_images_of_different_places_are_refused():
    volume = Volume(noise(), ijk_to_ras(np.eye(3), origin=(500.0, 0, 0)), name="PET")
    with pytest.raises(InputError, match="'PET' shows another part of space .* do not overlap") as caught:
        aligned(volume, TARGET)
    assert "register" in caught.value.remedy


# Grids in space


def cube(size: int, centre, *degrees, shear=None) -> Grid:
    directions = rotation(*degrees or (0, 0, 0)) @ (np.eye(3) if shear is None else shear)
    matrix = np.eye(4)
    matrix[:3, :3] = directions
    matrix[:3, 3] = np.array(centre) - directions @ np.full(3, (size - 1) / 2)
    return Grid((size, size, size), matrix)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (cube(10, (9.9, 0, 0)), True),
        (cube(10, (10.0, 0, 0)), False),  # they touch
        (cube(10, (9.9, 9.9, 9.9)), True),
        (cube(10, (0, 0, 10.5), 0, 0, 45), False),
        (cube(10, (11.9, 0, 0), 0, 0, 45), True),  # its edge reaches 7.07
        (cube(10, (12.2, 0, 0), 0, 0, 45), False),
        (cube(10, (8.4, 8.4, 0), 0, 0, 45), True),
        (cube(10, (8.6, 8.6, 0), 0, 0, 45), False),  # apart, though every coordinate's range overlaps
        (cube(2, (0, 0, 0), 10, 20, 30), True),  # one within the other
    ],
)
def test_overlap(other, expected):
    here = cube(10, (0, 0, 0))
    assert overlap(here, other) is overlap(other, here) is expected


@pytest.mark.parametrize("seed", range(20))
def test_overlap_is_that_of_the_points_inside(seed):
    """Compared with points strewn through one; sheared and oblique, and no near misses."""
    rng = np.random.default_rng(seed)
    shear = np.eye(3)
    shear[1, 2] = rng.uniform(-0.5, 0.5)
    one = cube(8, (0, 0, 0), *rng.uniform(-90, 90, 3), shear=shear)
    other = cube(6, rng.uniform(-9, 9, 3), *rng.uniform(-90, 90, 3))
    points = other.ras(rng.uniform(-0.5, 5.5, (20_000, 3)))
    inside = ((one.ijk(points) > -0.5) & (one.ijk(points) < 7.5)).all(axis=1).any()
    smaller = other.resized((30, 30, 30)).cropped((slice(3, 27),) * 3)
    assert overlap(one, smaller) <= inside <= overlap(one, other)


def test_covering():
    outer = cube(10, (0, 0, 0), 10, 20, 30)
    assert covers(outer, outer) and covers(outer, cube(4, (0, 0, 0)))
    assert covers(outer, Grid((4, 4, 4), outer.cropped((slice(6, 10),) * 3).ijk_to_ras))
    assert not covers(outer, cube(4, (0, 0, 6))) and not covers(cube(4, (0, 0, 0)), outer)
