"""The runs in the window: every state from files of our making, and a true benchmark, stopped and gone on with."""

from __future__ import annotations

import json
import os
import socket
import sys
import time

import pytest

import benchmark_makers
from MedSegDLLib.errors import InputError, WorkerError
from MedSegTrainLib.benchmark.background import Steward
from MedSegTrainLib.benchmark.runs import Result
from MedSegTrainLib.interaction.packages import PackageCheck
from MedSegTrainLib.interaction.planning import PlanChoices, plan_of, write_plan
from MedSegTrainLib.interaction.runs import RunsPresenter
from MedSegTrainLib.interaction.runs_ports import RunsState
from MedSegTrainLib.interaction.runs_reader import RunsReader
from MedSegTrainLib.interaction.session import Options, Session, spawn
from MedSegTrainLib.training.run_folder import RunFolder, Status
from MedSegTrainLib.training.run_session import RunSession
from train_window_cases import Clock, FakeView, Process, wait_until, write_json
from training_makers import write_cases

HERE = {"pid": os.getpid(), "host": socket.gethostname()}
NOBODY = {"pid": 0, "host": socket.gethostname()}


@pytest.fixture
def made(tmp_path):
    """A benchmark of two networks and a baseline in two folds, of which nothing is done."""
    return benchmark_makers.benchmark(tmp_path / "runs")


class Spawned:
    """In place of starting a process."""

    def __init__(self):
        self.commands, self.process = [], Process()

    def __call__(self, command, environment, log):
        self.commands.append(command)
        self.process = Process()
        return self.process


@pytest.fixture
def runs(made):
    """A presenter that shows it."""
    spawned, rests, opened = Spawned(), [], []
    presenter = RunsPresenter(
        FakeView(), lambda: "python", opened.append, lambda: rests.append(1), spawn=spawned, clock=Clock()
    )
    presenter.spawned, presenter.rests, presenter.opened = spawned, rests, opened
    presenter.open(made.folder)
    return presenter


def panel(runs):
    return runs._view.panel


def cells(runs):
    return [[cell.text for cell in row.cells] for row in panel(runs).rows]


def finish(run, dice):
    with run.claimed():
        run.finish(Result(benchmark_makers.rows(run, dice)))


def session_of(made, state="training", **status):
    return write_json(
        made.folder / "session" / "status.json", {"state": state, **HERE, "updated": time.time(), **status}
    )


# The table


def test_a_folder_without_a_benchmark_is_said(runs, tmp_path):
    runs.open(tmp_path)
    assert panel(runs).problem and "holds no benchmark" in panel(runs).status
    assert runs.folder == tmp_path / "runs"  # what was open stays


def test_methods_by_folds(runs, made):
    assert panel(runs).columns == ("fold 1", "fold 2") and runs.opened == [made.folder]
    assert [row.title for row in panel(runs).rows] == ["U-Net", "FCNN", "Thresholding"]
    assert cells(runs) == [["waiting"] * 2] * 3
    assert panel(runs).status == "0 of 6 done. Nothing runs now; Go on does the rest." and panel(runs).can_go_on


def test_seeds_and_data_sets_are_named_where_there_are_several(tmp_path):
    data_sets = [{"name": name, "path": name} for name in ("one", "two")]
    made = benchmark_makers.benchmark(tmp_path / "b", seeds=[3, 4], data_sets=data_sets, only_folds=[1])
    presenter = RunsPresenter(FakeView(), lambda: "python")
    presenter.open(made.folder)
    assert panel(presenter).columns == ("fold 2, seed 3", "fold 2, seed 4")
    assert [row.title for row in panel(presenter).rows][::3] == ["one: U-Net", "two: U-Net"]


def test_a_finished_run_shows_its_dice(runs, made):
    finish(made.runs[0], 0.9)
    runs.poll()
    assert cells(runs)[0][0] == "done 0.850" and panel(runs).fraction == pytest.approx(1 / 6)
    again = made.runs[0].folder / "result.json"
    again.write_text(json.dumps({"key": "of another plan"}))
    runs.poll()
    assert cells(runs)[0][0] == "waiting"


def at_work(run, training=None, **who):
    write_json(run.folder / "run.json", {"key": run.order.key})
    write_json(run.folder / "state.json", {"name": "running", **(who or HERE)})
    if training:
        write_json(run.training / "status.json", {**(who or HERE), "updated": time.time(), **training})


