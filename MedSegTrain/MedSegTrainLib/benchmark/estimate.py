"""What a benchmark will take before it starts: time, memory and disk, from a few real steps of every network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from MedSegDLLib.errors import MedSegError
from MedSegDLLib.interaction.measures import bytes_text, seconds_text
from MedSegDLLib.networks import create

from ..data.cache import SampleCache, preparation_key, sample_bytes
from ..training.estimate import estimate
from ..training.machine import Machine
from ..training.recipe import Recipe
from .methods import check_methods
from .order import Order, orders
from .plan import NetworkMethod, Plan
from .runs import Run
from .selection import Selection, select
from .task import Task
from .trained import cache_folder_of, planned_recipe

_BUNDLE_BYTES_A_WEIGHT = 4  # halves, in the weights' file and in the graph
_CHECKPOINT_BYTES_A_WEIGHT = 32  # two files of weights, their average and two numbers of the optimiser

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class MethodEstimate:
    """A network of the plan on one data set.

    Attributes:
        seconds: of one run.
        memory_bytes: at least.
        problem: why it cannot be trained here; '' if it can.
    """

    method: str
    data_set: str
    seconds: float = 0.0
    memory_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True)
class PlanEstimate:
    """All runs of a plan, one after another.

    Attributes:
        device: its description.
        seconds: of all trainings; judging the test cases and the baselines are not counted.
        disk_bytes: at the most, at any time.
        free_disk_bytes: where the runs go.
        networks: each of them.
        runs: of networks and baselines.
    """

    device: str
    seconds: float
    disk_bytes: int
    free_disk_bytes: int
    networks: tuple[MethodEstimate, ...]
    runs: int


def estimate_plan(
    plan: Plan, output: Path, data: Path, cpu: bool = False, progress: Progress = lambda *_: None
) -> PlanEstimate:
    """Plan and train a few steps of each network on the first of its cases; what is prepared for it is kept.

    Args:
        output: folder of the benchmark, which need not exist.
        data: folder of data sets whose path is relative.
        cpu: train on the processor.
        progress: told how many networks are done, of how many, and which comes next.

    Raises:
        DeviceError: there is no GPU, and nobody said that the processor will do.
        InputError: a method of the plan cannot be made, or a data set not be used.
    """
    machine = Machine.choose("cpu" if cpu else "auto")
    check_methods(plan)
    first = _first_orders(plan)
    runs_of_each = len(plan.folds_to_run) * len(plan.seeds)
    found, disk = [], _Disk(plan.keep.bundles, runs_of_each)
    for n, order in enumerate(first):
        progress(n, len(first), order.method.label)
        found.append(_estimated(order, output, data, machine, disk))
    existing = next(folder for folder in (output, *output.parents) if folder.exists())
    return PlanEstimate(
        device=machine.description,
        seconds=runs_of_each * sum(one.seconds for one in found),
        disk_bytes=disk.bytes,
        free_disk_bytes=shutil.disk_usage(existing).free,
        networks=tuple(found),
        runs=len(orders(plan)),
    )


def _first_orders(plan: Plan) -> list[Order]:
    """One run of each network on each data set."""
    first: dict[tuple[str, str], Order] = {}
    for order in orders(plan):
        if isinstance(order.method, NetworkMethod):
            first.setdefault((order.data_set.name, order.method.name), order)
    return list(first.values())


def _estimated(order: Order, output: Path, data: Path, machine: Machine, disk: _Disk) -> MethodEstimate:
    task = Task(order.model_dump_json(), str(output), str(data), machine.accelerator)
    run, names = Run(output, order), (order.method.name, order.data_set.name)
    chosen = select(order, data)
    try:
        recipe = planned_recipe(task, run, chosen)
        cache = SampleCache(cache_folder_of(task, run), recipe.spec)
        samples = [_alike(cache, cases) for cases in (chosen.training, chosen.validation)]
        found = estimate(recipe, *samples, machine=machine)
    except MedSegError as error:
        return MethodEstimate(*names, problem=str(error))
    disk.add(recipe, chosen)
    return MethodEstimate(*names, found.seconds, found.memory_bytes)


def _alike(cache: SampleCache, cases: Sequence) -> list:
    """As many samples as there are cases, all of them that of the first which can be prepared."""
    for case in cases:
        try:
            return cache.samples([case]) * len(cases)
        except MedSegError as error:
            if case is cases[-1]:
                raise error
    return []


class _Disk:
    """Adds up what a benchmark puts on the disk; networks that prepare their cases alike share them."""

    def __init__(self, keeps_bundles: bool, runs_of_each: int):
        self._keeps_bundles, self._runs = keeps_bundles, runs_of_each
        self._prepared: dict[str, int] = {}
        self._bundles = self._checkpoints = 0

    @property
    def bytes(self) -> int:
        return sum(self._prepared.values()) + self._bundles + self._checkpoints

    def add(self, recipe: Recipe, chosen: Selection) -> None:
        spec, weights = recipe.spec, _weights(recipe)
        cases = chosen.dataset.cases
        self._prepared[preparation_key(spec)] = sum(sample_bytes(case, spec, half=True) for case in cases)
        self._bundles += _BUNDLE_BYTES_A_WEIGHT * weights * (self._runs if self._keeps_bundles else 0)
        self._checkpoints = max(self._checkpoints, _CHECKPOINT_BYTES_A_WEIGHT * weights)


def _weights(recipe: Recipe) -> int:
    network = recipe.spec.network
    with torch.device("meta"):
        made = create(
            network.name, network.spatial_dims, network.in_channels, network.out_channels, **network.arguments
        )
    return sum(parameter.numel() for parameter in made.parameters())


def tell(estimate: PlanEstimate) -> Iterator[str]:
    """Lines for a terminal."""
    for one in estimate.networks:
        told = one.problem or f"{seconds_text(one.seconds)} a run, at least {bytes_text(one.memory_bytes)} of memory"
        yield f"{one.data_set}/{one.method}: {told}"
    yield (
        f"{estimate.runs} runs on {estimate.device}: about {seconds_text(estimate.seconds)} of training, "
        f"{bytes_text(estimate.disk_bytes)} of disk ({bytes_text(estimate.free_disk_bytes)} are free)."
    )
