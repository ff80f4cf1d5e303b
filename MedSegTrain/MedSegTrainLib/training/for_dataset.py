"""From a data set and the name of a network to what `train` takes: split, plan, recipe, prepared cases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from MedSegDLLib.errors import InputError
from MedSegDLLib.folders import cache_folder
from MedSegDLLib.labels import Label

from ..data import splits
from ..data.cache import SampleCache
from ..data.dataset import Dataset, Skipped
from ..data.fingerprint import fingerprint
from ..data.planning import Plan, plan
from ..data.samples import Sample
from .recipe import make_recipe, merged
from .recipe_fields import Recipe

SPLITS = "splits.json"
_PLANNED_BATCH = ("modern",)
"""Presets that leave the batch to planning, as nnU-Net does; it then fits the memory and the size of the images."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Prepared:
    """Samples to train on and to validate on, and the cases that could not be used."""

    training: list[Callable[[], Sample]]
    validation: list[Callable[[], Sample]]
    skipped: tuple[Skipped, ...]


def split_of(dataset: Dataset, folds: int, fold: int, seed: int, folder: Path) -> splits.Split:
    """One of the splits in the folder's splits.json, which is made by the first call. `folds` 1: 70/15/15.

    Raises InputError where there is no such fold, or the file leaks, or is of other data or another number or seed.
    """
    path = folder / SPLITS
    if not path.exists():
        made = (splits.single(dataset, seed=seed),) if folds == 1 else splits.k_fold(dataset, folds, seed)
        splits.write(path, made, dataset, seed)
    found, made_by = splits.read(path, dataset), splits.seed_of(path)
    if (len(found), made_by) != (folds, seed):
        raise InputError(
            f"'{folder}' holds a training on other splits: {len(found)} with seed {made_by}, not {folds} with {seed}.",
            "Choose another folder, or the folds and the seed that it has.",
        )
    if not 0 <= fold < len(found):
        raise InputError(f"There is no fold {fold} in '{path}'.", f"Choose one from 0 to {len(found) - 1}.")
    return found[fold]


def cases_of_no_part(dataset: Dataset, folder: Path) -> list[str]:
    """Those that the folder's splits do not know, such as cases that came to the data set later."""
    first = splits.read(folder / SPLITS, dataset)[0]
    known = {*first.train, *first.validation, *first.test}
    return [case.name for case in dataset.cases if case.name not in known]


def take_splits(file: Path, dataset: Dataset, folder: Path) -> tuple[int, int]:
    """Have the training in a folder use splits that exist already; how many they are, and their seed.

    Raises InputError for what is no file of splits of this data, and where the folder has others.
    """
    found, seed = splits.read(file, dataset), splits.seed_of(file)
    if not (folder / SPLITS).exists():
        splits.write(folder / SPLITS, found, dataset, seed)
    elif splits.read(folder / SPLITS, dataset) != found:
        raise InputError(f"'{folder}' holds a training on other splits than '{file}'.", "Choose another folder.")
    return len(found), seed


def planned_for(
    dataset: Dataset,
    split: splits.Split,
    network: str,
    dims: int,
    memory_gb: float,
    workers: int,
    cancelled: Callable[[], bool] | None = None,
) -> Plan:
    """A plan that knows the cases to train on alone."""
    cases = dataset.select(split.train)
    kept = cache_folder() / "fingerprints"
    facts = fingerprint(cases, dataset.labels, dataset.channels, kept=kept, workers=workers, cancelled=cancelled)
    return plan(facts, dataset, network, dims, memory_gb=memory_gb)


def recipe_for(dataset: Dataset, planned: Plan, preset: str, data: dict, overrides: dict, name: str = "") -> Recipe:
    """The preset for a plan.

    Args:
        data: entries of the recipe's `data`: folds, fold, split_seed.
        overrides: any entries of the recipe; they win.
        name: of the model; else made of the data set's and the network's.
    """
    specification = planned.specification
    name = name or _safe(f"{dataset.name}-{specification.network.name}")
    about = {
        "title": f"{dataset.about.get('title') or dataset.name}, {specification.network.name}",
        "data_source": dataset.about.get("source") or dataset.about.get("title") or dataset.name,
    }
    given = {"data": {"name": dataset.name, **data}}
    if preset in _PLANNED_BATCH:
        given["optimisation"] = {"batch": planned.batch}
    return make_recipe(name, specification, about, preset, merged(given, overrides))


def check_fits(recipe: Recipe, dataset: Dataset) -> None:
    """Raise InputError where a recipe, or the plan it was made of, is for other images or structures."""
    known = {(label.value, label.name) for label in dataset.labels}
    if not known >= {(label.value, label.name) for label in recipe.spec.labels}:
        raise InputError(
            f"'{recipe.name}' is for {_listed(recipe.spec.labels)}; the data set '{dataset.name}' shows "
            f"{_listed(dataset.labels)}.",
            "Plan for this data set, or import it with the same names and values.",
        )
    if len(recipe.spec.channels) != len(dataset.channels):
        raise InputError(
            f"'{recipe.name}' is for {len(recipe.spec.channels)} images a case; the data set '{dataset.name}' has "
            f"{len(dataset.channels)}.",
            "Plan for this data set.",
        )


def _listed(labels: Iterable[Label]) -> str:
    return ", ".join(f"{label.name} ({label.value})" for label in labels)


def prepared(
    dataset: Dataset,
    split: splits.Split,
    recipe: Recipe,
    cache: Path,
    progress: Progress,
    workers: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> Prepared:
    """The cases as the recipe's network sees them, kept in the cache for the next time."""
    store = SampleCache(cache, recipe.spec)
    made, skipped = [], ()
    for names in (split.train, split.validation):
        made.append(store.samples(dataset.select(names), progress, cancelled, workers) if names else [])
        skipped += store.skipped if names else ()
    return Prepared(*made, skipped)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "model"
