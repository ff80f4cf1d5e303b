"""A case's folder is complete or not there, and nothing of the user's is lost for it."""

from __future__ import annotations

import json
import os

import pytest

from batch_cases import names_in, read_results
from MedSegDLLib.errors import OutputError
from MedSegDLLib.outputs import (
    DONE,
    FAILED,
    LEFT_OUT,
    CaseResult,
    is_result,
    new_case,
    read_record,
    results_in,
    write_record,
    write_results,
)

RESULT = CaseResult("Käse", "/in/Käse.nii", DONE, "Fine.", 1.25, "cpu", {"Heart": 2.0})


def write_case(folder, identity="one", **files):
    with new_case(folder) as partial:
        for name, text in ({"labels": "0"} | files).items():
            (partial / name).write_text(text)
        write_record(partial, RESULT, {"of": identity}, {"notes": []})
    return folder


def test_a_case_appears_when_it_is_complete(tmp_path):
    folder = tmp_path / "out" / "case"
    with new_case(folder) as partial:
        (partial / "labels").write_text("0")
        assert not folder.exists() and is_result(partial / "labels")
        write_record(partial, RESULT, {"of": "one"}, {})
    assert names_in(folder) == {"labels", "case.json"} and names_in(folder.parent) == {"case"}
    assert read_record(folder)["identity"] == {"of": "one"} and is_result(folder) and is_result(folder / "labels")


def test_a_case_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), new_case(tmp_path / "case") as partial:
        (partial / "labels").write_text("0")
        raise ZeroDivisionError
    assert not names_in(tmp_path)


def test_what_an_interrupted_run_left_is_cleared(tmp_path):
    leftover = tmp_path / ".case.partial"
    leftover.mkdir()
    (leftover / "labels").write_text("half")
    (leftover / "more").write_text("half")
    assert is_result(leftover / "labels")
    folder = write_case(tmp_path / "case")
    assert names_in(tmp_path) == {"case"} and names_in(folder) == {"labels", "case.json"}


def test_an_earlier_result_is_replaced_and_what_lies_beside_it_stays(tmp_path):
    folder = write_case(tmp_path / "case", "one", dicom="seg")
    (folder / "notes.txt").write_text("mine")
    write_case(folder, "two", labels="1")
    assert names_in(folder) == {"labels", "case.json", "notes.txt"}
    assert (folder / "labels").read_text() == "1" and read_record(folder)["identity"] == {"of": "two"}


def test_a_result_that_was_edited_is_not_replaced(tmp_path):
    folder = write_case(tmp_path / "case", "one")
    (folder / "labels").write_text("corrected by hand")
    with pytest.raises(OutputError, match="labels' was changed since"):
        write_case(folder, "two")
    assert (folder / "labels").read_text() == "corrected by hand" and names_in(tmp_path) == {"case"}
    assert read_record(folder)["identity"] == {"of": "one"}


def test_a_folder_that_is_no_result_is_not_touched(tmp_path):
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "case.json").write_text(json.dumps({"mine": 1}))
    (folder / "scan.dcm").write_text("image")
    with pytest.raises(OutputError, match="is in the way: it is no result that medseg wrote"):
        write_case(folder)
    assert names_in(folder) == {"case.json", "scan.dcm"} and not is_result(folder / "scan.dcm")


@pytest.mark.parametrize("damage", ["{", "[1]", "{}", '{"format": 0}'])
def test_a_damaged_record_is_none(tmp_path, damage):
    folder = write_case(tmp_path / "case")
    (folder / "case.json").write_text(damage)
    assert read_record(folder) == {} and results_in(tmp_path) == []


def test_a_case_that_lost_a_file_is_not_done(tmp_path):
    folder = write_case(tmp_path / "case")
    (folder / "labels").unlink()
    assert read_record(folder) == {}


def test_results_come_back_as_they_were(tmp_path):
    write_case(tmp_path / "case")
    (tmp_path / "other").mkdir()
    assert results_in(tmp_path) == [RESULT] and results_in(tmp_path / "absent") == []


def test_the_table_of_results(tmp_path):
    left_out = CaseResult("scout", "/in", LEFT_OUT, "A localiser.")
    broken = CaseResult("broken", "/in", FAILED, 'Damaged, "cut" off.\nTwice.', 0.04)
    write_results(tmp_path / "new" / "results.csv", [RESULT, left_out, broken], ["Aorta", "Heart"])
    rows = read_results(tmp_path / "new")
    assert [*rows["Käse"]] == ["case", "status", "seconds", "Aorta (ml)", "Heart (ml)", "device", "message", "source"]
    assert [*rows["Käse"].values()] == ["Käse", "done", "1.2", "", "2.00", "cpu", "Fine.", "/in/Käse.nii"]
    assert rows["scout"]["seconds"] == "" and rows["scout"]["message"] == "A localiser."
    assert rows["broken"]["message"] == broken.message and rows["broken"]["status"] == "failed"


def test_a_name_that_is_not_valid_unicode_is_written(tmp_path):
    """As Python reads a file name of another encoding."""
    result = CaseResult("case", "/in/" + os.fsdecode(b"\xff.nii"), DONE)
    with new_case(tmp_path / "case") as partial:
        write_record(partial, result, {}, {})
    assert results_in(tmp_path) == [result]
    write_results(tmp_path / "results.csv", [result])
    assert read_results(tmp_path)["case"]["source"] == r"/in/\udcff.nii"


def test_an_output_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="its folder is a file"):
        write_case(tmp_path / "file" / "case")
    with pytest.raises(OutputError, match="could not be written"):
        write_results(tmp_path / "file" / "results.csv", [])
