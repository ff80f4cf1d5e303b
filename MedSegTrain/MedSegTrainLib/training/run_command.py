"""What the command `train` does, from its options to the bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from MedSegDLLib.bundle import Bundle
from MedSegDLLib.folders import cache_folder

from ..data.dataset import Dataset, open_dataset
from ..data.overview import counted
from ..data.plan_files import read_plan
from ..data.settings import parsed_settings
from .checkpoints import newest_whole
from .estimate import estimate
from .export import exported, install
from .for_dataset import cases_of_no_part, check_fits, planned_for, prepared, recipe_for, split_of, take_splits
from .machine import Machine
from .recipe import Data, merged, read_recipe, with_overrides
from .recipe_cases import folder_split, recipe_samples
from .recipe_fields import Recipe
from .run_folder import DONE, PREPARING
from .run_session import RunSession
from .train import Samples, train

BUNDLE = "bundle"

_PRESET, _MEMORY_GB = "modern", 8.0


def train_dataset(options) -> int:
    """Train on a data set; the folder of the training gets its split, its recipe and the bundle."""
    _use_threads(options.threads)
    Machine.choose(options.devices, options.cpu, options.nodes)  # before anything that takes long
    dataset = open_dataset(options.dataset)
    with RunSession(options.output) as session:
        given = read_recipe(options.recipe) if options.recipe else None
        overrides = _settings(options)
        data = _data(options, dataset, given, overrides.pop("data", {}))
        split = split_of(dataset, data["folds"], data["fold"], data["split_seed"], options.output)
        _tell_unused(cases_of_no_part(dataset, options.output))
        stopped = session.is_asked_to_stop
        if given:
            recipe = with_overrides(given, merged(overrides, {"data": data}))
        else:
            session.say(PREPARING, "Measuring the cases")
            what = options.network, options.dims or 3, options.memory or _MEMORY_GB
            arguments = *what, options.workers, stopped
            planned = read_plan(options.plan) if options.plan else planned_for(dataset, split, *arguments)
            recipe = recipe_for(dataset, planned, options.preset or _PRESET, data, overrides, options.name or "")
        check_fits(recipe, dataset)
        with _told(session) as progress:
            cache = options.cache or cache_folder() / "samples"
            samples = prepared(dataset, split, recipe, cache, progress, options.workers, stopped)
        for case in samples.skipped:
            print(f"Left out: {case.what}: {case.why}")
        return _run(options, session, recipe, samples.training, samples.validation, options.output / BUNDLE)


def train_recipe(options) -> int:
    """Train a recipe that says itself where its cases come from."""
    _use_threads(options.threads)
    recipe = with_overrides(read_recipe(options.recipe), _settings(options))
    if recipe.data.source == "folder":
        folder_split(recipe, options.data)  # raises what is wrong with it before anything is written
    Machine.choose(options.devices, options.cpu, options.nodes)
    with RunSession(options.runs / recipe.name) as session:
        return _run(options, session, recipe, recipe_samples(recipe, options.data), (), options.output / recipe.name)


def _run(options, session: RunSession, recipe: Recipe, training: Samples, validation: Samples, bundle: Path) -> int:
    folder = session.folder.path
    if session.leads and (options.estimate or newest_whole(folder)[0] is None):
        machine = Machine.choose(options.devices, options.cpu, options.nodes)
        print(estimate(recipe, training, validation, machine=machine, workers=options.workers).in_words)
    if options.estimate:
        session.leave_as_it_was()
        return 0
    where = {"devices": options.devices, "nodes": options.nodes, "allow_cpu": options.cpu, "workers": options.workers}
    checkpoint = train(recipe, folder, training, validation, initial=options.initial, control=session, **where)
    if session.leads:
        _finish(options, session, exported(recipe, checkpoint, bundle))
    return 0


def _finish(options, session: RunSession, bundle: Bundle) -> None:
    words = f"Wrote {bundle.folder}, {bundle.size_bytes / 1e6:.1f} MB."
    if options.install:
        install(bundle)
        words += f" MedSegDL offers it as '{bundle.name}'."
    print(words)
    session.say(DONE, words, remaining_seconds=0.0)


def _tell_unused(names: list[str]) -> None:
    if names:
        print(
            f"Not in the splits of this folder, and not used: {counted(len(names), 'case')}, such as '{names[0]}'. "
            "If they came later: train in another folder, with new splits."
        )


def _data(options, dataset: Dataset, recipe: Recipe | None, settings: dict) -> dict:
    """Entries of the recipe's `data`: as the recipe has them, where the command does not say other ones."""
    asked = {"folds": options.folds, "fold": options.fold, "split_seed": options.split_seed}
    said = {name: value for name, value in asked.items() if value is not None}
    if options.split:
        said["folds"], said["split_seed"] = take_splits(options.split, dataset, options.output)
    data = recipe.data if recipe else Data()
    return data.model_dump() | said | settings | {"source": "dataset", "name": dataset.name}


def _settings(options) -> dict:
    return parsed_settings(options.settings, "optimisation.steps=100")


def _use_threads(count: int | None) -> None:
    if count:
        torch.set_num_threads(count)


@contextmanager
def _told(session: RunSession) -> Iterator[Callable[[int, int, str], None]]:
    """Something to tell how many cases are done; drawn as a bar, and said in the status."""
    with tqdm(unit="case", desc="Preparing", disable=None) as bar:

        def show(done: int, total: int, name: str) -> None:
            bar.total, bar.n = total, done
            bar.refresh()
            session.say(PREPARING, f"Preparing the cases: {done} of {total}")

        yield show
