"""The folder of a training as other processes see it, and what they can ask of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from MedSegDLLib.errors import CancelledError, InputError, OutputError
from MedSegTrainLib.training import run_folder, run_session
from MedSegTrainLib.training.journal import epoch_in_words, write_curves
from MedSegTrainLib.training.run_folder import (
    CONTINUE,
    DONE,
    FAILED,
    PAUSE,
    PREPARING,
    STOP,
    STOPPED,
    TRAINING,
    WAITING,
    RunFolder,
    Status,
)
from MedSegTrainLib.training.run_session import RunSession
from training_run_cases import ROOT

HEAVY = ("torch", "monai", "lightning", "pydantic", "yaml", "sklearn", "filelock", "SimpleITK", "numpy")


def event(epoch: int, **changes) -> dict:
    return {"epoch": epoch, "step": 10 * epoch, "loss": 0.5, "dice": 0.8, "dice_of": {"liver": 0.8}} | changes


def test_it_is_read_with_plain_python():
    code = f"import sys; import MedSegTrainLib.training.run_folder; print([n for n in {HEAVY} if n in sys.modules])"
    paths = os.pathsep.join(str(ROOT / name) for name in ("MedSegDL", "MedSegTrain"))
    environment = os.environ | {"PYTHONPATH": paths}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stdout + found.stderr


def test_a_folder_in_which_nothing_happened_yet(tmp_path):
    folder = RunFolder(tmp_path / "none")
    assert folder.status() == Status(WAITING) and not folder.status().has_process
    assert folder.events() == [] and folder.take_request() == ""


def test_a_session_says_how_it_stands(tmp_path):
    folder = RunFolder(tmp_path)
    with RunSession(tmp_path) as session:
        status = folder.status()
        assert (status.state, status.pid, status.host) == (PREPARING, os.getpid(), socket.gethostname())
        session.say(TRAINING, "Epoch 2", step=3, steps=9)
        session.say(TRAINING, "Epoch 2 of 3")
        status = folder.status()
        assert (status.message, status.step, status.steps) == ("Epoch 2 of 3", 3, 9)
        assert status.has_process and abs(status.updated - time.time()) < 5
        session.say(DONE)
    assert folder.status().state == DONE and not folder.status().has_process


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (CancelledError("Stopped after step 3.", "Go on."), STOPPED, "Stopped after step 3."),
        (OutputError("The disk is full.", "Free some space."), FAILED, "The disk is full. Free some space."),
        (ValueError("a bug"), FAILED, "ValueError: a bug"),
        (KeyboardInterrupt(), STOPPED, "Interrupted."),
    ],
)
def test_how_a_session_ended_is_written(tmp_path, error, state, message):
    with pytest.raises(type(error)), RunSession(tmp_path):
        raise error
    status = RunFolder(tmp_path).status()
    assert (status.state, status.message) == (state, message)


def test_a_session_gives_signs_of_life_while_nothing_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(run_session, "SECONDS_BETWEEN_SIGNS", 0.02)
    with RunSession(tmp_path):
        first = RunFolder(tmp_path).status().updated
        deadline = time.monotonic() + 10
        while RunFolder(tmp_path).status().updated == first and time.monotonic() < deadline:
            time.sleep(0.01)
        assert RunFolder(tmp_path).status().updated > first


def test_a_process_that_is_gone_is_noticed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    folder = RunFolder(tmp_path)
    folder.write_status(Status(TRAINING, pid=process.pid, host=socket.gethostname(), updated=time.time()))
    assert not folder.status().has_process
    folder.write_status(Status(TRAINING, pid=1, host="elsewhere", updated=time.time()))
    assert folder.status().has_process
    folder.write_status(Status(TRAINING, pid=1, host="elsewhere", updated=time.time() - 300))
    assert not folder.status().has_process


def test_a_process_that_got_the_number_of_one_that_is_gone_is_not_taken_for_it(tmp_path):
    folder, here = RunFolder(tmp_path), {"pid": os.getpid(), "host": socket.gethostname()}
    for silent, has_process in ((0, True), (300, True), (24 * 3600, False)):
        folder.write_status(Status(TRAINING, updated=time.time() - silent, **here))
        assert folder.status().has_process == has_process


def test_a_command_that_is_refused_takes_nothing_from_a_finished_training(tmp_path):
    folder = RunFolder(tmp_path)
    with RunSession(tmp_path) as session:
        session.say(DONE, "Wrote a model.")
    done = folder.status()
    with pytest.raises(InputError), RunSession(tmp_path):
        raise InputError("There is no fold 7.")
    assert folder.status() == done
    with RunSession(tmp_path) as session:
        session.leave_as_it_was()
    assert folder.status() == done
    with pytest.raises(InputError), RunSession(tmp_path) as session:
        session.say(TRAINING)
        raise InputError("A case is gone.")
    assert folder.status().state == FAILED


def test_a_request_is_taken_once(tmp_path):
    with RunSession(tmp_path) as session:
        RunFolder(tmp_path).ask(PAUSE)
        RunFolder(tmp_path).ask(CONTINUE)  # the last word counts
        assert (session.take_request(), session.take_request()) == (CONTINUE, "")


def test_what_is_asked_while_a_request_is_read_is_not_lost(tmp_path, monkeypatch):
    folder, read = RunFolder(tmp_path), Path.read_text

    def read_while_another_asks(path, **how):
        text = read(path, **how)
        if "request" in path.name:
            monkeypatch.undo()
            folder.ask(STOP)
        return text

    with RunSession(tmp_path) as session:
        folder.ask(PAUSE)
        monkeypatch.setattr(Path, "read_text", read_while_another_asks)
        assert [session.take_request() for _ in range(3)] == [PAUSE, STOP, ""]


def test_a_stop_is_seen_without_being_taken(tmp_path):
    with RunSession(tmp_path) as session:
        assert not session.is_asked_to_stop()
        RunFolder(tmp_path).ask(STOP)
        assert session.is_asked_to_stop() and session.is_asked_to_stop() and session.take_request() == STOP


def test_requests_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(InputError, match="No training runs in .* Start it by its first command"):
        RunFolder(tmp_path).ask(PAUSE)
    with RunSession(tmp_path) as session:
        with pytest.raises(InputError, match="cannot be asked to 'dance'. Ask one of: pause, continue, stop"):
            RunFolder(tmp_path).ask("dance")
        (tmp_path / "request").write_text("dance")
        assert session.take_request() == ""


def test_an_old_request_is_not_meant_for_a_new_training(tmp_path):
    (tmp_path / "request").write_text("stop")
    with RunSession(tmp_path) as session:
        assert session.take_request() == ""


def test_events_since_an_epoch(tmp_path):
    folder = RunFolder(tmp_path)
    for epoch in (1, 2, 3):
        folder.add_event(event(epoch, dice=float("nan")))
    assert [found["epoch"] for found in folder.events(1)] == [2, 3]
    assert folder.events()[0]["dice"] is None  # JSON has no word for it
    with open(tmp_path / "events.jsonl", "a") as file:
        file.write('{"epoch": 4, "st')  # killed while it wrote
    assert [found["epoch"] for found in folder.events()] == [1, 2, 3]
    folder.forget_events_after(20)
    assert [json.loads(line)["epoch"] for line in (tmp_path / "events.jsonl").read_text().splitlines()] == [1, 2]


def test_a_damaged_status_is_no_error(tmp_path):
    (tmp_path / "status.json").write_text('{"state": "tra')
    assert RunFolder(tmp_path).status().state == WAITING
    (tmp_path / "status.json").write_text('{"state": "done", "colour": "red"}')
    assert RunFolder(tmp_path).status().state == DONE


def test_a_status_that_cannot_be_written_ends_no_training(tmp_path, monkeypatch):
    with RunSession(tmp_path) as session:
        monkeypatch.setattr(run_folder, "replacing", refuse)
        session.say(TRAINING, "Epoch 2")
        monkeypatch.undo()
        assert session.status.message == "Epoch 2"


def refuse(path):
    raise OutputError(f"'{path}' could not be written: the disk is full.")


def test_curves_as_a_table(tmp_path):
    folder = RunFolder(tmp_path)
    folder.add_event(event(1, dice=None, dice_of={}))
    folder.add_event(event(2))
    write_curves(folder)
    lines = (tmp_path / "curves.csv").read_text().splitlines()
    assert lines == ["epoch,step,loss,dice,dice liver", "1,10,0.5,,", "2,20,0.5,0.8,0.8"]


def test_an_epoch_in_words():
    values = {"validation_loss": 0.4, "miou": 0.7, "remaining_seconds": 200.0}
    assert epoch_in_words(event(2, **values), 9) == (
        "Epoch 2 of 9, loss 0.5000, validation loss 0.4000, Dice 0.8000, mIoU 0.7000, 3 min left"
    )
    assert epoch_in_words(event(9, dice=None, remaining_seconds=0.0), 9) == "Epoch 9 of 9, loss 0.5000"
