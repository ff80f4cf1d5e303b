"""The table of results: written and read back, and summed up without what does not count."""

from __future__ import annotations

import csv

import pytest

from MedSegDLLib.errors import InputError
from MedSegTrainLib.evaluation.definitions import at_tolerance, measure
from MedSegTrainLib.evaluation.row_file import RowFile
from MedSegTrainLib.evaluation.rows import Row, measure_names, read_rows, write_rows
from MedSegTrainLib.evaluation.summary import by_structure, case_means, case_seconds, over_structures, summarise
from MedSegTrainLib.evaluation.tables import markdown, structure_table, text


def row(case: str, structure: str, status: str = "found", dice=None, hd=None, **changes) -> Row:
    values = {name: value for name, value in (("dice", dice), ("hd_mm", hd)) if value is not None}
    settings = {"patient": f"patient of {case}", "values": values, "seconds": 1.5, "worst_mm": 100.0} | changes
    return Row(case, structure=structure, status=status, **settings)


ROWS = [
    row("a", "liver", dice=0.9, hd=3.0),
    row("a", "spleen", dice=0.7, hd=5.25),
    row("b", "liver", "missed", dice=0.0),
    row("b", "spleen", "both empty"),
    row("c", "liver", "false positive", dice=0.0, seconds=2.5),
    row("c", "spleen", "not contoured", seconds=2.5),
    row("d", "liver", "failed", seconds=None, reason='no memory, "none" at all\nof it'),
    row("d", "spleen", "damaged", seconds=None, worst_mm=0.0, reason="cut off"),
]


def test_rows_come_back_as_they_were_written(tmp_path):
    write_rows(tmp_path / "rows.csv", ROWS)
    assert read_rows(tmp_path / "rows.csv") == ROWS


def test_the_file_is_a_plain_table(tmp_path):
    write_rows(tmp_path / "rows.csv", ROWS[1:3])
    head, *body = csv.reader((tmp_path / "rows.csv").open(newline=""))
    assert head == ["case", "patient", "structure", "status", "seconds", "worst_mm", "dice", "hd_mm", "reason"]
    assert body[0] == ["a", "patient of a", "spleen", "found", "1.5", "100", "0.7", "5.25", ""]
    assert body[1][6:8] == ["0", ""]  # a missed structure has no distance


def test_all_digits_that_matter_are_kept(tmp_path):
    value = 0.123456789012345
    write_rows(tmp_path / "rows.csv", [row("a", "liver", dice=value)])
    assert read_rows(tmp_path / "rows.csv")[0].value("dice") == pytest.approx(value, abs=1e-9)


def test_columns_stand_in_the_order_of_the_fullest_row():
    rows = [row("a", "x", hd=1.0), Row("b", "", "x", "found", {"iou": 1.0, "dice": 1.0, "hd_mm": 2.0})]
    assert measure_names(rows) == ["iou", "dice", "hd_mm"]


@pytest.mark.parametrize(
    "content",
    [
        "name,age\nAnna,3\n",
        "case,patient,structure,status,seconds,worst_mm,dice,reason\na,a,liver,found,,1,much,\n",
        "case,patient,structure,status,seconds,worst_mm,dice,reason\na,a,liver,found,,1,nan,\n",
        "case,patient,structure,status,seconds,worst_mm,dice,reason\na,a,liver\n",
    ],
)
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(InputError, match="not a table of results"):
        read_rows(tmp_path / "rows.csv")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.csv"):
        read_rows(tmp_path / "nowhere.csv")


def test_misses_count_in_dice_and_are_told_beside_distances():
    liver = by_structure(ROWS, "dice")["liver"]
    assert (liver.mean, liver.median, liver.valid) == (pytest.approx(0.9 / 4), 0, 4)
    assert liver.sd == pytest.approx(0.45)  # of 0.9, 0, 0, 0
    distances = by_structure(ROWS, "hd_mm")["liver"]
    assert (distances.mean, distances.sd, distances.valid) == (3.0, None, 1)
    for found in (liver, distances):
        assert (found.missed, found.false_positives, found.failed, found.damaged) == (1, 1, 1, 0)
    spleen = by_structure(ROWS, "dice")["spleen"]
    assert (spleen.mean, spleen.valid) == (0.7, 1)
    assert (spleen.empty, spleen.not_contoured, spleen.damaged) == (1, 1, 1)


