"""A bundle on the cases that its recipe held back, and what of it goes into the bundle and its model card."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from MedSegDLLib.bundle import Bundle, write_metadata
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import Volume

from ..training.model_card import write_model_card
from ..training.recipe import Recipe
from ..training.recipe_cases import folder_split, phantom_seeds
from .evaluate import evaluate
from .rows import COUNTED, Row
from .summary import by_structure, case_means, over_structures


@dataclass(frozen=True)
class HeldBack:
    """A case that is drawn or read when it is needed."""

    name: str
    load: Callable[[], tuple[Sequence[Volume], Volume]]
    patient: str = ""
    not_contoured: Collection[str] = ()


def held_back_cases(recipe: Recipe, data: Path | None) -> Iterator[HeldBack]:
    """Every case that the recipe did not train on."""
    if recipe.data.source == "thorax-phantom":
        for seed in phantom_seeds(recipe)[1]:
            yield HeldBack(f"phantom {seed}", partial(_drawn, seed))
    else:
        for case in folder_split(recipe, data)[1]:
            yield HeldBack(case.name, partial(_read, case))


def _drawn(seed: int) -> tuple[Sequence[Volume], Volume]:
    from ..data.phantom import draw_thorax

    phantom = draw_thorax(seed)
    return (phantom.image,), phantom.truth


def _read(case) -> tuple[Sequence[Volume], Volume]:
    images, truth = case.load()
    return (images,) if isinstance(images, Volume) else images, truth


def evaluate_bundle(folder: Path, cases: Iterable, **options) -> list[Row]:
    """Rows of a bundle on the CPU for cases with labels of its values; `options` are the predictor's."""
    predictor = Predictor(Bundle.load(folder), "cpu", **options)
    return evaluate(predictor, cases, predictor.bundle.spec.labels)


def record_results(folder: Path, rows: Sequence[Row], recipe: Recipe, precision: str) -> dict:
    """Write the mean Dice over the cases into the bundle's metadata and model card, and return it.

    Args:
        precision: what the network computed with, as `Predictor.report` has it.

    Raises InputError where no case was judged.
    """
    bundle = Bundle.load(folder)
    results = summary(rows, recipe, precision)
    bundle = write_metadata(folder, recipe.description, replace(recipe.spec, results=results))
    write_model_card(bundle, recipe)
    return results


def summary(rows: Sequence[Row], recipe: Recipe, precision: str) -> dict:
    """Mean Dice of each structure that the cases have, and how it was measured."""
    if not any(row.status in COUNTED for row in rows):
        raise InputError("No case could be judged.", rows[0].reason if rows else "Name the folder of the cases.")
    structures = {name: its.mean for name, its in by_structure(rows, "dice").items() if its.mean is not None}
    means = [mean for mean in case_means(rows, "dice").values() if mean is not None]
    return {
        "dice": {name: round(mean, 4) for name, mean in structures.items()},
        "mean_dice": round(over_structures(rows, "dice").mean, 4),
        "worst_case": round(min(means), 4),
        "cases": len({row.case for row in rows}),
        "precision": precision,
        "split": _split_in_words(recipe),
        "command": _command(recipe),
    }


def _split_in_words(recipe: Recipe) -> str:
    data = recipe.data
    if data.source == "thorax-phantom":
        return f"Drawn with seeds that training did not use ({data.cases} phantoms were trained on)."
    return f"Held back from training: fold {data.fold} of {data.folds}, split seed {data.split_seed}."


def _command(recipe: Recipe) -> str:
    data = " --data FOLDER" if recipe.data.source == "folder" else ""
    return f"python -m MedSegTrainLib evaluate {recipe.name}.yaml{data} --bundle MODELS/{recipe.name}"
