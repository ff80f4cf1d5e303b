"""The report of a benchmark: its tables, its sentences, and what it says of what is not finished."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

import benchmark_makers as makers
from MedSegTrainLib.benchmark.examples import Example, chosen_cases, example
from MedSegTrainLib.benchmark.report import tables
from MedSegTrainLib.benchmark.report.all_rows import write_all_rows
from MedSegTrainLib.benchmark.report.build import build
from MedSegTrainLib.benchmark.report.collect import collect
from MedSegTrainLib.benchmark.report.comparison import compare, papers_winners, ranking, significance
from MedSegTrainLib.benchmark.report.data_set import data_set_sections
from MedSegTrainLib.benchmark.report.document import Document, Section, Table
from MedSegTrainLib.benchmark.report.numbers import duration, listed, p_value, without_folders
from MedSegTrainLib.benchmark.report.overview import overview
from MedSegTrainLib.benchmark.report.published import DUAL_ATTENTION, FCNN, PUBLISHED
from MedSegTrainLib.benchmark.report.write import markdown, write
from MedSegTrainLib.benchmark.runs import FAILED, RUNNING, Result, Run
from MedSegTrainLib.evaluation.rows import Row
from MedSegTrainLib.training.run_folder import RunFolder

CASES = 12
FACTS = {
    "seconds": {"preparing": 10.0, "training": 100.0, "judging": 5.0},
    "cost": {"parameters": 12_500_000, "flops_per_window": 3e9, "seconds": 0.25, "peak_memory_bytes": 4e8},
    "training": {"steps": 300},
    "data": {"cases": 24, "patients": 24, "digest": "a", "about": {"title": "Balls", "licence": "CC0"}},
    "device": "cpu",
    "hardware": "A processor, 2 cores",
    "versions": {"Python": "3.11.7", "torch": "2.8.0"},
}
QUALITY = {"unet": 0.9, "fcnn": 0.8, "threshold": 0.5}


def rows_of(run: Run, dice: float) -> list[Row]:
    """Twelve cases of the run's fold; every method sees the same difficulty, and noise of its own."""
    rng = np.random.default_rng([run.order.fold, sum(map(ord, run.order.method.name))])
    return [
        Row(f"case-{run.order.fold}-{n}", f"patient-{run.order.fold}-{n}", structure, "found", values, 0.25, 60.0)
        for n in range(CASES)
        for structure in makers.STRUCTURES
        for values in [scores_around(dice - 0.01 * n + rng.normal(0, 0.005))]
    ]


def scores_around(dice: float) -> dict[str, float]:
    dice = round(dice, 6)
    same = dict.fromkeys(("accuracy", "sensitivity", "specificity", "boundary_accuracy_2mm", "nsd_1mm"), dice)
    return {"dice": dice, "iou": round(dice / (2 - dice), 6), "hd_mm": 4.0, "hd95_mm": 2.0, "assd_mm": 0.5, **same}


def finish(run: Run, dice: float, **facts) -> None:
    with run.claimed():
        run.finish(Result(rows_of(run, dice), FACTS | facts))


def write_curve(run: Run) -> None:
    run.training.mkdir(parents=True, exist_ok=True)
    for epoch in (1, 2, 3):
        RunFolder(run.training).add_event(
            {"epoch": epoch, "step": epoch, "loss": 1 / epoch, "dice": epoch / 4, "miou": None}
        )


