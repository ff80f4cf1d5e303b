"""Where models are found."""

from __future__ import annotations

import shutil

import pytest

from bundle_makers import specification, unet_bundle
from MedSegDLLib import models
from MedSegDLLib.errors import ModelError


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Shipped: alpha, beta. The user's: beta, gamma."""
    shipped, user = tmp_path / "shipped", tmp_path / "user"
    unet_bundle(shipped / "alpha", specification(), graph=False)
    for copy in (shipped / "beta", user / "beta", user / "gamma"):
        shutil.copytree(shipped / "alpha", copy)
    monkeypatch.setattr(models, "SHIPPED", shipped)
    monkeypatch.setenv("MEDSEG_MODELS", str(user))
    return shipped, user


def test_a_users_model_hides_a_shipped_one(places):
    shipped, user = places
    assert models.installed_models() == {
        "alpha": shipped / "alpha",
        "beta": user / "beta",
        "gamma": user / "gamma",
    }
    assert models.find_model("beta").folder == user / "beta"


def test_a_folder_may_be_named_instead(places):
    assert models.find_model(str(places[0] / "beta")).folder == places[0] / "beta"


def test_an_unknown_name_lists_the_installed_ones(places):
    with pytest.raises(ModelError) as caught:
        models.find_model("liver")
    assert str(caught.value) == "There is no model 'liver'. Installed: alpha, beta, gamma."


def test_nothing_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "none")
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "neither"))
    assert models.installed_models() == {}
    with pytest.raises(ModelError, match="Installed: none."):
        models.find_model("liver")


def test_a_damaged_model_is_an_error_when_it_is_asked_for(places):
    (places[1] / "gamma" / "configs" / "metadata.json").write_text("{")
    with pytest.raises(ModelError, match="'gamma' is damaged"):
        models.find_model("gamma")


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", "XDG_DATA_HOME", "data/MedSegDL/models"),
        ("win32", "LOCALAPPDATA", "data/MedSegDL/models"),
        ("darwin", "HOME", "data/Library/Application Support/MedSegDL/models"),
    ],
)
def test_the_platforms_own_place(platform, variable, folder, tmp_path, monkeypatch):
    monkeypatch.delenv("MEDSEG_MODELS", raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(variable, str(tmp_path / "data"))
    assert models.user_folder() == tmp_path / folder
