"""A training that is killed, paused, stopped, or whose disk fails, and goes on as if nothing had happened."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
import torch

from MedSegDLLib.errors import CancelledError, InputError, MedSegError, ModelError, OutputError, WorkerError
from MedSegTrainLib.training import checkpoints, run_folder
from MedSegTrainLib.training import train as train_file
from MedSegTrainLib.training.checkpoints import BEST, LAST, PREVIOUS, is_whole, newest_whole, trained_weights
from MedSegTrainLib.training.recipe import read_recipe
from MedSegTrainLib.training.run_folder import CONTINUE, DONE, FAILED, PAUSE, PAUSED, STOP, STOPPED, RunFolder
from MedSegTrainLib.training.run_session import RunSession
from MedSegTrainLib.training.train import train
from training_run_cases import samples, tiny_recipe, training_process

SAME = {"rel": 1e-4, "abs": 1e-6}
CURVE = ("epoch", "step", "loss", "validation_loss", "dice", "miou", "learning_rate")


def run(folder: Path, training=None, **changes) -> Path:
    recipe = tiny_recipe(**changes)
    training = training or samples(recipe, range(3))
    return train(recipe, folder, training, samples(recipe, (7, 8)), devices="cpu")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The folder of a training that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run(folder)
    return folder


def assert_same_training(folder: Path, other: Path) -> None:
    ours, theirs = (RunFolder(path).events() for path in (folder, other))
    assert len(ours) == len(theirs) == 3
    for one, two in zip(ours, theirs):
        assert [one[name] for name in CURVE] == pytest.approx([two[name] for name in CURVE], **SAME)
    weights, expected = (trained_weights(path / LAST) for path in (folder, other))
    assert all(torch.allclose(weights[name], expected[name], rtol=1e-3, atol=1e-5) for name in weights)


@pytest.mark.parametrize(
    ("when", "last_step"),
    [
        (("--kill-at", "74"), 37),  # in the middle of the second epoch
        (("--kill-validating-at", "9"), 50),  # in the middle of the second validation
        pytest.param(("--kill-at", "100"), 50, marks=pytest.mark.slow),  # after its last step and validation
    ],
)
def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path, undisturbed, when, last_step):
    process = training_process(tmp_path / "run", *when)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, output
    folder = RunFolder(tmp_path / "run")
    assert not folder.status().has_process and 30 <= newest_step(tmp_path / "run") <= last_step
    run(tmp_path / "run")
    assert_same_training(tmp_path / "run", undisturbed)
    assert folder.status().state == DONE


def newest_step(folder: Path) -> int:
    return torch.load(newest_whole(folder)[0], weights_only=True)["global_step"]


class Asking:
    """A sample that does something when it has been asked for so many times."""

    def __init__(self, sample, times: int, then):
        self._sample, self._left, self._then = sample, times, then

    def __call__(self):
        self._left -= 1
        if self._left == 0:
            self._then()
        return self._sample()


def interrupted(folder: Path, patches: int, then, **changes):
    """A training in which `then` happens when so many patches were made."""
    recipe = tiny_recipe(**changes)
    (sample,) = samples(recipe, range(1))
    counted = Asking(sample, patches, then)
    return train(recipe, folder, [counted], samples(recipe, (7, 8)), devices="cpu")


def test_a_stop_is_answered_within_a_step_and_nothing_is_lost(tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(CancelledError, match="Stopped after step 17 of 60. The same command goes on"):
        interrupted(tmp_path, 2 * 17, lambda: folder.ask(STOP))
    status = folder.status()
    assert (status.state, status.step, status.epoch) == (STOPPED, 17, 1) and newest_step(tmp_path) == 17
    interrupted(tmp_path, -1, None)
    assert folder.status().state == DONE and [event["step"] for event in folder.events()] == [25, 50, 60]


def test_a_stop_in_a_step_before_a_validation_waits_for_it(tmp_path):
    with pytest.raises(CancelledError, match="Stopped after step 25"):
        interrupted(tmp_path, 2 * 25, lambda: RunFolder(tmp_path).ask(STOP))
    assert [event["epoch"] for event in RunFolder(tmp_path).events()] == [1]


def test_the_end_of_a_jobs_time_stops_a_training_in_order(tmp_path):
    with pytest.raises(CancelledError, match="Stopped after step 12"):
        interrupted(tmp_path, 2 * 12, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert newest_step(tmp_path) == 12
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.skipif(sys.platform == "win32", reason="SLURM's signal")
def test_slurm_takes_the_computer_in_the_middle_of_a_validation_and_gives_another(tmp_path, undisturbed, monkeypatch):
    """Lightning would save at once: the weights' average in place of the weights, and half a validation."""
    asked = in_a_job_of_slurm(tmp_path, monkeypatch)
    recipe, folder = tiny_recipe(), tmp_path / "run"
    training, validation = samples(recipe, range(3)), samples(recipe, (7, 8))
    noticing = [Asking(validation[0], 2, lambda: os.kill(os.getpid(), signal.SIGUSR1)), validation[1]]
    with pytest.raises(CancelledError, match="Stopped after step 25 of 60. SLURM was asked for another turn"):
        train(recipe, folder, training, noticing, devices="cpu")
    assert asked.read_text() == "requeue 7\n"
    assert RunFolder(folder).status().state == STOPPED and newest_whole(folder)[0].name == "hpc_ckpt_1.ckpt"
    train(recipe, folder, training, validation, devices="cpu")
    assert_same_training(folder, undisturbed)


