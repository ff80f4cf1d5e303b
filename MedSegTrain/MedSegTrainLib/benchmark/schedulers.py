"""Where the runs of a queue are done: here one after another, one per GPU, or on a cluster through Dask."""

from __future__ import annotations

import threading
from collections.abc import Callable

from MedSegDLLib.errors import DeviceError, WorkerError

from .launch import launch
from .queue import Queue
from .task import FAILED, Outcome, Task

Launch = Callable[[Task, dict[str, str]], Outcome]


def serial(queue: Queue, start: Launch = launch) -> None:
    """One after another on this machine."""
    _work(queue, start, {})


def one_per_gpu(queue: Queue, gpus: list[str], start: Launch = launch) -> None:
    """As many at once as there are GPUs, each of which sees its own alone.

    Args:
        gpus: as CUDA_VISIBLE_DEVICES names them: "0", "1", or UUIDs.

    Raises DeviceError if there is none.
    """
    if not gpus:
        raise DeviceError("No GPU was found.", "Use '--scheduler serial --cpu' to train on the processor.")
    environments = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus]
    threads = [threading.Thread(target=_work, args=(queue, start, each), daemon=True) for each in environments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def on_dask(queue: Queue, client, at_once: int | None = None) -> None:
    """On the workers of a Dask cluster. A run whose worker dies goes on with another one, from its last checkpoint.

    All workers must see the benchmark's folder under the same path, and its file system must know locks.

    Args:
        client: distributed.Client.
        at_once: runs to hand out; as many as the workers have threads if None.

    Raises WorkerError where the scheduler is lost; the runs that are done stay done.
    """
    from distributed import as_completed
    from distributed.comm import CommClosedError

    running = as_completed([])
    names = {}

    def fill() -> None:
        while running.count() < (at_once or _threads(client)) and (task := queue.take()):
            future = client.submit(launch, task, pure=False)
            names[future.key] = task.run.name
            running.add(future)

    try:
        fill()
        for future in running:
            queue.ended(_outcome(future, names[future.key]))
            fill()
    except CommClosedError as error:
        raise _lost(str(error)) from error


def visible_gpus() -> list[str]:
    """Names for CUDA_VISIBLE_DEVICES of the GPUs that this process may use."""
    import os

    import torch

    if chosen := os.environ.get("CUDA_VISIBLE_DEVICES", ""):
        return [name.strip() for name in chosen.split(",")]
    return [str(number) for number in range(torch.cuda.device_count())]


def _work(queue: Queue, start: Launch, environment: dict[str, str]) -> None:
    while task := queue.take():
        queue.ended(start(task, environment))


def _threads(client) -> int:
    return max(1, sum(client.nthreads().values()))


def _outcome(future, name: str) -> Outcome:
    """Also of a run that took down every worker which tried it."""
    if future.cancelled():
        raise _lost(f"{name}: {future.status}")
    error = future.exception()
    if error is None:
        return future.result()
    return Outcome(name, FAILED, f"The cluster gave it up: {' '.join(str(error).split()) or type(error).__name__}")


def _lost(details: str) -> WorkerError:
    return WorkerError(
        "The connection to the Dask scheduler is lost.",
        "Start the scheduler and its workers, then give the same command again: what is done is not done again.",
        details,
    )
