"""The batch's presenter: every transition with a process of our making, and a true one on small images."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from batch_cases import SLOW, grey_values, names_in, read_results, write_image
from bundle_makers import threshold_bundle
from dicom_makers import write_series
from MedSegDLLib.errors import WorkerError
from MedSegDLLib.interaction.batch import BatchPresenter
from MedSegDLLib.interaction.batch_ports import BatchChoices, BatchState
from MedSegDLLib.interaction.dicom_patients import files_of_patients

PATIENCE_SECONDS = 60
CHOICES = BatchChoices(inputs=(Path("/in"),), output=Path("/out"), model="m")


class FakeView:
    def __init__(self):
        self.panels = []

    def show(self, panel):
        self.panels.append(panel)

    @property
    def panel(self):
        return self.panels[-1]


class FakeTransport:
    """A child process that says what it is told to say."""

    def __init__(self):
        self.command = self.returncode = None
        self.is_alive = True
        self.written = []
        self.lines = []
        self.was_killed = False

    def start(self, command, environment, log_path):
        self.command = command
        log_path.write_text("the end of the log")

    def write(self, line):
        self.written.append(line)

    def poll(self, timeout_seconds):
        assert timeout_seconds == 0, "the window must not wait"
        lines, self.lines = self.lines, []
        return lines

    def kill(self):
        self.was_killed, self.is_alive, self.returncode = True, False, -9

    def say(self, event, **content):
        self.lines.append(json.dumps({"event": event, **content}).encode() + b"\n")

    def find(self, *names, others=()):
        self.say("found", model="m", cases=[{"name": name, "source": f"/in/{name}"} for name in names], others=others)

    def give(self, name, status="done", **changes):
        self.say("result", **row(name, status) | changes)

    def end(self, returncode=0):
        self.is_alive, self.returncode = False, returncode


def row(name, status="done"):
    return {
        **{"name": name, "source": f"/in/{name}", "status": status, "message": "", "seconds": 2.0},
        **{"device": "cpu", "volumes_ml": {}, "reused": False},
    }


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def batch():
    """A presenter with a fake process, chosen and ready to start."""
    presenter = BatchPresenter(FakeView(), make_transport=lambda: _keep(presenter, FakeTransport()), clock=Clock())
    presenter.choose(CHOICES)
    yield presenter
    presenter.close()


def _keep(presenter, transport):
    presenter.process = transport
    return transport


def panel(batch):
    return batch._view.panel


def kinds(batch):
    return {row.name: row.kind for row in panel(batch).rows}


def hear(batch):
    batch.poll()
    return panel(batch)


# What must be chosen


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        (BatchChoices(), "Choose a folder of images, or patients of the DICOM database."),
        (BatchChoices(files=(Path("a"),)), "Choose a model."),
        (BatchChoices(inputs=(Path("a"),), model="m"), "Choose a folder for the results."),
        (CHOICES, ""),
    ],
)
def test_start_says_why_it_is_grey(choices, reason, batch):
    batch.choose(choices)
    assert panel(batch).can_start == (not reason)
    assert panel(batch).start_tip == (reason or "Segment all images. What is done already is not done again.")
    batch.start()
    assert batch.is_active == (not reason)


def test_the_command_is_that_of_the_command_line(batch):
    choices = BatchChoices((Path("/a b"),), (Path("/x/1"), Path("/x/2")), Path("/out"), "m", "cpu", ("--mirror",))
    batch.choose(choices)
    batch.start()
    command = batch.process.command
    assert command[1:6] == ["-m", "MedSegDLLib", "segment", "/a b", "--progress"] and command[-1] == "--mirror"
    assert Path(command[command.index("--list") + 1]).read_text().splitlines() == ["/x/1", "/x/2"]
    assert command[command.index("--device") + 1] == "cpu"


# A run


def test_a_run_from_start_to_end(batch):
    batch.start()
    assert panel(batch).state is BatchState.SEARCHING and panel(batch).status == "Looking for images"
    assert (panel(batch).can_start, panel(batch).can_pause, panel(batch).can_cancel) == (False, True, True)
    process = batch.process
    process.find("a", "b", others=[row("b", "left out") | {"message": "It is a report.", "seconds": 0.0}])
    shown = hear(batch)
    assert shown.state is BatchState.RUNNING and shown.status == "2 to segment with m. Loading the model"
    assert [(one.name, one.kind) for one in shown.rows] == [("a", "waiting"), ("b", "waiting"), ("b", "left out")]
    assert shown.rows[2].message == "It is a report." and shown.rows[2].seconds == ""
    process.say("progress", done=0, fraction=0.25, name="a")
    assert hear(batch).rows[0].status == "25%" and panel(batch).fraction == 0.125
    process.give("a")
    batch._clock.now = 3.0
    process.say("progress", done=1, fraction=0.5, name="b")
    assert hear(batch).status == "1 of 2 done, now b, 1.0 s left" and panel(batch).rows[0].seconds == "2.0 s"
    process.give("b", "failed", message="Damaged.")
    process.say("progress", done=2, fraction=0.0, name="")
    process.say("finished", output="/out", complete=True)
    process.end(1)
    shown = hear(batch)
    assert shown.state is BatchState.IDLE and shown.fraction == 1.0 and shown.can_start
    assert (
        shown.status == "1 done, 1 failed, in 3.0 s. The results are in /out." and shown.rows[1].message == "Damaged."
    )


def test_nothing_is_shown_anew_without_news(batch):
    batch.start()
    count = len(batch._view.panels)
    batch.poll()
    assert len(batch._view.panels) == count


def test_what_was_done_before_does_not_flatter_the_time_left(batch):
    batch.start()
    batch.process.find("a", "b", "c", "d")
    for name in "ab":
        batch.process.give(name, reused=True)
    batch._clock.now = 10.0
    batch.process.say("progress", done=2, fraction=0.5, name="c")
    shown = hear(batch)
    assert shown.status.endswith("now c, 30 s left") and shown.rows[0].seconds == "before"


def test_pause_and_resume(batch):
    batch.start()
    batch.process.find("a", "b")
    batch.process.say("progress", done=0, fraction=0.5, name="a")
    batch.poll()
    batch.pause()
    assert batch.process.written == [b"pause\n"] and panel(batch).status == "Pausing after the present case"
    assert not panel(batch).can_pause and panel(batch).can_cancel
    batch.process.give("a")
    batch.process.say("finished", output="/out", complete=False)
    batch.process.end()
    shown = hear(batch)
    assert shown.state is BatchState.PAUSED and shown.status == "Paused: 1 done, 1 waiting."
    assert (shown.start_text, shown.can_start) == ("Resume", True)
    first = batch.process
    batch.start()
    assert batch.process is not first and kinds(batch) == {"a": "done", "b": "waiting"}, "the rows do not flicker"
    assert panel(batch).start_text == "Start"


def test_other_choices_end_a_pause(batch):
    batch.start()
    batch.process.find("a", "b")
    batch.process.say("finished", output="/out", complete=False)
    batch.process.end()
    batch.poll()
    batch.choose(CHOICES)
    assert batch.state is BatchState.PAUSED
    batch.choose(BatchChoices(inputs=(Path("/other"),), output=Path("/out"), model="m"))
    assert batch.state is BatchState.IDLE
    batch.start()
    assert kinds(batch) == {}


def test_a_pause_that_comes_with_the_last_case(batch):
    batch.start()
    batch.pause()
    batch.process.find("a")
    batch.process.give("a")
    batch.process.say("finished", output="/out", complete=True)
    batch.process.end()
    assert hear(batch).state is BatchState.IDLE


def test_cancel(batch):
    batch.start()
    batch.process.find("a", "b")
    batch.process.give("a")
    batch.process.say("progress", done=1, fraction=0.5, name="b")
    batch.poll()
    batch.cancel()
    assert batch.process.written == [b"cancel\n"] and panel(batch).state is BatchState.CANCELLING
    batch.cancel()
    assert batch.process.written == [b"cancel\n"] and not panel(batch).can_cancel
    batch.process.end(130)
    shown = hear(batch)
    assert shown.state is BatchState.IDLE and shown.status.startswith("Cancelled.")
    assert kinds(batch) == {"a": "done", "b": "waiting"} and not batch.process.was_killed


def test_a_process_that_does_not_listen_is_killed_within_a_second(batch):
    batch.start()
    batch.cancel()
    batch._clock.now = 0.5
    assert hear(batch).state is BatchState.CANCELLING
    batch._clock.now = 0.9
    assert hear(batch).state is BatchState.IDLE and batch.process.was_killed


# What goes wrong


def test_a_model_that_cannot_be_used(batch):
    batch.start()
    batch.process.say("failed", code="model", message="It is damaged.", remedy="Get it again.", details="which byte")
    batch.process.end(2)
    shown = hear(batch)
    assert (shown.state, shown.status, shown.details) == (
        BatchState.FAILED,
        "It is damaged. Get it again.",
        "which byte",
    )
    assert shown.can_start


def test_a_process_that_dies(batch):
    batch.start()
    batch.process.find("a")
    batch.process.say("progress", done=0, fraction=0.5, name="a")
    batch.process.end(-11)
    shown = hear(batch)
    assert shown.state is BatchState.FAILED and shown.details == "the end of the log"
    assert "crashed (signal 11). Start goes on with the rest." in shown.status and kinds(batch) == {"a": "waiting"}


@pytest.mark.parametrize(
    ("others", "status"),
    [((), "There is nothing but earlier results."), ([row("a", "failed")], "None of the images can be segmented")],
)
def test_nothing_to_segment(others, status, batch):
    batch.start()
    batch.process.find(others=others)
    batch.process.end(2)
    assert hear(batch).status.startswith(status) and panel(batch).state is BatchState.IDLE


def test_no_python():
    def none():
        raise WorkerError("No Python was found.", "Name one.")

    presenter = BatchPresenter(FakeView(), python=none)
    presenter.choose(CHOICES)
    presenter.start()
    assert presenter._view.panel.status == "No Python was found. Name one." and not presenter.is_active


def test_a_python_that_does_not_start(tmp_path):
    presenter = BatchPresenter(FakeView(), python=lambda: str(tmp_path / "none"))
    presenter.choose(CHOICES)
    presenter.start()
    shown = presenter._view.panel
    assert shown.state is BatchState.FAILED and shown.status.startswith("The batch could not be started with")


def test_closing_the_window_ends_the_process(batch):
    batch.start()
    process = batch.process
    batch.close()
    assert process.was_killed and not batch.is_active
    batch.poll()
    batch.close()


# The database


class FakeDatabase:
    def studiesForPatient(self, patient):
        return {"1": ["s1", "s2"], "2": []}[patient]

    def seriesForStudy(self, study):
        return [f"{study}.1"]

    def filesForSeries(self, series):
        return [f"/db/{series}/0", ""]


def test_files_of_patients():
    assert files_of_patients(FakeDatabase(), ["1", "2"]) == (Path("/db/s1.1/0"), Path("/db/s2.1/0"))


# A true process


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    threshold_bundle(folder / "thresholds")
    return folder


@pytest.fixture
def true_batch(models, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_MODELS", str(models))
    presenter = BatchPresenter(FakeView(), python=lambda: sys.executable)
    presenter.choose(BatchChoices((tmp_path / "in",), (), tmp_path / "out", "thresholds", "cpu"))
    yield presenter
    presenter.close()


def poll_until(batch, condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, panel(batch)
        batch.poll()
        time.sleep(0.01)


def test_a_true_batch_is_paused_and_resumed(true_batch, tmp_path):
    for name in ("a", "b", "Käse"):
        write_image(tmp_path / "in" / f"{name}.nii")
    true_batch.start()
    true_batch.pause()
    poll_until(true_batch, lambda: not true_batch.is_active)
    assert true_batch.state is BatchState.PAUSED and read_results(tmp_path / "out").keys() == {"Käse"}
    assert kinds(true_batch) == {"Käse": "done", "a": "waiting", "b": "waiting"}
    true_batch.start()
    poll_until(true_batch, lambda: not true_batch.is_active)
    assert true_batch.state is BatchState.IDLE and set(kinds(true_batch).values()) == {"done"}
    assert read_results(tmp_path / "out").keys() == {"a", "b", "Käse"}
    assert any(0 < (shown.fraction or 0) < 1 for shown in true_batch._view.panels)
    assert {row.seconds for row in panel(true_batch).rows if row.name == "Käse"} == {"before"}


def test_a_true_batch_is_cancelled_within_a_second(true_batch, tmp_path):
    write_image(tmp_path / "in" / "a.nii", grey_values((SLOW,) * 3))
    true_batch.start()
    poll_until(true_batch, lambda: 0 < (panel(true_batch).fraction or 0))
    pid = true_batch._process._transport._process.pid
    start = time.monotonic()
    true_batch.cancel()
    poll_until(true_batch, lambda: not true_batch.is_active)
    assert time.monotonic() - start < 1.5 and true_batch.state is BatchState.IDLE
    assert kinds(true_batch) == {"a": "waiting"}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_true_batch_of_chosen_files_takes_no_others(true_batch, tmp_path):
    """As from a database that refers to files in a folder of many series."""
    chosen = write_series(tmp_path / "ct", grey_values(), PatientID="P1")
    write_series(tmp_path / "ct" / "others", grey_values(), PatientID="P2")
    files = (*chosen, tmp_path / "gone" / "1.dcm", tmp_path / "gone" / "2.dcm")
    true_batch.choose(BatchChoices((), files, tmp_path / "out", "thresholds", "cpu"))
    true_batch.start()
    poll_until(true_batch, lambda: not true_batch.is_active)
    assert kinds(true_batch) == {"P1_thorax": "done", "1": "failed"}
    assert names_in(tmp_path / "out") == {"P1_thorax", "results.csv"}
    assert "There is no file" in panel(true_batch).rows[1].message


def test_a_true_batch_without_its_model(true_batch, tmp_path):
    write_image(tmp_path / "in" / "a.nii")
    true_batch.choose(BatchChoices((tmp_path / "in",), (), tmp_path / "out", "none", "cpu"))
    true_batch.start()
    poll_until(true_batch, lambda: not true_batch.is_active)
    assert true_batch.state is BatchState.FAILED and panel(true_batch).status.startswith("There is no model 'none'.")
