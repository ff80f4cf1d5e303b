"""Runs on several GPUs and on a Dask cluster: a real scheduler and worker processes, one of which is killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import benchmark_makers as makers
from MedSegDLLib.errors import DeviceError, InputError, WorkerError
from MedSegTrainLib.benchmark.clusters import client_of
from MedSegTrainLib.benchmark.folder import summary
from MedSegTrainLib.benchmark.queue import Budget, Queue
from MedSegTrainLib.benchmark.runs import DONE, FAILED, RUNNING
from MedSegTrainLib.benchmark.schedulers import on_dask, one_per_gpu, serial, visible_gpus
from run import ROOT


@pytest.fixture(autouse=True)
def work_is_found(monkeypatch):
    """By the processes of runs, and by the workers that start them."""
    folders = [ROOT / "MedSegDL", ROOT / "MedSegTrain", ROOT / "Testing" / "Python", ROOT / "Testing"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))


@pytest.fixture
def made(tmp_path):
    return makers.benchmark(tmp_path / "runs")


# ---- GPUs


def test_each_gpu_does_one_run_at_a_time(tmp_path):
    made = makers.benchmark(tmp_path, only_folds=[0])
    queue = Queue(makers.tasks(made, "tells_its_gpu", threads=3))
    one_per_gpu(queue, ["4", "GPU-7"])
    facts = [run.result().facts for run in made.runs]
    assert sorted({fact["gpu"] for fact in facts}) == ["4", "GPU-7"] and {fact["threads"] for fact in facts} == {"3"}
    assert len(queue.outcomes) == 3


def test_without_a_gpu_it_is_said(made):
    with pytest.raises(DeviceError, match="No GPU was found"):
        one_per_gpu(Queue(makers.tasks(made, "at_once")), [])


def test_the_gpus_that_a_job_was_given(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-5")
    assert visible_gpus() == ["2", "GPU-5"]


# ---- Dask


@pytest.fixture
def cluster():
    """A scheduler and two workers, each a process of its own with a nanny that replaces it when it dies."""
    from distributed import LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(**options, silence_logs=logging.CRITICAL) as cluster:
        yield cluster


def processes_of(client) -> dict[str, int]:
    return client.run(os.getpid)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_a_worker_is_killed_in_the_middle_and_all_runs_are_done_none_twice(made, cluster):
    queue = Queue(makers.tasks(made, "goes_on_step_by_step"))
    with client_of(cluster.scheduler_address, 0) as client:
        workers = processes_of(client)
        assert len(set(workers.values()) - {os.getpid()}) == 2
        benchmark = threading.Thread(target=on_dask, args=(queue, client))
        benchmark.start()
        interrupted = killed_in_the_middle(made, workers)
        benchmark.join(120)
    assert not benchmark.is_alive()
    assert [outcome.outcome for outcome in queue.outcomes] == [DONE] * 6
    assert summary([run.state() for run in made.runs]) == "6 done"
    for run in made.runs:
        assert makers.steps_of(run) == list(range(1, 11)), "every step once, also where a process was killed"
    begun = makers.begun(made)
    assert {name: begun.count(name) for name in begun} == {
        run.name: 1 + (run.name == interrupted.name) for run in made.runs
    }


def killed_in_the_middle(made, workers):
    """Kill the worker of a run that is in the middle of its work; the run."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for run in made.runs:
            state = run.state()
            if state.name == RUNNING and 3 <= len(makers.steps_of(run)) <= 6:
                worker = parent_of(state.pid)
                assert worker in workers.values()
                os.kill(worker, signal.SIGKILL)
                return run
        time.sleep(0.02)
    raise AssertionError("no run came to its third step")


def parent_of(pid: int) -> int:
    import psutil

    return psutil.Process(pid).ppid()


