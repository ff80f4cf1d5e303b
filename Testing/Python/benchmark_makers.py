"""Benchmarks whose runs take no time: a plan of nothing, and work that only pretends."""

from __future__ import annotations

import os
import time
from pathlib import Path

from MedSegDLLib.errors import CancelledError, InputError
from MedSegTrainLib.benchmark.folder import Benchmark, create
from MedSegTrainLib.benchmark.plan import Plan, parse_plan
from MedSegTrainLib.benchmark.runs import Result, Run
from MedSegTrainLib.benchmark.task import Task
from MedSegTrainLib.evaluation.rows import Row

STRUCTURES = ("front", "back")


def plan(**changes) -> Plan:
    """Two networks and a baseline in two folds; `changes` replace its parts."""
    return parse_plan(
        {
            "name": "toy",
            "data_sets": [{"name": "balls", "path": "balls"}],
            "networks": [
                {"network": "unet", "dims": 2, "label": "U-Net"},
                {"network": "fcnn", "dims": 2, "label": "FCNN"},
            ],
            "baselines": [{"baseline": "threshold", "label": "Thresholding"}],
            "folds": 2,
        }
        | changes
    )


def benchmark(folder: Path, **changes) -> Benchmark:
    return create(folder, plan(**changes))[0]


def tasks(made: Benchmark, work: str, **options) -> list[Task]:
    return [
        Task(run.order.model_dump_json(), str(made.folder), work=f"benchmark_makers:{work}", **options)
        for run in made.runs
    ]


def rows(run: Run, dice: float = 0.8) -> list[Row]:
    """Two cases of the run's fold with two structures each."""
    return [
        Row(f"case-{run.order.fold}{n}", f"patient-{n}", structure, "found", {"dice": value, "hd_mm": 2.0}, 0.1, 60.0)
        for n, value in enumerate((dice, round(dice - 0.1, 6)))
        for structure in STRUCTURES
    ]


def counted(run: Run) -> None:
    """Note that the run's work was begun; how often shows whether anything is done twice."""
    with open(run.folder.parents[2] / "begun.txt", "a") as file:
        file.write(f"{run.name}\n")


def begun(made: Benchmark) -> list[str]:
    path = made.folder / "begun.txt"
    return path.read_text().splitlines() if path.exists() else []


# Work, as the processes of runs find it by its name


def at_once(task: Task, run: Run) -> Result:
    counted(run)
    return Result(rows(run), {"seconds": {"training": 5.0}})


def in_half_a_second(task: Task, run: Run) -> Result:
    time.sleep(0.5)
    return at_once(task, run)


def fails_for_fcnn(task: Task, run: Run) -> Result:
    if run.order.method.name == "fcnn":
        raise InputError("The network has no luck.", "Try another.")
    return at_once(task, run)


def is_stopped(task: Task, run: Run) -> Result:
    raise CancelledError("Stopped after step 3 of 9.", "It goes on.")


def raises_what_nobody_expected(task: Task, run: Run) -> Result:
    print("about to divide")
    raise ZeroDivisionError("division by zero")


def dies(task: Task, run: Run) -> Result:
    os._exit(7)


def tells_its_gpu(task: Task, run: Run) -> Result:
    time.sleep(0.3)
    return Result(rows(run), {"gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "threads": os.environ["OMP_NUM_THREADS"]})


def goes_on_step_by_step(task: Task, run: Run) -> Result:
    """Ten steps of a tenth of a second, kept as a training keeps its checkpoint; begun anew, it goes on from there."""
    counted(run)
    run.training.mkdir(parents=True, exist_ok=True)
    while (done := len(steps_of(run))) < 10:
        time.sleep(0.1)
        with open(run.training / "steps.txt", "a") as file:
            file.write(f"{done + 1}\n")
    return Result(rows(run), {"seconds": {"training": 1.0}})


def steps_of(run: Run) -> list[int]:
    """Those that were done of `goes_on_step_by_step`, in the order in which they were."""
    kept = run.training / "steps.txt"
    return list(map(int, kept.read_text().split())) if kept.exists() else []
