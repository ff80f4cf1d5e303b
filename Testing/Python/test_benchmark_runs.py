"""A run's folder and process: what it says at any time, and what a kill, a full disk or another plan leave of it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import benchmark_makers as makers
from MedSegDLLib.errors import InputError, OutputError
from MedSegTrainLib.benchmark import runs as runs_file
from MedSegTrainLib.benchmark.durations import Durations
from MedSegTrainLib.benchmark.folder import create, opened, summary
from MedSegTrainLib.benchmark.launch import launch
from MedSegTrainLib.benchmark.queue import Budget, Queue, Rest
from MedSegTrainLib.benchmark.runs import DONE, FAILED, RUNNING, WAITING, BusyError, Result
from MedSegTrainLib.benchmark.schedulers import serial
from MedSegTrainLib.benchmark.task import Outcome
from run import ROOT


@pytest.fixture(autouse=True)
def work_is_found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "Testing" / "Python"))


@pytest.fixture
def made(tmp_path):
    return makers.benchmark(tmp_path / "runs")


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


# ---- Its folder


def test_a_run_is_done_when_its_result_is_whole(made):
    run = made.runs[0]
    assert run.state().name == WAITING and run.result() is None
    with run.claimed():
        run.note(RUNNING)
        run.finish(Result(makers.rows(run), {"seconds": {"training": 3.0}}))
    result = run.result()
    assert run.state().name == DONE and result.rows == makers.rows(run)
    assert result.facts["seconds"] == {"training": 3.0}


@pytest.mark.parametrize("damage", ["{", '{"key": "another"}', ""])
def test_a_damaged_result_is_none(made, damage):
    run = finished(made)
    (run.folder / "result.json").write_text(damage)
    assert run.state().name == WAITING and run.result() is None


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("case\n")])
def test_a_result_without_its_rows_is_none(made, damage):
    run = finished(made)
    damage(run.folder / "rows.csv")
    assert run.state().name == WAITING and run.result() is None


def finished(made):
    run = made.runs[0]
    with run.claimed():
        run.finish(Result(makers.rows(run)))
    return run


def test_nobody_works_on_a_run_beside_another(made, monkeypatch):
    monkeypatch.setattr(runs_file, "_SECONDS_FOR_A_DYING_PROCESS", 0.1)
    run, same = made.runs[0], made.runs[0]
    with run.claimed():
        run.note(RUNNING)
        assert same.state().name == RUNNING and same.state().pid == os.getpid()
        with pytest.raises(BusyError), same.claimed():
            raise AssertionError("two at once")
    assert same.state().name == WAITING and "goes on from there" in same.state().reason


def test_another_plan_makes_another_run_and_loses_nothing(tmp_path):
    folder = tmp_path / "runs"
    run = finished(makers.benchmark(folder))
    _, aside = create(folder, makers.plan(recipe={"preset": "modern"}))
    assert aside == ["balls/unet/fold-0-seed-0"]
    other = opened(folder).runs[0]
    assert other.folder == run.folder and other.state().name == WAITING and not run.folder.exists()
    with other.claimed():
        other.finish(Result(makers.rows(other, 0.5)))
    assert other.state().name == DONE
    back, aside = create(folder, makers.plan())
    assert aside == ["balls/unet/fold-0-seed-0"] and back.runs[0].result().rows == makers.rows(run), "nothing is lost"


def test_a_state_of_another_plan_is_told_before_anything_moves(tmp_path):
    made = makers.benchmark(tmp_path)
    finished(made)
    changed = makers.plan(split_seed=3)
    (tmp_path / "plan.json").write_text(changed.model_dump_json())
    assert opened(tmp_path).runs[0].state() == runs_file.State(WAITING, "The plan has changed since it was run.")


def test_a_folder_holds_one_benchmark(tmp_path):
    makers.benchmark(tmp_path)
    with pytest.raises(InputError, match="holds the benchmark 'toy', not 'other'"):
        create(tmp_path, makers.plan(name="other"))
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        opened(tmp_path)
    with pytest.raises(InputError, match="holds no benchmark"):
        opened(tmp_path / "elsewhere")


def test_methods_are_chosen_by_name(made):
    assert [run.order.method.name for run in made.chosen(["fcnn"])] == ["fcnn", "fcnn"]
    with pytest.raises(InputError, match="no method 'unknown'"):
        made.chosen(["fcnn", "unknown"])


# ---- Its process


def test_every_run_is_done_in_a_process_of_its_own_and_never_again(made):
    queue = Queue(makers.tasks(made, "at_once"))
    serial(queue)
    assert [outcome.outcome for outcome in queue.outcomes] == [DONE] * 6
    assert summary([run.state() for run in made.runs]) == "6 done"
    again = Queue(makers.tasks(made, "at_once"))
    serial(again)
    assert again.outcomes == [] and len(makers.begun(made)) == 6


def test_a_failure_tells_its_reason_stops_nobody_and_is_tried_again(made):
    first = Queue(makers.tasks(made, "fails_for_fcnn"))
    serial(first)
    assert summary([run.state() for run in made.runs]) == "4 done, 2 failed"
    failed = made.chosen(["fcnn"])[0]
    assert failed.state().name == FAILED and failed.state().reason == "The network has no luck. Try another."
    assert {o.reason for o in first.outcomes if o.outcome == FAILED} == {"The network has no luck. Try another."}
    second = Queue(makers.tasks(made, "at_once"))
    serial(second)
    assert [o.name for o in second.outcomes] == ["balls/fcnn/fold-0-seed-0", "balls/fcnn/fold-1-seed-0"]
    assert summary([run.state() for run in made.runs]) == "6 done"


def test_a_training_that_was_stopped_is_no_failure(made):
    task = makers.tasks(made, "is_stopped")[0]
    outcome = launch(task)
    assert (outcome.outcome, outcome.reason) == ("stopped", "Stopped after step 3 of 9. It goes on.")
    assert task.run.state().name == WAITING and task.run.state().reason == outcome.reason
    assert launch(makers.tasks(made, "at_once")[0]).outcome == DONE


def test_what_nobody_expected_is_told_in_a_line_and_in_full_in_the_log(made):
    task = makers.tasks(made, "raises_what_nobody_expected")[0]
    assert launch(task).reason == "ZeroDivisionError: division by zero"
    log = task.run.log.read_text()
    assert "about to divide" in log and "Traceback" in log


@pytest.mark.parametrize(("work", "words"), [("dies", "exit code 7"), ("not_there", "AttributeError")])
def test_a_process_that_cannot_speak_is_a_failure(made, work, words):
    task = makers.tasks(made, work)[0]
    outcome = launch(task)
    assert outcome.outcome == FAILED and words in outcome.reason
    assert task.run.state().name == FAILED and task.run.state().reason == outcome.reason


def test_two_callers_in_one_folder_share_the_work(tmp_path):
    made = makers.benchmark(tmp_path, only_folds=[0])
    queues = [Queue(makers.tasks(made, "in_half_a_second")) for _ in range(2)]
    threads = [threading.Thread(target=serial, args=(queue,)) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(makers.begun(made)) == sorted(run.name for run in made.runs), "all of it, and nothing twice"


CALL = (
    "import sys, benchmark_makers as m; from pathlib import Path; from MedSegTrainLib.benchmark.launch import launch\n"
    "from MedSegTrainLib.benchmark.folder import opened\n"
    "launch(m.tasks(opened(Path(sys.argv[1])), 'goes_on_step_by_step')[0])"
)


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signals")
@pytest.mark.parametrize("who", ["the run's process", "the caller"])
def test_a_kill_in_the_middle_loses_nothing(who, made):
    run = made.runs[0]
    packages = [str(ROOT / "MedSegDL"), str(ROOT / "MedSegTrain"), str(ROOT / "Testing" / "Python")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(packages)}
    caller = subprocess.Popen([sys.executable, "-c", CALL, str(made.folder)], env=environment)
    until(lambda: len(makers.steps_of(run)) >= 3)
    assert run.state().name == RUNNING
    os.kill(run.state().pid if who == "the run's process" else caller.pid, signal.SIGKILL)
    caller.wait(20)
    until(lambda: run.state().name != RUNNING)
    assert len(makers.steps_of(run)) < 10, "neither outlives the other"
    if who == "the run's process":
        assert run.state().name == FAILED and "signal 9" in run.state().reason
    assert launch(makers.tasks(made, "goes_on_step_by_step")[0]).outcome == DONE
    assert makers.steps_of(run) == list(range(1, 11)), "it went on where it was"
    assert makers.begun(made) == [run.name] * 2


FULL = (
    "import errno, os\n"
    "real = os.replace\n"
    "def replace(source, target):\n"
    "    if str(target).endswith(os.environ['FULL_FOR']): raise OSError(errno.ENOSPC, 'No space left on device')\n"
    "    real(source, target)\n"
    "os.replace = replace\n"
)


@pytest.mark.parametrize("full_for", ["rows.csv", "result.json", "run.json", ".json"])
def test_a_full_disk_fails_the_run_and_the_next_call_does_it(full_for, made, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "sitecustomize.py").write_text(FULL)
    task = makers.tasks(made, "at_once")[0]
    with monkeypatch.context() as patch:
        patch.setenv("FULL_FOR", full_for)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "full"), os.environ["PYTHONPATH"]]))
        outcome = launch(task)
    assert outcome.outcome == FAILED and "the disk is full" in outcome.reason
    assert task.run.result() is None and task.run.state().name in (FAILED, WAITING)
    assert launch(task).outcome == DONE and task.run.result().rows


def test_a_folder_that_cannot_be_written_is_said(made, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert "the disk is full" in launch(makers.tasks(made, "at_once")[0]).reason
    with pytest.raises(OutputError, match="the disk is full"):
        create(made.folder, made.plan)


# ---- Which comes next


def test_a_limit_of_runs(made):
    queue = Queue(makers.tasks(made, "at_once"), Budget(runs=2))
    assert [queue.take() is not None for _ in range(3)] == [True, True, False]
    assert len(queue.left) == 4


def test_no_run_is_started_that_would_not_end_in_time(made):
    now, started = [0.0], []
    for run, seconds in zip(made.runs[:2], (40.0, 20.0)):
        with run.claimed():
            run.finish(Result(makers.rows(run), {"seconds": {"training": seconds}}))
    queue = Queue(makers.tasks(made, "at_once"), Budget(seconds=50), clock=lambda: now[0])
    while task := queue.take():
        started.append(task.run.order.method.name)
        now[0] += 15
    assert started == ["threshold", "fcnn", "threshold"], "an unknown one, one of 20 of 35 seconds; none of 40"
    assert [task.run.name for task in queue.left] == ["balls/unet/fold-1-seed-0"]


def test_what_is_left_takes_as_long_as_the_like_of_it_did(made):
    durations = Durations()
    names = [run.name for run in made.runs]
    assert durations.of_all(names) is None and durations.expected(names[0]) is None
    for seconds in (30.0, 3600.0, 34.0):  # the computer slept during one
        durations.learn("balls/unet/fold-0-seed-0", seconds)
    durations.learn("balls/fcnn/fold-0-seed-0", 10.0)
    assert durations.expected("balls/unet/fold-1-seed-0") == 34
    assert durations.of_all(["balls/unet/fold-3-seed-0", "balls/fcnn/fold-1-seed-0"]) == 44
    assert durations.of_all(["balls/threshold/fold-0-seed-0"]) == 22  # of which nothing is known


def test_the_rest_is_told_after_every_run(made):
    told = []
    queue = Queue(makers.tasks(made, "at_once"), ends=lambda outcome, rest: told.append(rest))
    first, second = queue.take(), queue.take()
    queue.ended(Outcome(first.run.name, DONE, seconds=60.0))
    queue.ended(Outcome(second.run.name, FAILED, "No luck.", 1.0))
    assert told == [Rest(5, 5 * 60 / 2), Rest(4, 4 * 60)]


def test_a_benchmark_written_down_is_the_same(made):
    again = opened(made.folder)
    assert again.plan == made.plan and [run.order.key for run in again.runs] == [run.order.key for run in made.runs]
    assert json.loads((made.folder / "plan.json").read_text())["name"] == "toy"
