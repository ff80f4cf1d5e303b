"""The panel of models: what it lists, asks and says, with a true store and a thread of our making."""

from __future__ import annotations

import shutil
import zipfile

import pytest

from bundle_makers import specification, unet_bundle
from file_server import FileServer
from MedSegDLLib import models
from MedSegDLLib.bundle import METADATA
from MedSegDLLib.interaction.models import ModelsPresenter
from MedSegDLLib.model_store import ModelStore


class FakeView:
    """Answers yes to everything, unless told otherwise."""

    def __init__(self):
        self.panels, self.questions, self.answer = [], [], True

    def show(self, panel):
        self.panels.append(panel)

    def accepts(self, licence):
        self.questions.append(f"{licence.question} | {licence.text}")
        return self.answer

    def confirms(self, question):
        self.questions.append(question)
        return self.answer

    @property
    def panel(self):
        return self.panels[-1]


class Later:
    """In place of a thread: what was asked for runs when the test says so."""

    def __init__(self, function, on_report, on_done):
        self._call = (function, on_report, on_done)
        Later.last = self

    def happen(self):
        function, on_report, on_done = self._call
        try:
            result = function(on_report)
        except Exception as error:
            on_done(None, error)
        else:
            on_done(result, None)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "model"
    unet_bundle(folder, specification(), graph=False)
    (folder / "LICENSE").write_text("Do as you like.")
    return folder


@pytest.fixture
def presenter(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(tmp_path / "user"))
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "shipped")
    presenter = ModelsPresenter(ModelStore(), FakeView(), Later, on_changed=lambda: presenter.changes.append(1))
    presenter.changes = []
    presenter.refresh()
    return presenter


@pytest.fixture
def view(presenter):
    return presenter._view


def add(presenter, source, checksum=""):
    presenter.add(source, checksum)
    Later.last.happen()


def test_an_empty_list_says_what_it_means(view):
    assert view.panel.rows == () and view.panel.status == "No model is installed. Add one from a file or a folder."


def test_add_and_remove(presenter, view, original, tmp_path):
    presenter.add(original)
    assert view.panel.is_busy and view.panel.status == "Reading the model"
    Later.last.happen()
    (row,) = view.panel.rows
    assert (row.title, row.modality, row.structures) == ("Test", "CT", "structure 1, structure 2")
    assert (row.licence, row.where, row.can_remove) == ("Apache-2.0", str(tmp_path / "user"), True)
    assert row.size.endswith("kB") and view.panel.status == "'Test' is installed." and not view.panel.is_busy
    (question,) = view.questions
    assert question.startswith("'Test' (") and "Apache-2.0. Do you accept it? | Do as you like." in question
    presenter.remove("test")
    assert view.questions[-1] == "Delete the model 'Test' from this computer?"
    assert view.panel.rows == () and view.panel.status.startswith("'Test' was removed;") and presenter.changes == [1, 1]


def test_progress_is_told_in_bytes(presenter, view, original):
    add(presenter, original)
    copying = [panel for panel in view.panels if panel.status.startswith("Copying: ")]
    assert copying and copying[-1].progress[0] == copying[-1].progress[1] > 0
    assert any(panel.status == "Checking the model" for panel in view.panels)


def test_a_licence_that_is_declined(presenter, view, original):
    view.answer = False
    add(presenter, original)
    assert view.panel.status == "'Test' was not installed: its licence was not accepted."
    assert models.installed_models() == {} and presenter.changes == []


def test_a_name_that_is_taken(presenter, view, original):
    add(presenter, original)
    add(presenter, original)
    assert view.questions[-1] == "A model of the name of 'Test' is installed already. Replace it?"
    assert view.panel.status == "'Test' is installed." and len(presenter.changes) == 2
    view.confirms = lambda question: False
    add(presenter, original)
    assert view.panel.status == "'Test' was not installed: the one that is there stays." and len(presenter.changes) == 2


def test_a_shipped_model_cannot_be_removed_but_replaced(presenter, view, original):
    shutil.copytree(original, models.SHIPPED / "test")
    presenter.refresh()
    (row,) = view.panel.rows
    assert row.where == "came with the extension" and not row.can_remove
    presenter.remove("test")
    assert view.questions == [] and models.installed_models()
    add(presenter, original)
    assert view.questions[-1].startswith("A model of the name of 'Test' came with the extension.")


def test_a_removal_that_is_not_confirmed(presenter, view, original):
    add(presenter, original)
    view.answer = False
    presenter.remove("test")
    assert models.installed_models() and len(presenter.changes) == 1


def test_a_model_that_is_gone_already(presenter, view, original):
    add(presenter, original)
    shutil.rmtree(models.installed_models()["test"])
    presenter.remove("test")
    assert view.panel.status.startswith("There is no model 'test'.")


def test_what_is_no_model(presenter, view, tmp_path):
    add(presenter, tmp_path / "none.zip")
    assert "There is no file or folder" in view.panel.status and not view.panel.is_busy
    presenter._store.stage = lambda *_: 1 / 0
    add(presenter, tmp_path)
    assert "ZeroDivisionError" in view.panel.status and "Traceback" in view.panel.details


def test_a_damaged_model_is_listed_with_its_problem(presenter, view, original):
    add(presenter, original)
    (models.installed_models()["test"] / METADATA).write_text("{")
    presenter.refresh()
    (row,) = view.panel.rows
    assert "is damaged" in row.problem and row.can_remove and row.title == "test"


def test_one_thing_at_a_time(presenter, view, original):
    presenter.add(original)
    first = Later.last
    presenter.add(original)
    assert Later.last is first


def test_cancelling_frees_the_window_at_once(presenter, view, original):
    presenter.add(original)
    presenter.cancel()
    assert not view.panel.is_busy and view.panel.status.startswith("Cancelled.")
    count = len(view.panels)
    Later.last.happen()
    assert len(view.panels) == count and view.questions == [] and models.installed_models() == {}
    add(presenter, original)
    assert view.panel.status == "'Test' is installed."


def test_what_was_given_up_too_late_is_thrown_away(presenter, view, original, tmp_path):
    """The cancellation came when all was copied, but not yet told."""
    staged = presenter._store.stage(original)
    presenter.add(original)
    presenter.cancel()
    Later.last._call[2](staged, None)
    assert view.questions == [] and not list((tmp_path / "user" / ".incoming").iterdir())


def test_a_download(presenter, view, original, tmp_path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as file:
        for member in original.rglob("*"):
            file.write(member, member.relative_to(original))
    with FileServer(path.read_bytes()) as server:
        presenter.add(server.url, server.sha256)
        assert view.panel.status == "Connecting"
        Later.last.happen()
    assert view.panel.status == "'Test' is installed."
    assert any(panel.status.startswith("Downloading: ") for panel in view.panels)
