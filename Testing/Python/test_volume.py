"""Geometry: wherever an array is turned, cut or resampled, its voxels must stay where they are in the patient."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import LPS_TO_RAS, Grid, Volume

SHAPE = (5, 6, 7)
MARKED = (1, 4, 2)  # k, j, i
ORIENTATIONS = [
    "".join(letters)
    for order in permutations(("RL", "AP", "SI"))
    for letters in product(*order)
]  # fmt: skip


def rotation(*degrees) -> np.ndarray:
    """Turned about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        turn = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def ijk_to_ras(directions, spacing_mm=(0.5, 0.7, 3.0), origin=(-11.0, 20.0, 35.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(directions) * spacing_mm
    matrix[:3, 3] = origin
    return matrix


SHEAR = np.array([[1.0, 0, 0], [0, 1, np.sin(np.radians(20))], [0, 0, np.cos(np.radians(20))]])
GRIDS = {
    "straight": ijk_to_ras(np.eye(3)),
    "flipped": ijk_to_ras(np.diag([-1.0, 1, 1])),
    "permuted": ijk_to_ras(np.eye(3)[:, [2, 0, 1]]),
    "oblique": ijk_to_ras(rotation(20, -15, 30)),
    "oblique and flipped": ijk_to_ras(rotation(20, -15, 30) @ np.diag([1.0, -1, -1])),
    "sagittal": ijk_to_ras(rotation(0, 90, 90)),
    "sheared": ijk_to_ras(SHEAR),
}
every_grid = pytest.mark.parametrize("matrix", GRIDS.values(), ids=GRIDS.keys())


def marked(matrix: np.ndarray) -> Volume:
    """A volume whose voxels all differ."""
    return Volume(np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), matrix, "CT", "marked")


def ras_of(volume: Volume, value: int) -> np.ndarray:
    (kji,) = np.argwhere(volume.array == value)
    return volume.grid.ras(kji[::-1])


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == 48


@every_grid
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turning_moves_no_voxel_and_can_be_undone(matrix, orientation):
    volume = marked(matrix)
    value = volume.array[MARKED]
    turned = volume.reoriented(orientation)
    assert turned.grid.orientation() == orientation
    assert np.allclose(ras_of(turned, value), ras_of(volume, value))
    assert np.shares_memory(turned.array, volume.array)
    steps = volume.grid.steps_to(orientation)
    assert np.array_equal(steps.undo(steps.apply(volume.array)), volume.array)
    assert steps.apply_to_grid(volume.grid).shape == turned.array.shape
    back = steps.undo(np.zeros(turned.array.shape))
    assert back.shape == volume.array.shape


@every_grid
def test_labels_written_into_a_turned_view_land_on_their_voxel(matrix):
    volume = marked(matrix)
    labels = np.zeros(SHAPE, np.uint8)
    steps = volume.grid.steps_to("PIR")
    steps.apply(labels)[steps.apply(volume.array) == volume.array[MARKED]] = 1
    assert np.argwhere(labels).tolist() == [list(MARKED)]


@every_grid
def test_cropping_moves_no_voxel(matrix):
    volume = marked(matrix)
    part = volume.cropped((slice(1, 4), slice(2, 6), slice(0, 3)))
    value = volume.array[MARKED]
    assert part.array.shape == part.grid.shape == (3, 4, 3)
    assert np.allclose(ras_of(part, value), ras_of(volume, value))


@every_grid
def test_resizing_keeps_edges_and_centre(matrix):
    grid = marked(matrix).grid
    resized = grid.resized((9, 3, 14))
    for ijk, other in (((-0.5, -0.5, -0.5), (-0.5, -0.5, -0.5)), ((6.5, 5.5, 4.5), (13.5, 2.5, 8.5))):
        assert np.allclose(grid.ras(ijk), resized.ras(other))
    assert np.allclose(resized.center_ras, grid.center_ras)
    assert np.allclose(resized.extent_mm, grid.extent_mm)
    assert np.isclose(resized.voxel_volume_ml * 9 * 3 * 14, grid.voxel_volume_ml * np.prod(SHAPE))


@every_grid
def test_indices_and_positions_are_inverse(matrix):
    grid = marked(matrix).grid
    ijk = np.array([[0, 0, 0], [6, 5, 4], [1.5, -2.0, 3.25]])
    assert np.allclose(grid.ijk(grid.ras(ijk)), ijk)
    assert np.allclose(grid.ras([0, 0, 0]), grid.origin_mm)
    homogeneous = np.column_stack([ijk, np.ones(3)]) @ matrix.T
    assert np.allclose(grid.ras(ijk), homogeneous[:, :3])


def test_spacing_volume_and_directions_of_an_oblique_flipped_grid():
    grid = Grid(SHAPE, GRIDS["oblique and flipped"])
    assert np.allclose(grid.spacing_mm, (0.5, 0.7, 3.0))
    assert np.isclose(grid.voxel_volume_ml, 0.5 * 0.7 * 3.0 / 1000)
    assert np.allclose(grid.extent_mm, (3.5, 4.2, 15.0))
    assert np.allclose(grid.directions.T @ grid.directions, np.eye(3))
    assert grid.is_orthogonal()


def test_a_sheared_voxel_is_smaller_than_its_edges():
    grid = Grid(SHAPE, GRIDS["sheared"])
    assert not grid.is_orthogonal()
    assert np.isclose(grid.voxel_volume_ml, 0.5 * 0.7 * 3.0 * np.cos(np.radians(20)) / 1000)


def test_lps_and_ras_differ_in_the_first_two_axes():
    assert (LPS_TO_RAS @ [1, 2, 3, 1]).tolist() == [-1, -2, 3, 1]
    assert Grid(SHAPE, LPS_TO_RAS).orientation() == "LPS"
    assert Grid(SHAPE, np.eye(4)).orientation() == "RAS"


def test_orientation_names_each_axis_once_even_at_45_degrees():
    orientation = Grid(SHAPE, ijk_to_ras(rotation(0, 0, 45))).orientation()
    assert {pair for pair in ("LR", "PA", "IS") for letter in orientation if letter in pair} == {"LR", "PA", "IS"}


@pytest.mark.parametrize("matrix", [GRIDS["sheared"], ijk_to_ras(SHEAR @ np.diag([1.0, 1, -1]))])
def test_the_orthogonal_grid_covers_the_sheared_one_and_hardly_more(matrix):
    sheared = Grid((8, 10, 12), matrix)
    straight = sheared.orthogonalised()
    assert straight.is_orthogonal(1e-9)
    voxels = np.indices(sheared.shape).reshape(3, -1).T[:, ::-1]
    found = straight.ijk(sheared.ras(voxels))
    sizes = np.array(straight.shape[::-1])
    assert (found > -1e-3).all() and (found < sizes - 1 + 1e-3).all()
    assert (found.min(axis=0) < 1).all() and (found.max(axis=0) > sizes - 2).all()
    assert np.allclose(straight.spacing_mm, (0.5, 0.7, 3.0 * np.cos(np.radians(20))))
    assert straight.shape[0] == sheared.shape[0]
    assert np.allclose(straight.directions[:, :2], sheared.directions[:, :2])


def test_an_orthogonal_grid_stays_as_it_is():
    grid = Grid(SHAPE, GRIDS["oblique and flipped"])
    assert grid.orthogonalised().agrees_with(grid)


def test_grids_agree_within_the_tolerance_at_every_corner():
    grid = Grid((100, 100, 100), np.eye(4))
    turned = np.eye(4)
    turned[:3, :3] = rotation(0, 0, 0.01)  # 0.017 mm at the far corner
    assert grid.agrees_with(Grid(grid.shape, turned), tolerance_mm=0.02)
    assert not grid.agrees_with(Grid(grid.shape, turned), tolerance_mm=0.01)
    assert not grid.agrees_with(Grid((100, 100, 99), np.eye(4)))


def test_shape_at_a_spacing_never_vanishes():
    grid = Grid((4, 100, 50), np.diag([1.0, 0.5, 20.0, 1.0]))
    assert grid.shape_at((2.0, 2.0, 2.0)) == (40, 25, 25)
    assert grid.shape_at((1000, 1000, 1000)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("column", "words"),
    [((0.0, 0, 0), "singular"), ((0, 2.0, 0), "singular"), ((np.nan, 0, 0), "not numbers"), ((np.inf, 0, 0), "not nu")],
)
def test_an_impossible_geometry_is_refused(column, words):
    matrix = np.eye(4)
    matrix[:3, 0] = column
    with pytest.raises(InputError, match=words):
        Volume(np.zeros(SHAPE), matrix)


def test_a_volume_has_three_axes_and_keeps_its_grid():
    with pytest.raises(InputError, match="4 axes"):
        Volume(np.zeros((2, 2, 2, 2)))
    volume = marked(GRIDS["oblique"])
    assert volume.with_array(np.zeros(SHAPE)).grid.agrees_with(volume.grid)
    with pytest.raises(ValueError, match="does not fit"):
        volume.with_array(np.zeros((5, 6, 8)))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 3, 3)), "no voxels"),
        (np.full((2, 2, 2), -1024, np.int16), "every voxel has the value -1024"),
        (np.zeros((2, 2, 2), bool), "every voxel has the value 0"),
        (np.array([[[0.0, np.nan]]]), "NaN"),
        (np.array([[[0.0, np.inf]]]), "NaN or infinite"),
        (np.array([[[0.0, 1j]]]), "complex128"),
        (np.array([[["a", "b"]]]), "not grey values"),
    ],
)
def test_what_cannot_be_segmented_gets_a_sentence(array, words):
    with pytest.raises(InputError, match=words) as caught:
        Volume(array).check_usable()
    assert caught.value.remedy


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i2", np.float16, np.float64, bool])
def test_what_can_be_segmented_passes(dtype):
    Volume(np.array([[[0, 1]]], dtype=dtype)).check_usable()
