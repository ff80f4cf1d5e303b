"""The demo: its default, which needs neither torch nor a network, and a study of the user's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import demo
from batch_cases import FILES, names_in, read_labels, read_results, write_image
from bundle_makers import threshold_bundle, thresholded
from dicom_makers import write_series
from MedSegDLLib.bundle import Bundle
from MedSegDLLib.dicom.structures import read_dicom_seg
from MedSegDLLib.models import SHIPPED

DEMO_FILES = FILES | {"overview.png", "report.md"}
COARSE = "import sys, demo; demo.PHANTOM_SPACING_MM = (4, 4, 5); sys.exit(demo.main(sys.argv[1:]))"
"""The demo with few voxels, so that it takes seconds."""


@pytest.fixture(scope="module")
def phantom_run(tmp_path_factory):
    """The demo's default as a program of its own, where nothing can import torch or MONAI; stdout and the case."""
    if not (SHIPPED / demo.PHANTOM_MODEL).is_dir():
        pytest.skip(f"needs the shipped model {demo.PHANTOM_MODEL}")
    blocked, output = tmp_path_factory.mktemp("blocked"), tmp_path_factory.mktemp("demo")
    for package in ("torch", "monai", "lightning"):
        (blocked / f"{package}.py").write_text(f"raise ImportError('the demo imports {package}')")
    packages = [blocked, *(Path(demo.__file__).parents[1] / name for name in ("MedSegDL", "MedSegTrain", "Testing"))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, packages))}
    command = [sys.executable, "-c", COARSE, "--output", str(output), "--device", "cpu"]
    process = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=200)
    assert process.returncode == 0, process.stderr
    (case,) = (path for path in output.iterdir() if path.is_dir())
    return process.stdout, case


def test_the_default_leaves_everything_in_one_folder(phantom_run):
    stdout, case = phantom_run
    assert names_in(case) == DEMO_FILES | {"segmentation.dcm"}
    assert f"Everything is in {case}" in stdout
    assert {path.name for path in case.parent.iterdir()} == {case.name, "results.csv"}


def test_the_report_says_how_it_went(phantom_run):
    _, case = phantom_run
    text = (case / "report.md").read_text(encoding="utf-8")
    bundle = Bundle.load(SHIPPED / demo.PHANTOM_MODEL)
    assert f"Model: {bundle.name} {bundle.version}." in text and "Device: cpu" in text
    assert re.search(r"Memory: \d\.\d\d GB", text) and bundle.metadata["intended_use"] in text
    for step in ("Draw a phantom", "Read the image", "Segment", "of it, windows", "Write the results", "Draw the over"):
        assert re.search(rf"\| {step}[^|]*\| \d+\.\d\d \|", text), step
    rows = re.findall(r"\| ([^|]+) \| (\d+\.\d\d) \| (\d\.\d{3}|nan) \|", text)
    assert [name for name, _, _ in rows] == [label.name for label in bundle.spec.labels]
    dice = np.array([float(value) for _, _, value in rows])
    mean = float(re.search(r"Mean Dice against the phantom's truth: (\d\.\d+)", text)[1])
    assert mean == pytest.approx(np.nanmean(dice), abs=1e-3) and np.nanmax(dice) > 0.8


def test_the_segments_have_names_codes_and_colours(phantom_run):
    _, case = phantom_run
    labels = {label.name: label for label in Bundle.load(SHIPPED / demo.PHANTOM_MODEL).spec.labels}
    header = sitk.ReadImage(case / "segmentation.seg.nrrd")
    names = [header.GetMetaData(key) for key in header.GetMetaDataKeys() if re.fullmatch(r"Segment\d+_Name", key)]
    assert names and set(names) <= labels.keys()
    structures = read_dicom_seg(case / "segmentation.dcm")
    assert {one.label.name for one in structures} == set(names)
    for one in structures:
        assert one.label.terminology.type == labels[one.label.name].terminology.type


