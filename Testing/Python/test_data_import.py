"""Imports from DICOM, files and microscopy: restartable, whole cases only, and a reason for what is not in."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import time

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from data_makers import (
    FIRST,
    KIDNEYS,
    LIVER,
    MATRIX,
    SECOND,
    SHAPE,
    box,
    image,
    labels_of,
    write_microscopy,
    write_pair,
    write_pairs,
    write_patient,
    write_rtstruct,
    write_seg,
)
from MedSegDLLib.errors import CancelledError, InputError, OutputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.data import case_folder
from MedSegTrainLib.data.channels import available_channels, proposed_channels
from MedSegTrainLib.data.dataset import IGNORE, Dataset, open_dataset
from MedSegTrainLib.data.found import FoundStructure
from MedSegTrainLib.data.importing import check_apart, import_dataset
from MedSegTrainLib.data.phantom import LABELS, draw_thorax
from MedSegTrainLib.data.phantom_dicom import write_ct_series
from MedSegTrainLib.data.proposal import propose
from MedSegTrainLib.data.sources import find, find_files
from MedSegTrainLib.data.structures import ABSENT, LEAVE_OUT, NOT_ANNOTATED, StructureTable, with_values


def imported(source, output, table=None, **options) -> Dataset:
    findings = find(source)
    return import_dataset(findings, table or propose(findings), output, **options)


def changed(table: StructureTable, **changes: dict) -> StructureTable:
    """The table with other entries in the rows of these names in the data."""
    return StructureTable(
        with_values([row.__class__(**{**vars(row), **changes.get(row.name, {})}) for row in table.rows])
    )


def why(dataset: Dataset) -> dict[str, str]:
    return {item.what: item.why for item in dataset.skipped}


def by_name(dataset: Dataset) -> dict:
    return {case.name: case for case in dataset.cases}


# DICOM


def test_contours_become_labels_on_the_grid_of_their_series(tmp_path):
    volume = write_patient(tmp_path / "in", "P1", {"Liver": FIRST, "Tumour": SECOND})
    dataset = imported(tmp_path / "in", tmp_path / "out")
    (case,) = dataset.cases
    (loaded,), labels = case.load()
    assert (case.name, case.patient) == ("P1", "P1")
    np.testing.assert_array_equal(loaded.array, volume.array)
    assert loaded.grid.agrees_with(volume.grid, 1e-3)
    np.testing.assert_array_equal(labels.array, labels_of({1: FIRST, 2: SECOND}).array)
    assert [label.name for label in dataset.labels] == ["Liver", "Tumour"]
    assert (dataset.channels[0].name, dataset.channels[0].modality) == ("CT", "CT")


def test_structures_are_matched_by_name_not_by_order(tmp_path):
    write_patient(tmp_path / "in" / "a", "A", {"Liver": FIRST, "GTV_1": SECOND}, seed=1)
    write_patient(tmp_path / "in" / "b", "B", {"gtv 2": FIRST, "LIVER": SECOND}, seed=2)
    write_patient(tmp_path / "in" / "c", "C", {"gtv": FIRST}, seed=3)
    dataset = imported(tmp_path / "in", tmp_path / "out")
    value = {label.name.lower(): label.value for label in dataset.labels}
    assert value.keys() == {"liver", "gtv"}
    labels = {name: case.load_label().array for name, case in by_name(dataset).items()}
    assert set(np.unique(labels["A"][FIRST])) == {value["liver"]} == set(np.unique(labels["B"][SECOND]))
    assert set(np.unique(labels["A"][SECOND])) == {value["gtv"]} == set(np.unique(labels["C"][FIRST]))
    assert {name: {one.lower() for one in case.not_contoured} for name, case in by_name(dataset).items()} == {
        "A": set(), "B": set(), "C": {"liver"},
    }  # fmt: skip


def test_segments_are_matched_by_their_codes(tmp_path):
    for patient, boxes in (("A", {1: FIRST, 2: SECOND}), ("B", {1: SECOND, 3: FIRST})):
        series = tmp_path / "in" / patient / "ct"
        volume = image(ord(patient))
        write_ct_series(volume, series, patient)
        write_seg(tmp_path / "in" / patient / "seg.dcm", series, volume, (LIVER, *KIDNEYS), labels_of(boxes).array)
    write_patient(tmp_path / "in" / "C", "C", {"leber": FIRST}, seed=3)
    dataset = imported(tmp_path / "in", tmp_path / "out")
    labels = {label.name: label for label in dataset.labels}
    assert {name: label.terminology for name, label in labels.items() if name != "leber"} == {
        label.name: label.terminology for label in (LIVER, *KIDNEYS) if label.name in labels
    }
    cases = by_name(dataset)
    assert cases["A"].not_contoured == {"Niere 2"} and cases["B"].not_contoured == {"Niere 1"}
    assert cases["C"].not_contoured == {"Niere 1", "Niere 2"}
    assert set(np.unique(cases["C"].load_label().array)) == {0, labels["Leber"].value}
    np.testing.assert_array_equal(
        cases["A"].load_label().array == labels["Leber"].value, labels_of({1: FIRST}).array == 1
    )


def test_a_phantom_comes_back_from_dicom_with_its_codes(tmp_path):
    phantom = draw_thorax(3, (16.0, 16.0, 16.0))
    write_ct_series(phantom.image, tmp_path / "in" / "ct", "phantom")
    write_seg(tmp_path / "in" / "seg.dcm", tmp_path / "in" / "ct", phantom.image, LABELS, phantom.truth.array)
    dataset = imported(tmp_path / "in", tmp_path / "out")
    (loaded,), labels = dataset.cases[0].load()
    np.testing.assert_array_equal(loaded.array, phantom.image.array)
    value = {label.name: label.value for label in dataset.labels}
    for label in LABELS:
        np.testing.assert_array_equal(labels.array == value[label.name], phantom.truth.array == label.value)
    assert {label.terminology for label in dataset.labels} == {label.terminology for label in LABELS}


def test_series_of_one_frame_of_reference_become_channels(tmp_path):
    fine = write_patient(tmp_path / "in" / "ct", "P1", {"GTV_CT": FIRST}, seed=1)
    sevens = np.full((4, 5, 6), 7, np.int16)
    sevens[-1, -1, -1] = 8
    coarse = Volume(sevens, fine.grid.resized((4, 5, 6)).ijk_to_ras, "MR", "scan T1")
    files = write_ct_series(coarse, tmp_path / "in" / "mr", "P1")
    _retag(files, "MR", pydicom.dcmread(next((tmp_path / "in" / "ct" / "image").iterdir())).FrameOfReferenceUID)
    write_rtstruct(
        tmp_path / "in" / "mr_mask.dcm", tmp_path / "in" / "mr", coarse, {"GTV_MR": box((0, 2), (0, 2), (0, 2))}
    )
    findings = find(tmp_path / "in")
    assert available_channels(findings) == {"CT": 1, "MR": 1}
    assert len(proposed_channels(findings)) == 1
    dataset = import_dataset(findings, propose(findings), tmp_path / "out", channels=("CT", "T1"))
    (case,) = dataset.cases
    (ct, mr), labels = case.load()
    assert [(one.name, one.modality) for one in dataset.channels] == [("CT", "CT"), ("T1", "MR")]
    np.testing.assert_array_equal(ct.array, fine.array)
    assert mr.array.shape == SHAPE and (mr.array[:4] == 7).all() and mr.array[-1, -1, -1] > 7
    np.testing.assert_array_equal(labels.array, labels_of({1: FIRST}).array)
    other = import_dataset(findings, propose(findings), tmp_path / "mr", channels=("CT", "T1"), reference="T1")
    assert other.cases[0].facts.shape == (4, 5, 6)
    assert other.cases[0].load_label().array[:2, :2, :2].all()


def _retag(files, modality: str, frame_of_reference: str) -> None:
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.Modality, dataset.FrameOfReferenceUID = modality, frame_of_reference
        dataset.save_as(path)


def test_a_channel_that_a_patient_lacks_leaves_the_patient_out(tmp_path):
    write_patient(tmp_path / "in" / "a", "A", {"GTV": FIRST}, seed=1)
    write_patient(tmp_path / "in" / "b" / "ct", "B", {"GTV": FIRST}, seed=2)
    pet = write_ct_series(image(3), tmp_path / "in" / "b" / "pet", "B")
    _retag(pet, "PT", pydicom.dcmread(next((tmp_path / "in" / "b" / "ct" / "image").iterdir())).FrameOfReferenceUID)
    dataset = imported(tmp_path / "in", tmp_path / "out", channels=("CT", "PET"))
    assert [case.name for case in dataset.cases] == ["B"]
    assert why(dataset) == {"A": "It has no image for the channel 'PET'."}


@pytest.mark.parametrize(
    ("channels", "reference", "message"),
    [
        (("CT", "PET"), "", "No case has an image for the channel 'PET'. There are: CT"),
        (("CT", "ct"), "", "'ct' is named twice"),
        (("CT",), "MR", "none of the channels"),
    ],
)
def test_channels_that_cannot_be_are_refused_at_once(tmp_path, channels, reference, message):
    write_patient(tmp_path / "in", "A", {"GTV": FIRST})
    with pytest.raises(InputError, match=message):
        imported(tmp_path / "in", tmp_path / "out", channels=channels, reference=reference)
    assert not (tmp_path / "out").exists()


def test_scans_in_several_frames_of_reference_are_cases_of_one_patient(tmp_path):
    for seed in (1, 2):
        write_patient(tmp_path / "in" / str(seed), "P", {"GTV": FIRST}, seed=seed)
    dataset = imported(tmp_path / "in", tmp_path / "out")
    assert {case.patient for case in dataset.cases} == {"P"}
    assert len({case.name for case in dataset.cases}) == 2
    shutil.move(tmp_path / "in", tmp_path / "moved")
    assert by_name(imported(tmp_path / "moved", tmp_path / "other")).keys() == by_name(dataset).keys()


def test_of_two_drawings_of_a_structure_the_newest_counts(tmp_path):
    volume = write_patient(tmp_path / "in", "P", {"GTV": FIRST, "Heart": SECOND}, dated="20210101")
    write_rtstruct(tmp_path / "in" / "a.dcm", tmp_path / "in" / "image", volume, {"GTV": SECOND}, dated="20190101")
    (case,) = imported(tmp_path / "in", tmp_path / "out").cases
    np.testing.assert_array_equal(case.load_label().array > 0, labels_of({1: FIRST, 2: SECOND}).array > 0)
    assert any("drawn more than once" in warning for warning in case.facts.warnings)


def test_what_dicom_cannot_be_used_is_in_the_table_of_skipped(tmp_path):
    write_patient(tmp_path / "in" / "good", "good", {"GTV": FIRST}, seed=1)
    write_ct_series(image(2), tmp_path / "in" / "plain", "plain")
    write_patient(tmp_path / "in" / "lost", "lost", {"GTV": FIRST}, seed=3)
    shutil.rmtree(tmp_path / "in" / "lost" / "image")
    write_patient(tmp_path / "in" / "gap", "gap", {"GTV": FIRST}, seed=4)
    next((tmp_path / "in" / "gap" / "image").glob("*_0004.dcm")).unlink()
    write_patient(tmp_path / "in" / "cut", "cut", {"GTV": FIRST}, seed=5)
    damaged = tmp_path / "in" / "cut" / "image" / "slice_0003.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-50])
    write_patient(tmp_path / "in" / "outside", "outside", {"GTV": box((20, 25), (2, 4), (3, 5))}, seed=6)
    write_patient(tmp_path / "in" / "other", "other", {"Heart": FIRST}, seed=7)
    table = changed(propose(find(tmp_path / "in")), Heart={"structure": LEAVE_OUT, "value": 0})
    dataset = imported(tmp_path / "in", tmp_path / "out", table)
    assert [case.name for case in dataset.cases] == ["good"]
    with (tmp_path / "out" / "skipped.csv").open(newline="", encoding="utf-8") as file:
        table = {row["what"]: row["why"] for row in csv.DictReader(file)}
    assert table == why(dataset)
    reasons = " ".join(f"{what}: {reason}" for what, reason in table.items())
    for expected in (
        "plain/scan 2: It is an image without structures", "lost/thorax: The series that it was drawn on is not",
        "gap/scan 4:", "cut:", "outside: No structure of the table lies in the image", "other: No structure",
    ):  # fmt: skip
        assert expected in reasons


def test_a_structure_set_on_an_image_that_cannot_be_used_says_so(tmp_path):
    write_patient(tmp_path / "in" / "good", "good", {"GTV": FIRST}, seed=1)
    write_patient(tmp_path / "in" / "gap", "gap", {"GTV": FIRST}, seed=4)
    next((tmp_path / "in" / "gap" / "image").glob("*_0004.dcm")).unlink()
    skipped = why(imported(tmp_path / "in", tmp_path / "out"))
    assert skipped["gap/thorax"] == "The series that it was drawn on, 'gap/scan 4', cannot be used."


def test_copies_of_a_study_count_once_and_other_doubles_are_refused(tmp_path):
    volume = write_patient(tmp_path / "in" / "one", "P", {"GTV": FIRST}, seed=1)
    shutil.copytree(tmp_path / "in" / "one", tmp_path / "in" / "again")
    dataset = imported(tmp_path / "in", tmp_path / "out")
    (case,) = dataset.cases
    np.testing.assert_array_equal(case.load()[0][0].array, volume.array)
    assert {"(8 copies)" in why(dataset)["P/scan 1"], "(1 copies)" in why(dataset)["P/thorax"]} == {True}
    changed_copy = next((tmp_path / "in" / "again" / "image").iterdir())
    slice_ = pydicom.dcmread(changed_copy)
    slice_.PatientComments = "another one"
    slice_.save_as(changed_copy)
    with pytest.raises(InputError, match="holds a slice twice"):
        imported(tmp_path / "in", tmp_path / "other")


def test_patients_without_id_are_told_apart(tmp_path):
    for seed in (1, 2):
        write_patient(tmp_path / "in" / str(seed), "", {"GTV": FIRST}, seed=seed)
    dataset = imported(tmp_path / "in", tmp_path / "out")
    assert len({case.patient for case in dataset.cases}) == 2
    assert all(case.name.startswith("patient_without_ID-") for case in dataset.cases)


def test_files_chosen_one_by_one_are_found_as_in_a_folder(tmp_path):
    write_patient(tmp_path / "in", "P", {"GTV": FIRST})
    write_patient(tmp_path / "unasked", "Q", {"GTV": FIRST})
    findings = find_files([*(tmp_path / "in").rglob("*.dcm"), tmp_path / "gone.dcm"])
    assert [case.name for case in findings.cases] == ["P"]


def test_real_sarcomas_become_three_channels(shared_data, tmp_path):
    for patient in ("STS_003", "STS_012"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / patient).symlink_to(shared_data / "sarcoma-ct-mr-pet" / patient, target_is_directory=True)
    findings = find(tmp_path / "in")  # behind links, too
    dataset = import_dataset(findings, propose(findings), tmp_path / "out", channels=("CT", "MR_T1", "PET"))
    assert [label.name for label in dataset.labels] == ["GTV Mass"]
    assert dataset.skipped == () and len(dataset.cases) == 2
    (ct, mr, pet), labels = by_name(dataset)["STS_012"].load()
    tumour = labels.array == 1
    assert 0.01 < tumour.mean() < 0.1
    assert ct.array[tumour].mean() == pytest.approx(30, abs=60)  # soft tissue, HU
    assert pet.array[tumour].mean() > 1.5 * pet.array[~tumour].mean()
    assert (mr.array[tumour] > 0).mean() > 0.99


def test_a_real_segmentation_object_is_read(shared_data, tmp_path):
    dataset = imported(shared_data / "dicom-seg-ct", tmp_path)
    (case,) = dataset.cases
    liver = next(label for label in dataset.labels if label.name == "Liver")
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(shared_data / "dicom-seg-ct" / "liver_seg.nrrd"))) > 0
    found = case.load_label().array
    assert found[truth].all() and (found == liver.value).sum() > 0.5 * truth.sum()
    assert any("are in 'Liver' and in 'ORANGE'; they count as 'ORANGE'" in one for one in case.facts.warnings)
    assert why(dataset) == {"structure 'GREEN'": "No case shows it."}


# files


def test_values_are_translated_by_the_table(tmp_path):
    write_pair(tmp_path / "in", "a", seed=1, boxes={1: FIRST, 40: SECOND, 200: box((0, 1), (0, 1), (0, 4))})
    table = propose(find(tmp_path / "in"))
    table = changed(
        table,
        **{
            "structure 1": {"structure": "organ", "value": 0},
            "structure 40": {"structure": "organ", "value": 0},
            "structure 200": {"structure": NOT_ANNOTATED},
        },
    )
    (case,) = imported(tmp_path / "in", tmp_path / "out", table).cases
    expected = labels_of({1: FIRST, 2: SECOND, IGNORE: box((0, 1), (0, 1), (0, 4))}).array
    expected[expected == 2] = 1
    np.testing.assert_array_equal(case.load_label().array, expected)


def test_masks_of_0_and_255_have_a_structure(tmp_path):
    write_pair(tmp_path / "in", "a", seed=1, boxes={255: FIRST})
    (case,) = imported(tmp_path / "in", tmp_path / "out").cases
    np.testing.assert_array_equal(case.load_label().array, labels_of({1: FIRST}).array)


def test_the_ignore_label_of_nnunet_means_not_annotated(tmp_path):
    write_pair(tmp_path / "in", "a", seed=1, boxes={1: FIRST, 2: SECOND}, names=("imagesTr", "labelsTr"))
    description = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "ignore": 2}}
    (tmp_path / "in" / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="means 'not annotated'"):
        open_dataset(tmp_path / "in")
    (case,) = imported(tmp_path / "in", tmp_path / "out").cases
    np.testing.assert_array_equal(case.load_label().array, labels_of({1: FIRST, IGNORE: SECOND}).array)


def test_a_value_that_the_table_lacks_is_warned_of_and_left_out(tmp_path):
    write_pair(tmp_path / "in", "a", seed=1)
    table = propose(find(tmp_path / "in"))
    table = StructureTable(table.rows[:1])
    (case,) = imported(tmp_path / "in", tmp_path / "out", table).cases
    assert case.facts.warnings == ("'structure 2' is not in the table of structures; it was left out.",)
    np.testing.assert_array_equal(case.load_label().array, labels_of({1: FIRST}).array)


def test_values_beyond_a_byte_are_translated(tmp_path):
    write_pair(tmp_path / "in", "a", seed=1)
    labels = labels_of({1: FIRST, 2: SECOND})
    array = labels.array.astype(np.uint16)
    array[SECOND] = 1000
    write_volume(labels.with_array(array), tmp_path / "in" / "labels" / "a.nii.gz")
    with pytest.raises(InputError, match="up to 1000; 255 is the highest. Import the data"):
        open_dataset(tmp_path / "in")
    dataset = imported(tmp_path / "in", tmp_path / "out")
    np.testing.assert_array_equal(dataset.cases[0].load_label().array, labels.array)
    assert [label.name for label in dataset.labels] == ["structure 1", "structure 1000"]


def test_numbers_of_objects_are_not_taken_for_structures(tmp_path):
    write_pair(tmp_path, "a", seed=1)
    numbers = np.arange(np.prod(SHAPE), dtype=np.uint32).reshape(SHAPE) % 400
    write_volume(Volume(numbers, MATRIX), tmp_path / "labels" / "a.nii.gz")
    with pytest.raises(InputError, match="399 structures.*a mask file of its own"):
        propose(find(tmp_path))


def test_labels_without_any_structure_are_refused_where_a_table_is_to_be_proposed(tmp_path):
    write_pair(tmp_path, "a", seed=1, boxes={1: box((0, 0), (0, 0), (0, 0))})
    with pytest.raises(InputError, match="every voxel is background"):
        propose(find(tmp_path))


def test_labels_that_cannot_be_read_are_known_before_the_import(tmp_path):
    source = write_pairs(tmp_path / "in", 2)
    (source / "labels" / "case_1.nii.gz").write_bytes(b"")
    findings = find(source)
    assert [case.name for case in findings.cases] == ["case_0"]
    assert [(item.what, item.why[:26]) for item in findings.skipped] == [("case_1", "The labels cannot be read.")]


def test_a_structure_without_a_row_is_in_the_table_of_skipped(tmp_path):
    write_pairs(tmp_path / "in", 2)
    table = StructureTable(propose(find(tmp_path / "in")).rows[:1])
    dataset = imported(tmp_path / "in", tmp_path / "out", table)
    assert "has no row for it" in why(dataset)["structure 'structure 2' of the data"]


def test_what_a_case_lacks_is_not_contoured_unless_the_table_says_absent(tmp_path):
    write_pairs(tmp_path / "in", 2)
    write_pair(tmp_path / "in", "half", seed=8, boxes={1: FIRST})
    table = propose(find(tmp_path / "in"))
    assert by_name(imported(tmp_path / "in", tmp_path / "a", table))["half"].not_contoured == {"structure 2"}
    table = changed(table, **{"structure 2": {"missing": ABSENT}})
    assert by_name(imported(tmp_path / "in", tmp_path / "b", table))["half"].not_contoured == frozenset()


def test_bad_files_are_skipped_and_the_others_imported(tmp_path):
    source = write_pairs(tmp_path / "in", 2)
    write_pair(source, "cut", seed=10)
    (source / "images" / "cut.nii.gz").write_bytes((source / "images" / "cut.nii.gz").read_bytes()[:500])
    write_pair(source, "size", seed=11)
    write_volume(labels_of({1: box((0, 2), (0, 2), (0, 2))}, (7, 10, 12)), source / "labels" / "size.nii.gz")
    write_pair(source, "nan", seed=12)
    broken = image(12).array.astype(np.float32)
    broken[0, 0, 0] = np.nan
    (source / "images" / "nan.nii.gz").unlink()  # its reader makes such values 0
    write_volume(Volume(broken, MATRIX), source / "images" / "nan.nrrd")
    write_pair(source, "broken numbers", seed=13)
    write_volume(Volume(labels_of({1: FIRST}).array * 0.3, MATRIX), source / "labels" / "broken numbers.nii.gz")
    write_pair(source, "twin", seed=0)
    dataset = imported(source, tmp_path / "out")
    assert by_name(dataset).keys() == {"case_0", "case_1"}
    expected = {
        "cut": "damaged", "size": "12 x 10 x 7 voxels", "nan": "not numbers", "broken numbers": "not whole numbers",
        "twin": "same image as 'case_0'",
    }  # fmt: skip
    assert why(dataset).keys() == expected.keys()
    assert all(reason in why(dataset)[name] for name, reason in expected.items())


def test_an_empty_source_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="holds no image with labels"):
        find(tmp_path / "in")
    with pytest.raises(InputError, match="no folder"):
        find(tmp_path / "nowhere")


def test_a_data_set_is_not_imported_again(tmp_path):
    imported(write_pairs(tmp_path / "in", 1), tmp_path / "out")
    with pytest.raises(InputError, match="is a data set already"):
        find(tmp_path / "out")


# microscopy


def test_objects_keep_their_numbers(tmp_path):
    objects = [np.s_[1:4, 2:6], np.s_[4:8, 2:6], np.s_[6:12, 5:9]]
    pixels = write_microscopy(tmp_path / "in", "cell", objects)
    write_microscopy(tmp_path / "in", "grey one", objects[:1], colors=1)
    dataset = imported(tmp_path / "in", tmp_path / "out")
    case = by_name(dataset)["cell"]
    (loaded,), labels = case.load()
    instances = case.load_instances()
    assert instances.array.dtype == np.uint16 and sorted(np.unique(instances.array)) == [0, 1, 2, 3]
    np.testing.assert_array_equal(labels.array, (instances.array > 0).astype(np.uint8))
    assert (instances.array[0][objects[2]] == 3).all()
    assert case.facts.warnings == ("2 pixels belong to several objects; the last one has them.",)
    weighted = pixels[..., :3] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(loaded.array[0], weighted, atol=0.51)


def test_real_nuclei_are_read_with_every_one_of_them(shared_data, tmp_path):
    folders = sorted((shared_data / "nuclei-microscopy").iterdir())[:24:6]
    for folder in folders:
        (tmp_path / "in" / folder.name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / folder.name).symlink_to(folder, target_is_directory=True)
    dataset = imported(tmp_path / "in", tmp_path / "out")
    assert dataset.skipped == () and len(dataset.cases) == len(folders)
    for case, folder in zip(dataset.cases, folders):
        assert case.load_instances().array.max() == len(list((folder / "masks").glob("*.png")))


# how it runs


def test_an_interrupted_import_goes_on_where_it_stopped(tmp_path, monkeypatch):
    source = write_pairs(tmp_path / "in", 4)
    with pytest.raises(CancelledError):
        imported(source, tmp_path / "out", cancelled=iter([False, False, True]).__next__)
    assert sorted(path.name for path in (tmp_path / "out" / "cases").iterdir()) == ["case_0", "case_1"]
    for name, hours in (("killed", 7), ("at work", 0)):
        left = tmp_path / "out" / "cases" / f".partial-{name}-case_2"
        left.mkdir()
        os.utime(left, (time.time() - 3600 * hours,) * 2)
    steps = []
    written = case_folder.write_volume
    monkeypatch.setattr(case_folder, "write_volume", lambda volume, path: (steps.append(path), written(volume, path)))
    dataset = imported(source, tmp_path / "out", progress=lambda *step: steps.append(step))
    assert len(dataset.cases) == 4
    assert [step for step in steps if isinstance(step, tuple)] == [(n, 4, f"case_{n}") for n in range(4)]
    written_in = {path.parent.name for path in steps if not isinstance(path, tuple)}
    assert {name.rpartition("-")[2] for name in written_in} == {"case_2", "case_3"}
    assert [path.name for path in (tmp_path / "out" / "cases").glob(".*")] == [".partial-at work-case_2"]


def test_two_imports_into_one_folder_do_not_disturb_each_other(tmp_path, monkeypatch):
    """The second one imports all while the first is at its first case."""
    source, written, begun = write_pairs(tmp_path / "in", 3), case_folder.write_volume, []

    def interfering(volume, path):
        if not begun:
            begun.append(path)
            imported(source, tmp_path / "out")
        written(volume, path)

    monkeypatch.setattr(case_folder, "write_volume", interfering)
    dataset = imported(source, tmp_path / "out")
    assert len(dataset.cases) == 3 and not dataset.skipped
    assert open_dataset(tmp_path / "out").cases == dataset.cases
    assert sorted(path.name for path in (tmp_path / "out" / "cases").iterdir()) == ["case_0", "case_1", "case_2"]


def test_a_case_is_made_again_when_its_files_or_the_table_change(tmp_path):
    source = write_pairs(tmp_path / "in", 2)
    table = propose(find(source))
    imported(source, tmp_path / "out", table)
    records = {name: (tmp_path / "out" / "cases" / name / "case.json") for name in ("case_0", "case_1")}
    before = {name: path.stat().st_mtime_ns for name, path in records.items()}
    write_pair(source, "case_1", seed=5)
    imported(source, tmp_path / "out", table)
    after = {name: path.stat().st_mtime_ns for name, path in records.items()}
    assert before["case_0"] == after["case_0"] and before["case_1"] != after["case_1"]
    dataset = imported(
        source, tmp_path / "out", changed(table, **{"structure 2": {"structure": "structure 1", "value": 1}})
    )
    assert set(np.unique(dataset.cases[0].load_label().array)) == {0, 1}


def test_a_lost_file_of_a_case_is_noticed(tmp_path):
    source = write_pairs(tmp_path / "in", 1)
    dataset = imported(source, tmp_path / "out")
    dataset.cases[0].label.unlink()
    imported(source, tmp_path / "out").cases[0].load()


def test_a_full_disk_leaves_whole_cases_only(tmp_path, monkeypatch):
    source = write_pairs(tmp_path / "in", 3)
    written = case_folder.write_volume

    def full(volume, path):
        if "case_1" in str(path) and path.name == "label.nii.gz":
            raise OSError(errno.ENOSPC, "No space left on device")
        written(volume, path)

    monkeypatch.setattr(case_folder, "write_volume", full)
    with pytest.raises(OutputError, match="'case_1' could not be written.*the disk is full.*same import again"):
        imported(source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "cases").iterdir()] == ["case_0"]
    monkeypatch.undo()
    assert len(imported(source, tmp_path / "out").cases) == 3


def test_what_another_program_wrote_is_not_replaced(tmp_path):
    write_pair(tmp_path / "in", "a", seed=1, names=("imagesTr", "labelsTr"))
    text = json.dumps({"labels": {"background": 0, "liver": 1, "spleen": 2}})
    (tmp_path / "in" / "dataset.json").write_text(text)
    with pytest.raises(OutputError, match="of another program"):
        imported(tmp_path / "in", tmp_path / "in")
    assert (tmp_path / "in" / "dataset.json").read_text() == text


def test_a_data_set_does_not_come_to_lie_among_its_sources(tmp_path):
    for place in (tmp_path / "in", tmp_path / "in" / "out", tmp_path / "in" / ".." / "in" / "out"):
        with pytest.raises(InputError, match="lies in the folder that is imported"):
            check_apart(tmp_path / "in", place)
    check_apart(tmp_path / "in", tmp_path / "in-out")


def test_why_nothing_was_imported_is_a_table(tmp_path):
    source = write_pairs(tmp_path / "in", 2)
    for path in (source / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="The first, 'case_0': The file case_0"):
        imported(source, tmp_path / "out")
    with (tmp_path / "out" / "skipped.csv").open(newline="", encoding="utf-8") as file:
        assert [row["what"] for row in csv.DictReader(file)] == ["case_0", "case_1"]


def test_what_lies_in_the_way_is_not_replaced(tmp_path):
    source = write_pairs(tmp_path / "in", 1)
    (tmp_path / "out" / "cases" / "case_0").mkdir(parents=True)
    with pytest.raises(OutputError, match="in the way"):
        imported(source, tmp_path / "out")


def test_an_imported_data_set_moves_with_its_folder(tmp_path):
    dataset = imported(write_pairs(tmp_path / "in", 2), tmp_path / "out", name="Test")
    shutil.rmtree(tmp_path / "in")
    (tmp_path / "out").rename(tmp_path / "moved")
    moved = open_dataset(tmp_path / "moved")
    assert moved.name == "Test"
    assert [case.facts for case in moved.cases] == [case.facts for case in dataset.cases]
    assert all(case.load() for case in moved.cases)


def test_an_unlisted_structure_of_a_drawing_is_no_row(tmp_path):
    table = propose(find(write_pairs(tmp_path, 1)))
    assert table.row_of(FoundStructure("value 9", 9)) is None