def in_a_job_of_slurm(folder: Path, monkeypatch) -> Path:
    """As the only process of one; what SLURM is asked for is written into the file that is returned."""
    asked, command = folder / "asked.txt", folder / "bin" / "scontrol"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" > "{asked}"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=os.pathsep)
    names = {"JOB_ID": 7, "JOB_NAME": "t", "NNODES": 1, "NTASKS": 1, "PROCID": 0, "LOCALID": 0, "NODEID": 0}
    for name, value in names.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    return asked


def test_a_paused_training_waits_until_it_is_asked_to_go_on(tmp_path, undisturbed):
    folder, seen = RunFolder(tmp_path), []

    def go_on_later():
        while folder.status().state != PAUSED:
            time.sleep(0.02)
        seen.append((folder.status().state, newest_step(tmp_path)))
        folder.ask(CONTINUE)

    def pause():
        folder.ask(PAUSE)
        threading.Thread(target=go_on_later).start()

    recipe = tiny_recipe()
    training = samples(recipe, range(3))
    training[0] = Asking(training[0], 20, pause)
    train(recipe, tmp_path, training, samples(recipe, (7, 8)), devices="cpu")
    assert len(seen) == 1 and seen[0][0] == PAUSED and 10 < seen[0][1] < 60
    assert_same_training(tmp_path, undisturbed)


def test_a_paused_training_can_be_stopped(tmp_path):
    folder = RunFolder(tmp_path)

    def stop_later():
        while folder.status().state != PAUSED:
            time.sleep(0.02)
        folder.ask(STOP)

    def pause():
        folder.ask(PAUSE)
        threading.Thread(target=stop_later).start()

    with pytest.raises(CancelledError):
        interrupted(tmp_path, 20, pause)
    assert folder.status().state == STOPPED


# Disks


class FullDisk:
    """A file on a disk that becomes full while it is written."""

    def __init__(self, file, room: int):
        self._file, self._room = file, room

    def write(self, data) -> int:
        self._file.write(data[: max(0, self._room)])
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


