"""medseg models: install and remove."""

from __future__ import annotations

import io

import pytest

from bundle_makers import specification, unet_bundle
from MedSegDLLib import models
from MedSegDLLib.cli import main


@pytest.fixture(autouse=True)
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "user"))
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    unet_bundle(tmp_path / "source", specification(), graph=False)
    (tmp_path / "source" / "LICENSE").write_text("Do as you like.")
    return str(tmp_path / "source")


def test_install_list_remove(source, capsys):
    assert main(["models", "install", source, "--accept-licence"]) == 0
    assert main(["models"]) == 0
    assert main(["models", "remove", "test"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Installed test in ") and "test   CT" in out and out.endswith("Removed test.\n")
    assert models.installed_models() == {}


def test_a_licence_that_nobody_accepted(source, capsys):
    assert main(["models", "install", source]) == 2
    out, err = capsys.readouterr()
    assert "Do as you like." in out and "add --accept-licence" in err and models.installed_models() == {}


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 2), ("no", 2)])
def test_a_licence_that_somebody_is_asked_about(answer, code, source, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert main(["models", "install", source]) == code
    assert bool(models.installed_models()) == (code == 0)


def test_a_name_that_is_taken(source, capsys):
    main(["models", "install", source, "--accept-licence"])
    assert main(["models", "install", source, "--accept-licence"]) == 2
    assert "already a model 'test'" in capsys.readouterr().err
    assert main(["models", "install", source, "--accept-licence", "--replace"]) == 0


def test_what_cannot_be_installed_or_removed(capsys, tmp_path):
    assert main(["models", "install", str(tmp_path / "none.zip")]) == 2
    assert main(["models", "remove", "none"]) == 2
    err = capsys.readouterr().err
    assert "There is no file or folder" in err and "There is no model 'none'" in err
    assert main(["models", "install", str(tmp_path / "source"), "--sha256", "12"]) == 2