@pytest.mark.parametrize(
    ("training", "text"),
    [
        (None, "preparing"),
        ({"state": "preparing"}, "preparing"),
        ({"state": "training", "epoch": 34, "epochs": 200}, "epoch 34/200"),
        ({"state": "training"}, "training"),
        ({"state": "paused", "epoch": 34, "epochs": 200}, "paused at 34/200"),
        ({"state": "done", "epoch": 200, "epochs": 200}, "judging"),
    ],
)
def test_a_run_at_work(training, text, runs, made):
    at_work(made.runs[0], training)
    runs.poll()
    assert cells(runs)[0][0] == text and runs.needs_polling


def test_the_remaining_time_is_told(runs, made):
    session_of(made)
    at_work(made.runs[0], {"state": "training", "epoch": 34, "epochs": 200, "remaining_seconds": 720})
    runs.poll()
    assert panel(runs).status == "0 of 6 done. U-Net, fold 1: epoch 34/200, 12 min left."
    assert panel(runs).rows[0].cells[0].tip == "12 min left"


def test_a_run_whose_process_was_killed_can_be_gone_on_with(runs, made):
    at_work(made.runs[0], {"state": "training", "epoch": 34, "epochs": 200}, **NOBODY)
    at_work(made.runs[1], None, **NOBODY)
    runs.poll()
    assert (cells(runs)[0][0], cells(runs)[1][0]) == ("stopped at 34/200", "waiting") and not runs.needs_polling


def test_a_failed_run_says_why_and_a_stopped_one_is_no_failure(runs, made):
    made.runs[0].note("failed", "The GPU ran out of memory.")
    made.runs[1].note("failed", "Stopped after step 3 of 9.")
    write_json(made.runs[1].training / "status.json", {"state": "stopped", "epoch": 3, "epochs": 9})
    for run in made.runs[:2]:
        write_json(run.folder / "run.json", {"key": run.order.key})
    runs.poll()
    assert (cells(runs)[0][0], cells(runs)[1][0]) == ("failed", "stopped at 3/9")
    assert panel(runs).rows[0].cells[0].tip == "The GPU ran out of memory. Go on tries it again."
    assert "1 failed" in panel(runs).status


def test_damaged_files_do_not_end_the_window(runs, made):
    run = made.runs[0]
    run.folder.mkdir(parents=True)
    for name in ("run.json", "state.json", "result.json"):
        (run.folder / name).write_text("{")
    runs.poll()
    assert cells(runs)[0][0] == "waiting"
    (made.folder / "plan.json").write_text('{"data_sets": [1], "networks": [{}]}')
    runs.poll()
    assert panel(runs).problem and "damaged" in panel(runs).status


# Curves


def event(epoch):
    return {"epoch": epoch, "step": epoch, "loss": 1 / epoch, "dice": 0.1 * epoch}


def test_the_curves_of_the_selected_run_follow_it(runs, made):
    folder = RunFolder(made.runs[0].training)
    folder.path.mkdir(parents=True)
    folder.add_event(event(1))
    runs.select(0, 0)
    assert runs._view.curves == [("U-Net, fold 1", 1)] and panel(runs).rows[0].cells[0].is_selected
    runs.poll()
    assert len(runs._view.curves) == 1  # nothing new
    folder.add_event(event(2))
    runs.poll()
    assert runs._view.curves[-1] == ("U-Net, fold 1", 2)
    runs.select(2, 0)  # a baseline has none
    runs.select(9, 9)
    runs.poll()
    assert len(runs._view.curves) == 2


# Start, pause, stop, go on


def test_starting(runs, made, tmp_path):
    runs.start(tmp_path / "asked.json", made.folder, cpu=True)
    command = runs.spawned.commands[0]
    assert command[:3] == ["python", "-m", "MedSegTrainLib.benchmark.background"]
    assert command[3:] == [str(tmp_path / "asked.json"), "--output", str(made.folder), "--cpu"]
    assert panel(runs).state is RunsState.STARTING and not panel(runs).can_go_on
    runs._clock.now = 3.2
    runs.poll()
    assert panel(runs).status == "Starting, 3 s"
    session_of(made)
    runs.poll()
    assert panel(runs).state is RunsState.RUNNING and panel(runs).can_pause and panel(runs).can_stop
    with pytest.raises(InputError, match="running already"):
        runs.start(tmp_path / "asked.json", made.folder, cpu=True)


