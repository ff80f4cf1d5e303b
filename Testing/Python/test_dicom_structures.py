"""Contours and DICOM SEG to masks, against shapes whose voxels are known and against real files."""

from __future__ import annotations

from math import cos, pi, radians, sin

import numpy as np
import pydicom
import pytest

from dicom_makers import LPS, OBLIQUE, make_rtstruct, make_slice, normal_of, save
from MedSegDLLib.dicom.series import find_series
from MedSegDLLib.dicom.structures import read_dicom_seg, read_rtstruct
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import read_volume
from MedSegDLLib.volume import Grid

SARCOMA = ("STS_001", "STS_003", "STS_040")


def grid_of(
    shape=(10, 40, 50), spacing=(1.0, 1.0, 3.0), directions=((1, 0, 0), (0, 1, 0), (0, 0, 1)), origin_lps=(0, 0, 0)
) -> Grid:
    """A grid given as DICOM gives it, in LPS."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.asarray(directions) * spacing, origin_lps
    return Grid(shape, LPS @ matrix)


def rectangle(low, high, z) -> np.ndarray:
    (x0, y0), (x1, y1) = low, high
    return np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], dtype=float)


def circle(radius, z, centre=(20.3, 18.7), points=400) -> np.ndarray:
    angles = np.arange(points) * 2 * pi / points
    return np.stack(
        [centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles), np.full(points, z)], axis=1
    )


def filled(tmp_path, grid, *contours, **options) -> np.ndarray:
    path = save(make_rtstruct([("target", contours)], **options), tmp_path / "rs.dcm")
    return read_rtstruct(path, grid)["target"]


def centres_lps(grid) -> np.ndarray:
    k, j, i = np.indices(grid.shape)
    return grid.ras(np.stack([i, j, k], axis=-1)) @ LPS[:3, :3]


# Filling


def test_a_rectangle_holds_the_voxels_whose_centres_it_holds(tmp_path):
    mask = filled(tmp_path, grid_of(), rectangle((4.5, 6.5), (10.5, 8.5), 3.0), rectangle((4.5, 6.5), (10.5, 8.5), 6.0))
    truth = np.zeros((10, 40, 50), dtype=bool)
    truth[1:3, 7:9, 5:11] = True
    assert np.array_equal(mask, truth)


def test_structures_that_share_a_border_on_voxel_centres_do_not_overlap(tmp_path):
    left, right = rectangle((5, 5), (10, 10), 3.0), rectangle((10, 5), (20, 10), 3.0)
    path = save(make_rtstruct([("left", [left]), ("right", [right])]), tmp_path / "rs.dcm")
    masks = read_rtstruct(path, grid_of())
    assert not (masks["left"] & masks["right"]).any()
    assert (masks["left"].sum(), masks["right"].sum()) == (25, 50)


def test_a_contour_within_a_contour_is_a_hole_and_one_within_that_is_not(tmp_path):
    mask = filled(tmp_path, grid_of(), circle(15, 6.0), circle(10, 6.0), circle(5, 6.0))
    radius = np.hypot(*np.moveaxis(centres_lps(grid_of())[2, :, :, :2] - (20.3, 18.7), -1, 0))
    assert np.array_equal(mask[2], (radius < 5) | (radius > 10) & (radius < 15))
    assert not np.delete(mask, 2, axis=0).any()


def test_separate_contours_of_a_slice_are_united(tmp_path):
    mask = filled(tmp_path, grid_of(), rectangle((1.5, 1.5), (3.5, 3.5), 0.0), rectangle((11.5, 1.5), (13.5, 3.5), 0.0))
    assert mask.sum() == 8


@pytest.mark.parametrize("spacing_k", [3.0, 1.5, 1.0, 0.7])
def test_planes_fill_a_finer_grid_without_gaps(tmp_path, spacing_k):
    grid = grid_of((60, 40, 50), (1, 1, spacing_k))
    contours = [rectangle((4.5, 6.5), (10.5, 8.5), z) for z in (6.0, 9.0, 12.0)]
    mask = filled(tmp_path, grid, *contours)
    z = np.arange(60) * spacing_k
    inside = (z > 4.5 - 0.01) & (z < 13.5 - 0.01)
    assert np.array_equal(mask.any(axis=(1, 2)), inside)
    assert (mask.sum(axis=(1, 2))[inside] == 12).all()


def test_planes_far_apart_are_not_joined(tmp_path):
    contours = [rectangle((4.5, 6.5), (10.5, 8.5), z) for z in (0.0, 3.0, 6.0, 21.0, 24.0)]
    layers = filled(tmp_path, grid_of(), *contours).any(axis=(1, 2))
    assert np.flatnonzero(layers).tolist() == [0, 1, 2, 7, 8]


def rotation(axis, degrees) -> np.ndarray:
    c, s = cos(radians(degrees)), sin(radians(degrees))
    matrix = np.eye(3)
    first, second = np.delete(np.arange(3), axis)
    matrix[np.ix_((first, second), (first, second))] = (c, -s), (s, c)
    return matrix


@pytest.mark.parametrize(
    "turn", [rotation(0, 20), rotation(1, -35), rotation(2, 10) @ rotation(0, 90), rotation(0, 180)]
)
def test_a_ball_keeps_its_voxels_on_oblique_grids(tmp_path, turn):
    centre, radius = np.array((25.0, 20.0, 15.0)), 12.0
    heights = np.arange(-11.5, 12, 1.0)
    contours = [circle(np.sqrt(radius**2 - h**2), centre[2] + h, centre[:2]) for h in heights]
    grid = grid_of((40, 40, 40), (0.9, 0.9, 0.9), turn, centre - turn @ np.full(3, 19.5 * 0.9))
    mask = filled(tmp_path, grid, *contours)
    offsets = centres_lps(grid) - centre
    plane = np.floor(offsets[..., 2]) + 0.5  # the contour plane that a voxel lies nearest to
    truth = (np.abs(plane) < radius) & (np.hypot(offsets[..., 0], offsets[..., 1]) ** 2 < radius**2 - plane**2)
    assert (mask != truth).sum() < 0.002 * truth.sum()  # centres on the border between two planes
    assert mask.sum() * 0.9**3 == pytest.approx(4 / 3 * pi * radius**3, rel=0.01)


def test_contours_drawn_on_oblique_slices(tmp_path):
    directions = np.column_stack([OBLIQUE[:3], OBLIQUE[3:], normal_of(OBLIQUE)])
    grid = grid_of(spacing=(1, 1, 3), directions=directions, origin_lps=(5, -3, 7))
    contours = [rectangle((4.5, 6.5), (10.5, 8.5), z) @ directions.T + (5, -3, 7) for z in (3.0, 6.0)]
    mask = filled(tmp_path, grid, *contours)
    assert mask[1:3, 7:9, 5:11].all() and mask.sum() == 24


def test_contours_outside_the_grid_make_an_empty_mask(tmp_path):
    assert not filled(tmp_path, grid_of(), rectangle((400, 400), (410, 410), 300.0)).any()


def test_contours_half_outside_the_grid_are_cut(tmp_path):
    assert filled(tmp_path, grid_of(), rectangle((-10, -10), (2.5, 1.5), 0.0))[0, :2, :3].all()


def test_points_and_lines_are_left_out_and_names_stay_unique(tmp_path):
    square = rectangle((4.5, 6.5), (10.5, 8.5), 3.0)
    path = save(make_rtstruct([("a", [square]), ("a", [square]), ("mark", [square[:1]])]), tmp_path / "rs.dcm")
    assert list(read_rtstruct(path, grid_of())) == ["a", "a (2)"]
    save(make_rtstruct([("line", [square])], kind="OPEN_PLANAR"), path)
    assert read_rtstruct(path, grid_of()) == {}


def test_bent_contours_are_refused(tmp_path):
    bent = rectangle((4, 4), (20, 20), 3.0)
    bent[0, 2] = 9.0
    with pytest.raises(InputError, match="parallel planes"):
        filled(tmp_path, grid_of(), bent)


@pytest.mark.parametrize("read", [lambda path: read_rtstruct(path, grid_of()), read_dicom_seg])
def test_other_files_are_refused(tmp_path, read):
    image = save(make_slice(np.zeros((4, 4), np.int16)), tmp_path / "ct.dcm")
    with pytest.raises(InputError, match=r"ct\.dcm is not"):
        read(image)
    image.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"ct\.dcm is damaged"):
        read(image)
    with pytest.raises(InputError, match="There is no file"):
        read(tmp_path / "absent.dcm")


# Real files


@pytest.mark.parametrize("patient", SARCOMA)
@pytest.mark.parametrize("modality", ["CT", "MR_T1", "PET"])
def test_sarcomas_have_the_volume_of_their_contours(shared_data, patient, modality):
    folder = shared_data / "sarcoma-ct-mr-pet" / patient / modality
    (series,) = find_series(folder / "image")
    grid = series.stack().grid
    ((name, mask),) = read_rtstruct(folder / "mask" / "RS.dcm", grid).items()
    assert name.startswith("GTV_Mass")
    assert 0.01 < mask.mean() < 0.13  # of a crop with 5 cm around the tumour
    assert not any(np.take(mask, end, axis).any() for axis in range(3) for end in (0, -1))
    assert mask.sum() * grid.voxel_volume_ml == pytest.approx(contour_volume_ml(folder, grid), rel=0.01)


def contour_volume_ml(folder, grid) -> float:
    """Area of every polygon times the distance of the slices; the areas of axial contours by the shoelace formula."""
    regions = pydicom.dcmread(folder / "mask" / "RS.dcm").ROIContourSequence
    area = 0.0
    for contour in regions[0].ContourSequence:
        x, y, _ = np.array(contour.ContourData, dtype=float).reshape(-1, 3).T
        area += abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
    return area * grid.spacing_mm[2] / 1000


def test_liver_seg_equals_its_nrrd(shared_data):
    truth = read_volume(shared_data / "dicom-seg-ct" / "liver_seg.nrrd")
    (liver,) = read_dicom_seg(shared_data / "dicom-seg-ct" / "liver.dcm")
    assert np.array_equal(liver.mask.array, truth.array == 1)
    assert liver.mask.grid.agrees_with(truth.grid)
    assert (liver.label.name, liver.label.value, str(liver.label.terminology.type)) == ("Liver", 1, "SRT^T-62000^Liver")
    assert liver.label.color == (221, 130, 101)


def test_partially_overlapping_segments_survive(shared_data):
    folder = shared_data / "dicom-seg-ct"
    structures = {one.label.value: one for one in read_dicom_seg(folder / "partial_overlaps.dcm")}
    assert [one.label.name for one in structures.values()] == ["GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE"]
    for number in (2, 3):
        truth = read_volume(folder / f"partial_overlaps-{number}.nrrd")
        assert np.array_equal(structures[number].on_grid(truth.grid), truth.array == number)
    overlap = sum(one.mask.array.astype(int) for one in structures.values())
    assert overlap.max() > 1
    assert str(structures[4].label.terminology.category) == "SCT^49755003^Morphologically Altered Structure"


@pytest.mark.parametrize("start", [(0, 0, 0), (1, 100, 50), (-1, -30, -7), (2, 300, 200), (9, 0, 0), (-9, 0, 0)])
def test_a_segment_on_a_grid_that_is_cropped_or_padded(shared_data, start):
    (liver,) = read_dicom_seg(shared_data / "dicom-seg-ct" / "liver.dcm")
    shape = (2, 250, 300)
    matrix = liver.mask.ijk_to_ras.copy()
    matrix[:3, 3] = liver.mask.grid.ras(start[::-1])
    padded = np.pad(liver.mask.array, [(20, 20), (400, 400), (400, 400)])
    truth = padded[tuple(slice(s + pad, s + pad + n) for s, pad, n in zip(start, (20, 400, 400), shape))]
    assert np.array_equal(liver.on_grid(Grid(shape, matrix)), truth)


def test_a_segment_on_another_grid(shared_data):
    (liver,) = read_dicom_seg(shared_data / "dicom-seg-ct" / "liver.dcm")
    wider = liver.mask.grid.resized((6, 256, 256))
    mask = liver.on_grid(wider)
    assert mask.shape == wider.shape
    volume_ml = liver.mask.array.sum() * liver.mask.grid.voxel_volume_ml
    assert mask.sum() * wider.voxel_volume_ml == pytest.approx(volume_ml, rel=0.01)