def write_examples(run: Run) -> None:
    for name, dice in (("best", 0.9), ("median", 0.8), ("worst", 0.1)):
        image, truth = np.arange(30, dtype=np.uint8).reshape(5, 6), np.zeros((5, 6), np.uint8)
        truth[1:4, 2:5] = 1
        Example("case", dice, image, truth, np.roll(truth, 1, axis=1), (1.0, 2.0)).write(
            run.folder / "examples" / f"{name}.npz"
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished benchmark: U-Net better than FCNN in every case, thresholding far behind."""
    made = makers.benchmark(tmp_path_factory.mktemp("runs"), note="Shortened equally for all.")
    for run in made.runs:
        finish(run, QUALITY[run.order.method.name])
        if run.order.method.name != "threshold":
            write_curve(run)
            write_examples(run)
    return made


@pytest.fixture
def half(tmp_path):
    """An unfinished one: a fold of U-Net, both of FCNN, a failure and a run that goes on."""
    made = makers.benchmark(tmp_path / "runs")
    for run in made.runs:
        name, fold = run.order.method.name, run.order.fold
        if (name, fold) == ("unet", 1):
            run.note(FAILED, "'/home/anna/runs/last.ckpt' could not be written: the disk is full.")
            run.write_json("run.json", {"key": run.order.key})
        elif name != "threshold":
            finish(run, QUALITY[name])
    return made


def table_of(document: Document, name: str) -> Table:
    return next(table for table in document.tables if table.name == name)


# ---- Published figures


def test_the_published_figures_are_the_papers():
    assert {entry.label: entry.figures for entry in FCNN.entries} == {
        "U-Net": (78.3, 80.1),
        "SegNet": (76.5, 78.9),
        "DeepLabV3": (80.7, 82.3),
        "PSPNet": (81.2, 83.0),
        "Mask R-CNN": (82.1, 83.7),
        "FCNN": (84.5, 86.2),
    }
    assert [entry.figures for entry in DUAL_ATTENTION.entries] == [
        (85.3, 8.42, 12.5, 156),
        (87.6, 7.13, 14.2, 182),
        (86.9, 7.89, 15.8, 195),
        (90.2, 6.45, 13.7, 175),
    ]


@pytest.mark.parametrize("published", PUBLISHED)
def test_a_published_table_fits_itself(published):
    from MedSegDLLib.networks.registry import NETWORKS

    assert all(entry.network in NETWORKS for entry in published.entries)
    assert all(len(entry.figures) == len(published.columns) for entry in published.entries)
    dice = next(n for n, column in enumerate(published.columns) if column.measure == "dice")
    assert max(published.entries, key=lambda entry: entry.figures[dice]).network == published.winner


def test_our_figures_stand_beside_the_papers(whole):
    (results,) = collect(whole).data_sets
    found = tables.beside(DUAL_ATTENTION, results)
    mean = 100 * results.methods[0].summary("dice").mean
    assert found.rows[0] == ("U-Net", "U-Net", "85.3", f"{mean:.1f}", "8.42", "4.00", "12.5", "12.5", "156", "250")
    assert found.rows[1][:4] == ("Attention U-Net", "not run here", "87.6", "-")
    assert "other data" in found.note


# ---- Who is best


def test_a_papers_winner_that_does_not_win_here_is_named(whole):
    (sentence,) = papers_winners(compare(collect(whole).data_sets[0]))
    assert sentence.startswith(
        "In “Medical image semantic segmentation based on FCNN” FCNN is the best. It is not here:"
    )
    assert "place 2 of 3, and U-Net is the best" in sentence and "significant" in sentence
    assert sentence.endswith("Of the networks in its own table, U-Net did better.")


def test_a_papers_winner_that_wins_here_is_named_too(tmp_path):
    made = makers.benchmark(tmp_path)
    for run in made.runs:
        finish(run, {"unet": 0.80, "fcnn": 0.8035, "threshold": 0.4}[run.order.method.name])
    (sentence,) = papers_winners(compare(collect(made).data_sets[0]))
    assert "So it is here, with a mean Dice of" in sentence and "may be chance" in sentence


def test_a_paper_whose_winner_was_not_run_is_not_judged(tmp_path):
    made = makers.benchmark(tmp_path, networks=[{"network": "unet", "dims": 2}, {"network": "segnet", "dims": 2}])
    for run in made.runs:
        finish(run, 0.8)
    assert papers_winners(compare(collect(made).data_sets[0])) == []


def test_the_ranking_has_intervals_and_its_stability(whole):
    found = compare(collect(whole).data_sets[0])
    rows = ranking(found).rows
    assert [row[:2] for row in rows] == [("1", "U-Net"), ("2", "FCNN"), ("3", "Thresholding")]
    assert [row[-1] for row in rows] == ["100 %"] * 3
    low, high = map(float, rows[0][3].split(" to "))
    assert low < float(rows[0][2]) < high
    assert "24 cases of 24 patients" in ranking(found).note


def test_the_significance_of_every_pair_has_a_sign(whole):
    rows = significance(compare(collect(whole).data_sets[0])).rows
    assert rows[0] == ("U-Net", "-", "+ <0.001", "+ <0.001") and rows[2] == (
        "Thresholding",
        "- <0.001",
        "- <0.001",
        "-",
    )


def test_a_method_with_few_cases_does_not_shrink_the_comparison(tmp_path):
    made = makers.benchmark(tmp_path, folds=3)
    for run in made.runs:
        if run.order.method.name != "threshold" or run.order.fold == 0:
            finish(run, QUALITY[run.order.method.name])
    found = compare(collect(made).data_sets[0])
    assert [method.label for method in found.left_out] == ["Thresholding"] and len(found.board.cases) == 36


def test_one_method_is_no_comparison(tmp_path):
    made = makers.benchmark(tmp_path)
    finish(made.runs[0], 0.8)
    assert compare(collect(made).data_sets[0]) is None
    assert "Without any finished run: FCNN and Thresholding." in markdown(build(collect(made)))


# ---- The whole


def test_the_report_of_a_finished_benchmark(whole, tmp_path):
    html, text = write(build(collect(whole)), tmp_path / "report")
    page, words = html.read_text(), text.read_text()
    for part in (page, words):
        assert "Shortened equally for all." in part and "Every run is done." in part
        assert "3.11.7" in part and "A processor, 2 cores" in part and "CC0" in part
        assert "medseg benchmark PLAN --data FOLDER --output RUNS --cpu" in part
    pictures = sorted(path.name for path in (tmp_path / "report" / "figures").iterdir())
    assert pictures == [
        "balls-boxes.png",
        "balls-curves.png",
        "balls-examples.png",
        "balls-quality-by-inference.png",
        "balls-quality-by-parameters.png",
    ]
    assert page.count("data:image/png;base64,") == len(pictures) and all(f"figures/{p}" in words for p in pictures)
    assert not re.search(r"""(src|href)="(?!#|data:)""", page), "the page is whole in itself"
    written = list(csv.reader(open(tmp_path / "report" / "tables" / "balls-scores.csv", encoding="utf-8")))
    assert written[0][:3] == ["method", "cases", "Dice"] and written[1][0] == "U-Net" and len(written) == 4


