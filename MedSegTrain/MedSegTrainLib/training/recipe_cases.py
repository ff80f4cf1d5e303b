"""The cases of recipes that say themselves where those come from: a folder of files, or drawn phantoms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from MedSegDLLib.errors import InputError

from ..data.case import Case
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


def find_cases(folder: str | Path) -> list[Case]:
    """Pairs of `images/NAME` and `labels/NAME`, by name. Raises InputError for an image without labels.

    Every pair counts, whether its files can be used or not: `split` depends on their number.
    """
    folder = Path(folder)
    images = sorted(path for path in (folder / "images").glob("[!.]*") if path.is_file())
    if not images:
        raise InputError(f"'{folder}' holds no cases.", "It needs a folder 'images' and a folder 'labels'.")
    cases = [Case(path.name.split(".")[0], (path,), folder / "labels" / path.name) for path in images]
    unlabelled = [case.name for case in cases if not case.label.exists()]
    if unlabelled:
        raise InputError(
            f"{len(unlabelled)} images have no labels, the first is '{unlabelled[0]}'.",
            "Add the missing labels, or remove the images.",
        )
    return cases


def split(cases: Sequence, folds: int, fold: int, seed: int) -> tuple[list, list]:
    """Cases to train on and cases held back, for one fold of a seeded k-fold split that looks at nothing else.

    The shipped models were trained on it; `data.splits` is what data sets are split by. Raises InputError for fewer
    cases than folds.
    """
    if len(cases) < folds:
        raise InputError(f"{len(cases)} cases cannot be split into {folds} folds.", "Add cases, or take fewer folds.")
    order = np.random.default_rng(seed).permutation(len(cases))
    held_back = set(np.array_split(order, folds)[fold].tolist())
    return (
        [case for n, case in enumerate(cases) if n not in held_back],
        [case for n, case in enumerate(cases) if n in held_back],
    )


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