def test_starting_in_a_new_folder(tmp_path):
    spawned = Spawned()
    presenter = RunsPresenter(FakeView(), lambda: "python", spawn=spawned)
    presenter.start(tmp_path / "asked.json", tmp_path / "new", cpu=False)
    presenter.poll()
    assert panel(presenter).state is RunsState.STARTING and not panel(presenter).problem
    spawned.process.returncode = 2
    (tmp_path / "new" / "session" / "log.txt").write_text("ImportError: no torch")
    presenter.poll()
    assert panel(presenter).problem and panel(presenter).details == "ImportError: no torch"
    assert panel(presenter).state is RunsState.RESTING


def test_a_start_that_is_refused_says_why(runs, made, tmp_path):
    runs.start(tmp_path / "asked.json", made.folder, cpu=False)
    session_of(made, "failed", message="There is no GPU. Add --cpu if that is meant.")
    runs.spawned.process.returncode = 2
    runs.poll()
    assert panel(runs).problem and panel(runs).status == "There is no GPU. Add --cpu if that is meant."
    assert runs.rests == [1]


def begun(runs, made, tmp_path):
    """It runs, as far as its files tell."""
    runs.start(tmp_path / "asked.json", made.folder, cpu=False)
    session_of(made)
    runs.poll()
    assert panel(runs).state is RunsState.RUNNING


def test_a_process_that_is_killed_in_the_middle(runs, made, tmp_path):
    begun(runs, made, tmp_path)
    (made.folder / "session" / "log.txt").write_text("Killed")
    session_of(made, pid=0)
    runs.spawned.process.returncode = -9
    runs.poll()
    assert panel(runs).status.startswith(
        "The benchmark's process was killed (signal 9), as the system does when memory"
    )
    assert "Go on does the rest" in panel(runs).status and panel(runs).details == "Killed"
    assert panel(runs).problem and panel(runs).can_go_on and runs.rests == [1]
    runs.go_on()
    assert not panel(runs).problem and panel(runs).state is RunsState.STARTING


def test_a_process_of_an_earlier_window_that_is_killed(runs, made):
    session_of(made)
    runs.poll()
    session_of(made, pid=0)
    runs.poll()
    assert panel(runs).status.startswith("The benchmark's process is gone without a word") and panel(runs).can_go_on
    session_of(made)  # somebody has gone on with it
    runs.poll()
    assert panel(runs).state is RunsState.RUNNING and not panel(runs).problem


def test_one_that_was_gone_when_the_window_came_is_just_gone_on_with(made):
    session_of(made, pid=0)
    presenter = RunsPresenter(FakeView(), lambda: "python")
    presenter.open(made.folder)
    assert panel(presenter).can_go_on and not panel(presenter).problem


def test_a_run_that_a_command_line_does(runs, made):
    at_work(made.runs[0], {"state": "training", "epoch": 34, "epochs": 200})
    runs.poll()
    assert panel(runs).state is RunsState.RESTING and "Nothing runs" not in panel(runs).status
    assert "A process that no window has begun does this" in panel(runs).status
    assert runs.needs_polling and not panel(runs).can_stop


def test_stopped_from_outside(runs, made, tmp_path):
    begun(runs, made, tmp_path)
    session_of(made, "stopped")
    runs.spawned.process.returncode = 0
    runs.poll()
    assert panel(runs).can_go_on and not panel(runs).problem and runs.rests == [1]


def test_a_folder_that_vanishes_and_comes_back(runs, made, tmp_path):
    made.folder.rename(tmp_path / "elsewhere")
    runs.poll()
    assert panel(runs).problem and panel(runs).rows == ()
    assert panel(runs).status == f"The folder '{made.folder}' is not there. Connect its disk, or choose another folder."
    assert runs.needs_polling
    (tmp_path / "elsewhere").rename(made.folder)
    runs.poll()
    assert not panel(runs).problem and len(panel(runs).rows) == 3


def test_a_request_that_cannot_be_written_hides_nothing(runs, made, tmp_path):
    begun(runs, made, tmp_path)
    (made.folder / "session" / "request").mkdir()
    runs.pause()
    assert panel(runs).problem and panel(runs).status.endswith("0 of 6 done.")
    (made.folder / "session" / "request").rmdir()
    runs.pause()
    runs.poll()
    assert not panel(runs).problem and panel(runs).status == "0 of 6 done."


