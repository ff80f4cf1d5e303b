"""The cases of recipes that say themselves where those come from: a folder of files, or drawn phantoms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from MedSegDLLib.errors import InputError

from ..data.cases import Case, find_cases, split
from ..data.samples import Sample, prepare_sample
from .recipe_fields import Recipe


def recipe_samples(recipe: Recipe, data: Path | None) -> list[Callable[[], Sample]]:
    """Samples to train on, prepared and kept in memory. Those held back are for judging the result alone.

    Args:
        data: folder of the cases, for recipes that read files.
    """
    if recipe.data.source == "thorax-phantom":
        return [_phantom_sample(seed, recipe) for seed in phantom_seeds(recipe)[0]]
    return [_folder_sample(case, recipe) for case in folder_split(recipe, data)[0]]


def folder_split(recipe: Recipe, data: Path | None) -> tuple[list[Case], list[Case]]:
    """Cases to train on and cases held back."""
    if data is None:
        raise InputError(f"The recipe '{recipe.name}' reads cases from a folder.", "Name it with --data.")
    return split(find_cases(data), recipe.data.folds, recipe.data.fold, recipe.data.split_seed)


def phantom_seeds(recipe: Recipe) -> tuple[range, range]:
    """Seeds of the phantoms to train on and of those held back."""
    return range(recipe.data.cases), range(10**6, 10**6 + recipe.data.held_back)


def _phantom_sample(seed: int, recipe: Recipe) -> Callable[[], Sample]:
    from ..data.phantom import draw_thorax

    phantom = draw_thorax(seed)
    return _kept(prepare_sample(phantom.image, phantom.truth, recipe.spec))


def _folder_sample(case: Case, recipe: Recipe) -> Callable[[], Sample]:
    return _kept(prepare_sample(*case.load(), recipe.spec))


def _kept(sample: Sample) -> Callable[[], Sample]:
    kept = sample.halved()
    return lambda: kept
