"""Reading a DICOM series: where each voxel lies, and what it is worth."""

from __future__ import annotations

import time

import numpy as np
import pydicom
import pytest

from dicom_makers import (
    AXIAL,
    CORONAL,
    LPS,
    OBLIQUE,
    compressed,
    make_enhanced,
    make_nuclear,
    normal_of,
    save,
    write_series,
)  # fmt: skip
from MedSegDLLib.dicom.image import read_series
from MedSegDLLib.dicom.series import find_series
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import read_volume

COMPRESSORS = ("RLE", "JPEG", "JPEGLS", "JPEG2000")
ORIGIN = np.array((10.0, -20.0, 30.0))


def stored_values(shape=(5, 6, 7), dtype=np.int16) -> np.ndarray:
    """A different value in every voxel."""
    return np.random.default_rng(3).permutation(np.prod(shape)).reshape(shape).astype(dtype)


def read(path):
    (series,) = find_series(path)
    return read_series(series)


def assert_voxels_lie_where_dicom_says(volume, stored, positions, orientation, spacing):
    """Every stored value is found at the place that its slice's tags give it."""
    k, j, i = np.indices(stored.shape).reshape(3, -1)
    along_row, along_column = np.array(orientation[:3]) * spacing[1], np.array(orientation[3:]) * spacing[0]
    lps = np.array(positions)[k] + i[:, None] * along_row + j[:, None] * along_column
    found = volume.grid.ijk(lps @ LPS[:3, :3])
    assert np.abs(found - np.rint(found)).max() < 1e-4
    assert volume.array.shape == stored.shape
    assert np.array_equal(volume.array[tuple(np.rint(found).astype(int).T[::-1])], stored.ravel())


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, OBLIQUE])
@pytest.mark.parametrize("direction", [1, -1])
def test_voxels_lie_where_the_tags_say_in_every_orientation_and_file_order(tmp_path, orientation, direction):
    stored = stored_values()
    step = normal_of(orientation) * 2.5 * direction
    write_series(tmp_path, stored, step, ORIGIN, orientation=orientation, spacing=(0.8, 0.6), SliceThickness=9)
    volume = read(tmp_path)
    positions = ORIGIN + np.arange(5)[:, None] * step
    assert_voxels_lie_where_dicom_says(volume, stored, positions, orientation, (0.8, 0.6))
    assert np.allclose(volume.grid.spacing_mm, (0.6, 0.8, 2.5), atol=1e-6)
    assert np.linalg.det(volume.ijk_to_ras) > 0
    assert (volume.array.dtype, volume.modality, volume.name) == (np.int16, "CT", "thorax")


def test_order_comes_from_positions_not_from_names_or_numbers(tmp_path):
    stored = stored_values()
    shuffled = [3, 0, 4, 1, 2]
    write_series(tmp_path, stored, names=[f"{n}.dcm" for n in shuffled], InstanceNumber=shuffled)
    volume = read(tmp_path)
    assert np.array_equal(volume.array, stored)


def test_anisotropy_of_twenty(tmp_path):
    write_series(tmp_path, stored_values(), step=(0, 0, 10), spacing=(0.5, 0.5))
    assert np.allclose(read(tmp_path).grid.spacing_mm, (0.5, 0.5, 10))


def test_positions_rounded_to_tenths_of_a_millimetre_are_even(tmp_path):
    exact = 30 + np.arange(40) * 0.625
    positions = [(0, 0, float(f"{z:.1f}")) for z in exact]
    write_series(tmp_path, stored_values((40, 4, 4)), position=positions)
    volume = read(tmp_path)
    assert volume.grid.spacing_mm[2] == pytest.approx(0.625, abs=0.001)
    assert volume.grid.origin_mm[2] == pytest.approx(30, abs=0.05)


def test_paths_and_names_of_all_languages(tmp_path):
    folder = tmp_path / "Säugling 图像"
    write_series(folder, stored_values(), SpecificCharacterSet="ISO_IR 192", SeriesDescription="Schädel 頭")
    assert read(folder).name == "Schädel 頭"


# Values


def test_each_slice_has_its_own_rescale(tmp_path):
    stored = stored_values()
    slopes, intercepts = [1, 2, 3, 4, 5], [-1024, 0, 7, -3, 1]
    write_series(tmp_path, stored, RescaleSlope=slopes, RescaleIntercept=intercepts)
    volume = read(tmp_path)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, stored * np.reshape(slopes, (5, 1, 1)) + np.reshape(intercepts, (5, 1, 1)))