def test_one_that_has_only_just_been_started_is_stopped_at_once(runs, made, tmp_path):
    runs.start(tmp_path / "asked.json", made.folder, cpu=False)
    assert panel(runs).can_stop and not panel(runs).can_pause
    runs.stop()
    assert runs.spawned.process.returncode == -9
    assert panel(runs).state is RunsState.RESTING and not panel(runs).problem and panel(runs).can_go_on
    runs.go_on()
    runs.close(stop=True)
    assert runs.spawned.process.returncode == -9 and len(runs.spawned.commands) == 2


def test_stopped_before_there_was_a_plan(tmp_path):
    presenter = RunsPresenter(FakeView(), lambda: "python", spawn=Spawned())
    presenter.start(tmp_path / "asked.json", tmp_path / "new", cpu=False)
    presenter.stop()
    assert panel(presenter).status == "Nothing was begun in this folder." and not panel(presenter).can_go_on


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_a_process_is_ended_with_what_it_has_started(tmp_path):
    """As Slicer's Python, which runs behind a launcher."""
    log = tmp_path / "log.txt"
    process = spawn(["sh", "-c", "(while true; do echo alive; sleep 0.02; done) & wait"], dict(os.environ), log)
    wait_until(lambda: log.stat().st_size)
    process.kill()
    assert process.poll() == -9
    written = log.stat().st_size
    time.sleep(0.3)
    assert log.stat().st_size == written
    process.kill()  # once more does no harm


def test_the_packages_are_looked_at_before_it_goes_on(runs, made):
    asked = []
    runs._check = PackageCheck(lambda *question: asked.append(question))
    runs.go_on()
    assert panel(runs).status == "Checking the packages that training needs" and not panel(runs).can_go_on
    runs.go_on()
    runs.poll()
    assert len(asked) == 1 and asked[0][0] is True and panel(runs).state is RunsState.CHECKING
    asked[0][1]("Not installed yet: torch>=2.8.")
    assert panel(runs).problem and panel(runs).status == "Not installed yet: torch>=2.8." and panel(runs).can_go_on
    runs.go_on()
    asked[1][1]("")
    assert panel(runs).state is RunsState.STARTING and len(runs.spawned.commands) == 1 and not runs.rests


def test_a_check_is_given_up_with_its_window_or_its_benchmark(runs, made, tmp_path):
    asked = []
    runs._check = PackageCheck(lambda *question: asked.append(question))
    runs.go_on()
    runs.open(benchmark_makers.benchmark(tmp_path / "other").folder)
    runs.go_on()
    assert [is_wanted() for _gpu, _done, is_wanted in asked] == [False, True]
    runs.close()
    for _gpu, done, _is_wanted in asked:
        done("")
    assert not runs.spawned.commands


def test_who_looks_at_another_benchmark_still_has_the_first(runs, made, tmp_path):
    begun(runs, made, tmp_path)
    runs.open(benchmark_makers.benchmark(tmp_path / "other").folder)
    assert panel(runs).state is RunsState.RESTING
    runs.open(made.folder)
    assert panel(runs).state is RunsState.RUNNING
    with pytest.raises(InputError, match="running already"):
        runs.start(tmp_path / "asked.json", made.folder, cpu=False)
    runs.open(tmp_path / "other")
    runs.close(stop=True)
    assert (made.folder / "session" / "request").read_text() == "stop"


def test_pause_and_continue(runs, made):
    session_of(made)
    runs.poll()
    runs.pause()
    request = made.folder / "session" / "request"
    assert request.read_text() == "pause" and panel(runs).pause_text == "Pause"
    session_of(made, "paused")
    runs.poll()
    assert panel(runs).pause_text == "Continue" and panel(runs).status.startswith("Paused")
    runs.pause()
    assert request.read_text() == "continue"


def test_stop_and_go_on_as_it_was_begun(runs, made, tmp_path):
    runs.start(tmp_path / "asked.json", made.folder, cpu=True)
    session_of(made)
    runs.poll()
    runs.stop()
    assert panel(runs).state is RunsState.STOPPING and not panel(runs).can_stop
    runs.poll()
    assert panel(runs).status == "Stopping after the present step"
    session_of(made, "stopped")
    runs.spawned.process.returncode = 0
    runs.poll()
    assert panel(runs).state is RunsState.RESTING and runs.rests == [1] and not panel(runs).problem
    runs.go_on()
    assert runs.spawned.commands[1][3:] == [str(made.folder / "plan.json"), "--output", str(made.folder), "--cpu"]


