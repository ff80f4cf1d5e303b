"""medseg data import, inspect, split."""

from __future__ import annotations

import argparse

import pytest

from data_makers import FIRST, SECOND, edit_table, write_pairs, write_patient
from MedSegDLLib.errors import InputError
from MedSegTrainLib.commands import data
from MedSegTrainLib.data import splits
from MedSegTrainLib.data.dataset import open_dataset


def medseg(*arguments) -> int:
    parser = argparse.ArgumentParser()
    data.add_to(parser.add_subparsers(required=True))
    options = parser.parse_args(["data", *map(str, arguments)])
    return options.run(options)


@pytest.fixture
def patients(tmp_path):
    for n, regions in enumerate(({"GTV_1": FIRST, "Lung L": SECOND}, {"gtv": FIRST}, {"GTV": FIRST})):
        write_patient(tmp_path / "in" / str(n), f"P{n}", regions, seed=n)
    return tmp_path / "in"


def test_the_first_run_proposes_a_table_and_the_second_imports_by_it(patients, tmp_path, capsys):
    output = tmp_path / "out"
    assert medseg("import", patients, "--output", output) == 0
    printed = capsys.readouterr().out
    assert "GTV_1" in printed and f"Correct it in {output / 'structures.csv'}" in printed
    assert not (output / "dataset.json").exists()
    edit_table(output / "structures.csv", **{"Lung L": {"structure": "left lung"}})
    assert medseg("import", patients, "--output", output, "--name", "chests") == 0
    assert "3 cases of 3 patients, 2 structures" in capsys.readouterr().out
    dataset = open_dataset(output)
    assert dataset.name == "chests"
    assert {label.name for label in dataset.labels} == {"GTV", "left lung"}


def test_a_table_of_ones_own_and_the_proposal_are_taken_at_once(patients, tmp_path):
    assert medseg("import", patients, "--output", tmp_path / "a", "--accept") == 0
    edit_table(tmp_path / "a" / "structures.csv", **{"Lung L": {"structure": ""}})
    table = tmp_path / "a" / "structures.csv"
    assert medseg("import", patients, "--output", tmp_path / "b", "--structures", table) == 0
    assert len(open_dataset(tmp_path / "b").labels) == 1
    with pytest.raises(InputError, match="There is no table"):
        medseg("import", patients, "--output", tmp_path / "c", "--structures", tmp_path / "none.csv")


def test_the_first_run_says_what_cannot_be_used(patients, tmp_path, capsys):
    (patients / "broken.dcm").write_bytes(b"no DICOM")
    medseg("import", patients, "--output", tmp_path / "out")
    assert "broken.dcm is damaged" in capsys.readouterr().out
    with pytest.raises(InputError, match="No case has an image for the channel 'PET'"):
        medseg("import", patients, "--output", tmp_path / "other", "--channels", "CT", "PET")
    with pytest.raises(InputError, match="lies in the folder that is imported"):
        medseg("import", patients, "--output", patients / "out")


def test_an_import_says_that_there_are_warnings(patients, tmp_path, capsys):
    medseg("import", patients, "--output", tmp_path / "out")
    edit_table(tmp_path / "out" / "structures.csv", **{"Lung L": {"name in data": "Lunge"}})
    medseg("import", patients, "--output", tmp_path / "out")
    printed = capsys.readouterr().out
    assert "'Lung L' of the data" in printed and "There are warnings about 1 case" in printed


def test_inspect_shows_cases_structures_and_what_is_missing(patients, tmp_path, capsys):
    medseg("import", patients, "--output", tmp_path / "out", "--accept")
    capsys.readouterr()
    assert medseg("inspect", tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if line.startswith("P1"))
    assert "12 x 10 x 8" in row and "1.5 x 1.5 x 3" in row and "Lung L" in row
    assert any("'Lung L' is not contoured in 2 of 3 cases" in line for line in lines)


def test_split_writes_what_is_read_again(tmp_path, capsys):
    folder = write_pairs(tmp_path / "in", 6)
    with pytest.raises(InputError, match="--output"):
        medseg("split", folder)
    medseg("import", folder, "--output", tmp_path / "out", "--accept")
    assert medseg("split", tmp_path / "out", "--folds", 3, "--seed", 4) == 0
    dataset = open_dataset(tmp_path / "out")
    assert splits.read(tmp_path / "out" / "splits.json", dataset) == splits.k_fold(dataset, 3, 4)
    assert medseg("split", folder, "--folds", 1, "--output", tmp_path / "one.json") == 0
    assert splits.read(tmp_path / "one.json", dataset) == (splits.single(open_dataset(folder)),)
