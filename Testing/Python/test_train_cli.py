"""The verbs of MedSegTrain, by themselves and as `medseg` offers them where both packages are installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint

import pytest

import MedSegDLLib.cli
from data_makers import write_pairs
from MedSegDLLib.errors import InputError
from MedSegTrainLib import cli
from run import ROOT

PATH = [str(ROOT / "MedSegDL"), str(ROOT / "MedSegTrain")]
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("plan DATA --network unet --output P --memory -3", "must be above 0"),
        ("plan DATA --network unet --output P --workers -1", "must be 0 or more"),
        ("train --dataset DATA --network unet --output R --threads 0", "must be 1 or more"),
        ("evaluate DATA --bundle B --tolerance -1", "must be above 0"),
        ("compare A B --resamples 0", "must be 1 or more"),
        ("benchmark plan.yaml --output R --minutes -1", "must be above 0"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments.split())
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


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


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break in another way there")
@pytest.mark.parametrize("program", ["MedSegDLLib", "MedSegTrainLib"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_traceback(program, unbuffered, tmp_path):
    """As 'head' does."""
    read, write = os.pipe()
    os.close(read)
    verb = ["models"] if program == "MedSegDLLib" else ["data", "inspect", str(write_pairs(tmp_path, 1))]
    code = f"import sys; sys.path[:0] = {PATH!r}; from {program}.cli import main; sys.exit(main({verb!r}))"
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=pipe, stderr=subprocess.PIPE, env=environment, timeout=60
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_pipe_that_breaks_elsewhere_is_not_taken_for_that(monkeypatch):
    def broken(options):
        raise BrokenPipeError

    monkeypatch.setattr("MedSegTrainLib.commands.data._inspect", broken)
    with pytest.raises(BrokenPipeError):
        cli.main(["data", "inspect", "."])


def test_names_that_the_terminal_cannot_show_do_not_end_a_command(tmp_path):
    folder = tmp_path / "Übersicht"
    verb = ["data", "inspect", str(folder)]
    code = f"import sys; sys.path[:0] = {PATH!r}; from MedSegTrainLib.cli import main; main({verb!r})"
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, timeout=60)
    assert done.stderr.startswith(b"medseg: There is no folder") and rb"\xdcbersicht" in done.stderr