def test_a_report_without_pictures_shows_no_patient(whole):
    assert [figure.name for figure in build(collect(whole), pictures=False).figures if "examples" in figure.name] == []


def test_the_tables_hold_what_was_measured(whole):
    document = build(collect(whole))
    cost = table_of(document, "balls-costs").rows[0]
    assert cost == ("U-Net", "12.50", "3.00", "250", "400", "1.7", "300")
    structures = table_of(document, "balls-structures")
    assert structures.heads[:4] == ("structure", "method", "Dice", "Accuracy") and len(structures.rows) == 6
    assert structures.rows[0][-1] == "0.25" and "-" in structures.rows[0], "no segmentation accuracy was measured"


def test_a_paper_whose_networks_are_not_in_the_plan_has_no_table(whole):
    results = collect(whole).data_sets[0]
    threshold = next(method for method in results.methods if not method.network)
    titles = [section.title for section in data_set_sections(results, whole.plan, pictures=False)]
    alone = data_set_sections(replace(results, methods=(threshold,)), whole.plan, pictures=False)
    assert titles.count("balls: beside the papers") == 1
    assert [section.title for section in alone] == [title for title in titles if title not in _OF_NETWORKS]


_OF_NETWORKS = ("balls: beside the papers", "balls: training", "balls: significance")


