"""Volumes with segmentations in Slicer's scene, and the files in which Slicer keeps segmentations."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import slicer

from data_makers import FIRST, SECOND, image, labels_of
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import write_volume
from MedSegDLLib.scene.headless import new_scene, subject_hierarchy
from MedSegDLLib.scene.segments import write_segmentation
from MedSegDLLib.scene.storage import save_segmentation
from MedSegDLLib.scene.volumes import node_from_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.data.dataset import open_dataset
from MedSegTrainLib.data.importing import import_dataset
from MedSegTrainLib.data.proposal import propose
from MedSegTrainLib.data.sources import find
from MedSegTrainLib.data.sources.scene import SegmentationFile, find_in_scene, terminology_of
from scene_cases import LABELS, MOVED, add_transform

HEART, KIDNEY, TUMOUR = LABELS


@pytest.fixture
def scene():
    live = new_scene()
    yield live.mrml
    live.mrml.Clear(True)


def add_case(scene, seed: int, boxes, patient: str = "", labels=LABELS, modality="CT"):
    """A volume and its segmentation, under a patient of the subject hierarchy if one is named."""
    volume = replace(image(seed), modality=modality)
    node = node_from_volume(scene, volume, f"scan {seed}")
    if patient:
        hierarchy = subject_hierarchy(scene)
        item = hierarchy.GetItemByUID("DICOM", patient)
        if not item:
            item = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), f"name of {patient}")
            hierarchy.SetItemUID(item, "DICOM", patient)
        study = hierarchy.CreateStudyItem(item, f"study {seed}")
        hierarchy.CreateItem(study, node)
    segmentation = None
    if boxes:
        segmentation = write_segmentation(scene, Volume(labels_of(boxes).array, volume.ijk_to_ras), labels, node)
    return node, segmentation


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_codes_are_read_as_slicer_writes_them(label):
    assert terminology_of(label.terminology.to_slicer()) == label.terminology


@pytest.mark.parametrize("text", ["", "~~~~~~", "some text"])
def test_what_names_no_codes_has_none(text):
    assert terminology_of(text) is None


def test_segments_in_the_scene_are_imported(scene, tmp_path):
    add_case(scene, 1, {1: FIRST, 7: SECOND}, "P1")
    add_case(scene, 2, {1: SECOND})
    add_case(scene, 3, {})
    findings = find_in_scene(scene)
    assert [item.what for item in findings.skipped] == ["scan 3"]
    dataset = import_dataset(findings, propose(findings), tmp_path)
    value = {label.name: label.value for label in dataset.labels}
    assert {label.name: label.terminology for label in dataset.labels} == {
        label.name: label.terminology for label in (HEART, TUMOUR)
    }
    one, two = sorted(dataset.cases, key=lambda case: case.patient)
    assert (one.patient, two.patient) == ("P1", "scan 2")
    np.testing.assert_array_equal(
        one.load_label().array, labels_of({value["Heart"]: FIRST, value["Tumour"]: SECOND}).array
    )
    np.testing.assert_array_equal(one.load()[0][0].array, image(1).array)
    assert two.not_contoured == {"Tumour"}


def test_volumes_of_a_patient_become_channels(scene, tmp_path):
    add_case(scene, 1, {1: FIRST}, "P1")
    add_case(scene, 2, {}, "P1", modality="MR")
    findings = find_in_scene(scene)
    dataset = import_dataset(findings, propose(findings), tmp_path, channels=("CT", "MR"))
    (ct, mr), _ = dataset.cases[0].load()
    np.testing.assert_array_equal(ct.array, image(1).array)
    np.testing.assert_array_equal(mr.array, image(2).array)


def test_a_moved_pair_stays_together(scene, tmp_path):
    node, segmentation = add_case(scene, 1, {1: FIRST})
    transform = add_transform(scene, node, MOVED)
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    findings = find_in_scene(scene)
    (case,) = import_dataset(findings, propose(findings), tmp_path).cases
    np.testing.assert_array_equal(case.load_label().array > 0, labels_of({1: FIRST}).array > 0)


def test_a_segment_that_was_edited_is_imported_again(scene, tmp_path):
    node, segmentation = add_case(scene, 1, {1: FIRST})
    findings = find_in_scene(scene)
    import_dataset(findings, propose(findings), tmp_path)
    write_segmentation(scene, Volume(labels_of({1: SECOND}).array, image(1).ijk_to_ras), LABELS, node, segmentation)
    findings = find_in_scene(scene)
    (case,) = import_dataset(findings, propose(findings), tmp_path).cases
    np.testing.assert_array_equal(case.load_label().array > 0, labels_of({1: SECOND}).array > 0)


def test_a_scene_without_segmentations_is_refused(scene):
    add_case(scene, 1, {})
    with pytest.raises(InputError, match="No volume in the scene has a segmentation"):
        find_in_scene(scene)


def test_segmentation_files_bring_names_and_codes(scene, tmp_path):
    for seed, boxes in ((1, {1: FIRST, 3: SECOND}), (2, {3: FIRST})):
        _, segmentation = add_case(scene, seed, boxes)
        (tmp_path / "in").mkdir(exist_ok=True)
        write_volume(image(seed), tmp_path / "in" / f"scan{seed}.nrrd")
        save_segmentation(segmentation, tmp_path / "in" / f"scan{seed}.seg.nrrd")
    dataset = import_dataset(findings := find(tmp_path / "in"), propose(findings), tmp_path / "out")
    assert {label.terminology for label in dataset.labels} == {HEART.terminology, KIDNEY.terminology}
    first, second = open_dataset(tmp_path / "out").cases
    assert second.not_contoured == {"Heart"}
    np.testing.assert_array_equal(second.load_label().array > 0, labels_of({1: FIRST}).array > 0)


def test_a_damaged_segmentation_file_is_skipped(scene, tmp_path):
    _, segmentation = add_case(scene, 1, {1: FIRST})
    for name in ("good", "bad"):
        write_volume(image(len(name)), tmp_path / f"{name}.nrrd")
        save_segmentation(segmentation, tmp_path / f"{name}.seg.nrrd")
    (tmp_path / "bad.seg.nrrd").write_bytes(b"NRRD0004\n")
    findings = find(tmp_path)
    assert [case.name for case in findings.cases] == ["good"]
    assert [item.what for item in findings.skipped] == ["bad"]


def test_a_segmentation_file_is_read_without_the_logics_that_only_the_window_has(scene, tmp_path, monkeypatch):
    _, segmentation = add_case(scene, 1, {1: FIRST})
    path = save_segmentation(segmentation, tmp_path / "in.seg.nrrd")
    for name in [name for name in dir(slicer) if name.endswith("ModuleLogic") or name.startswith("vtkTeem")]:
        monkeypatch.delattr(slicer, name)
    ((structure, mask),) = SegmentationFile(path).masks(image(1).grid)
    assert structure.terminology == HEART.terminology
    np.testing.assert_array_equal(mask, labels_of({1: FIRST}).array > 0)


def test_without_slicer_a_segmentation_file_is_left_out_with_the_reason(scene, tmp_path, monkeypatch):
    _, segmentation = add_case(scene, 1, {1: FIRST})
    write_volume(image(1), tmp_path / "scan.nrrd")
    save_segmentation(segmentation, tmp_path / "scan.seg.nrrd")
    monkeypatch.setitem(sys.modules, "MedSegTrainLib.data.sources.scene", None)
    with pytest.raises(InputError, match="Slicer's libraries"):
        find(tmp_path)
