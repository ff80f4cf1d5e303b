"""Sorting files into series, and the sentence for every series that is not one complete volume."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom import uid

from dicom_makers import AXIAL, CORONAL, make_enhanced, make_rtstruct, make_slice, save, write_series
from MedSegDLLib.dicom.image import read_series
from MedSegDLLib.dicom.series import find_series
from MedSegDLLib.errors import InputError, OtherObjectError

STORED = np.arange(60 * 3 * 4, dtype=np.int16).reshape(60, 3, 4)


def refusal(path) -> InputError:
    """The error that reading the only series in a folder ends with."""
    (series,) = find_series(path)
    with pytest.raises(InputError) as caught:
        read_series(series)
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    return caught.value


def assert_is_another_object(error: InputError, words: str):
    """It belongs beside the images, so that a batch does not count it as a failure."""
    assert isinstance(error, OtherObjectError) and words in error.message


# Sorting


def test_a_folder_is_sorted_into_series_whatever_the_file_names(tmp_path):
    write_series(tmp_path / "a" / "b", STORED[:3], SeriesDescription="first", names=["x", "y", "z.img"])
    write_series(tmp_path / "a", STORED[:4], SeriesDescription="second", PatientID="P2")
    (tmp_path / "notes.txt").write_text("not DICOM")
    (tmp_path / "empty").touch()
    first, second = sorted(find_series(tmp_path), key=lambda series: series.name)
    assert (first.name, first.number_of_instances, first.patient_id, first.modality) == ("first", 3, "P1", "CT")
    assert (second.name, second.number_of_instances, second.patient_id) == ("second", 4, "P2")
    assert [path.name for path in first.files] == ["x", "y", "z.img"]
    assert first.uid != second.uid and first.study_uid != second.study_uid


def test_a_single_file_is_a_series_of_its_own(tmp_path):
    path, *_ = write_series(tmp_path, STORED[:3])
    (series,) = find_series(path)
    assert series.files == (path,)


def test_a_series_without_description_has_a_name(tmp_path):
    write_series(tmp_path, STORED[:3], SeriesDescription=None, SeriesNumber=7)
    assert find_series(tmp_path)[0].name == "CT 7"


def test_a_folder_without_dicom_has_no_series(tmp_path):
    (tmp_path / "notes.txt").write_text("not DICOM")
    assert find_series(tmp_path) == []


def test_a_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no file or folder .*absent"):
        find_series(tmp_path / "absent")


def test_the_table_of_contents_of_a_disc_is_passed_over(tmp_path):
    write_series(tmp_path, STORED[:3])
    contents = make_slice(STORED[0], SeriesInstanceUID=None)
    contents.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    contents.SOPClassUID = uid.MediaStorageDirectoryStorage
    save(contents, tmp_path / "DICOMDIR")
    (series,) = find_series(tmp_path)
    assert read_series(series).array.shape[0] == 3


def test_a_localiser_under_the_same_uid_does_not_spoil_the_stack(tmp_path):
    paths = write_series(tmp_path, STORED[:4])
    scout = pydicom.dcmread(paths[0])
    scout.SOPInstanceUID = uid.generate_uid()
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save(scout, tmp_path / "scout.dcm")
    scouts, stack = sorted(find_series(tmp_path), key=lambda series: series.number_of_instances)
    assert read_series(stack).array.shape == (4, 3, 4)
    with pytest.raises(InputError, match="localiser"):
        read_series(scouts)


# Slices that do not fit


def test_a_missing_slice_is_named_with_its_place(tmp_path):
    for path in write_series(tmp_path, STORED, origin=(0, 0, 0))[42:43]:
        path.unlink()
    error = refusal(tmp_path)
    assert error.message == "Slice 43 is missing between z = 123.0 and 129.0 mm."
    assert error.remedy.startswith("Load the complete series")


def test_several_missing_slices_are_counted(tmp_path):
    paths = write_series(tmp_path, STORED[:20], origin=(0, 0, 0))
    for n in (5, 6, 12):
        paths[n].unlink()
    assert refusal(tmp_path).message == "Slices 6 to 7 are missing between z = 12.0 and 21.0 mm, and 1 more elsewhere."


@pytest.mark.parametrize("count", [3, 4, 90])
@pytest.mark.parametrize("distance", [0.1, 5])
@pytest.mark.parametrize("at_the_end", [True, False])
def test_a_missing_slice_is_noticed_in_any_stack(tmp_path, count, distance, at_the_end):
    k = np.arange(count) + (np.arange(count) >= (count - 1 if at_the_end else count // 2))
    write_series(tmp_path, np.zeros((count, 2, 2), dtype=np.int16), position=[(0, 0, z) for z in k * distance])
    error = refusal(tmp_path)
    assert "missing" in error.message and not isinstance(error, OtherObjectError)


def test_a_missing_slice_of_coronal_and_of_tilted_stacks(tmp_path):
    for name, tags in (("coronal", {"orientation": CORONAL, "step": (0, 2, 0)}), ("tilted", {"step": (0, 0.7, 2)})):
        write_series(tmp_path / name, STORED[:9], **tags)[3].unlink()
    assert refusal(tmp_path / "coronal").message == "Slice 4 is missing between y = -16.0 and -12.0 mm."
    assert refusal(tmp_path / "tilted").message == "Slice 4 is missing between z = 34.0 and 38.0 mm."


def test_a_doubled_slice_is_named(tmp_path):
    paths = write_series(tmp_path, STORED[:9], origin=(0, 0, 0))
    double = pydicom.dcmread(paths[4])
    double.SOPInstanceUID = uid.generate_uid()
    save(double, tmp_path / "other.dcm")
    assert refusal(tmp_path).message == "Slice 5 is there twice, at z = 12.0 mm."


def test_a_copied_file_is_named(tmp_path):
    paths = write_series(tmp_path, STORED[:9])
    (tmp_path / "z_copy.dcm").write_bytes(paths[4].read_bytes())
    assert "slice_004.dcm and z_copy.dcm are the same image" in refusal(tmp_path).message


def test_a_time_series_is_named(tmp_path):
    positions = [(0, 0, 3.0 * (n % 5)) for n in range(15)]
    write_series(tmp_path, STORED[:15], position=positions)
    assert refusal(tmp_path).message.startswith("The series holds 3 images at each of its 5 positions: a time series")


@pytest.mark.parametrize("off_mm", [0.5, -0.9])
def test_a_misplaced_slice_is_named(tmp_path, off_mm):
    positions = [(0, 0, 3.0 * n + (off_mm if n == 6 else 0)) for n in range(12)]
    write_series(tmp_path, STORED[:12], position=positions)
    message = refusal(tmp_path).message
    assert message.startswith("The slices are not evenly spaced:") and "3.0 mm between the others" in message


def test_a_slice_beside_the_others_is_named(tmp_path):
    positions = [(4.0 if n == 6 else 0, 0, 3.0 * n) for n in range(12)]
    write_series(tmp_path, STORED[:12], position=positions)
    assert "Slice 7 at z = 18.0 mm lies" in refusal(tmp_path).message


def test_slices_that_drift_more_than_any_gantry_tilts(tmp_path):
    write_series(tmp_path, STORED[:6], step=(0, 5, 2))
    assert "no scanner tilts that far" in refusal(tmp_path).message


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ({"orientation": [AXIAL] * 4 + [CORONAL] * 2}, "directions (4 and 2 images)"),
        ({"spacing": [(1, 1)] * 5 + [(1.2, 1.2)]}, "pixel spacings (5 and 1 images)"),
    ],
)
def test_mixed_planes_are_named(tmp_path, tags, what):
    write_series(tmp_path, STORED[:6], **tags)
    assert refusal(tmp_path).message == f"The series mixes slices of different {what}."


def test_mixed_matrix_sizes_are_named(tmp_path):
    paths = write_series(tmp_path, STORED[:6])
    series_uid = pydicom.dcmread(paths[0]).SeriesInstanceUID
    odd = make_slice(np.zeros((5, 5), np.int16), (10, -20, 48), SeriesInstanceUID=series_uid)
    save(odd, tmp_path / "odd.dcm")
    assert refusal(tmp_path).message == "The series mixes slices of different matrix sizes (6 and 1 images)."


def test_a_single_slice_is_named(tmp_path):
    write_series(tmp_path, STORED[:1])
    assert refusal(tmp_path).message == "The series has a single slice; a volume needs several."


def test_rows_and_columns_that_are_not_at_right_angles(tmp_path):
    write_series(tmp_path, STORED[:4], orientation=(1, 0, 0, 0.2, 1, 0))
    assert "not at right angles" in refusal(tmp_path).message


# Objects that are not grey-value slices


def test_a_localiser_is_named(tmp_path):
    write_series(tmp_path, STORED[:4], ImageType=["ORIGINAL\\PRIMARY\\LOCALIZER"] * 4)
    assert_is_another_object(refusal(tmp_path), "localiser")


@pytest.mark.parametrize(
    "tags", [{"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, {"PhotometricInterpretation": "PALETTE COLOR"}]
)
def test_colour_images_are_named(tmp_path, tags):
    write_series(tmp_path, STORED[:4], **tags)
    assert_is_another_object(refusal(tmp_path), "colour")


def test_an_rtstruct_is_no_image(tmp_path):
    save(make_rtstruct([]), tmp_path / "rs.dcm")
    assert_is_another_object(refusal(tmp_path), "The DICOM object (RT Structure Set) holds no image")


@pytest.mark.parametrize(
    ("storage_class", "what"),
    [(uid.SegmentationStorage, "a segmentation"), (uid.RTDoseStorage, "a dose distribution")],
)
def test_objects_with_pixels_that_are_no_image(tmp_path, storage_class, what):
    write_series(tmp_path, STORED[:4], SOPClassUID=storage_class)
    assert_is_another_object(refusal(tmp_path), f"The DICOM object is {what}, not an image.")


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_a_screen_capture_without_geometry_is_named(tmp_path, keyword):
    for path in write_series(tmp_path, STORED[:4]):
        dataset = pydicom.dcmread(path)
        del dataset[keyword]
        save(dataset, path)
    error = refusal(tmp_path)
    assert keyword in error.message and "screen capture" in error.remedy


def test_an_enhanced_object_without_positions_is_named(tmp_path):
    dataset = make_enhanced(STORED[:3], np.zeros((3, 3)))
    for item in dataset.PerFrameFunctionalGroupsSequence:
        del item.PlanePositionSequence
    save(dataset, tmp_path / "enhanced.dcm")
    assert "ImagePositionPatient is missing" in refusal(tmp_path).message


def test_values_through_a_lookup_table_are_refused(tmp_path):
    write_series(tmp_path, STORED[:4], ModalityLUTSequence=[[pydicom.Dataset()]] * 4)
    assert "lookup table" in refusal(tmp_path).message


# Damage


@pytest.mark.parametrize("kept", [140, 200, 300, 500, 700])
def test_a_header_cut_off_anywhere_makes_its_series_incomplete(tmp_path, kept):
    paths = write_series(tmp_path, STORED[:6])
    paths[-1].write_bytes(paths[-1].read_bytes()[:kept])  # the last slice: no gap would show
    message = refusal(tmp_path).message
    assert "slice_005.dcm" in message and "damaged or cut off" in message


def test_an_empty_file_named_dcm_makes_its_series_incomplete(tmp_path):
    paths = write_series(tmp_path, STORED[:6])
    paths[-1].write_bytes(b"")
    assert "slice_005.dcm" in refusal(tmp_path).message


def test_a_file_that_the_system_refuses_to_open_is_named(tmp_path):
    paths = write_series(tmp_path, STORED[:6])
    (series,) = find_series(tmp_path)
    paths[2].unlink()
    with pytest.raises(InputError, match=r"slice_002\.dcm cannot be read: No such file or directory\."):
        read_series(series)


def test_an_enhanced_object_with_fewer_descriptions_than_frames(tmp_path):
    dataset = make_enhanced(STORED[:4], [(0, 0, 2 * n) for n in range(4)])
    del dataset.PerFrameFunctionalGroupsSequence[-1]
    save(dataset, tmp_path / "enhanced.dcm")
    assert "enhanced.dcm is damaged" in refusal(tmp_path).message


def test_damage_elsewhere_does_not_spoil_a_series(tmp_path):
    write_series(tmp_path / "good", STORED[:6])
    write_series(tmp_path / "bad", STORED[:6])[2].write_bytes(b"")
    good = next(series for series in find_series(tmp_path) if series.files[0].parent.name == "good")
    assert read_series(good).array.shape[0] == 6


def test_only_damaged_files(tmp_path):
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"garbage")
    with pytest.raises(InputError, match=r"broken\.dcm is damaged"):
        find_series(tmp_path)


def test_random_damage_ends_in_a_sentence_or_does_no_harm(tmp_path):
    """Overwritten bytes may hit anything; nothing but an InputError may come out, and no other geometry."""
    paths = write_series(tmp_path, STORED[:4])
    good, random = paths[1].read_bytes(), np.random.default_rng(0)
    grid = read_series(find_series(tmp_path)[0]).grid
    refused = 0
    for _ in range(150):
        damaged = bytearray(good)
        for position in random.integers(132, len(good) - STORED[0].nbytes, 3):
            damaged[position] = random.integers(256)
        paths[1].write_bytes(damaged)
        try:
            volumes = [read_series(series) for series in find_series(tmp_path)]
            assert all(volume.grid.agrees_with(grid, 0.2) for volume in volumes)
        except InputError:
            refused += 1
    assert refused > 20
