"""A Dask cluster for a benchmark: one that runs already, or one that SLURM, Kubernetes or this machine gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from MedSegDLLib.errors import InputError, WorkerError

_SECONDS_FOR_A_SCHEDULER = 30
_SECONDS_FOR_A_WORKER = 24 * 3600  # a queue may be long

_MADE_BY = {
    "slurm": ("dask_jobqueue", "SLURMCluster", "dask-jobqueue"),
    "kubernetes": ("dask_kubernetes.operator", "KubeCluster", "dask-kubernetes"),
}


@contextmanager
def client_of(cluster: str, workers: int) -> Iterator:
    """A distributed.Client of a cluster that has at least one worker.

    Args:
        cluster: address of a scheduler ("tcp://host:8786"), or "local", "slurm", "kubernetes". What SLURM and
            Kubernetes must know (partition, memory, GPU, container image) stands in Dask's own configuration, see
            https://jobqueue.dask.org and https://kubernetes.dask.org.
        workers: to ask for; without effect on a cluster that runs already.

    Raises InputError for an unknown kind or a missing package, WorkerError for a scheduler that does not answer or has
    no worker.
    """
    from distributed import Client

    with _made(cluster, workers) as address:
        try:
            client = Client(address, timeout=_SECONDS_FOR_A_SCHEDULER)
        except (OSError, ValueError) as error:
            remedy = "Check the address, and that 'dask scheduler' runs there in the same version."
            raise WorkerError(f"No Dask scheduler answers at '{cluster}'.", remedy, str(error)) from error
        with client:
            _wait_for_a_worker(client)
            yield client


def _wait_for_a_worker(client) -> None:
    try:
        client.wait_for_workers(1, timeout=_SECONDS_FOR_A_WORKER)
    except OSError as error:  # also of time that is up
        remedy = "See in its queue why none was started, or start one with 'dask worker'."
        raise WorkerError("The cluster has given no worker.", remedy, str(error)) from error


@contextmanager
def _made(cluster: str, workers: int) -> Iterator:
    """What a Client connects to."""
    if "://" in cluster:
        yield cluster
        return
    if cluster == "local":
        from distributed import LocalCluster

        made = LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)
    elif cluster in _MADE_BY:
        made = _class_of(cluster)()
        made.scale(workers)
    else:
        raise InputError(
            f"There is no cluster '{cluster}'.",
            f"Name the address of a Dask scheduler (tcp://host:8786), or local, {', '.join(_MADE_BY)}.",
        )
    with made:
        yield made


def _class_of(cluster: str):
    module, name, package = _MADE_BY[cluster]
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        remedy = f"Install it: pip install {package}. Or start Dask yourself and name its scheduler's address."
        raise InputError(f"The cluster '{cluster}' needs {package}.", remedy, str(error)) from error
