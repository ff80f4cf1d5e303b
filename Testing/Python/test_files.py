"""Image files: values and geometry kept, and a sentence for each that cannot be used."""

from __future__ import annotations

import gzip
import os
import signal
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from MedSegDLLib.errors import InputError, OutputError
from MedSegDLLib.files import folders_below, read_volume, write_volume
from MedSegDLLib.volume import Volume

FORMATS = ("nii.gz", "nii", "nrrd", "mha")


def oblique_matrix() -> np.ndarray:
    """Turned about all axes, one of them flipped, anisotropic, off the origin."""
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * (0.7, 1.3, 14.0)
    matrix[:3, 3] = (12.5, -300.25, 77)
    return matrix


def volume_of(dtype=np.int16, shape=(5, 16, 17)) -> Volume:
    values = np.random.default_rng(2).integers(0, 2000, shape).astype(dtype)
    return Volume(values, oblique_matrix())


def refusal(path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    return caught.value


def write_image(array, path, **options):
    sitk.WriteImage(sitk.GetImageFromArray(array, **options), path)
    return path


# Kept


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32])
def test_values_and_geometry_come_back(tmp_path, suffix, dtype):
    volume = volume_of(dtype)
    write_volume(volume, tmp_path / f"Bild 图.{suffix}")
    back = read_volume(tmp_path / f"Bild 图.{suffix}")
    assert back.array.dtype == dtype and np.array_equal(back.array, volume.array)
    assert back.grid.agrees_with(volume.grid)
    assert back.name == "Bild 图"


def test_a_mask_comes_back_as_zeros_and_ones(tmp_path):
    volume = volume_of()
    write_volume(volume.with_array(volume.array > 1000), tmp_path / "mask.nrrd")
    back = read_volume(tmp_path / "mask.nrrd")
    assert back.array.dtype == np.uint8 and np.array_equal(back.array, volume.array > 1000)


def test_a_reoriented_view_is_written_as_what_it_shows(tmp_path):
    volume = volume_of().reoriented("SAR")
    write_volume(volume, tmp_path / "view.nii.gz")
    back = read_volume(tmp_path / "view.nii.gz")
    assert np.array_equal(back.array, volume.array) and back.grid.agrees_with(volume.grid)


def test_voxels_lie_where_itk_says(tmp_path):
    """The matrix against ITK's own arithmetic, in RAS."""
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
    image.SetSpacing((2, 3, 4))
    image.SetOrigin((10, 20, 30))
    image.SetDirection((0, -1, 0, 1, 0, 0, 0, 0, 1))
    sitk.WriteImage(image, tmp_path / "a.nrrd")
    x, y, z = image.TransformIndexToPhysicalPoint((4, 2, 1))
    assert np.allclose(read_volume(tmp_path / "a.nrrd").grid.ras((4, 2, 1)), (-x, -y, z))


def test_a_picture_is_a_volume_of_one_slice(tmp_path):
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    volume = read_volume(write_image(picture, tmp_path / "grey.png"))
    assert volume.array.shape == (1, 3, 4) and np.array_equal(volume.array[0], picture)


def test_a_fourth_axis_of_one_voxel_is_dropped(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4)
    volume = read_volume(write_image(array, tmp_path / "one.nii.gz", isVector=False))
    assert np.array_equal(volume.array, array[0])