def test_fractions_become_float_and_keep_the_planes_read_before(tmp_path):
    stored = stored_values()
    slopes = [1, 1, 0.25, 1, 0.001]
    write_series(tmp_path, stored, RescaleSlope=slopes)
    volume = read(tmp_path)
    assert volume.array.dtype == np.float32
    assert np.allclose(volume.array, stored * np.reshape(slopes, (5, 1, 1)), rtol=1e-6)


def test_whole_numbers_beyond_int16_become_float(tmp_path):
    stored = stored_values(dtype=np.uint16) + np.uint16(60000)
    write_series(tmp_path, stored)
    volume = read(tmp_path)
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, stored)


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_compressed_slices_equal_uncompressed_ones(tmp_path, compressor, dtype):
    stored = np.random.default_rng(5).integers(0, 4000, (3, 32, 40)).astype(dtype) - (1000 if dtype == np.int16 else 0)
    for path in write_series(tmp_path, stored, RescaleSlope=[1, 2, 3], RescaleIntercept=-1024):
        dataset = compressed(pydicom.dcmread(path), compressor)
        assert dataset.file_meta.TransferSyntaxUID.is_compressed
        save(dataset, path)
    assert np.array_equal(read(tmp_path).array, stored.astype(int) * np.reshape((1, 2, 3), (3, 1, 1)) - 1024)


# Multi-frame


def enhanced(stored, order, **tags):
    positions = ORIGIN + np.array(order)[:, None] * (0, 0, 2.5)
    return make_enhanced(stored[order], positions, spacing=(0.8, 0.6), **tags)


@pytest.mark.parametrize("compressor", (None, *COMPRESSORS))
def test_enhanced_frames_in_any_order_with_their_own_rescale(tmp_path, compressor):
    stored, order = stored_values((5, 32, 40)), [3, 0, 4, 1, 2]
    rescales = [(1, -1024), (2, 0), (3, 5), (1, 7), (2, -9)]
    dataset = enhanced(stored, order, rescales=rescales)
    save(compressed(dataset, compressor) if compressor else dataset, tmp_path / "enhanced.dcm")
    volume = read(tmp_path / "enhanced.dcm")
    rescaled = np.empty(stored.shape, dtype=int)
    for k, (slope, intercept) in zip(order, rescales):
        rescaled[k] = stored[k].astype(int) * slope + intercept
    positions = ORIGIN + np.arange(5)[:, None] * (0, 0, 2.5)
    assert_voxels_lie_where_dicom_says(volume, rescaled, positions, AXIAL, (0.8, 0.6))


def test_classic_multi_frame_follows_its_slice_distance(tmp_path):
    stored = stored_values()
    save(make_nuclear(stored, position=ORIGIN, slice_distance=-4), tmp_path / "spect.dcm")
    positions = ORIGIN + np.arange(5)[:, None] * (0, 0, -4)
    assert_voxels_lie_where_dicom_says(read(tmp_path), stored, positions, AXIAL, (4, 4))


def test_frames_in_time_are_no_volume(tmp_path):
    save(make_nuclear(stored_values(), ORIGIN, 4, FrameIncrementPointer=0x00181063), tmp_path / "cine.dcm")
    with pytest.raises(InputError, match="points in time or projections, not slices"):
        read(tmp_path)


# Tilted gantry


def tilted(folder, world_function, shift, shape=(24, 40, 48), spacing=(1.5, 1.25), distance=2.0, orientation=AXIAL):
    """A series whose slices shift along their columns, of an object given by a function of LPS positions."""
    orientation = np.array(orientation, dtype=float)
    step = normal_of(orientation) * distance + orientation[3:] * shift
    k, j, i = np.indices(shape)[..., None]
    lps = ORIGIN + k * step + i * orientation[:3] * spacing[1] + j * orientation[3:] * spacing[0]
    stored = np.rint(world_function(lps)).astype(np.int16)
    write_series(folder, stored, step, ORIGIN, orientation=orientation, spacing=spacing)
    return read(folder), stored


