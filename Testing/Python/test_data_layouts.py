"""Folders as people have them: names that differ, a dataset.json of others, tables of patients, odd pictures."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from data_makers import FIRST, image, labels_of, write_microscopy, write_pair, write_pairs
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import write_volume
from MedSegTrainLib.data.dataset import open_dataset
from MedSegTrainLib.data.images import read_values
from MedSegTrainLib.data.layouts import find_layout
from MedSegTrainLib.data.sources import find


def names(folder: Path) -> list[str]:
    return [pair.name for pair in find_layout(folder).pairs]


def unmatched(folder: Path) -> dict[str, str]:
    return dict(find_layout(folder).unmatched)


def rename(folder: Path, old: str, new: str) -> None:
    (folder / f"{old}.nii.gz").rename(folder / f"{new}.nii.gz")


def test_labels_may_say_in_their_name_that_they_are_labels(tmp_path):
    for n, name in enumerate(("case_0_seg", "case_1-label", "case_2")):
        write_pairs(tmp_path, 3)
        rename(tmp_path / "labels", f"case_{n}", name)
    shutil.copy(tmp_path / "labels" / "case_2.nii.gz", tmp_path / "labels" / "case_2_mask.nii.gz")
    assert names(tmp_path) == ["case_0", "case_1", "case_2"]


def test_an_image_without_the_number_of_its_channel_leaves_the_others_as_they_are(tmp_path):
    write_pairs(tmp_path, 3)
    for n, name in enumerate(("case_0_0000", "case_1_0000", "odd")):
        rename(tmp_path / "images", f"case_{n}", name)
    assert names(tmp_path) == ["case_0", "case_1"]
    assert "number of a channel, such as _0000" in unmatched(tmp_path)["odd"]
    assert "no image of this name" in unmatched(tmp_path)["case_2"]


def test_files_that_no_name_brings_together_say_how_names_do(tmp_path):
    write_pairs(tmp_path, 2)
    for n in range(2):
        rename(tmp_path / "labels", f"case_{n}", f"truth of {n}")
    for opened in (open_dataset, find):
        with pytest.raises(InputError, match="no labels of this name. Files belong together by their names"):
            opened(tmp_path)


def test_images_without_labels_beside_pairs_are_told(tmp_path):
    for name in ("a", "b"):
        write_volume(image(1), tmp_path / f"{name}.nrrd")
    write_volume(labels_of({1: FIRST}), tmp_path / "a_seg.nrrd")
    assert (names(tmp_path), unmatched(tmp_path)) == (["a"], {"b": "There is an image, but no labels."})


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"training": [{"img": "x"}]}, "not written as by the Decathlon or nnU-Net"),
        ({"labels": ["background", "liver"]}, "not written as by"),
        ({"channel_names": {"first": "CT"}}, "not written as by"),
        ({"labels": {"1": "liver", "2": "liver"}}, "'liver' or the value 2 twice"),
        ({"labels": {"liver": [1, 2]}}, "stands for several values"),
    ],
)
def test_a_dataset_json_of_something_else_is_refused_in_words(tmp_path, description, message):
    write_pair(tmp_path, "a", seed=1, names=("imagesTr", "labelsTr"))
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    for opened in (open_dataset, find):
        with pytest.raises(InputError, match=message):
            opened(tmp_path)


def test_several_channels_in_one_file_are_refused_with_a_way_out(tmp_path):
    write_pair(tmp_path, "a", seed=1, names=("imagesTr", "labelsTr"))
    listed = [{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}]
    description = {"modality": {"0": "FLAIR", "1": "T1w"}, "labels": {"0": "background", "1": "b"}, "training": listed}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="2 channels in one file .FLAIR, T1w.*NAME_0000.nii.gz"):
        find(tmp_path)


@pytest.mark.parametrize("table", ["case,patient\ncase_0,anna\n", "case;patient\ncase_0.nii.gz; anna \n"])
def test_a_table_of_patients_may_be_of_any_spreadsheet(tmp_path, table):
    write_pairs(tmp_path, 2)
    (tmp_path / "patients.csv").write_text(table)
    assert [case.patient for case in open_dataset(tmp_path).cases] == ["anna", "case_1"]


def test_a_table_of_patients_that_names_none_of_the_cases_is_refused(tmp_path):
    """Passed over, it would let scans of one patient come into training and test."""
    write_pairs(tmp_path, 2)
    (tmp_path / "patients.csv").write_text("case,patient\nscan 0,anna\nscan 1,anna\n")
    with pytest.raises(InputError, match="names none of the cases: it says 'scan 0', and a case is called 'case_0'"):
        open_dataset(tmp_path)
    (tmp_path / "patients.csv").write_text("case,patient\nscan 0,anna\ncase_1,anna\n")
    assert unmatched(tmp_path) == {"patients.csv: scan 0": "No case has this name."}
    (tmp_path / "patients.csv").write_text("name,patient\ncase_0,anna\n")
    with pytest.raises(InputError, match="lacks the column 'case'"):
        open_dataset(tmp_path)


def test_pictures_of_one_patient_are_named_by_a_table_too(tmp_path):
    for name in ("a", "bb"):
        write_microscopy(tmp_path, name, [np.s_[1:4, 2:6]])
    (tmp_path / "patients.csv").write_text("case,patient\na,anna\nbb,anna\n")
    assert [case.patient for case in find(tmp_path).cases] == ["anna", "anna"]


def test_grey_values_stored_as_colours_are_labels_and_colours_are_not(tmp_path):
    grey = np.zeros((6, 7), np.uint8)
    grey[2:4, 2:4] = 255
    for name, pixels in (("grey", np.stack([grey] * 3, -1)), ("red", np.stack([grey, grey * 0, grey * 0], -1))):
        sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(tmp_path / f"{name}.png"))
    np.testing.assert_array_equal(read_values(tmp_path / "grey.png").array[0], grey)
    with pytest.raises(InputError, match="labels cannot be read. The picture red.png is in colour or has a palette"):
        read_values(tmp_path / "red.png")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one encoding for all names")
def test_a_name_in_another_encoding_is_left_out_and_does_not_end_the_process(tmp_path):
    write_pairs(tmp_path, 2)
    for part in ("images", "labels"):
        old = os.fsencode(tmp_path / part / "case_1.nii.gz")
        os.rename(old, old.replace(b"case_1", b"M\xfcller"))
    dataset = open_dataset(tmp_path)
    assert [case.name for case in dataset.cases] == ["case_0"]
    assert [(item.what, item.why) for item in dataset.skipped] == [
        ("M\\udcfcller", "The labels cannot be read. The name of the file is not in UTF-8. Rename it.")
    ]
    dataset.write()
    assert open_dataset(tmp_path).skipped == dataset.skipped
