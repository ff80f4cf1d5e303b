"""medseg as its users type it: what is printed where, exit codes, and a run that is cut short."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batch_cases import (
    FILES,
    PACKAGES,
    SLOW,
    grey_values,
    names_in,
    read_labels,
    read_results,
    started,
    times_of,
    write_image,
)
from bundle_makers import threshold_bundle, thresholded
from dicom_makers import write_series
from MedSegDLLib import __version__
from MedSegDLLib.bundle import METADATA, Bundle, write_metadata
from MedSegDLLib.cli import main

PATIENCE_SECONDS = 60
SEGMENT = ("segment", "in", "--model", "thresholds", "--output", "out")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    threshold_bundle(folder / "thresholds")
    return folder


@pytest.fixture(autouse=True)
def environment(models, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSEG_MODELS", str(models))
    monkeypatch.setenv("PYTHONPATH", PACKAGES)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # `main` shall not change how the test run ends
    monkeypatch.chdir(tmp_path)


def segment(*arguments) -> int:
    return main(["segment", *map(str, arguments), "--model", "thresholds", "--output", "out"])


# Exit codes and what is printed


def test_all_went_well(capsys):
    write_image(Path("in/Käse.nii.gz"))
    write_series(Path("in/scout"), grey_values()[:2], ImageType=["LOCALIZER"] * 2)
    assert segment("in") == 0
    out, err = capsys.readouterr()
    assert "1 to segment with test: Käse" in out and "P1_thorax: left out. The series is a localiser" in out
    assert "Käse: structure 1 0." in out and "Results are in out." in out and err == ""
    assert names_in(Path("out")) == {"Käse", "results.csv"} and names_in(Path("out/Käse")) == FILES
    assert segment("in") == 0
    assert "(done before)" in capsys.readouterr().out


def test_some_failed(capsys):
    write_image(Path("in/a.nii"))
    Path("in/b.nii").write_bytes(Path("in/a.nii").read_bytes()[:-5])
    assert segment("in") == 1
    out, err = capsys.readouterr()
    assert "a: structure 1" in out and "medseg: b: The file b.nii cannot be read" in err
    assert {name: row["status"] for name, row in read_results(Path("out")).items()} == {"a": "done", "b": "failed"}


def test_what_could_not_be_taken_is_a_failure_too(capsys):
    write_image(Path("in/a.nii"))
    write_series(Path("in/gap"), grey_values())[4].unlink()
    assert segment("in") == 1
    assert "medseg: P1_thorax: Slice 5 is missing" in capsys.readouterr().err


def test_all_failed(capsys):
    for name in "ab":
        write_image(Path(f"in/{name}.nii"), grey_values() * 0)
    assert segment("in") == 2
    assert capsys.readouterr().err.count("every voxel has the value 0") == 2


def test_nothing_of_the_models_modality(capsys):
    write_series(Path("in"), grey_values(), Modality="MR")
    assert segment("in") == 2
    out, err = capsys.readouterr()
    assert err.startswith("medseg: P1_thorax: The model 'test' is for CT, this series is MR.") and err.count("\n") == 1
    assert segment("in", "--any-modality") == 0


def test_nothing_but_results(capsys):
    segment(write_image(Path("a.nii")))
    capsys.readouterr()
    assert segment("out") == 2
    assert "nothing but results of medseg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "required: COMMAND"),
        (["segment", "in"], "--model"),
        (["segment", "in", "--model", "thresholds"], "--output"),
        (["segment", "in", "--model", "m", "--output", "o", "--overlap", "1"], "from 0 up to below 1"),
        (["segment", "in", "--model", "m", "--output", "o", "--threads", "0"], "must be 1 or more"),
        (["segment", "in", "--model", "m", "--output", "o", "--threads", "many"], "invalid"),
        (["segment", "in", "--model", "m", "--output", "o", "--precision", "f16"], "f32"),
    ],
)
def test_bad_usage(arguments, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and complaint in capsys.readouterr().err


def test_options_reach_the_predictor(capsys):
    write_image(Path("a.nii"))
    options = ("--overlap", "0", "--threads", "1", "--precision", "f32", "--device", "cpu", "--keep-largest")
    assert segment("a.nii", *options) == 0
    report = json.loads(Path("out/a/case.json").read_text(encoding="utf-8"))
    expected = {"overlap": 0.0, "threads": 1, "precision": "f32", "keep_largest": True}
    assert report["identity"]["model"]["options"] == expected
    assert report["report"]["windows"] == 2 * 2 * 2  # of 8 voxels, without overlap, for 10 x 12 x 14


def test_help_names_results_and_exit_codes(capsys):
    with pytest.raises(SystemExit):
        main(["segment", "--help"])
    text = capsys.readouterr().out
    assert "CASE/segmentation.dcm" in text and "exit codes:" in text and "goes on where it was interrupted" in text


def test_a_terminal_that_lacks_the_letters_and_a_series_that_bends_the_rules(monkeypatch):
    """As on Windows, where a job's output has the letters of one country; and libraries do not speak to the user."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    write_image(Path("in/头.nii"))
    write_series(Path("in/ct"), grey_values(), AccessionNumber="longer than the sixteen letters it may have")
    with started(*SEGMENT, text=True, encoding="utf-8") as process:
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0 and r"\u5934: structure 1" in out and err == ""
    assert read_results(Path("out")).keys() == {"头", "P1_thorax"}


