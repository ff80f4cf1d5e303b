"""The verbs of MedSegTrain, by themselves and as `medseg` offers them where both packages are installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint

import pytest

import MedSegDLLib.cli
from MedSegDLLib.errors import InputError
from MedSegTrainLib import cli
from run import ROOT

VERBS = ("data", "plan", "train", "evaluate", "benchmark", "report")


@pytest.fixture
def installed(monkeypatch):
    """As pip would have it: the entry points that pyproject.toml declares."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][MedSegDLLib.cli.COMMANDS]
    points = [EntryPoint(name, value, MedSegDLLib.cli.COMMANDS) for name, value in declared.items()]
    monkeypatch.setattr(
        MedSegDLLib.cli, "entry_points", lambda group: points if group == MedSegDLLib.cli.COMMANDS else []
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([verb, "--help"])
    assert ended.value.code == 0
    assert verb in capsys.readouterr().out


@pytest.mark.usefixtures("installed")
def test_medseg_offers_them_too(capsys):
    with pytest.raises(SystemExit):
        MedSegDLLib.cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(verb in text for verb in (*VERBS, "segment", "models"))


@pytest.mark.usefixtures("installed")
def test_a_failure_is_told_alike(tmp_path, capsys):
    for main in (cli.main, MedSegDLLib.cli.main):
        assert main(["data", "inspect", str(tmp_path / "nowhere")]) == 2
        assert capsys.readouterr().err.startswith("medseg: There is no folder")


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr("MedSegTrainLib.commands.data._inspect", interrupted)
    assert cli.main(["data", "inspect", "."]) == 130
    assert "goes on where it stopped" in capsys.readouterr().err


def test_an_error_names_its_remedy(monkeypatch, capsys):
    def refuse(options):
        raise InputError("It is wrong.", "Put it right.")

    monkeypatch.setattr("MedSegTrainLib.commands.data._inspect", refuse)
    assert cli.main(["data", "inspect", "."]) == 2
    assert "It is wrong. Put it right." in " ".join(capsys.readouterr().err.split())


def test_listing_the_verbs_loads_nothing_heavy():
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'MedSegDL')!r}, {str(ROOT / 'MedSegTrain')!r}]\n"
        "import argparse; from MedSegTrainLib.cli import add_commands\n"
        "add_commands(argparse.ArgumentParser().add_subparsers())\n"
        "print({'torch', 'monai', 'lightning', 'pydantic', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