def test_a_failure_is_no_volume_error_of_nought():
    failed = Row("d", "d", "liver", "failed", worst_mm=100.0)
    found = Row("a", "a", "liver", "found", {"volume_error_ml": 3.0}, 1.5, 100.0)
    assert summarise([found, failed], "volume_error_ml").mean == 3.0
    assert summarise([found, failed], "volume_error_ml").failed == 1


def test_the_mean_over_structures_weighs_cases_alike():
    assert case_means(ROWS, "dice") == {"a": pytest.approx(0.8), "b": 0, "c": 0, "d": 0}
    over = over_structures(ROWS, "dice")
    assert (over.mean, over.median, over.valid) == (pytest.approx(0.2), 0, 4)
    assert case_means(ROWS, "hd_mm") == {"a": pytest.approx(4.125), "b": None, "c": None, "d": None}


def test_what_has_no_value_has_no_mean():
    found = summarise(ROWS[5:6], "dice")
    assert (found.mean, found.sd, found.median, found.valid) == (None, None, None, 0)


def test_the_worst_stands_in_when_methods_are_compared():
    by_place = {(each.case, each.structure): each for each in ROWS}
    assert by_place["b", "liver"].value_or_worst("hd_mm") == 100
    assert by_place["b", "liver"].value_or_worst("precision") == 0  # nothing was found
    assert by_place["c", "liver"].value_or_worst("hd_mm") == 100
    assert by_place["c", "liver"].value_or_worst("sensitivity") is None  # there was nothing to find
    assert by_place["d", "liver"].value_or_worst("dice") == 0
    assert by_place["d", "liver"].value_or_worst("hd95_mm") == 100
    for case, structure in (("b", "spleen"), ("c", "spleen"), ("d", "spleen")):
        assert by_place[case, structure].value_or_worst("dice") is None


def test_measures_say_which_way_is_better():
    assert [measure(name).better for name in ("dice", "hd95_mm", "volume_error_ml")] == [1, -1, 0]
    assert measure(at_tolerance("nsd", 2.5)).title == "Surface Dice at 2.5 mm"
    with pytest.raises(InputError, match="no measure 'nsd_mm'"):
        measure("nsd_mm")


def test_a_table_per_pathology_as_papers_print_it():
    """Accuracy, sensitivity, specificity, boundary accuracy and seconds for each structure, from rows alone."""
    values = {"accuracy": 0.99, "sensitivity": 0.8, "specificity": 0.995, "boundary_accuracy_2mm": 0.75}
    rows = [Row("a", "a", "glioma", "found", values, 1.5), Row("b", "b", "glioma", "found", values, 2.5)]
    heads, glioma = structure_table(rows, tuple(values))
    assert heads[1:6] == ("Accuracy", "Sensitivity", "Specificity", "Boundary accuracy at 2 mm", "seconds")
    assert [cell.split(" ")[0] for cell in glioma[:6]] == ["glioma", "0.9900", "0.8000", "0.9950", "0.7500", "2"]


def test_tables_count_what_was_missed():
    heads, liver, spleen, mean = structure_table(ROWS, ("dice", "hd_mm"))
    assert heads[2] == "Hausdorff distance (mm)" and liver[:3] == ("liver", "0.2250 +- 0.4500", "3.00")
    assert liver[4:] == ("4", "1", "1", "1") and spleen[4:] == ("1", "0", "0", "0")
    assert mean[:2] == ("mean", "0.2000 +- 0.4000")
    assert markdown([heads, liver]).startswith("| structure | Dice |") and "liver" in text([heads, liver])
    assert markdown([("a|b",), ("c",)]).startswith("| a\\|b |")
    assert case_seconds(ROWS) == {"a": 1.5, "b": 1.5, "c": 2.5}


def test_a_file_of_other_results_is_not_gone_on_with(tmp_path):
    mine = RowFile(tmp_path / "rows.csv", {"method": "a", "settings": {"tolerances_mm": (1.0, 2.0)}})
    assert mine.finished() == []
    mine.write(ROWS)
    again = RowFile(tmp_path / "rows.csv", {"method": "a", "settings": {"tolerances_mm": (1.0, 2.0)}})
    assert {each.case for each in again.finished()} == {"a", "b", "c"}  # d failed and is tried again
    for about in ({"method": "b", "settings": {"tolerances_mm": (1.0, 2.0)}}, {"method": "a"}):
        with pytest.raises(InputError, match="results of something else"):
            RowFile(tmp_path / "rows.csv", about).finished()
