"""The table of structures: proposed by name and codes, corrected by people, never by order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_makers import KIDNEYS, LIVER, edit_table
from MedSegDLLib.errors import InputError
from MedSegTrainLib.data.case import IGNORE
from MedSegTrainLib.data.found import Drawing, Findings, FoundCase, FoundStructure
from MedSegTrainLib.data.names import group_name, normalised
from MedSegTrainLib.data.proposal import propose
from MedSegTrainLib.data.structure_files import read_table, write_table
from MedSegTrainLib.data.structures import LEAVE_OUT, NOT_ANNOTATED, UNCODED, StructureTable


class Listed(Drawing):
    def masks(self, grid):
        return iter(())


def proposed(*cases: list[FoundStructure | str]) -> StructureTable:
    found = [[FoundStructure(one) if isinstance(one, str) else one for one in case] for case in cases]
    return propose(Findings("test", tuple(FoundCase(str(n), "", (), (Listed(one),)) for n, one in enumerate(found))))


def becomes(table: StructureTable) -> dict[str, str]:
    return {row.name: row.structure for row in table.rows}


@pytest.mark.parametrize(
    "name", ["left lung", "Lung_L", "LUNG L", "lung-left", "LungLeft", "Lt Lung", "lung.l", " Left  Lung "]
)
def test_one_structure_has_many_spellings(name):
    assert normalised(name) == "lung left"


@pytest.mark.parametrize("name", ["right lung", "Lung_R", "lungs", "lung", "lung left lower lobe"])
def test_sides_and_parts_stay_apart(name):
    assert normalised(name) != "lung left"


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("GTV_1", "GTV"), ("GTV2", "GTV"), ("gtv 03", "gtv"), ("GTV_Mass_CT", "GTV Mass"),
        ("GTV_Mass_MR_T1", "GTV Mass"), ("L5", "L5"), ("Vertebra T12", "Vertebra T12"), ("CT", "CT"), ("7", "7"),
    ],
)  # fmt: skip
def test_running_numbers_and_modalities_are_no_part_of_a_name(name, group):
    assert group_name(name) == group


def test_names_that_differ_by_a_number_are_proposed_as_one_structure():
    table = proposed(["GTV_1", "GTV_2", "Heart"], ["gtv 1", "HEART"])
    assert becomes(table) == {"GTV_1": "GTV", "GTV_2": "GTV", "gtv 1": "GTV", "Heart": "HEART", "HEART": "HEART"}
    assert [(label.value, label.name) for label in table.labels] == [(1, "GTV"), (2, "HEART")]
    assert {row.name: row.cases for row in table.rows}["GTV_1"] == 1


def test_values_of_labelmaps_stay_and_are_never_put_together():
    values = [FoundStructure("rib 1", 4), FoundStructure("rib 2", 9), FoundStructure("ignore", 12)]
    table = proposed(values)
    assert [(label.value, label.name) for label in table.labels] == [(4, "rib 1"), (9, "rib 2")]
    assert (table.rows[2].structure, table.rows[2].value) == (NOT_ANNOTATED, IGNORE)


def test_the_same_codes_are_one_structure_whatever_the_names():
    left, right = (FoundStructure(label.name, terminology=label.terminology) for label in KIDNEYS)
    other = replace(left, name="kidney sin.")
    table = proposed([left, right], [other], [left, "niere 2"])
    assert becomes(table) == {
        "Niere 1": "Niere 1", "kidney sin.": "Niere 1", "Niere 2": "Niere 2", "niere 2": "Niere 2",
    }  # fmt: skip
    assert {label.terminology for label in table.labels} == {one.terminology for one in KIDNEYS}


def test_codes_count_before_names():
    liver = FoundStructure("Leber", terminology=LIVER.terminology)
    table = proposed([liver, "Tumour"])
    assert table.row_of(replace(liver, name="Tumour")).name == "Leber"
    assert table.row_of(FoundStructure("TUMOUR")).name == "Tumour"
    assert table.row_of(FoundStructure("leber")).name == "Leber"
    assert table.row_of(FoundStructure("spleen")) is None


def test_codes_that_say_nothing_do_not_count():
    tissue = FoundStructure("Segment_1", terminology=UNCODED)
    table = proposed([tissue, replace(tissue, name="Tumour")])
    assert table.row_of(replace(tissue, name="Tumour")).name == "Tumour"


def test_the_table_is_read_as_it_was_written(tmp_path):
    table = proposed([FoundStructure("Leber", terminology=LIVER.terminology, color=LIVER.color), 'ünïts; a, "b"'])
    write_table(table, tmp_path / "new" / "table.csv")
    assert read_table(tmp_path / "new" / "table.csv") == table


def test_people_correct_the_table(tmp_path):
    path = tmp_path / "table.csv"
    write_table(proposed(["GTV 1", "GTV 2", "GTVnode", "body", "unsure"]), path)
    edit_table(
        path,
        **{
            "GTV 2": {"structure": "second", "value": "", "when missing": "absent"},
            "GTVnode": {"structure": "GTV", "value": ""},
            "body": {"structure": ""},
            "unsure": {"structure": NOT_ANNOTATED},
        },
    )
    table = read_table(path)
    values = {row.name: (row.structure, row.value) for row in table.rows}
    gtv = values["GTV 1"][1]
    assert values["GTVnode"] == ("GTV", gtv)
    assert values["body"] == (LEAVE_OUT, 0)
    assert values["unsure"] == (NOT_ANNOTATED, IGNORE)
    assert {label.name for label in table.labels} == {"GTV", "second"}
    assert table.may_be_absent == {"second"}


def test_a_table_from_a_spreadsheet_with_semicolons_is_read(tmp_path):
    path = tmp_path / "table.csv"
    table = proposed(["heart", "liver"])
    write_table(table, path)
    path.write_text(path.read_text(encoding="utf-8-sig").replace(",", ";"), encoding="cp1252")
    assert read_table(path) == table


def test_a_table_with_tabs_and_empty_lines_is_read(tmp_path):
    path = tmp_path / "table.csv"
    table = proposed(["heart", "liver"])
    write_table(table, path)
    text = path.read_text(encoding="utf-8-sig").replace(",", "\t")
    path.write_text(text.replace("\r\n", "\r\n\r\n").replace("not contoured", "Not contoured"), encoding="utf-8")
    assert read_table(path) == table


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heart": {"value": "2"}}, "same value 2"),
        ({"heart": {"value": "300"}}, "value 300"),
        ({"heart": {"value": "one"}}, "Line 2 of the table is wrong: 'value' is 'one', which is no whole number"),
        ({"liver": {"value": "1.5"}}, "Line 3 .* 'value' is '1.5'"),
        ({"heart": {"when missing": "gone"}}, "'when missing' is 'gone'"),
        ({"heart": {"color": "red"}}, "'color' is 'red', not of the form #ff8000"),
        ({"heart": {"color": "#fff8"}}, "'color' is '#fff8'"),
        ({"heart": {"structure": "(not anotated)"}}, "'\\(not anotated\\)', not '\\(not annotated\\)'"),
        ({"heart": {"name in data": "liver"}}, "'liver' has two rows, for 'heart' and for 'liver'"),
        ({"heart": {"type": "Heart"}}, "no code of the form"),
        ({"heart": {"structure": "liver"}}, "two values"),
        ({"heart": {"structure": ""}, "liver": {"structure": ""}}, "keeps no structure"),
    ],
)
def test_a_wrong_table_is_refused_with_the_place(tmp_path, changes, message):
    write_table(proposed(["heart", "liver"]), tmp_path / "table.csv")
    edit_table(tmp_path / "table.csv", **changes)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "table.csv")


def test_a_missing_table_and_a_missing_column_are_refused(tmp_path):
    with pytest.raises(InputError, match="There is no table"):
        read_table(tmp_path / "table.csv")
    (tmp_path / "table.csv").write_text("name in data,structure\nheart,heart\n")
    with pytest.raises(InputError, match="lacks the column"):
        read_table(tmp_path / "table.csv")