@pytest.mark.parametrize("shift", [0.7, -0.45])
@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE])
def test_a_tilted_ramp_is_straightened_to_rounding(tmp_path, shift, orientation):
    def ramp(lps):
        return lps @ (7.0, 11.0, 5.0) + 2000

    volume, stored = tilted(tmp_path, ramp, shift, orientation=orientation)
    assert volume.grid.is_orthogonal(1e-6)
    assert volume.array.dtype == np.int16
    assert np.allclose(volume.grid.spacing_mm, (1.25, 1.5, 2.0), atol=1e-6)
    k, j, i = np.indices(volume.array.shape)
    truth = ramp(volume.grid.ras(np.stack([i, j, k], axis=-1)) @ LPS[:3, :3])
    # A voxel between the last row and the outside holds a mixture; those one row further in do not.
    field = volume.array > stored.min()
    interior = field & np.roll(field, 2, axis=1) & np.roll(field, -2, axis=1)
    assert interior.mean() > 0.5
    assert np.abs(volume.array - truth)[interior].max() <= 1.01
    assert (volume.array[~field] == stored.min()).all()


def test_a_tilted_cylinder_stands_upright(tmp_path):
    centre, radius = np.array((40.0, 12.0)), 14.0

    def cylinder(lps):
        """1000 inside, 0 outside, sloping down over 4 mm, so that sums over voxels are integrals."""
        return 1000 * np.clip(0.5 + (radius - np.hypot(*np.moveaxis(lps[..., :2] - centre, -1, 0))) / 4, 0, 1)

    volume, _ = tilted(tmp_path, cylinder, shift=0.5)
    k, j, i = np.indices(volume.array.shape)
    lps = volume.grid.ras(np.stack([i, j, k], axis=-1)) @ LPS[:3, :3]
    weights = volume.array / 1000
    pixel_area = volume.grid.spacing_mm[:2].prod()
    for layer, where in zip(weights, lps):
        assert np.allclose(np.average(where[..., :2].reshape(-1, 2), axis=0, weights=layer.ravel()), centre, atol=0.02)
        assert layer.sum() * pixel_area == pytest.approx(np.pi * (radius**2 + 4**2 / 12), rel=0.003)


# Damage


@pytest.mark.parametrize("kept", [0.5, 0.995])
@pytest.mark.parametrize("compressor", (None, *COMPRESSORS))
def test_a_file_cut_off_within_its_pixels_is_named(tmp_path, kept, compressor):
    paths = write_series(tmp_path, stored_values((4, 32, 40)))
    if compressor:
        save(compressed(pydicom.dcmread(paths[2]), compressor), paths[2])
    content = paths[2].read_bytes()
    paths[2].write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"slice_002\.dcm") as caught:
        read(tmp_path)
    assert caught.value.remedy


def test_a_file_that_lost_its_pixels_is_named(tmp_path):
    paths = write_series(tmp_path, stored_values())
    dataset = pydicom.dcmread(paths[1])
    del dataset.PixelData
    save(dataset, paths[1])
    with pytest.raises(InputError, match=r"slice_001\.dcm is damaged or cut off"):
        read(tmp_path)


def test_a_compression_that_cannot_be_decoded_is_named(tmp_path):
    paths = write_series(tmp_path, stored_values((3, 32, 40)))
    dataset = compressed(pydicom.dcmread(paths[0]), "JPEG2000")
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    save(dataset, paths[0])
    with pytest.raises(InputError, match="cannot be decoded .MPEG2"):
        read(tmp_path)


# Real images


def test_lung_ct_equals_its_nrrd_to_the_voxel(shared_data):
    volume = read(shared_data / "lung-ct-small" / "dicom")
    truth = read_volume(shared_data / "lung-ct-small" / "ct-64.nrrd")
    assert volume.array.dtype == truth.array.dtype
    assert np.array_equal(volume.array, truth.array)
    assert volume.grid.agrees_with(truth.grid, tolerance_mm=1e-2)  # its positions are written with six digits
    assert volume.modality == "CT"


def test_abdominal_ct_is_in_hounsfield_units(shared_data):
    volume = read(shared_data / "abdomen-ct-dicom")
    assert volume.array.shape == (51, 512, 512)
    assert np.allclose(volume.grid.spacing_mm, (0.804688, 0.804688, 5))
    inside = volume.array[:, 200:300, 200:300]
    assert 0 < np.median(inside) < 200  # soft tissue, with contrast medium
    assert np.isclose(volume.array.min(), -3024)


def test_four_hundred_slices_read_within_seconds(tmp_path):
    write_series(tmp_path, np.zeros((400, 256, 256), dtype=np.int16) + np.arange(256, dtype=np.int16), step=(0, 0, 1))
    start = time.perf_counter()
    volume = read(tmp_path)
    assert volume.array.shape == (400, 256, 256)
    assert time.perf_counter() - start < 8  # one to two when nothing else runs