def test_another_window_finds_what_runs(runs, made):
    session_of(made)
    other = RunsPresenter(FakeView(), lambda: "python")
    other.open(made.folder)
    assert panel(other).state is RunsState.RUNNING and panel(other).can_stop


def test_when_all_is_done_there_is_nothing_to_go_on_with(runs, made):
    for run in made.runs:
        finish(run, 0.8)
    runs.poll()
    assert panel(runs).status == "All 6 runs are done." and panel(runs).go_on_tip == "Every run is done."
    assert not panel(runs).can_go_on and panel(runs).fraction == 1
    runs.stop()
    runs.pause()
    assert panel(runs).state is RunsState.RESTING


def test_nothing_is_open_at_first():
    presenter = RunsPresenter(FakeView(), lambda: "python")
    presenter.poll()
    presenter.go_on()
    presenter.show()
    assert panel(presenter).status.startswith("No benchmark is open.") and presenter.log is None


def test_a_python_that_cannot_be_started(made):
    def refuse(*_):
        raise FileNotFoundError("no such file")

    presenter = RunsPresenter(FakeView(), lambda: "/no/python", spawn=refuse)
    presenter.open(made.folder)
    presenter.go_on()
    assert panel(presenter).problem and "/no/python could not be started" in panel(presenter).status
    with pytest.raises(WorkerError):
        Session(made.folder / "session", lambda: "/no/python").start(made.folder, made.folder, Options())


# The process that does the runs


@pytest.fixture
def steward(made):
    """With a training at work, as far as its files tell."""
    training = made.runs[0].training
    write_json(training / "status.json", {"state": "training", **HERE, "updated": time.time()})
    ended = []
    with RunSession(made.folder / "session") as session:
        found = Steward(session, made.folder, lambda: ended.append(1))
        found.ended, found.training, found.own = ended, RunFolder(training), RunFolder(made.folder / "session")
        yield found


def test_requests_are_handed_on_to_the_trainings(steward):
    steward.look()
    assert steward.training.take_request() == ""
    steward.own.ask("pause")
    steward.look()
    assert steward.training.take_request() == "pause" and steward.own.status().state == "paused"
    steward.training.write_status(Status("paused", **HERE, updated=time.time()))
    steward.look()
    assert steward.training.take_request() == ""
    steward.own.ask("continue")
    steward.look()
    assert steward.training.take_request() == "continue" and steward.own.status().state == "training"


def test_one_that_somebody_else_paused_is_left_alone(steward):
    steward.training.write_status(Status("paused", **HERE, updated=time.time()))
    steward.look()
    assert steward.training.take_request() == ""


def test_a_stop_waits_for_the_trainings(steward):
    steward.own.ask("stop")
    steward.look()
    assert steward.training.take_request() == "stop" and not steward.ended
    steward.training.write_status(Status("stopped", **HERE, updated=time.time()))
    steward.look()
    assert steward.ended == [1] and steward.own.status().state == "stopped"


@pytest.mark.slow
def test_a_true_benchmark_is_stopped_and_gone_on_with(tmp_path):
    """A tiny network on the processor: begun, stopped within a training, found by another window, finished."""
    write_cases(tmp_path / "data", 4)
    text = 'methods.unet-2d.arguments = {"features": [4, 8]}\ndata.patch_2d = [16, 16]\noptimisation.batch = 2'
    chosen = PlanChoices(tmp_path / "data", ("unet-2d",), folds=2, folds_to_run=1, epochs=24, overrides=text, cpu=True)
    folder = tmp_path / "runs"
    first = RunsPresenter(FakeView(), lambda: sys.executable)
    first.start(write_plan(plan_of(chosen, "runs"), folder), folder, cpu=True)
    wait_until(lambda: first.runs and first.runs[0].epoch >= 2, first.poll)
    first.select(0, 0)
    assert first._view.curves and panel(first).rows[0].cells[0].text.startswith("epoch ")
    first.stop()
    wait_until(lambda: not first.is_running, first.poll)
    assert panel(first).rows[0].cells[0].text.startswith("stopped at "), panel(first)
    second = RunsPresenter(FakeView(), lambda: sys.executable)
    second.open(folder)
    assert panel(second).can_go_on
    second.go_on()
    wait_until(lambda: not second.is_running, second.poll)
    assert panel(second).rows[0].cells[0].text.startswith("done 0."), panel(second)
    epochs = [event["epoch"] for event in second.runs[0].training.events()]
    assert epochs == list(range(1, 25)) and RunsReader(folder).session.status().state == "done"