@pytest.fixture
def processes(tmp_path):
    """A scheduler and its worker, as 'dask scheduler' and 'dask worker' start them, and where they are found."""
    file = tmp_path / "scheduler.json"
    places = ["--scheduler-file", str(file), "--no-dashboard"]
    with (tmp_path / "dask.log").open("w") as log:
        started = [
            subprocess.Popen([sys.executable, "-m", f"distributed.cli.{what}", *places, *more], stderr=log)
            for what, more in (("dask_scheduler", ["--port", "0"]), ("dask_worker", ["--nthreads", "1"]))
        ]
        until(file.exists)
        yield *started, json.loads(file.read_text())["address"]
        for process in started:
            process.terminate()
            process.wait(60)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_a_scheduler_that_is_gone_is_said_and_what_is_done_is_not_done_again(tmp_path, processes):
    made, (scheduler, worker, address) = makers.benchmark(tmp_path / "runs", only_folds=[0]), processes
    queue = Queue(makers.tasks(made, "goes_on_step_by_step"))
    with client_of(address, 0) as client, pytest.raises(WorkerError, match="scheduler is lost. Start the scheduler"):
        threading.Thread(target=lambda: (until(lambda: queue.outcomes), scheduler.kill()), daemon=True).start()
        on_dask(queue, client)
    worker.terminate()
    worker.wait(60)
    done = [outcome.name for outcome in queue.outcomes]
    assert 1 <= len(done) < 3 and queue.left
    again = Queue(makers.tasks(made, "goes_on_step_by_step"))
    serial(again)
    assert summary([run.state() for run in made.runs]) == "3 done"
    assert not {outcome.name for outcome in again.outcomes} & set(done)
    for run in made.runs:
        assert makers.steps_of(run) == list(range(1, 11))


def test_a_cluster_without_a_worker_is_said(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr("MedSegTrainLib.benchmark.clusters._SECONDS_FOR_A_WORKER", 0.5)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None) as empty,
        pytest.raises(WorkerError, match="has given no worker. See in its queue"),
        client_of(empty.scheduler_address, 0),
    ):
        raise AssertionError("there is nobody")


def test_what_a_worker_raises_is_told(made, monkeypatch):
    def launch(task):
        raise OSError("the worker's disk is gone")

    monkeypatch.setattr("MedSegTrainLib.benchmark.schedulers.launch", launch)
    queue = Queue(makers.tasks(made, "at_once"))
    with client_of("local", 1) as client:
        on_dask(queue, client, at_once=3)
    assert [outcome.outcome for outcome in queue.outcomes] == [FAILED] * 6
    assert {outcome.reason for outcome in queue.outcomes} == {"The cluster gave it up: the worker's disk is gone"}


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_a_budget_holds_on_a_cluster_too(made):
    queue = Queue(makers.tasks(made, "at_once"), Budget(runs=3))
    with client_of("local", 1) as client:
        on_dask(queue, client, at_once=2)
    assert len(queue.outcomes) == 3 and summary([run.state() for run in made.runs]) == "3 done, 3 waiting"


@pytest.mark.parametrize("cluster", ["slurm", "kubernetes"])
def test_what_a_cluster_needs_is_said(cluster):
    with pytest.raises(InputError, match="pip install dask-"), client_of(cluster, 1):
        raise AssertionError("it is not installed here")


def test_a_cluster_that_does_not_exist(monkeypatch):
    with pytest.raises(InputError, match="There is no cluster 'lunar'"), client_of("lunar", 1):
        raise AssertionError("there is none")
    monkeypatch.setattr("MedSegTrainLib.benchmark.clusters._SECONDS_FOR_A_SCHEDULER", 0.5)
    with pytest.raises(WorkerError, match="No Dask scheduler answers"), client_of("tcp://127.0.0.1:9", 1):
        raise AssertionError("nobody answers")


def test_slurm_is_asked_for_workers(made, monkeypatch):
    from distributed import LocalCluster

    class Slurm(LocalCluster):
        """In place of dask-jobqueue's, which needs SLURM: without workers until it is asked for some."""

        def __init__(self):
            super().__init__(n_workers=0, threads_per_worker=1, processes=False, dashboard_address=None)

    monkeypatch.setattr("MedSegTrainLib.benchmark.clusters._class_of", {"slurm": Slurm}.__getitem__)
    queue = Queue(makers.tasks(made, "at_once"), Budget(runs=1))
    with client_of("slurm", 1) as client:
        on_dask(queue, client)
    assert [outcome.outcome for outcome in queue.outcomes] == [DONE]
