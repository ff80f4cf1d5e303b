"""Data sets: opened where they lie in every layout, written and read back, with bad cases left out for a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from data_makers import FIRST, MATRIX, SECOND, SHAPE, box, image, labels_of, write_pair, write_pairs
from MedSegDLLib.errors import CancelledError, InputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.data.case import Case
from MedSegTrainLib.data.dataset import IGNORE, Dataset, open_dataset
from MedSegTrainLib.data.examination import examine_all
from MedSegTrainLib.data.images import GREY_WEIGHTS, read_image, read_values
from MedSegTrainLib.data.structures import plain_label


def why(dataset: Dataset) -> dict[str, str]:
    return {item.what: item.why for item in dataset.skipped}


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_images_and_labels_of_the_same_name_make_a_case(tmp_path, suffix):
    write_pair(tmp_path, "one", seed=1, suffix=suffix)
    dataset = open_dataset(tmp_path)
    (case,) = dataset.cases
    (loaded,), labels = case.load()
    assert (case.name, case.patient) == ("one", "one")
    np.testing.assert_array_equal(loaded.array, image(1).array)
    np.testing.assert_array_equal(labels.array, labels_of({1: FIRST, 2: SECOND}).array)
    assert [label.value for label in dataset.labels] == [1, 2]
    assert case.facts.shape == SHAPE
    assert case.facts.volumes_ml == pytest.approx({"structure 1": 60 * 6.75e-3, "structure 2": 36 * 6.75e-3})


def test_channels_are_counted_by_the_end_of_the_name(tmp_path):
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).mkdir()
    for name in ("a", "b"):
        for channel in (0, 1):
            write_volume(image(channel + 2 * (name == "b")), tmp_path / "imagesTr" / f"{name}_000{channel}.nii.gz")
        write_volume(labels_of({1: FIRST}), tmp_path / "labelsTr" / f"{name}.nii.gz")
    (tmp_path / "imagesTr" / "b_0001.nii.gz").unlink()
    description = {"channel_names": {"0": "CT", "1": "T1w"}, "labels": {"background": 0, "liver": 1}}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    dataset = open_dataset(tmp_path)
    assert [(channel.name, channel.modality) for channel in dataset.channels] == [("CT", "CT"), ("T1w", "MR")]
    assert [path.name for path in dataset.cases[0].images] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert [(label.value, label.name) for label in dataset.labels] == [(1, "liver")]
    assert why(dataset) == {"b": "The image of channel 1 is missing."}


def test_a_decathlon_folder_names_its_structures(tmp_path):
    write_pair(tmp_path, "h_1", seed=1, names=("imagesTr", "labelsTr"))
    listed = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in ("h_1", "h_2")]
    description = {
        "name": "Hippocampus", "licence": "CC-BY-SA 4.0", "modality": {"0": "MRI"}, "training": listed,
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior", "3": "Cyst"},
    }  # fmt: skip
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    dataset = open_dataset(tmp_path)
    assert [label.name for label in dataset.labels] == ["Anterior", "Posterior"]
    assert dataset.channels[0].modality == "MR"
    assert dataset.about == {"title": "Hippocampus", "licence": "CC-BY-SA 4.0"}
    assert "listed, but not there" in why(dataset)["h_2"]
    assert why(dataset)["structure 'Cyst'"] == "No case shows it."


def test_names_of_other_values_than_the_labels_have_are_refused(tmp_path):
    write_pair(tmp_path, "a", seed=1, names=("imagesTr", "labelsTr"))
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "liver": 9}}))
    with pytest.raises(InputError, match="No value of the labels"):
        open_dataset(tmp_path)


def test_labels_may_lie_beside_their_image(tmp_path):
    for name in ("left", "right"):
        write_volume(image(len(name)), tmp_path / f"{name}.nrrd")
        write_volume(labels_of({1: FIRST}), tmp_path / f"{name}_seg-manual.nrrd")
    assert [case.name for case in open_dataset(tmp_path).cases] == ["left", "right"]


def test_pictures_become_grey_by_the_documented_weights(tmp_path):
    rgba = np.random.default_rng(0).integers(0, 255, (6, 7, 4)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(rgba, isVector=True), str(tmp_path / "picture.png"))
    grey = read_image(tmp_path / "picture.png")
    assert grey.array.dtype == np.uint8
    np.testing.assert_array_equal(grey.array[0], np.rint(rgba[..., :3] @ np.array(GREY_WEIGHTS)).astype(np.uint8))


def test_pairs_of_pictures_are_cases(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (9, 8)).astype(np.uint8)
    for part, array in (("images", pixels), ("masks", (pixels > 100).astype(np.uint8))):
        (tmp_path / part).mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / part / "p.png"))
    (loaded,), labels = open_dataset(tmp_path).cases[0].load()
    assert loaded.array.shape == (1, 9, 8)
    np.testing.assert_array_equal(labels.array[0], pixels > 100)


def test_patients_are_named_by_a_table(tmp_path):
    write_pairs(tmp_path, 3)
    (tmp_path / "patients.csv").write_text("case,patient\ncase_0,anna\ncase_2,anna\n")
    assert [case.patient for case in open_dataset(tmp_path).cases] == ["anna", "case_1", "anna"]


def test_a_case_without_a_structure_is_not_contoured(tmp_path):
    write_pairs(tmp_path, 2)
    write_pair(tmp_path, "half", seed=9, boxes={1: FIRST})
    dataset = open_dataset(tmp_path)
    assert {case.name: case.not_contoured for case in dataset.cases} == {
        "case_0": frozenset(), "case_1": frozenset(), "half": {"structure 2"},
    }  # fmt: skip


def test_bad_cases_are_left_out_with_a_reason_and_the_others_stay(tmp_path):
    write_pairs(tmp_path, 2)
    images, labels = tmp_path / "images", tmp_path / "labels"
    write_pair(tmp_path, "cut", seed=10)
    (images / "cut.nii.gz").write_bytes((images / "cut.nii.gz").read_bytes()[:500])
    write_pair(tmp_path, "size", seed=11)
    write_volume(labels_of({1: box((0, 2), (0, 2), (0, 2))}, (7, 10, 12)), labels / "size.nii.gz")
    write_pair(tmp_path, "moved", seed=12)
    write_volume(labels_of({1: FIRST}, matrix=MATRIX * 1.1), labels / "moved.nii.gz")
    write_pair(tmp_path, "half", seed=13)
    write_volume(Volume(labels_of({1: FIRST}).array * 0.5, MATRIX), labels / "half.nii.gz")
    write_pair(tmp_path, "empty", seed=14, boxes={3: box((0, 0), (0, 0), (0, 0))})
    write_pair(tmp_path, "twin", seed=1)
    write_volume(image(15), images / "unlabelled.nii.gz")
    write_volume(labels_of({1: FIRST}), labels / "imageless.nii.gz")
    write_volume(image(16), images / "double.nii.gz")
    write_volume(image(17), images / "double.nrrd")
    write_volume(labels_of({1: FIRST}), labels / "double.nii.gz")
    (images / ".hidden.nii.gz").write_bytes(b"")
    dataset = open_dataset(tmp_path)
    assert [case.name for case in dataset.cases] == ["case_0", "case_1"]
    expected = {
        "cut": "damaged", "size": "12 x 10 x 7", "moved": "lie elsewhere", "half": "not whole numbers",
        "empty": "every voxel is background", "twin": "same image as 'case_1'", "unlabelled": "no labels",
        "imageless": "no image", "double": "Two files have this name",
    }  # fmt: skip
    assert why(dataset).keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in why(dataset)[name]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [({IGNORE: FIRST}, "structure has the value 255"), ({}, "every voxel is background")],
)
def test_what_cannot_be_used_where_it_lies_is_refused(tmp_path, boxes, message):
    write_pair(tmp_path, "a", seed=0, boxes=boxes or {0: FIRST})
    with pytest.raises(InputError, match=message):
        open_dataset(tmp_path)


def test_an_empty_folder_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(InputError, match="needs images/ and labels/"):
        open_dataset(tmp_path)
    write_volume(image(1), _made(tmp_path / "images") / "a.nrrd")
    write_volume(labels_of({1: FIRST}), _made(tmp_path / "labels") / "b.nrrd")
    with pytest.raises(InputError, match="no case that can be used. The first, 'a': There is an image, but no labels"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        open_dataset(tmp_path / "nowhere")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_value_without_a_name_is_warned_of(tmp_path):
    write_pair(tmp_path, "a", seed=0, boxes={1: FIRST, 7: SECOND, IGNORE: box((0, 1), (0, 1), (0, 3))})
    dataset = open_dataset(tmp_path, labels=[plain_label(1, "liver")])
    assert dataset.cases[0].facts.warnings == ("The value 7 (36 voxels) has no name; it counts as background.",)


def test_what_was_seen_is_not_looked_at_again_until_a_file_changes(tmp_path, monkeypatch):
    write_pairs(tmp_path, 2)
    first = open_dataset(tmp_path)
    loads = []
    monkeypatch.setattr(Case, "load", lambda case: loads.append(case.name) or pytest.fail("read again"))
    assert open_dataset(tmp_path) == first
    monkeypatch.undo()
    write_pair(tmp_path, "case_1", seed=5, boxes={1: FIRST})
    assert open_dataset(tmp_path).cases[1].not_contoured == {"structure 2"}


def test_a_cancelled_look_keeps_what_it_saw(tmp_path, monkeypatch):
    (one,) = open_dataset(write_pairs(tmp_path / "other", 1)).cases
    cases = [Case(f"c{n}", one.images, one.label) for n in range(3)]
    with pytest.raises(CancelledError):
        examine_all(tmp_path, cases, cancelled=iter([False, True]).__next__)
    monkeypatch.setattr(Case, "load", lambda case: pytest.fail("read again"))
    assert examine_all(tmp_path, cases[:1])[0].problem == ""


def test_all_images_come_on_the_grid_of_the_first(tmp_path):
    ramp = np.broadcast_to(np.arange(40.0, dtype=np.float32), (30, 40, 40))
    fine = Volume(np.ascontiguousarray(ramp), np.diag([1.0, 1, 1, 1]))
    coarse = Volume(np.zeros((4, 5, 6), np.int16) + 3, np.diag([2.0, 2, 2, 1]))
    coarse = Volume(coarse.array, coarse.ijk_to_ras + np.array([[0, 0, 0, 3.25]] + [[0, 0, 0, 1.0]] * 2 + [[0] * 4]))
    coarse.array[0, 0, 0] = 4
    for name, volume in (("coarse", coarse), ("fine", fine), ("label", coarse.with_array(coarse.array // 3))):
        write_volume(volume, tmp_path / f"{name}.nrrd")
    case = Case("c", (tmp_path / "coarse.nrrd", tmp_path / "fine.nrrd"), tmp_path / "label.nrrd")
    (first, second), labels = case.load()
    assert second.grid.agrees_with(first.grid) and labels.array.dtype == np.uint8
    np.testing.assert_allclose(second.array[2, 2], 3.25 + 2 * np.arange(6), rtol=1e-5)


def test_labels_that_scaling_has_left_nearly_whole_are_rounded(tmp_path):
    nearly = Volume(np.array([[[0, 0.9999, 2.0001]]], np.float32), np.eye(4))
    write_volume(nearly, tmp_path / "label.nii.gz")
    assert read_values(tmp_path / "label.nii.gz").array.tolist() == [[[0, 1, 2]]]


def test_a_data_set_is_read_as_it_was_written_also_elsewhere(tmp_path):
    dataset = open_dataset(write_pairs(tmp_path / "data", 2))
    dataset.write()
    assert Dataset.read(tmp_path / "data") == dataset
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = open_dataset(tmp_path / "moved")
    assert moved.cases[1].label == tmp_path / "moved" / "labels" / "case_1.nii.gz"
    assert moved.cases[1].facts == dataset.cases[1].facts
    assert moved.cases[1].load()[1].array.any()


def test_new_names_for_labels_reach_the_cases(tmp_path):
    write_pair(tmp_path, "a", seed=0)
    write_pair(tmp_path, "b", seed=1, boxes={1: FIRST})
    dataset = open_dataset(tmp_path)
    named = dataset.with_labels([plain_label(1, "liver"), plain_label(2, "spleen")])
    assert named.cases[1].not_contoured == {"spleen"}
    assert named.cases[1].facts.volumes_ml.keys() == {"liver", "spleen"}
    with pytest.raises(InputError, match="values 1, 2, not 3"):
        dataset.with_labels([plain_label(3, "liver")])


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "medseg-dataset-1"}', '{"format": "other"}'])
def test_a_damaged_description_is_refused(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError):
        open_dataset(tmp_path)


def test_real_hippocampi_open_where_they_lie(shared_data):
    dataset = open_dataset(shared_data / "hippocampus-mr")
    assert len(dataset.cases) == 200
    assert dataset.skipped == ()
    assert all(len(case.facts.volumes_ml) == 2 and not case.not_contoured for case in dataset.cases)


def test_nothing_heavy_is_imported():
    """These parts run inside Slicer's process."""
    code = (
        "import sys\n"
        "import MedSegTrainLib.data.splits, MedSegTrainLib.data.importing, MedSegTrainLib.data.proposal\n"
        "import MedSegTrainLib.data.overview, MedSegTrainLib.data.sources.dicom, MedSegTrainLib.data.in_place\n"
        "heavy = {'torch', 'monai', 'lightning', 'pydantic', 'yaml', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    root = Path(__file__).resolve().parents[2]
    path = [str(root / "MedSegDL"), str(root / "MedSegTrain")]
    program = f"import sys; sys.path[:0] = {path!r}\n{code}"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