# Refused


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_file_cut_off_is_named(tmp_path, suffix, kept):
    path = tmp_path / f"cut.{suffix}"
    write_volume(volume_of(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert f"cut.{suffix} cannot be read" in refusal(path).message


def test_a_gzip_file_in_several_pieces_is_whole(tmp_path):
    write_volume(volume_of(), tmp_path / "whole.nii")
    content = (tmp_path / "whole.nii").read_bytes()
    (tmp_path / "pieces.nii.gz").write_bytes(gzip.compress(content[:1000]) + gzip.compress(content[1000:]))
    assert np.array_equal(read_volume(tmp_path / "pieces.nii.gz").array, volume_of().array)


@pytest.mark.parametrize("name", ["text.nii.gz", "text.nrrd", "text.txt", "empty.nii.gz"])
def test_what_is_no_image_is_named(tmp_path, name):
    (tmp_path / name).write_text("" if name.startswith("empty") else "not an image")
    assert f"{name} cannot be read as an image" in refusal(tmp_path / name).message


def test_a_missing_file_is_named(tmp_path):
    assert "There is no file" in refusal(tmp_path / "absent.nii.gz").message
    assert "There is no file" in refusal(tmp_path).message


def test_colour_vectors_and_time_are_refused(tmp_path):
    colour = write_image(np.zeros((8, 8, 3), np.uint8), tmp_path / "colour.png", isVector=True)
    assert "3 values at each voxel" in refusal(colour).message
    vectors = write_image(np.zeros((4, 8, 8, 3), np.float32), tmp_path / "field.nrrd", isVector=True)
    assert "3 values at each voxel" in refusal(vectors).message
    times = write_image(np.zeros((2, 4, 8, 8), np.float32), tmp_path / "time.nii.gz", isVector=False)
    assert "4 axes" in refusal(times).message


@pytest.mark.parametrize("suffix", ["nii.gz", "nrrd"])
def test_a_sheared_image_is_refused(tmp_path, suffix):
    path = tmp_path / f"sheared.{suffix}"
    if suffix == "nrrd":
        image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
        image.SetDirection((1, 0, 0, 0, 1, 0.3, 0, 0, 1))
        sitk.WriteImage(image, path)
    else:
        write_sheared_nifti(path)
    error = refusal(path)
    assert error.message == f"The axes of the image sheared.{suffix} are not at right angles."


def write_sheared_nifti(path):
    """A NIfTI whose only transform, the sform, is sheared; ITK writes none, so the header is patched."""
    plain = path.with_suffix("")
    write_volume(Volume(np.zeros((3, 4, 5), np.uint8)), plain)
    content = bytearray(plain.read_bytes())
    content[252:256] = struct.pack("<hh", 0, 1)
    content[280:328] = struct.pack("<12f", 1, 0, 0, 0, 0, 1, 0.4, 0, 0, 0, 1, 0)
    path.write_bytes(gzip.compress(bytes(content)))


# Writing


def test_the_suffix_must_name_a_format(tmp_path):
    for name in ("a.unknown", "a.mhd"):
        with pytest.raises(OutputError, match=r"\.mha"):
            write_volume(volume_of(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_sheared_volume_is_not_written(tmp_path):
    matrix = np.eye(4)
    matrix[0, 2] = 0.5
    with pytest.raises(OutputError, match="right angles"):
        write_volume(Volume(np.zeros((2, 3, 4), np.uint8), matrix), tmp_path / "a.nrrd")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_leaves_the_old_file(tmp_path, suffix):
    """A limit on the size of files stands in for the disk."""
    resource = pytest.importorskip("resource", reason="only Unix limits the size of files")
    path = tmp_path / f"image.{suffix}"
    path.write_bytes(b"old")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written") as caught:
            write_volume(volume_of(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "disk is not full" in caught.value.remedy
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(OutputError, match="the folder does not exist") as caught:
        write_volume(volume_of(), tmp_path / "absent" / "a.nrrd")
    assert caught.value.remedy.startswith("Create the folder")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="you may not write there"):
        write_volume(volume_of(), tmp_path / "a.nrrd")


def test_folders_behind_links_are_found_once(tmp_path):
    for name in ("data/a/b", "elsewhere/c"):
        (tmp_path / name).mkdir(parents=True)
    for link, target in (("data/link", "elsewhere"), ("data/z", "elsewhere"), ("elsewhere/c/up", "data")):
        (tmp_path / link).symlink_to(tmp_path / target, target_is_directory=True)
    found = [str(folder.relative_to(tmp_path)) for folder in folders_below(tmp_path / "data")]
    assert found == ["data", "data/a", "data/a/b", "data/link", "data/link/c"]


def test_an_image_and_its_mask_share_a_grid(shared_data):
    image, mask = (read_volume(shared_data / "spinal-cord-mr" / f"{name}.nii.gz") for name in ("t2", "t2_seg-manual"))
    assert image.grid.agrees_with(mask.grid)
    assert np.allclose(image.grid.spacing_mm, 1, atol=0.01)
    assert sorted(np.unique(mask.array)) == [0, 1]


def test_a_name_in_another_encoding_is_refused_where_simpleitk_would_end_the_process(tmp_path):
    path = write_image(np.zeros((4, 4, 4), np.int16), tmp_path / "a.nii")
    try:
        path = path.rename(tmp_path / "M\udcfcller.nii")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system has no names that are not in UTF-8")
    assert "not in UTF-8" in refusal(path).message
