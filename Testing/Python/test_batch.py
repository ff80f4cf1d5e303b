"""A folder of studies through one model: what is taken, what is redone, and what a bad one does to the others."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from batch_cases import FILES, OBLIQUE, SLOW, grey_values, names_in, read_labels, read_results, times_of, write_image
from bundle_makers import threshold_bundle, thresholded
from dicom_makers import make_rtstruct, save, write_series
from MedSegDLLib.batch import Batch
from MedSegDLLib.bundle import write_metadata
from MedSegDLLib.client import Worker
from MedSegDLLib.dicom.structures import read_dicom_seg
from MedSegDLLib.errors import CancelledError, ModelError
from MedSegDLLib.files import read_volume, write_volume
from MedSegDLLib.outputs import DONE, FAILED, LEFT_OUT
from MedSegDLLib.scene.run import Segmenter
from MedSegDLLib.volume import Volume


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return threshold_bundle(tmp_path_factory.mktemp("models") / "thresholds")


@pytest.fixture(scope="module")
def worker():
    with Worker() as worker:
        yield worker


@pytest.fixture
def batch(bundle, worker, tmp_path):
    return Batch(bundle, tmp_path / "out", Segmenter(worker))


def run(batch, *inputs):
    """Results by name, those that were not segmented included."""
    cases, others = batch.find(inputs)
    return {result.name: result for result in [*batch.run(cases, others), *others]}


def statuses(results) -> dict[str, str]:
    return {name: result.status for name, result in results.items()}


# What a case leaves


def test_an_image_file_becomes_labels_segments_and_a_table(batch, tmp_path):
    array = grey_values()
    write_volume(Volume(array, OBLIQUE), tmp_path / "Käse 头.nii.gz")
    results = run(batch, tmp_path / "Käse 头.nii.gz")
    (name,) = results
    folder = batch.output / name
    assert name == "Käse_头" and names_in(folder) == FILES
    labels = read_volume(folder / "labels.nii.gz")
    assert np.array_equal(labels.array, thresholded(array, 100, 300))
    assert np.allclose(labels.ijk_to_ras, OBLIQUE, atol=1e-5)
    segments = sitk.ReadImage(folder / "segmentation.seg.nrrd")
    assert segments.GetMetaData("Segment0_Name") == "structure 1"
    volumes = {f"structure {value}": (labels.array == value).sum() * 1e-3 for value in (1, 2)}
    assert results[name].volumes_ml == pytest.approx(volumes)
    row = read_results(batch.output)[name]
    assert row["status"] == "done" and float(row["seconds"]) >= 0 and row["source"] == str(tmp_path / "Käse 头.nii.gz")
    assert float(row["structure 2 (ml)"]) == pytest.approx(volumes["structure 2"], abs=0.005)


def test_a_dicom_series_also_becomes_a_dicom_seg(batch, tmp_path):
    array = grey_values()
    write_series(tmp_path / "ct", array)
    assert statuses(run(batch, tmp_path / "ct")) == {"P1_thorax": DONE}
    folder = batch.output / "P1_thorax"
    assert names_in(folder) == FILES | {"segmentation.dcm"}
    expected = thresholded(array, 100, 300)
    assert np.array_equal(read_labels(folder), expected)
    written = {one.label.name: one.mask.array.sum() for one in read_dicom_seg(folder / "segmentation.dcm")}
    assert written == {f"structure {value}": (expected == value).sum() for value in (1, 2)}


def test_what_was_not_found_is_said(batch, tmp_path):
    array = grey_values().clip(0, 250)
    results = run(batch, write_image(tmp_path / "a.nrrd", array))
    assert results["a"].status == DONE and "Not found: structure 2." in results["a"].message


# What is taken


def test_every_series_is_found_and_the_others_get_a_reason(batch, tmp_path):
    write_series(tmp_path / "in" / "ct", grey_values(), PatientID="A")
    write_series(tmp_path / "in" / "mr", grey_values(), PatientID="B", Modality="MR")
    write_series(tmp_path / "in" / "scout", grey_values()[:2], PatientID="C", ImageType=["LOCALIZER"] * 2)
    write_series(tmp_path / "in" / "gap", grey_values(), PatientID="D")[4].unlink()
    save(make_rtstruct([]), tmp_path / "in" / "rs.dcm")
    results = run(batch, tmp_path / "in")
    kinds = {"A_thorax": DONE, "B_thorax": LEFT_OUT, "C_thorax": LEFT_OUT, "D_thorax": FAILED, "P1_thorax": LEFT_OUT}
    assert statuses(results) == kinds
    assert {name: row["status"] for name, row in read_results(batch.output).items()} == kinds
    assert "is for CT, this series is MR" in results["B_thorax"].message
    assert "is missing" in results["D_thorax"].message and "localiser" in results["C_thorax"].message
    assert names_in(batch.output) == {"A_thorax", "results.csv"}
    anyway = replace(batch, any_modality=True)
    assert [case.name for case in anyway.find([tmp_path / "in"])[0]] == ["A_thorax", "B_thorax"]


def test_an_input_that_does_not_exist_does_not_stop_the_others(batch, tmp_path):
    results = run(batch, tmp_path / "absent", write_image(tmp_path / "a.nii"))
    assert statuses(results) == {"a": DONE, "absent": FAILED}


@pytest.mark.parametrize("output", ["in/out", "in", "."])
def test_own_results_are_never_inputs(batch, tmp_path, output):
    write_image(tmp_path / "in" / "a.nii.gz")
    write_series(tmp_path / "in" / "ct", grey_values())
    (tmp_path / output / ".b.partial").mkdir(parents=True)
    write_image(tmp_path / output / ".b.partial" / "labels.nii.gz")
    batch.output = tmp_path / output
    first = run(batch, tmp_path / "in")
    assert statuses(first) == {"a": DONE, "P1_thorax": DONE}
    second = run(batch, tmp_path / "in")
    assert second.keys() == first.keys() and all(result.reused for result in second.values())


def test_results_of_another_output_folder_are_no_inputs(batch, tmp_path):
    write_image(tmp_path / "in" / "a.nii.gz")
    batch.output = tmp_path / "in" / "monday"
    run(batch, tmp_path / "in")
    batch.output = tmp_path / "in" / "tuesday"
    assert statuses(run(batch, tmp_path / "in")) == {"a": DONE}
    assert batch.find([tmp_path / "in" / "monday"]) == ([], [])


def test_inputs_of_the_same_name_are_kept_apart(batch, tmp_path):
    for number, folder in enumerate("ab"):
        write_image(tmp_path / folder / "scan.nii.gz", grey_values(seed=number))
    results = run(batch, tmp_path / "a", tmp_path / "b")
    assert len(results) == 2 and all(name.startswith("scan-") for name in results)
    for result in results.values():
        assert np.array_equal(read_labels(batch.output / result.name), thresholded(read_volume(result.source).array,
                                                                                   100, 300))  # fmt: skip


def test_an_input_within_another_is_segmented_once(batch, tmp_path):
    write_series(tmp_path / "in" / "ct", grey_values())
    write_image(tmp_path / "in" / "a.nii")
    inputs = (tmp_path / "in", tmp_path / "in" / "ct", tmp_path / "in" / "a.nii")
    assert statuses(run(batch, *inputs)) == {"a": DONE, "P1_thorax": DONE}


# What is done again


def test_what_is_done_is_not_done_again(batch, tmp_path):
    write_image(tmp_path / "in" / "a.nii")
    run(batch, tmp_path / "in")
    before = times_of(batch.output / "a")
    write_image(tmp_path / "in" / "b.nii")
    results = run(batch, tmp_path / "in")
    assert results["a"].reused and not results["b"].reused and times_of(batch.output / "a") == before
    assert read_results(batch.output).keys() == {"a", "b"}


def test_a_changed_image_is_segmented_again(batch, tmp_path):
    image = write_image(tmp_path / "a.nii")
    run(batch, image)
    changed = grey_values(seed=1)
    write_image(image, changed)
    assert not run(batch, image)["a"].reused
    assert np.array_equal(read_labels(batch.output / "a"), thresholded(changed, 100, 300))


def test_a_changed_model_or_option_segments_again(batch, tmp_path):
    image = write_image(tmp_path / "a.nii")
    run(batch, image)
    model = threshold_bundle(tmp_path / "other", thresholds=(50.0, 300.0))
    other = replace(batch, bundle=model)
    assert not run(other, image)["a"].reused
    assert np.array_equal(read_labels(batch.output / "a"), thresholded(grey_values(), 50, 300))
    renamed = write_metadata(model.folder, model.metadata | {"version": "2"}, model.spec)
    assert not run(replace(batch, bundle=renamed), image)["a"].reused
    assert not run(replace(batch, bundle=renamed, options={"overlap": 0.25}), image)["a"].reused
    assert run(replace(batch, bundle=renamed, options={"overlap": 0.25}), image)["a"].reused
    assert not run(replace(batch, bundle=renamed, keep_largest=False), image)["a"].reused
    assert not run(replace(batch, bundle=renamed), image)["a"].reused


def test_the_largest_piece_alone_is_kept_where_that_is_asked_for(batch, tmp_path):
    array = np.zeros((10, 12, 14), np.int16)
    array[1:4, 1:4, 1:4] = array[7:9, 7:9, 7:9] = 200
    image = write_image(tmp_path / "two pieces.nrrd", array)
    for keep_largest, voxels in ((None, 27 + 8), (True, 27), (False, 27 + 8)):
        (name,) = run(replace(batch, keep_largest=keep_largest), image)
        assert np.count_nonzero(read_labels(batch.output / name)) == voxels


def test_another_study_of_the_same_name_takes_nothing_away(batch, tmp_path):
    """A patient who comes back: the same name and description, another series."""
    for day in range(2):
        write_series(tmp_path / str(day), grey_values(seed=day))
        run(batch, tmp_path / str(day))
    folders = names_in(batch.output) - {"results.csv"}
    assert len(folders) == 2 and "P1_thorax" in folders
    assert np.array_equal(read_labels(batch.output / "P1_thorax"), thresholded(grey_values(seed=0), 100, 300))
    assert read_results(batch.output).keys() == folders


def test_a_folder_of_images_that_moved_is_known_again(batch, tmp_path):
    write_image(tmp_path / "in" / "a.nii")
    run(batch, tmp_path / "in")
    (tmp_path / "in").rename(tmp_path / "archive")
    assert run(batch, tmp_path / "archive")["a"].reused


# What goes wrong


def test_a_bad_study_does_not_stop_the_others(batch, tmp_path):
    write_image(tmp_path / "in" / "a.nii")
    array = grey_values().astype(np.float32)
    array[2, 3, 4] = np.nan
    write_image(tmp_path / "in" / "b.nrrd", array)
    write_image(tmp_path / "in" / "c.nii")
    results = run(batch, tmp_path / "in")
    assert statuses(results) == {"a": DONE, "b": FAILED, "c": DONE}
    assert "not numbers" in read_results(batch.output)["b"]["message"]
    assert names_in(batch.output) == {"a", "c", "results.csv"}


def test_an_error_that_nobody_foresaw_is_the_affair_of_one_case(batch, tmp_path):
    for name in "ab":
        write_image(tmp_path / f"{name}.nii")
    cases, _ = batch.find([tmp_path / "a.nii", tmp_path / "b.nii"])
    cases[0] = replace(cases[0], load=lambda: 1 / 0)
    first, second = batch.run(cases)
    assert first.status == FAILED and "ZeroDivisionError" in first.message and second.status == DONE
    assert "Details: a.error.txt" in first.message
    assert "Traceback" in (batch.output / "a.error.txt").read_text(encoding="utf-8")
    assert run(batch, tmp_path / "a.nii")["a"].status == DONE and not (batch.output / "a.error.txt").exists()


def test_a_worker_that_dies_costs_one_case(batch, worker, tmp_path):
    for name in "abc":
        write_image(tmp_path / f"{name}.nii")

    def kill_in_b(done, fraction, name):
        if name == "b":
            os.kill(worker.hello()["pid"], signal.SIGKILL)

    cases, _ = batch.find([tmp_path / f"{name}.nii" for name in "abc"])
    killed = list(batch.run(cases, progress=_once(kill_in_b, "b")))
    assert [result.status for result in killed] == [DONE, FAILED, DONE]
    assert "worker was killed" in killed[1].message.lower()
    again = run(batch, *(tmp_path / f"{name}.nii" for name in "abc"))
    assert [result.reused for result in again.values()] == [True, False, True] and again["b"].status == DONE


def test_a_batch_can_be_stopped_between_two_cases_and_within_one(batch, tmp_path):
    paths = [write_image(tmp_path / f"{name}.nii") for name in "abc"]
    cases, _ = batch.find(paths)
    results, seen = [], []
    with pytest.raises(CancelledError, match="stopped"):
        results.extend(batch.run(cases, progress=lambda *call: seen.append(call), cancelled=lambda: reached(seen, "b")))
    assert names_in(batch.output) == {"a", "results.csv"} and read_results(batch.output).keys() == {"a"}

    write_image(paths[1], grey_values((SLOW,) * 3))
    seen.clear()
    with pytest.raises(CancelledError):
        list(batch.run(cases, progress=lambda *call: seen.append(call), cancelled=lambda: working_on(seen, "b")))
    assert names_in(batch.output) == {"a", "results.csv"}
    assert [result.status for result in batch.run(cases)] == [DONE] * 3


def reached(seen, name) -> bool:
    return any(present == name for _, _, present in seen)


def working_on(seen, name) -> bool:
    return any(present == name and fraction for _, fraction, present in seen)


def _once(action, name):
    """Progress that acts on the first call for a case."""
    seen = []

    def progress(done, fraction, present):
        if present == name and name not in seen:
            seen.append(name)
            action(done, fraction, present)

    return progress


def test_a_model_that_cannot_be_used_is_said_before_anything_is_written(batch, tmp_path):
    model = threshold_bundle(tmp_path / "model")
    weights = model.folder / "models/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    with pytest.raises(ModelError, match="wrong checksum"):
        run(replace(batch, bundle=model), write_image(tmp_path / "a.nii"))
    assert not batch.output.exists()


def test_progress_counts_cases_and_their_parts(batch, tmp_path):
    for name in "ab":
        write_image(tmp_path / f"{name}.nii")
    calls = []
    cases, _ = batch.find([tmp_path / "a.nii", tmp_path / "b.nii"])
    list(batch.run(cases, progress=lambda *call: calls.append(call)))
    assert calls[0] == (0, 0.0, "a") and calls[-1] == (2, 0.0, "")
    assert {name for _, _, name in calls} == {"a", "b", ""}
    totals = [done + fraction for done, fraction, _ in calls]
    assert totals == sorted(totals) and any(0 < fraction < 1 for _, fraction, _ in calls)
