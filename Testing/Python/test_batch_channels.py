"""A folder of studies through a model that takes several images at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from batch_cases import grey_values, read_labels, read_results, write_image
from bundle_makers import threshold_bundle, thresholded
from dicom_makers import write_series
from MedSegDLLib.dicom.structures import read_dicom_seg
from MedSegDLLib.files import write_volume
from MedSegDLLib.outputs import DONE, FAILED
from MedSegDLLib.volume import Volume
from test_batch import batch, bundle, run, statuses, worker  # noqa: F401
from test_volume import ijk_to_ras


@pytest.fixture
def of_two(batch, tmp_path):  # noqa: F811
    """A batch whose model takes a CT less half of a PET."""
    spec = {"weights": (1.0, -0.5), "channels": ("CT", "PT"), "modality": ("CT", "PT")}
    return replace(batch, bundle=threshold_bundle(tmp_path / "models" / "two", (50.0, 200.0), **spec))


def less_half(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return thresholded(first - 0.5 * second, 50, 200)


def write_pet_ct(folder, number: int, **tags) -> tuple[np.ndarray, np.ndarray]:
    common = {"StudyInstanceUID": f"1.2.{number}", "FrameOfReferenceUID": f"1.3.{number}", "PatientID": f"P{number}"}
    ct, pet = grey_values(seed=number), grey_values(seed=number + 10)
    write_series(folder / "ct", ct, SeriesDescription="ct", **common | tags)
    write_series(folder / "pet", pet, SeriesDescription="pet", Modality="PT", **common | tags)
    return ct, pet


def test_series_of_a_study_are_segmented_together(of_two, tmp_path):
    for number in range(2):
        write_pet_ct(tmp_path / "in" / str(number), number)
    write_series(tmp_path / "in" / "alone", grey_values(), PatientID="P7")
    results = run(of_two, tmp_path / "in")
    assert statuses(results) == {"P0_ct": DONE, "P1_ct": DONE, "P7_thorax": FAILED}
    assert results["P7_thorax"].message.startswith("There is no image for the channel 'PT'.")
    for number in range(2):
        folder = of_two.output / f"P{number}_ct"
        expected = less_half(grey_values(seed=number), grey_values(seed=number + 10))
        assert np.array_equal(read_labels(folder), expected)
        written = {one.label.name: one.mask.array.sum() for one in read_dicom_seg(folder / "segmentation.dcm")}
        assert written == {f"structure {value}": (expected == value).sum() for value in (1, 2)}


def test_numbered_files_are_segmented_together(of_two, tmp_path):
    folder = tmp_path / "imagesTs"
    arrays = {name: grey_values(seed=n) for n, name in enumerate(("a_0000", "a_0001", "b_0000"))}
    for name, array in arrays.items():
        write_image(folder / f"{name}.nii.gz", array)
    results = run(of_two, folder)
    assert statuses(results) == {"a": DONE, "b": FAILED}
    assert np.array_equal(read_labels(of_two.output / "a"), less_half(arrays["a_0000"], arrays["a_0001"]))
    assert read_results(of_two.output)["a"]["source"] == str(folder / "a_0000.nii.gz")


def test_files_that_were_named_one_by_one_are_put_together(of_two, tmp_path):
    paths = [write_image(tmp_path / f"a_{name}.nii", grey_values(seed=n)) for n, name in enumerate(("CT", "PT"))]
    for result in (run(of_two, *paths)["a"], next(of_two.run(*of_two.find([], paths)))):
        assert result.status == DONE
    assert np.array_equal(read_labels(of_two.output / "a"), less_half(grey_values(seed=0), grey_values(seed=1)))


def test_a_change_of_any_image_segments_again(of_two, tmp_path):
    for name in ("a_0000", "a_0001"):
        write_image(tmp_path / "in" / f"{name}.nii")
    assert not run(of_two, tmp_path / "in")["a"].reused
    assert run(of_two, tmp_path / "in")["a"].reused
    write_image(tmp_path / "in" / "a_0001.nii", grey_values(seed=5))
    assert not run(of_two, tmp_path / "in")["a"].reused


def test_an_image_that_does_not_reach_everywhere_is_told_of(of_two, tmp_path):
    write_image(tmp_path / "in" / "a_0000.nii")
    write_image(tmp_path / "in" / "a_0001.nii", grey_values()[:5])
    assert "The image for 'PT' does not reach everywhere" in run(of_two, tmp_path / "in")["a"].message


def test_images_that_do_not_overlap_are_the_affair_of_one_case(of_two, tmp_path):
    write_image(tmp_path / "in" / "a_0000.nii")
    write_volume(Volume(grey_values(), ijk_to_ras(np.eye(3), origin=(900, 0, 0))), tmp_path / "in" / "a_0001.nii")
    result = run(of_two, tmp_path / "in")["a"]
    assert result.status == FAILED and "they do not overlap" in result.message