def test_hardware_and_versions_are_told_once_for_all_data_sets(whole):
    results = collect(whole)
    facts = overview(replace(results, data_sets=results.data_sets * 2)).parts[0].rows
    assert [head for head, _ in facts].count("Cases") == 2
    assert facts[-2:] == [("Hardware", "A processor, 2 cores"), ("Versions", "Python 3.11.7, torch 2.8.0")]


def test_methods_that_lack_the_same_runs_are_named_in_one_sentence(half):
    whole = collect(half)
    unet = next(method for method in whole.data_sets[0].methods if method.label == "U-Net")
    segnet = replace(unet, method=unet.method.model_copy(update={"label": "SegNet", "name": "segnet"}))
    others = tuple(method for method in whole.data_sets[0].methods if method is not unet)
    for methods, who in (((unet, segnet, *others), "U-Net and SegNet"), ((unet, segnet), "All methods")):
        section, *_ = data_set_sections(replace(whole.data_sets[0], methods=methods), half.plan, pictures=False)
        assert f"{who} lack fold 1 (seed 0): their figures are of 12 cases." in section.paragraphs


def test_the_report_of_an_unfinished_benchmark_says_so(half, tmp_path):
    running = half.chosen(["threshold"])[0]
    with running.claimed():
        running.note(RUNNING)
        document = build(collect(half))
        write(document, tmp_path / "report")
    words = markdown(document)
    assert "It is not finished." in words and "Without any finished run: Thresholding." in words
    assert "U-Net lacks fold 1 (seed 0): its figures are of 12 cases." in words
    unfinished = {row[0]: row[1:] for row in table_of(document, "unfinished").rows}
    assert unfinished["balls/unet/fold-1-seed-0"] == ("failed", "'last.ckpt' could not be written: the disk is full.")
    assert unfinished["balls/threshold/fold-0-seed-0"][0] == "running" and len(unfinished) == 3
    assert "3 of 6 runs are not done, 1 of them because they failed." in words


def test_a_benchmark_without_any_result_has_a_report(tmp_path):
    made = makers.benchmark(tmp_path / "runs")
    write(build(collect(made)), tmp_path / "report")
    assert "No run on this data set is finished." in (tmp_path / "report" / "report.md").read_text()


def test_runs_on_changed_data_are_not_passed_over(tmp_path):
    made = makers.benchmark(tmp_path)
    for n, run in enumerate(made.runs):
        finish(run, 0.8, data=FACTS["data"] | {"digest": str(n)})
    assert "Not all runs saw the same cases" in markdown(build(collect(made)))


def test_the_report_names_no_folder_of_this_machine(tmp_path):
    sets = [{"name": "balls", "path": "/home/anna/balls"}]
    made = makers.benchmark(tmp_path / "runs", data_sets=sets)
    finish(made.runs[0], 0.8, data=FACTS["data"] | {"about": {"source": "/home/anna/originals/balls.zip"}})
    words = markdown(build(collect(made)))
    assert "anna" not in words and str(tmp_path) not in words and '"path": "balls"' in words and "balls.zip" in words


def test_the_plan_in_the_report_makes_the_same_runs(whole):
    from MedSegTrainLib.benchmark.order import orders
    from MedSegTrainLib.benchmark.plan import parse_plan

    text = build(collect(whole)).sections[-1].parts[1].text
    assert [order.key for order in orders(parse_plan(json.loads(text)))] == [run.order.key for run in whole.runs]


