"""medseg benchmark and medseg report: what they take from a terminal, and what they print."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import pytest

import benchmark_makers as makers
from MedSegDLLib.errors import InputError
from MedSegTrainLib.benchmark import call
from MedSegTrainLib.benchmark.queue import Budget
from MedSegTrainLib.benchmark.runs import FAILED, RUNNING, Result
from MedSegTrainLib.commands import benchmark as command


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers(required=True))
    options = parser.parse_args(list(words))
    return options.run(options)


def test_what_is_said_reaches_the_benchmark(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(call, "benchmark", lambda *all: told.append(all) or 0)
    run(
        *("benchmark", "p.yaml", "--output", str(tmp_path), "--data", "d", "--cpu", "--threads", "2"),
        *("--only", "unet", "fcnn", "--limit", "3", "--minutes", "1.5"),
        *("--scheduler", "dask", "--cluster", "slurm", "--jobs", "4"),
    )
    ((plan, output, data, only, where, budget),) = told
    assert (plan.name, output, data.name, only) == ("p.yaml", tmp_path, "d", ["unet", "fcnn"])
    assert where == call.Where("dask", "slurm", 4, True, 2) and budget == Budget(3, 90)


def test_without_a_folder_nothing_is_begun():
    with pytest.raises(InputError, match="where the runs go"):
        run("benchmark", "plan.yaml")


def test_status_names_every_run(tmp_path, capsys):
    made = makers.benchmark(tmp_path)
    first, second, third = made.runs[:3]
    with first.claimed():
        first.finish(Result(makers.rows(first), {"seconds": {"training": 60.0, "judging": 12.0}}))
    with second.claimed():
        second.note(FAILED, "No luck.")
    with third.claimed():
        third.note(RUNNING)
        assert run("benchmark", "status", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["balls/unet/fold-0-seed-0", "done"]
    assert "failed on" in lines[1] and lines[1].endswith("No luck.") and "running on" in lines[2]
    assert lines[-2] == "toy: 1 done, 1 failed, 1 running, 3 waiting."
    assert lines[-1] == "One after another, the 5 runs left would take about 6 min."


def test_status_for_programs(tmp_path, capsys):
    made = makers.benchmark(tmp_path)
    with made.runs[0].claimed():
        made.runs[0].note(FAILED, "No luck.")
    run("benchmark", "status", str(tmp_path), "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["benchmark"] == "toy" and len(told["runs"]) == 6
    first = told["runs"][0]
    assert first["run"] == "balls/unet/fold-0-seed-0" and first["folder"] == str(made.runs[0].folder)
    assert (first["state"]["name"], first["state"]["reason"]) == ("failed", "No luck.")


def test_a_folder_without_a_benchmark_has_no_status(tmp_path):
    with pytest.raises(InputError, match="holds no benchmark"):
        run("benchmark", "status", str(tmp_path))


def test_report_writes_files(tmp_path, capsys):
    makers.benchmark(tmp_path / "runs")
    assert run("report", str(tmp_path / "runs"), "--output", str(tmp_path / "report"), "--without-pictures") == 0
    assert (tmp_path / "report" / "report.html").is_file() and "report.md" in capsys.readouterr().out


def test_the_verbs_are_there_before_anything_heavy_is():
    code = (
        "import sys, argparse; from MedSegTrainLib.commands import benchmark\n"
        "benchmark.add_to(argparse.ArgumentParser().add_subparsers())\n"
        "print({'torch', 'pydantic', 'matplotlib', 'distributed', 'filelock'} & sys.modules.keys())"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "set()", done.stderr