def test_the_picture_is_one(phantom_run):
    _, case = phantom_run
    picture = sitk.GetArrayFromImage(sitk.ReadImage(case / "overview.png"))
    assert picture.shape[1] == 1600 and picture.shape[0] > 600 and picture.std() > 20


# A study of the user's own


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return threshold_bundle(tmp_path_factory.mktemp("models") / "thresholds").folder


def boxes(shift: int = 0) -> np.ndarray:
    """One structure within the other."""
    array = np.zeros((10, 12, 14), np.int16)
    array[2:8, 2:9, 1 + shift : 9 + shift] = 200
    array[4:6, 4:7, 3 + shift : 7 + shift] = 350
    return array


@pytest.fixture
def pictures(monkeypatch):
    """Titles of the pictures, which are not drawn: that takes seconds each, and other tests look at one."""
    titles = []

    def note(path, volume, labelmap, labels, title, footer):
        assert volume.array.shape == labelmap.array.shape and "cpu" in footer
        titles.append(title)
        path.touch()

    monkeypatch.setattr(demo, "draw_overview", note)
    return titles


def run(model, study, output) -> int:
    return demo.main(["--input", str(study), "--model", str(model), "--output", str(output)])


def test_a_study_of_several_series(model, tmp_path, capsys, pictures):
    array = boxes()
    write_series(tmp_path / "in" / "ct", array, PatientID="A")
    write_image(tmp_path / "in" / "Käse.nii.gz", boxes(shift=3))
    write_series(tmp_path / "in" / "scout", array[:2], PatientID="S", ImageType=["LOCALIZER"] * 2)
    for _ in range(2):  # the second time from the results of the first
        assert run(model, tmp_path / "in", tmp_path / "out") == 0
    assert pictures == ["A_thorax", "Käse"] * 2
    assert names_in(tmp_path / "out") == {"A_thorax", "Käse", "results.csv"}
    assert names_in(tmp_path / "out" / "Käse") == DEMO_FILES
    assert names_in(tmp_path / "out" / "A_thorax") == DEMO_FILES | {"segmentation.dcm"}
    assert np.array_equal(read_labels(tmp_path / "out" / "A_thorax"), thresholded(array, 100, 300))
    report = (tmp_path / "out" / "A_thorax" / "report.md").read_text(encoding="utf-8")
    assert "Draw the overview of A_thorax" in report and "Käse" not in report and "Mean Dice" not in report
    assert "S_thorax: The series is a localiser" in capsys.readouterr().err


def test_a_bad_series_beside_a_good_one(model, tmp_path, capsys, pictures):
    write_image(tmp_path / "in" / "a.nii", boxes())
    write_image(tmp_path / "in" / "b.nii", boxes() * 0)
    assert run(model, tmp_path / "in", tmp_path / "out") == 1 and pictures == ["a"]
    assert "demo: b: The volume is empty" in capsys.readouterr().err
    assert {name: row["status"] for name, row in read_results(tmp_path / "out").items()} == {"a": "done", "b": "failed"}


def test_nothing_that_can_be_segmented(model, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    assert run(model, tmp_path / "in", tmp_path / "out") == 2
    assert "holds no DICOM files" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert run(model, write_image(tmp_path / "a.nii", boxes() * 0), tmp_path / "out") == 2


def test_a_study_needs_a_model(tmp_path, capsys):
    assert demo.main(["--input", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("demo: A study of your own needs --model. Installed: ") and "hippocampus-mr" in err


def test_real_hippocampi(shared_data, tmp_path):
    """Three planes, volumes and labels near the truth; the model was trained on such images."""
    image = shared_data / "hippocampus-mr" / "images" / "hippocampus_001.nii.gz"
    truth = sitk.GetArrayFromImage(sitk.ReadImage(shared_data / "hippocampus-mr" / "labels" / image.name))
    assert run("hippocampus-mr", image, tmp_path) == 0
    found = read_labels(tmp_path / "hippocampus_001")
    for value in (1, 2):
        overlap = 2 * ((found == value) & (truth == value)).sum() / ((found == value).sum() + (truth == value).sum())
        assert overlap > 0.7