def test_a_name_is_no_markup(tmp_path):
    evil = Table("t", "<b>T</b>", ("a|b",), [("<script>",)])
    write(Document("D", (Section("<i>", ("<p>",), (evil,)),)), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "| a\\|b |" in (tmp_path / "report.md").read_text()


def test_every_row_is_there_for_ones_own_statistics(whole, tmp_path):
    with open(write_all_rows(collect(whole), tmp_path / "new"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * CASES * 2 and {row["fold"] for row in rows} == {"0", "1"}
    first = whole.runs[0].result().rows[0]
    assert (
        float(rows[0]["dice"]) == first.values["dice"] and rows[0]["method"] == "unet" and rows[0]["case"] == first.case
    )


def test_words_stand_to_the_left_and_numbers_to_the_right():
    rows = [("3D U-Net", "0.1", "+ <0.001", "a"), ("B", "-", "= 1.000", "2")]
    text = markdown(Document("D", (Section("S", (), (Table("t", "T", ("a", "b", "c", "d"), rows),)),)))
    assert "| --- | ---: | ---: | --- |" in text


def test_a_network_that_is_planned_but_not_finished_is_told_from_one_that_is_not_planned(half):
    (results,) = collect(half).data_sets
    assert (
        tables.beside(FCNN, results).rows[-1][1] == "FCNN" and tables.beside(FCNN, results).rows[1][1] == "not run here"
    )
    empty = makers.benchmark(half.folder.parent / "empty")
    assert tables.beside(FCNN, collect(empty).data_sets[0]).rows[-1][1] == "not finished"


# ---- Examples


def test_best_median_and_worst_are_chosen_by_their_mean_dice():
    rows = [
        Row(f"c{n}", f"p{n}", structure, "found", {"dice": dice}, 1.0, 10.0)
        for n, dice in enumerate((0.5, 0.9, 0.7, 0.1, 0.8))
        for structure in makers.STRUCTURES
    ]
    assert chosen_cases(rows) == {"worst": ("c3", 0.1), "best": ("c1", 0.9), "median": ("c2", 0.7)}
    assert set(chosen_cases(rows[:4])) == {"worst", "best"} and chosen_cases([]) == {}


def test_an_example_is_the_slice_with_most_of_the_truth(tmp_path):
    from MedSegDLLib.volume import Volume

    matrix = np.diag([1.0, 2.0, 3.0, 1.0])
    truth = np.zeros((3, 4, 5), np.uint8)
    truth[2, 1:3, 1:4] = 5
    image = np.random.default_rng(0).normal(100, 10, truth.shape).astype(np.float32)
    kept = example("c", 0.5, Volume(image, matrix), Volume(truth, matrix), Volume(truth * 0, matrix))
    kept.write(tmp_path / "e.npz")
    read = Example.read(tmp_path / "e.npz")
    assert read.case == "c" and read.dice == 0.5 and read.spacing_mm == (2.0, 1.0)
    assert np.array_equal(read.truth, truth[2]) and read.image.dtype == np.uint8
    assert np.array_equal(np.argsort(read.image, axis=None)[[0, -1]], np.argsort(image[2], axis=None)[[0, -1]])


# ---- Words


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("'/home/anna/data set/a b.nii.gz' is damaged", "'a b.nii.gz' is damaged"),
        ("see /srv/x/y/log.txt now", "see log.txt now"),
        (r"'C:\Users\anna\x.nii' is damaged", "'x.nii' is damaged"),
        ("3/4 of and/or, sarcoma/ct", "3/4 of and/or, sarcoma/ct"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_a_file_is_named_without_its_folders(text, plain):
    assert without_folders(text) == plain


def test_numbers_in_words():
    assert [duration(s) for s in (3.2, 89, 600, 7200, 200000, None)] == [
        "3.2 s",
        "89.0 s",
        "10.0 min",
        "2.0 h",
        "2.3 d",
        "-",
    ]
    assert listed("abc") == "a, b and c" and listed("a") == "a" and listed("") == "none"
    assert p_value(0.0004) == "<0.001" and p_value(0.0444) == "0.044"
