"""What is found in a folder of studies, under which names, and why not the rest."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import uid

from dicom_makers import make_rtstruct, save, write_series
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.studies import find_inputs, safe_name
from MedSegDLLib.volume import Volume

STORED = np.arange(6 * 3 * 4, dtype=np.int16).reshape(6, 3, 4)


def image(path, array=STORED):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume(array), path)
    return path


def names(findings) -> list[str]:
    return sorted(candidate.name for candidate in findings.candidates)


def test_a_mixed_folder_is_sorted_out(tmp_path):
    write_series(tmp_path / "ct", STORED, PatientID="P7", SeriesDescription="Lunge: Ö/1")
    write_series(tmp_path / "scout", STORED[:2], PatientID="P7", ImageType=["LOCALIZER"] * 2)
    write_series(tmp_path / "gap", STORED, origin=(0, 0, 0), SeriesDescription="gap")[2].unlink()
    save(make_rtstruct([]), tmp_path / "rs.dcm")
    image(tmp_path / "others" / "mr.nii.gz")
    image(tmp_path / "others" / "result.seg.nrrd")
    image(tmp_path / "slice.nrrd", STORED[:1])
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True), tmp_path / "colour.mha")
    (tmp_path / "broken.nii").write_bytes(b"nothing")
    (tmp_path / "report.pdf").write_bytes(b"%PDF")
    (tmp_path / "._mr.nii").write_bytes(b"macOS")
    findings = find_inputs(tmp_path)
    assert names(findings) == ["P7_Lunge_Ö_1", "others_mr"]
    reasons = {left_out.name: left_out.reason.message for left_out in findings.left_out}
    assert "localiser" in reasons.pop("P7_thorax")
    assert reasons.pop("P1_gap") == "Slice 3 is missing between z = 3.0 and 9.0 mm."
    assert "RT Structure Set" in reasons.pop("P1_thorax")
    assert "is a segmentation" in reasons.pop("others_result.seg")
    assert "single slice" in reasons.pop("slice")
    assert "3 values at each voxel" in reasons.pop("colour")
    assert "broken.nii cannot be read" in reasons.pop("broken")
    assert not reasons


def test_candidates_load_what_they_name(tmp_path):
    write_series(tmp_path / "ct", STORED)
    image(tmp_path / "mr.nii.gz", STORED + 100)
    series, file = sorted(find_inputs(tmp_path).candidates, key=lambda candidate: candidate.modality, reverse=True)
    assert np.array_equal(series.load().array, STORED) and series.modality == "CT"
    assert series.series.number_of_instances == 6 and series.source == tmp_path / "ct"
    assert np.array_equal(file.load().array, STORED + 100) and file.modality == ""
    assert file.series is None and file.source == tmp_path / "mr.nii.gz"


def test_headers_are_enough_to_find(tmp_path):
    """A file cut off within its pixels is found, and refused when it is loaded."""
    path = write_series(tmp_path, STORED)[3]
    path.write_bytes(path.read_bytes()[:-10])
    (candidate,) = find_inputs(tmp_path).candidates
    with pytest.raises(InputError, match=r"slice_003\.dcm"):
        candidate.load()


def test_a_single_file_is_taken_whatever_its_suffix(tmp_path):
    picture = tmp_path / "stack.tif"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6), np.uint8)), picture)
    (candidate,) = find_inputs(picture).candidates
    assert candidate.name == "stack" and candidate.load().array.shape == (4, 5, 6)


def test_names_are_unique_and_do_not_depend_on_what_lies_beside(tmp_path):
    for folder in ("a", "b"):
        write_series(tmp_path / folder, STORED, SeriesInstanceUID=f"1.2.3.{len(folder)}{ord(folder)}")
    both = {one.series.uid: one.name for one in find_inputs(tmp_path).candidates}
    assert len(set(both.values())) == 2 and all(name.startswith("P1_thorax-") for name in both.values())
    write_series(tmp_path / "0", STORED, SeriesInstanceUID="1.2.3.0")
    three = {one.series.uid: one.name for one in find_inputs(tmp_path).candidates}
    assert three.items() > both.items()


def test_names_that_differ_in_case_only_are_kept_apart(tmp_path):
    image(tmp_path / "Case.nii")
    image(tmp_path / "case.nrrd")
    assert len({name.casefold() for name in names(find_inputs(tmp_path))}) == 2


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Lunge: Ö/1", "Lunge_Ö_1"), ("../../etc", "etc"), ("头 CT", "头_CT"), ("", "_"), ("nul", "_nul"),
        ("COM1.x", "_COM1.x"), ("a" * 200, "a" * 80), ("x.", "x"), ('q?*"<>|', "q"),
    ],
)  # fmt: skip
def test_names_are_safe_for_folders(text, name):
    assert safe_name(text) == name


# Nothing to segment


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match="holds no DICOM files and no image files") as caught:
        find_inputs(tmp_path)
    assert str(tmp_path) in caught.value.message


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match="There is no file or folder"):
        find_inputs(tmp_path / "absent")


def test_the_reason_of_the_only_object_is_the_message(tmp_path):
    write_series(tmp_path, STORED[:1])
    with pytest.raises(InputError, match="has a single slice") as caught:
        find_inputs(tmp_path)
    assert caught.value.remedy == "Choose the folder that holds the whole series."


def test_several_unusable_objects_give_one_reason_and_all_in_the_details(tmp_path):
    save(make_rtstruct([]), tmp_path / "rs.dcm")
    write_series(tmp_path / "seg", STORED, SOPClassUID=uid.SegmentationStorage)
    with pytest.raises(InputError, match="Nothing in .* can be segmented") as caught:
        find_inputs(tmp_path)
    assert len(caught.value.details.splitlines()) == 2


def test_damaged_folders_are_left_out_and_others_taken(tmp_path):
    write_series(tmp_path / "good", STORED)
    for path in write_series(tmp_path / "bad", STORED):
        path.write_bytes(path.read_bytes()[:200])
    findings = find_inputs(tmp_path)
    assert names(findings) == ["P1_thorax"]
    (bad,) = findings.left_out
    assert bad.source == tmp_path / "bad" and "damaged or cut off" in bad.reason.message


def test_only_damaged_files(tmp_path):
    (tmp_path / "broken.dcm").write_bytes(b"")
    with pytest.raises(InputError, match=r"broken\.dcm is damaged"):
        find_inputs(tmp_path)


# Real data


def test_a_sarcoma_patient(shared_data):
    findings = find_inputs(shared_data / "sarcoma-ct-mr-pet" / "STS_003")
    assert sorted(candidate.modality for candidate in findings.candidates) == ["CT", "MR", "PT"]
    assert all("RT Structure Set" in left_out.reason.message for left_out in findings.left_out)
    assert len(findings.left_out) == 3
