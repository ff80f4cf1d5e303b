"""The result in the window: the ranking that a report wrote, and the winner as a model of MedSegDL."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import benchmark_makers
from bundle_makers import specification, unet_bundle
from MedSegDLLib.model_store import ModelStore
from MedSegTrainLib.benchmark.runs import Result
from MedSegTrainLib.interaction.packages import PackageCheck
from MedSegTrainLib.interaction.result import ResultPresenter
from MedSegTrainLib.interaction.runs_reader import RunsReader
from train_window_cases import FakeView, Later, Transports, write_json

HEADS = ("rank", "method", "mean Dice", "95 % interval", "rank of mean ranks")


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A benchmark whose networks are done: U-Net in two folds, FCNN in one; the baseline as well."""
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "models"))
    made = benchmark_makers.benchmark(tmp_path / "runs")
    for run, dice in zip(made.runs, (0.8, 0.7, 0.6, 0.9)):
        with run.claimed():
            run.finish(Result(benchmark_makers.rows(run, dice)))
    return made


@pytest.fixture
def result(made):
    transports, used = Transports(), []
    presenter = ResultPresenter(
        FakeView(), lambda: "python", Later, on_used=used.append, make_transport=transports, store=ModelStore()
    )
    presenter.transports, presenter.used = transports, used
    presenter.take(made.folder, RunsReader(made.folder).runs())
    yield presenter
    presenter.close()
    Later.waiting.clear()


def panel(result):
    return result._view.panel


def write_table(folder: Path, name: str, rows, heads=HEADS) -> None:
    path = folder / "report" / "tables" / f"balls-{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([heads, *rows])


def write_report(folder: Path) -> None:
    rows = [
        ("1", "Thresholding", "0.990", "0.980 to 0.999", "1"),
        ("2", "U-Net", "0.850", "0.820 to 0.880", "2"),
        ("3", "FCNN", "0.650", "0.610 to 0.690", "3"),
    ]
    write_table(folder, "ranking", rows)
    (folder / "report" / "report.html").write_text("")


def add_bundle(run, name="unet-2d") -> None:
    unet_bundle(run.folder / "bundle", specification(), graph=False)


def test_before_anything_is_done(tmp_path):
    presenter = ResultPresenter(FakeView(), lambda: "python", Later)
    presenter.take(None, [])
    assert panel(presenter).status == "No run is done yet."
    presenter.make_report()
    presenter.use()
    presenter.open_report()
    presenter.poll()
    assert not panel(presenter).can_report and not panel(presenter).can_use and not panel(presenter).is_busy


def test_the_report_is_written_by_the_command_line(result, made):
    assert panel(result).can_report and not panel(result).can_open and panel(result).rows == ()
    result.make_report()
    report = str(made.folder / "report")
    assert result.transports.last.command == [
        *("python", "-m", "MedSegTrainLib.watched", "report", str(made.folder), "--output", report)
    ]
    assert panel(result).is_busy and panel(result).status == "Writing the report"
    write_report(made.folder)
    result.transports.last.end(0)
    result.poll()
    assert [(row.rank, row.title, row.dice, row.interval) for row in panel(result).rows][1] == (
        *("2", "U-Net", "0.850", "0.820 to 0.880"),
    )
    result.open_report()
    assert result._view.opened == [made.folder / "report" / "report.html"]


def test_a_report_that_fails_says_so(result):
    result.make_report()
    result.transports.last.end(1, "Traceback")
    result.poll()
    assert panel(result).problem and panel(result).details == "Traceback" and panel(result).can_report


def test_the_packages_are_looked_at_before_a_report(result, made):
    asked = []
    result._check = PackageCheck(lambda *question: asked.append(question))
    result.make_report()
    assert panel(result).is_busy and panel(result).status == "Checking the packages that training needs"
    assert asked[0][0] is False and not result.transports.made  # a GPU may lie idle
    asked[0][1]("Not installed yet: matplotlib>=3.9.")
    assert panel(result).problem and panel(result).status.startswith("Not installed yet") and panel(result).can_report
    result.make_report()
    result.close()
    asked[1][1]("")
    assert not result.transports.made


