"""What cannot be segmented: one sentence on stderr that says what to do, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from batch_cases import FILES, grey_values, names_in, read_labels, write_image
from bundle_makers import threshold_bundle, thresholded
from dicom_makers import write_series
from MedSegDLLib.bundle import GRAPH, METADATA
from MedSegDLLib.cli import main
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return threshold_bundle(tmp_path_factory.mktemp("models") / "thresholds").folder


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # `main` shall not change how the test run ends
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def segment(model, capsys):
    """Runs the command line; returns its exit code and what it wrote to stderr."""

    def run(path, model=model, output="out"):
        code = main(["segment", str(path), "--model", str(model), "--output", str(output)])
        return code, capsys.readouterr().err

    return run


def assert_refused(outcome, *words) -> None:
    """One line that holds the words and ends as a sentence; no case, finished or half-written, on the disk."""
    code, err = outcome
    assert code == 2 and err.startswith("medseg: ") and err.count("\n") == 1, err
    assert all(word in err for word in words), err
    left = names_in(Path("out")) if Path("out").is_dir() else set()
    assert {name for name in left if not name.endswith(".error.txt")} <= {"results.csv"}


def cut(path: Path, share: float = 0.5) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


# Images


def test_a_folder_without_images(segment):
    Path("in").mkdir()
    Path("in/readme.txt").write_text("no image")
    assert_refused(segment("in"), "holds no DICOM files and no image files", "Choose the folder of a CT, MR or PET")


def test_a_path_that_does_not_exist(segment):
    assert_refused(segment("absent"), "There is no file or folder", "Check the path.")


def test_a_file_that_is_no_image(segment):
    Path("report.pdf").write_bytes(b"%PDF-1.7")
    assert_refused(segment("report.pdf"), "cannot be read as an image", "Export the image again")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_truncated_file(segment, suffix):
    assert_refused(segment(cut(write_image(Path(f"a{suffix}")))), f"a{suffix} cannot be read", "Export the image again")


@pytest.mark.parametrize("share", [0.9, 0.2])
def test_a_series_with_a_truncated_file(segment, share):
    cut(write_series(Path("ct"), grey_values((6, 32, 32)))[3], share)
    assert_refused(segment("ct"), "slice_003.dcm", "damaged or cut off")


def test_a_series_of_one_slice(segment):
    write_series(Path("ct"), grey_values((1, 10, 10)))
    assert_refused(segment("ct"), "a single slice", "Choose the folder that holds the whole series.")


def test_a_volume_of_nan(segment):
    array = np.full((10, 10, 10), np.nan, np.float32)
    assert_refused(segment(write_image(Path("a.nrrd"), array)), "not numbers (NaN or infinite)", "Repair the image")


def test_a_single_nan(segment):
    array = grey_values().astype(np.float32)
    array[1, 2, 3] = np.nan
    assert_refused(segment(write_image(Path("a.mha"), array)), "not numbers", "Repair the image")


def test_an_empty_volume(segment):
    assert_refused(segment(write_image(Path("a.nii"), grey_values() * 0)), "empty: every voxel has the value 0", "Load")


def test_a_colour_image(segment):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True), "a.mha")
    assert_refused(segment("a.mha"), "3 values at each voxel", "Choose a grey-scale image.")


# Models


def test_a_model_that_does_not_exist(segment):
    assert_refused(segment(write_image(Path("a.nii")), model="nothing"), "no model 'nothing'", "hippocampus-mr")
    assert not Path("out").exists()


def test_a_folder_that_is_no_model(segment):
    Path("empty").mkdir()
    assert_refused(segment(write_image(Path("a.nii")), model="empty"), "is not a model", "medseg models")
    assert not Path("out").exists()


@pytest.mark.parametrize("file", [GRAPH.with_suffix(".bin"), Path("models/model.safetensors")])
def test_a_model_with_a_wrong_checksum(segment, model, file):
    shutil.copytree(model, "copy")
    data = bytearray((Path("copy") / file).read_bytes())
    data[-1] ^= 1
    (Path("copy") / file).write_bytes(data)
    assert_refused(
        segment(write_image(Path("a.nii")), "copy"), f"{file.name} has a wrong checksum", "Install the model"
    )
    assert not Path("out").exists()


@pytest.mark.parametrize("channels", [2, 3])
def test_labels_that_do_not_fit_the_weights(segment, model, channels):
    """One structure less than the network has, whatever the description says of the network."""
    shutil.copytree(model, "copy")
    metadata = json.loads((Path("copy") / METADATA).read_text(encoding="utf-8"))
    metadata["medseg"]["labels"].pop()
    metadata["medseg"]["network"]["out_channels"] = channels
    (Path("copy") / METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    assert_refused(segment(write_image(Path("a.nii")), "copy"), "1 structures and background", "Install the model")
    assert not Path("out").exists()


# Output


def test_an_output_below_a_file(segment):
    Path("file").write_text("")
    assert_refused(segment(write_image(Path("a.nii")), output="file/out"), "its folder is a file", "Choose another")


def test_an_output_that_is_a_file(segment):
    Path("file").write_text("mine")
    assert_refused(segment(write_image(Path("a.nii")), output="file"), "in the way", "Choose another folder.")
    assert Path("file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_output(segment):
    Path("out").mkdir(mode=0o555)
    assert_refused(segment(write_image(Path("a.nii"))), "you may not write there", "Choose a folder")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EROFS, "the folder is read-only"), (errno.EACCES, "you may not write"), (errno.ENOSPC, "the disk is full")],
)
def test_a_system_that_refuses_to_write(segment, monkeypatch, number, words):
    image = write_image(Path("a.nii"))
    Path("out").mkdir()
    touch = Path.touch

    def refuse(self, *args, **options):
        if self.parent.name == "out":
            raise OSError(number, os.strerror(number))
        touch(self, *args, **options)

    monkeypatch.setattr(Path, "touch", refuse)
    assert_refused(segment(image), words, "Choose" if number != errno.ENOSPC else "Free some space")
    assert not names_in(Path("out"))


def test_a_disk_that_fills_up(segment):
    """The system refuses files beyond a size, as it would beyond what is free; the image must go to the worker."""
    image = write_image(Path("a.nii.gz"), grey_values((40, 40, 40)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        outcome = segment(image)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_refused(outcome, "could not be written", "Free some space")


# What looks odd and works


@pytest.mark.parametrize(
    ("shape", "spacing_mm"), [((3, 4, 5), (1, 1, 1)), ((6, 12, 14), (1, 1, 20)), ((10, 12, 40), (0.05, 1, 1))]
)
def test_small_and_anisotropic_volumes(segment, shape, spacing_mm):
    """Smaller than the patch; slices twenty times thicker than wide, and the reverse."""
    array = np.repeat(grey_values((*shape[:2], 1)), shape[2], axis=2) if min(spacing_mm) < 1 else grey_values(shape)
    write_volume(Volume(array, np.diag([*spacing_mm, 1.0])), "a.nii")
    assert segment("a.nii") == (0, "")
    assert names_in(Path("out/a")) == FILES
    found = read_labels(Path("out/a"))
    assert found.shape == shape and (found == thresholded(array, 100, 300)).mean() > 0.99