# Cut short


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_cut_short_goes_on(stop):
    write_image(Path("in/a.nii"))
    slow = grey_values((SLOW,) * 3)
    write_image(Path("in/b.nii"), slow)
    write_image(Path("in/c.nii"))
    with started(*SEGMENT, text=True, encoding="utf-8") as process:
        _wait_for(lambda: Path("out/results.csv").exists() and read_results(Path("out")))
        time.sleep(0.1)  # b has begun
        process.send_signal(stop)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    if stop is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert err == "medseg: Interrupted. The same command goes on where it stopped.\n"
    assert {name for name in names_in(Path("out")) if not name.startswith(".")} == {"a", "results.csv"}
    assert read_results(Path("out")).keys() == {"a"}
    before = times_of(Path("out/a"))

    assert segment("in") == 0
    assert times_of(Path("out/a")) == before
    assert names_in(Path("out")) == {"a", "b", "c", "results.csv"}
    results = read_results(Path("out"))
    assert {name: row["status"] for name, row in results.items()} == dict.fromkeys("abc", "done")
    assert np.array_equal(read_labels(Path("out/b")), thresholded(slow, 100, 300))


def _wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Models of several channels


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """A model of a CT and a PET."""
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    channels = {"channels": ("CT", "PET"), "modality": ("CT", "PT")}
    return threshold_bundle(tmp_path / "models" / "pair", weights=(1.0, -1.0), **channels)


def segment_pair(*arguments) -> int:
    return main(["segment", *map(str, arguments), "--model", "pair", "--output", "out"])


def test_the_images_of_a_case_are_found_by_their_names(capsys, pair):
    write_image(Path("in/a_0000.nii"), grey_values(seed=1))
    write_image(Path("in/a_0001.nii"), grey_values(seed=2))
    assert segment_pair("in") == 0
    expected = thresholded(grey_values(seed=1).astype(float) - grey_values(seed=2), 100, 300)
    assert np.array_equal(read_labels(Path("out/a")), expected)
    assert "1 to segment with test: a" in capsys.readouterr().out


def test_a_missing_image_is_said_with_a_way_out(capsys, pair):
    write_image(Path("in/a_0000.nii"))
    assert segment_pair("in") == 2
    assert "a: There is no image for the channel 'PET'. Name the file so that" in capsys.readouterr().err


def test_patterns_say_which_image_is_which(capsys, pair):
    write_image(Path("in/a/low dose.nii"), grey_values(seed=1))
    write_image(Path("in/a/uptake.nii"), grey_values(seed=2))
    assert segment_pair("in") == 2
    assert segment_pair("in", "--channel", "CT=low*", "--channel", "PET=Up*") == 0
    assert names_in(Path("out")) == {"a", "results.csv"}
    assert segment_pair("in", "--channel", "MR=*") == 2
    assert "The model has no channel 'MR'. It has CT, PET." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        segment_pair("in", "--channel", "CT")
    assert "must be NAME=PATTERN" in capsys.readouterr().err


def test_the_images_of_a_model_are_listed(capsys, pair):
    assert main(["models"]) == 0
    assert "CT + PET/PT" in capsys.readouterr().out


# models, info


def test_models_are_listed(capsys, models):
    assert main(["models"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["MODEL", "MODALITY", "STRUCTURES", "SPACING", "SIZE", "MEAN", "DICE", "LICENCE"]
    row = next(row for row in rows if row.startswith("test "))
    assert "CT" in row and "structure 1, structure 2" in row and "1 x 1 x 1 mm" in row and "not measured" in row
    assert any(row.startswith("hippocampus-mr ") and "MR" in row for row in rows)


def test_a_measured_model_shows_its_dice(capsys, models, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    shutil.copytree(models / "thresholds", tmp_path / "models" / "measured")
    bundle = Bundle.load(tmp_path / "models" / "measured")
    spec = replace(bundle.spec, results={"mean_dice": 0.87654, "cases": 40})
    write_metadata(bundle.folder, bundle.metadata | {"name": "measured"}, spec)
    assert main(["models"]) == 0
    assert "0.877 (40 cases)" in capsys.readouterr().out


def test_a_damaged_model_does_not_hide_the_others(capsys, models, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    shutil.copytree(models / "thresholds", tmp_path / "models" / "broken")
    (tmp_path / "models" / "broken" / METADATA).write_text("{")
    assert main(["models"]) == 1
    out, err = capsys.readouterr()
    assert "hippocampus-mr" in out and err == (
        "medseg: configs/metadata.json of 'broken' is damaged. Install the model again from its source.\n"
    )


def test_info_shows_devices_versions_and_folders(capsys, models):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert f"medseg {__version__}, Python 3." in out and "openvino" in out and "  cpu: " in out and "GB free" in out
    assert f"  {models}\n" in out


def test_a_python_that_cannot_run_the_worker(capsys, monkeypatch):
    monkeypatch.setenv("MEDSEG_WORKER_PYTHON", os.fspath(Path("no-python")))
    assert main(["info"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("medseg: The worker could not be started with no-python: ") and err.count("\n") == 1
