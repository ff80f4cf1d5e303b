"""A network of a plan: planned from the training cases, trained, exported, and loaded as its users get it."""

from __future__ import annotations

from pathlib import Path

from MedSegDLLib.engine.predictor import Predictor

from ..data.cache import SampleCache
from ..data.fingerprint import fingerprint
from ..data.planning import plan
from ..training.export import export_bundle
from ..training.facts import read_facts
from ..training.recipe import Recipe, make_recipe, merged
from ..training.train import train
from .clock import Clock
from .cost_process import cost_of
from .keeping import BUNDLE
from .methods import network_arguments
from .runs import Run
from .same_data import begin_on
from .selection import Selection
from .task import Task

CACHE = "cache"
"""Folder of prepared cases, which all runs of a benchmark share."""

_CASES_FOR_COST = 2
_OF_THE_TRAINING = ("steps", "planned_steps", "epochs", "precision", "hardware", "kept")


def trained_predictor(task: Task, run: Run, chosen: Selection, clock: Clock) -> tuple[Predictor, dict]:
    """The predictor of a network that has learned from the training cases, and what the report shall know of it."""
    with clock.measured("preparing"):
        recipe = planned_recipe(task, run, chosen)
        cache = SampleCache(cache_folder_of(task, run), recipe.spec)
        training, validation = cache.samples(chosen.training), cache.samples(chosen.validation)
    begin_on(run, chosen)
    checkpoint = train(recipe, run.training, training, validation, devices=task.device)
    learned = read_facts(run.training)
    clock.seconds["training"] = learned["seconds"]  # of all attempts
    with clock.measured("exporting"):
        bundle = export_bundle(recipe, checkpoint, run.folder / BUNDLE)
        cost = cost_of(bundle.folder, chosen.test[:_CASES_FOR_COST], task.device, task.threads)
    facts = {
        "cost": cost,
        "training": {key: learned[key] for key in _OF_THE_TRAINING},
        "plan": {"spacing_mm": recipe.spec.spacing_mm, "patch": recipe.spec.patch, "preset": recipe.preset},
    }
    return Predictor(bundle, task.device, threads=task.threads or None), facts


def planned_recipe(task: Task, run: Run, chosen: Selection) -> Recipe:
    """Planned from the training cases alone; the plan does not depend on the machine."""
    order, method, dataset = run.order, run.order.method, chosen.dataset
    facts = fingerprint(chosen.training, dataset.labels, dataset.channels, kept=cache_folder_of(task, run) / "measured")
    given = {"spacing_mm": order.data_set.spacing_mm, "patch": order.data_set.patch(method.dims)}
    planned = plan(
        facts,
        dataset,
        method.network,
        method.dims,
        network_arguments(method),
        overrides={name: value for name, value in given.items() if value is not None},
    )
    split = {"name": dataset.name, "folds": order.folds, "fold": order.fold, "split_seed": order.split_seed}
    overrides = merged(order.recipe.overrides, method.overrides)
    overrides = merged(overrides, {"optimisation": {"seed": order.seed}, "data": split})
    about = {
        "title": f"{method.label}, {order.data_set.title or dataset.name}",
        "data_source": dataset.about.get("title") or dataset.name,
    }
    name = f"{order.data_set.name}-{method.name}"  # under which its model may be installed beside other data sets'
    return make_recipe(name, planned.specification, about, order.recipe.preset, overrides)


def cache_folder_of(task: Task, run: Run) -> Path:
    """Where the prepared cases of its data set lie."""
    return Path(task.benchmark) / CACHE / run.order.data_set.name
