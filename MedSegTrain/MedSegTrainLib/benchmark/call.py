"""A benchmark as it is called from a terminal: what it does, and what it says of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from MedSegDLLib.errors import DeviceError, InputError
from MedSegDLLib.interaction.measures import seconds_text

from ..data.overview import counted
from . import folder as folders
from .durations import Durations
from .folder import Benchmark
from .plan import read_plan
from .queue import Budget, Queue, Rest
from .runs import DONE, FAILED, WAITING, Run, State
from .schedulers import on_dask, one_per_gpu, serial, visible_gpus
from .task import EXECUTE, Outcome, Task

ALL_WELL, SOME_FAILED = 0, 1


@dataclass(frozen=True)
class Where:
    """On which machines.

    Attributes:
        scheduler: "serial", "gpus" or "dask".
        cluster, workers: of Dask, see `clusters.client_of`.
        cpu: train on the processor.
        threads: processor cores for a run; 0 for all.
    """

    scheduler: str = "serial"
    cluster: str = "local"
    workers: int = 1
    cpu: bool = False
    threads: int = 0


def benchmark(
    plan_file: Path,
    output: Path,
    data: Path | None = None,
    only: Sequence[str] = (),
    where: Where | None = None,
    budget: Budget | None = None,
    work: str = EXECUTE,
) -> int:
    """Do the runs of a plan that are not done; the exit code is 1 if some failed.

    Args:
        output: folder of the benchmark; made if missing.
        data: folder of the data sets; that of the plan if None.
        only: names of methods; all if there is none.
        where: here and one after another if None.
        budget: all of it if None.
        work: see `Task.work`.

    Raises InputError, DeviceError, WorkerError, OutputError.
    """
    where = where or Where()
    plan = read_plan(plan_file)
    from .methods import check_methods

    check_methods(plan)
    if plan.networks and not where.cpu and where.scheduler != "dask":
        _check_gpu()
    made, aside = folders.create(output.resolve(), plan)
    for name in aside:
        print(f"{name}: the plan has changed; earlier results stay beside it and do not count.")
    data = (data or plan_file.parent).resolve()
    queue = Queue(_tasks(made, data, only, where, work), budget, _tell_start, _tell_end)
    if where.scheduler != "dask":  # whose workers may find the data where this computer does not
        _check_data(queue.left, data)
    _tell_summary(made)
    _work(queue, where)
    _tell_summary(made)
    if queue.left:
        print(f"{len(queue.left)} runs were not started; the same command goes on with them.")
    return SOME_FAILED if any(outcome.outcome == FAILED for outcome in queue.outcomes) else ALL_WELL


def tell_status(runs: Path, as_json: bool = False) -> int:
    """Print how every run stands, for people or for programs. Raises InputError."""
    made = folders.opened(runs)
    states = made.states()
    if as_json:
        told = [{"run": run.name, "folder": str(run.folder), "state": asdict(state)} for run, state in states]
        print(json.dumps({"benchmark": made.plan.name, "runs": told}))
        return ALL_WELL
    width = max(len(run.name) for run, _ in states)
    for run, state in states:
        where = f" on {state.host}" if state.host and state.name not in (DONE, WAITING) else ""
        print(f"{run.name:{width}}  {state.name}{where}  {state.reason}".rstrip())
    _tell_summary(made)
    _tell_rest(states)
    return ALL_WELL


def report(runs: Path, output: Path, pictures: bool = True) -> int:
    """Write the report of a benchmark, finished or not. Raises InputError, OutputError."""
    from .report.all_rows import write_all_rows
    from .report.build import build
    from .report.collect import collect
    from .report.write import write

    results = collect(folders.opened(runs))
    for path in [*write(build(results, pictures), output), write_all_rows(results, output)]:
        print(f"Wrote {path}.")
    return ALL_WELL


def _tasks(made: Benchmark, data: Path, only: Sequence[str], where: Where, work: str) -> list[Task]:
    device = "cpu" if where.cpu else "auto"
    return [
        Task(run.order.model_dump_json(), str(made.folder), str(data), device, where.threads, work)
        for run in made.chosen(only)
    ]


def _work(queue: Queue, where: Where) -> None:
    if where.scheduler == "serial":
        serial(queue)
    elif where.scheduler == "gpus":
        one_per_gpu(queue, visible_gpus())
    else:
        from .clusters import client_of

        with client_of(where.cluster, where.workers) as client:
            on_dask(queue, client)


def _check_data(tasks: Sequence[Task], data: Path) -> None:
    for data_set in {task.run.order.data_set.name: task.run.order.data_set for task in tasks}.values():
        if not (data / data_set.path).exists():
            raise InputError(
                f"The data set '{data_set.name}' of the plan is not there: there is no {data / data_set.path}.",
                "Name the folder that holds it with --data.",
            )


def _check_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise DeviceError(
            "There is no GPU, and on the processor a benchmark takes days.",
            "Add --cpu if that is meant; --minutes lets you do it in parts.",
        )


def _tell_summary(made: Benchmark) -> None:
    print(f"{made.plan.name}: {folders.summary([state for _, state in made.states()])}.", flush=True)


def _tell_rest(states: list[tuple[Run, State]]) -> None:
    durations, left = Durations(), []
    for run, state in states:
        if state.name == DONE:
            durations.learn(run.name, run.seconds())
        else:
            left.append(run.name)
    seconds = durations.of_all(left)
    if seconds:
        print(f"One after another, the {counted(len(left), 'run')} left would take about {seconds_text(seconds)}.")


def _tell_start(task: Task) -> None:
    print(f"{task.run.name} ...", flush=True)


def _tell_end(outcome: Outcome, rest: Rest) -> None:
    words = f": {outcome.reason}" if outcome.reason else ""
    print(f"{outcome.name}: {outcome.outcome} after {outcome.seconds:.0f} s{words}", flush=True)
    if rest.runs and rest.seconds is not None:
        print(f"{counted(rest.runs, 'run')} left, about {seconds_text(rest.seconds)}", flush=True)
