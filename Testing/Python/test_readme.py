"""What the README says of clicks, messages and places is what was measured, and what the code says."""

from __future__ import annotations

import ast
import csv
import json
import re
from pathlib import Path
from statistics import mean, median

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "Testing" / "benchmarks" / "results"
PEERS = ("MedSegDL", "Grow from seeds")
CLICKS = (1, 3, 5, 10)
NEVER = 11

KINDS = {
    "hippocampus": "hippocampus MR",
    "soft-tissue sarcoma, CT": "sarcoma CT",
    "soft-tissue sarcoma, MR": "sarcoma MR",
    "cell nucleus": "nuclei",
    "spinal cord": "spinal cord MR",
    "both lungs": "lung CT",
}


def result(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def rows_after(header: str) -> list[list[str]]:
    """Cells of the table whose first line begins so."""
    table = README[README.index(header) :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def clicks_to_goal(course: dict) -> int:
    return next((number for number, dice in enumerate(course["dice"], 1) if dice >= 0.85), NEVER)


def measured(courses: list[dict]) -> list[str]:
    """The cells behind the name of a row: how many structures, then each peer's figures."""
    cells = [str(len(courses) // len(PEERS))]
    for peer in PEERS:
        own = [course for course in courses if course["peer"] == peer]
        cells += [f"{mean(course['dice'][number - 1] for course in own):.3f}" for number in CLICKS]
        cells.append(f"{mean(map(clicks_to_goal, own)):.1f}")
    return cells


def courses_of(row: str) -> list[dict]:
    courses = result("clicks")["courses"]
    if row == "all":
        return courses
    if row == "those not used for tuning":
        return [course for course in courses if not course["tuned_on"]]
    (kind,) = (kind for name, kind in KINDS.items() if row.startswith(name))
    return [course for course in courses if course["kind"] == kind]


def test_every_row_of_clicks_is_what_was_measured():
    rows = rows_after("| structures | number |")
    assert len(rows) == 2 + len(KINDS)
    for name, *cells in rows:
        assert cells == measured(courses_of(name)), name


def test_the_first_lines_name_the_same_figures():
    cells = measured(result("clicks")["courses"])
    for figure in (cells[1], cells[4], cells[6], cells[9]):
        assert figure in README[: README.index("## Try it")]


def test_the_seconds_of_a_click_are_what_was_measured():
    clicks = result("interaction")["clicks"]
    previews, controls = ([click[name] for click in clicks] for name in ("preview_s", "control_s"))
    text = " ".join(README.split())
    assert f"**{median(previews):.2f} s** from click to preview in the median of {len(clicks)} clicks" in text
    assert f"({max(previews):.2f} s at worst)" in text
    assert f"**{1000 * median(controls):.1f} ms** ({1000 * max(controls):.1f} ms at worst)" in text
    own = [course for course in result("clicks")["courses"] if course["peer"] == PEERS[0]]
    seconds = [value for course in own for value in course["seconds"]]
    assert f"A click takes {median(seconds):.2f} s in the median here, {max(seconds):.2f} s at worst" in text


# Benchmarks


def table(benchmark: str, name: str) -> dict[str, dict[str, str]]:
    """Rows of a committed table by their method."""
    path = RESULTS / f"{benchmark}-narrow" / "tables" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row["method"]: row for row in csv.DictReader(file)}


def cells_of(row: dict[str, str], *columns: str) -> list[str]:
    return [row[column] for column in columns]


def test_the_methods_on_hippocampi_are_those_of_the_report():
    columns = ("rank", "method", "mean Dice", "95 % interval")
    ranking = table("hippocampus", "hippocampus-mr-ranking").values()
    assert rows_after("| place | method |") == [cells_of(row, *columns) for row in ranking]


def test_the_networks_on_sarcomas_are_those_of_the_report():
    rankings = [table("sarcoma", f"{name}-ranking") for name in ("ct", "mr", "ct-mr-pet")]
    rows = rows_after("| mean Dice (95 % interval) | CT |")
    assert {method for method, *_ in rows} == set(rankings[0])
    for method, *cells in rows:
        told = [cells_of(ranking[method], "mean Dice", "95 % interval") for ranking in rankings]
        assert cells == [f"{dice} ({interval})" for dice, interval in told]


def test_the_methods_on_nuclei_are_those_of_the_report():
    ranking, objects = (table("nuclei", f"nuclei-microscopy-{name}") for name in ("ranking", "objects"))
    rows = rows_after("| method | mean Dice | 95 % interval | AP |")
    assert rows == [
        [*cells_of(row, "method", "mean Dice", "95 % interval"), *cells_of(objects[method], "Bowl AP", "Bowl AP50")]
        for method, row in ranking.items()
    ]


# Messages


def texts(source: Path) -> list[str]:
    """Every text in a source file, what is put into an f-string left out."""
    nodes = ast.walk(ast.parse(source.read_text(encoding="utf-8")))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@pytest.fixture(scope="module")
def all_texts() -> str:
    return "\n".join(text for source in (ROOT / "MedSegDL").rglob("*.py") for text in texts(source))


def messages() -> list[str]:
    rows = rows_after("| it says | because") + rows_after("| it says, or you see")
    return [match[1] for first, *_ in rows if (match := re.fullmatch(r'"(.+)"', first))]


def test_there_are_messages():
    assert len(messages()) > 15


WITH_BLANKS = {
    "The model is for MR, this volume is CT: allow it in Advanced.": (
        "The model is for {expected}, this volume is {found}: allow it in Advanced."
    )
}


@pytest.mark.parametrize("message", messages())
def test_every_message_is_said(message, all_texts):
    assert WITH_BLANKS.get(message, message) in all_texts


# Places and names


def test_buttons_and_titles_that_the_readme_names_exist():
    ui = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "MedSegDL" / "Resources" / "UI").glob("*.ui"))
    for name in ("Statistics to table", "Save as DICOM SEG...", "Open in Segment Editor", "Repair...", "Undo last"):
        assert f"*{name}*" in " ".join(README.split()) and f"<string>{name}</string>" in ui, name
    assert "All frames of the sequence" in ui and "Segment everything" in ui


def test_the_folders_are_those_of_the_code(monkeypatch):
    from MedSegDLLib import folders, models

    for variable in ("MEDSEG_MODELS", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(folders.sys, "platform", "linux")
    added, remade = rows_after("| what | Linux |")
    assert added[1] == f"`~/{models.user_folder().relative_to(Path.home()).as_posix()}`"
    assert remade[1] == f"`~/{folders.cache_folder().relative_to(Path.home()).as_posix()}`"
    monkeypatch.setattr(folders.sys, "platform", "darwin")
    assert added[2] == f"`~/{models.user_folder().relative_to(Path.home()).as_posix()}`"
    assert remade[2] == f"`~/{folders.cache_folder().relative_to(Path.home()).as_posix()}`"


def test_every_link_within_the_readme_has_a_target():
    headings = re.findall(r"^#+ (.+)$", README, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {anchor for anchor in re.findall(r"\]\(#([\w-]+)\)", README.replace("\n", " "))} <= anchors
    files = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", README)
    assert [file for file in files if not (ROOT / file).exists()] == []