def test_a_single_method_has_scores_but_no_rank(result, made):
    write_table(made.folder, "scores", [("U-Net", "4", "0.850 ± 0.020")], ("method", "cases", "Dice"))
    result.take(made.folder, result._runs)
    assert [(row.rank, row.title, row.dice) for row in panel(result).rows] == [("", "U-Net", "0.850 ± 0.020")]


def test_a_damaged_table_is_passed_over(result, made):
    write_report(made.folder)
    (made.folder / "report" / "tables" / "balls-ranking.csv").write_bytes(b"\xff\xfe")
    result.take(made.folder, result._runs)
    assert panel(result).rows == ()
    write_table(made.folder, "ranking", [("1", "U-Net"), ("2", "FCNN", "0.650", "0.610 to 0.690", "2")])
    result.take(made.folder, result._runs)
    assert [row.title for row in panel(result).rows] == ["FCNN"]


def test_what_was_selected_stays_so_in_another_order(result, made):
    write_report(made.folder)
    result.take(made.folder, result._runs)
    result.select(2)
    write_table(made.folder, "ranking", [("1", "FCNN", "0.9", "", ""), ("2", "U-Net", "0.8", "", "")])
    result.take(made.folder, result._runs)
    assert [row.title for row in panel(result).rows if row.is_selected] == ["FCNN"]
    write_table(made.folder, "ranking", [("1", "U-Net", "0.8", "", "")])
    result.take(made.folder, result._runs)
    assert [row.title for row in panel(result).rows if row.is_selected] == ["U-Net"]


def test_the_best_fold_of_the_best_network_is_proposed(result, made):
    write_report(made.folder)
    unet = [run for run in made.runs if run.order.method.name == "unet"]
    for run in unet:
        add_bundle(run)
    result.take(made.folder, result._runs)
    chosen = next(row for row in panel(result).rows if row.is_selected)
    assert chosen.title == "U-Net" and chosen.bundle == unet[1].folder / "bundle"  # 0.9 against 0.8
    assert panel(result).can_use and "U-Net" in panel(result).use_tip
    result.select(0)
    assert not panel(result).can_use and panel(result).use_tip.startswith("Thresholding made no model")
    result.use()
    assert not Later.waiting


def test_the_winner_is_installed_and_chosen(result, made):
    write_report(made.folder)
    add_bundle(made.runs[0])
    result.take(made.folder, result._runs)
    result.use()
    assert panel(result).is_busy and not panel(result).can_use
    Later.happen()
    (name,) = result.used
    assert name in [model.name for model in ModelStore().models()] and name in panel(result).status
    result._view.answer = False
    result.use()
    Later.happen()
    assert "Replace it?" in result._view.questions[0] and "stays" in panel(result).status and len(result.used) == 1
    result._view.answer = True
    result.use()
    Later.happen()
    assert result.used == [name, name]


def test_a_damaged_model_is_not_installed(result, made):
    write_report(made.folder)
    add_bundle(made.runs[0])
    next((made.runs[0].folder / "bundle" / "models").iterdir()).write_bytes(b"")
    result.take(made.folder, result._runs)
    result.use()
    Later.happen()
    assert panel(result).problem and not result.used and not panel(result).is_busy


def test_closing_gives_up_what_is_done(result, made):
    write_report(made.folder)
    add_bundle(made.runs[0])
    result.take(made.folder, result._runs)
    result.use()
    result.close()
    Later.happen()
    assert not result.used
    result.make_report()
    result.close()
    assert result.transports.last.was_killed


def test_another_benchmark_begins_anew(result, made, tmp_path):
    write_report(made.folder)
    result.take(made.folder, result._runs)
    write_json(tmp_path / "other" / "plan.json", {})
    result.take(tmp_path / "other", [])
    assert panel(result).rows == () and panel(result).status == "No run is done yet."