@pytest.mark.parametrize(
    ("module", "room", "file", "step"), [(checkpoints, 40_000, ".ckpt", 10), (run_folder, 30, "events.jsonl", 20)]
)
def test_a_full_disk_is_said_and_the_checkpoint_before_stays_whole(
    tmp_path, undisturbed, monkeypatch, module, room, file, step
):
    def fill():
        monkeypatch.setattr(module, "open", lambda *a, **k: FullDisk(open(*a, **k), room), raising=False)

    recipe = tiny_recipe()
    training = samples(recipe, range(3))
    training[0] = Asking(training[0], 10, fill)
    with pytest.raises(OutputError, match=f"{file}' could not be written: the disk is full. Free some space"):
        train(recipe, tmp_path, training, samples(recipe, (7, 8)), devices="cpu")
    folder = RunFolder(tmp_path)
    assert folder.status().state == FAILED and "the disk is full" in folder.status().message
    assert is_whole(tmp_path / LAST) and newest_step(tmp_path) == step
    assert not list(tmp_path.glob(".*.ckpt"))  # nothing half written takes up what little room there is
    monkeypatch.undo()
    run(tmp_path)
    assert_same_training(tmp_path, undisturbed)


@pytest.mark.parametrize("damage", ["cut", "bit"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_taken(tmp_path, undisturbed, damage, capsys):
    with pytest.raises(CancelledError):
        interrupted_by_stop(tmp_path)
    last = tmp_path / LAST
    content = bytearray(last.read_bytes())
    if damage == "cut":
        content = content[:-100]
    else:
        content[len(content) // 2] ^= 1
    last.write_bytes(content)
    assert newest_whole(tmp_path) == (tmp_path / PREVIOUS, [last])
    run(tmp_path)
    assert "The checkpoint last.ckpt is damaged. The training goes on from previous.ckpt." in capsys.readouterr().out
    assert_same_training(tmp_path, undisturbed)


def interrupted_by_stop(folder: Path) -> None:
    recipe = tiny_recipe()
    training = samples(recipe, range(3))
    training[0] = Asking(training[0], 30, lambda: RunFolder(folder).ask(STOP))
    train(recipe, folder, training, samples(recipe, (7, 8)), devices="cpu")


def test_where_all_checkpoints_are_damaged_nothing_is_started_anew(tmp_path):
    for name in (LAST, PREVIOUS):
        (tmp_path / name).write_bytes(b"PK nothing")
    with pytest.raises(ModelError, match="All checkpoints in .* are damaged: .*Delete them to start anew"):
        run(tmp_path)


def test_what_is_no_checkpoint_of_this_network_is_said(tmp_path):
    for content, words in (
        ({"state_dict": {"network.other": torch.ones(1)}}, "is a checkpoint of another network: its 'network.other'"),
        (None, "is no checkpoint, or is damaged. Delete it"),
    ):
        if content:
            torch.save(content, tmp_path / LAST)
        else:
            with zipfile.ZipFile(tmp_path / LAST, "w") as file:
                file.writestr("a.txt", "whole, but of something else")
        with pytest.raises(ModelError, match=words):
            run(tmp_path)


def test_an_early_stop_comes_where_it_would_have_come(tmp_path, monkeypatch):
    plan = {"steps": 40, "steps_per_epoch": 2, "learning_rate": 1e-12, "early_stop_epochs": 2}
    with pytest.raises(CancelledError, match="after step 4"):
        interrupted(tmp_path, 2 * 4, lambda: RunFolder(tmp_path).ask(STOP), optimisation=plan)
    with monkeypatch.context() as patch, pytest.raises(OutputError):
        patch.setattr(train_file, "write_facts", refuse)
        interrupted(tmp_path, -1, None, optimisation=plan)
    assert newest_step(tmp_path) == 6  # all is done but to say so
    interrupted(tmp_path, -1, None, optimisation=plan)
    assert [event["step"] for event in RunFolder(tmp_path).events()] == [2, 4, 6] and newest_step(tmp_path) == 6


def refuse(*_):
    raise OutputError("'training.json' could not be written: the disk is full.")


def test_the_best_checkpoint_is_that_of_the_best_epoch(undisturbed):
    events = RunFolder(undisturbed).events()
    best = max(events, key=lambda event: (event["dice"], event["epoch"]))  # of equals the later
    assert torch.load(undisturbed / BEST, weights_only=True)["global_step"] == best["step"]


# Two in one folder, and other folders


def test_two_trainings_do_not_share_a_folder(tmp_path):
    with (
        RunSession(tmp_path),
        pytest.raises(InputError, match=f"Another training runs in .*: process {os.getpid()} on"),
    ):
        run(tmp_path)
    run(tmp_path, optimisation={"steps": 2})


def test_a_folder_of_another_network_is_refused(undisturbed):
    with pytest.raises(InputError, match="holds a training of 'balls' with another network, patch or labels"):
        run(undisturbed, medseg={"patch": [8, 8, 8]}, optimisation={"steps": 70})


def test_a_training_of_other_cases_is_refused_before_any_is_learned_from(tmp_path, undisturbed):
    with pytest.raises(InputError, match="holds a training of 'balls' with other cases"):
        run(undisturbed, data={"fold": 1}, optimisation={"steps": 70})


def test_a_finished_training_is_not_passed_off_as_that_of_another_recipe(undisturbed):
    before = read_recipe(undisturbed / "recipe.yaml")
    with pytest.raises(InputError, match="is finished; .* differs from its own in optimisation, loss"):
        run(undisturbed, optimisation={"learning_rate": 0.01}, loss={"name": "focal"})
    assert RunFolder(undisturbed).status().state == DONE  # as it was before the command
    assert read_recipe(undisturbed / "recipe.yaml") == before


def test_a_finished_training_is_not_trained_again_and_a_longer_one_goes_on(tmp_path, undisturbed):
    run(tmp_path, optimisation={"steps": 20})
    before = (tmp_path / LAST).stat().st_mtime_ns
    run(tmp_path, optimisation={"steps": 20})
    assert (tmp_path / LAST).stat().st_mtime_ns == before
    run(tmp_path, optimisation={"steps": 30})
    assert newest_step(tmp_path) == 30


def test_what_is_changed_of_a_recipe_is_heeded_from_then_on(tmp_path):
    run(tmp_path, optimisation={"steps": 2, "steps_per_epoch": 2, "schedule": "constant"})
    changed = {"learning_rate": 0.001, "weight_decay": 0.5, "schedule": "constant"}
    run(tmp_path, optimisation={"steps": 6, "steps_per_epoch": 2} | changed)
    rates = [event["learning_rate"] for event in RunFolder(tmp_path).events()]
    assert rates == pytest.approx([0.02, 0.001, 0.001])
    group = torch.load(tmp_path / LAST, weights_only=True)["optimizer_states"][0]["param_groups"][0]
    assert (group["weight_decay"], group["initial_lr"]) == (0.5, 0.001)


@pytest.mark.parametrize("change", [{"optimiser": "sgd"}, {"averaging_decay": 0.0}])
def test_what_a_training_cannot_go_on_from_is_refused(tmp_path, change):
    run(tmp_path, optimisation={"steps": 2})
    with pytest.raises(InputError, match=f"cannot go on with another optimisation.{next(iter(change))}. Leave it"):
        run(tmp_path, optimisation={"steps": 4} | change)


def test_the_death_of_another_process_is_said(tmp_path):
    def lose_the_connection():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:537] Read error: Connection reset by peer.")

    with pytest.raises(WorkerError, match="Another process of this training has ended.* goes on from the last"):
        interrupted(tmp_path, 2 * 12, lose_the_connection)
    assert RunFolder(tmp_path).status().state == FAILED and newest_step(tmp_path) == 10


def test_a_loss_that_is_no_number_ends_the_training(tmp_path):
    with pytest.raises(MedSegError, match="The loss is no number any more .*lower optimisation.learning_rate"):
        run(tmp_path, optimisation={"learning_rate": 1e30, "clip": None, "warmup_steps": 0})
    assert RunFolder(tmp_path).status().state == FAILED
