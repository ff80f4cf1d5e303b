"""A bundle on the cases that its recipe held back, and what of it goes into the bundle and its model card."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from MedSegDLLib.bundle import Bundle, write_metadata
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import Volume

from ..training.model_card import write_model_card
from ..training.recipe import Recipe
from ..training.recipe_cases import folder_split, phantom_seeds
from .evaluate import LabelledCase, evaluate
from .rows import COUNTED, Row
from .summary import by_structure, case_means, over_structures


@dataclass(frozen=True)
class HeldBack:
    """A case that is drawn when it is needed."""

    name: str
    load: Callable[[], tuple[Sequence[Volume], Volume]]
    patient: str = ""
    not_contoured: Collection[str] = ()


def held_back_cases(recipe: Recipe, data: Path | None) -> Iterator[LabelledCase]:
    """Every case that the recipe did not train on."""
    if recipe.data.source == "thorax-phantom":
        for seed in phantom_seeds(recipe)[1]:
            yield HeldBack(f"phantom {seed}", partial(_drawn, seed))
    else:
        yield from folder_split(recipe, data)[1]


def _drawn(seed: int) -> tuple[Sequence[Volume], Volume]:
    from ..data.phantom import draw_thorax

    phantom = draw_thorax(seed)
    return (phantom.image,), phantom.truth


def evaluate_bundle(folder: Path, cases: Iterable, **options) -> list[Row]:
    """Rows of a bundle on the CPU for cases with labels of its values; `options` are the predictor's."""
    predictor = Predictor(Bundle.load(folder), "cpu", **options)
    return evaluate(predictor, cases, predictor.bundle.spec.labels)


@dataclass(frozen=True)
class Measured:
    """How figures came about.

    Attributes:
        split: a sentence on the cases.
        command: that repeats it.
        precision: what the network computed with, as `Predictor.report` has it.
        device: in words.
    """

    split: str
    command: str
    precision: str
    device: str = "the CPU"

    @staticmethod
    def by_recipe(recipe: Recipe, precision: str) -> Measured:
        """On the cases that a recipe held back itself."""
        data = recipe.data
        files = " --data FOLDER" if data.source == "folder" else ""
        command = f"python -m MedSegTrainLib evaluate {recipe.name}.yaml{files} --bundle MODELS/{recipe.name}"
        if data.source == "thorax-phantom":
            split = f"Drawn with seeds that training did not use ({data.cases} phantoms were trained on)."
        else:
            split = f"Held back from training: fold {data.fold} of {data.folds}, split seed {data.split_seed}."
        return Measured(split, command, precision)


def record_results(folder: Path, rows: Sequence[Row], recipe: Recipe, how: Measured) -> dict:
    """Write the mean Dice over the cases into the bundle's metadata and model card, and return it.

    Raises InputError where no case was judged.
    """
    results = summary(rows, how)
    bundle = write_metadata(folder, recipe.description, replace(recipe.spec, results=results))
    write_model_card(bundle, recipe)
    return results


def summary(rows: Sequence[Row], how: Measured) -> dict:
    """Mean Dice of each structure that the cases have, and how it was measured."""
    if not any(row.status in COUNTED for row in rows):
        raise InputError("No case could be judged.", rows[0].reason if rows else "Name the folder of the cases.")
    structures = {name: its.mean for name, its in by_structure(rows, "dice").items() if its.mean is not None}
    means = [mean for mean in case_means(rows, "dice").values() if mean is not None]
    return {
        "dice": {name: round(mean, 4) for name, mean in structures.items()},
        "mean_dice": round(over_structures(rows, "dice").mean, 4),
        "worst_case": round(min(means), 4),
        "cases": len(means),
        **asdict(how),
    }


def trained_on(recipe: Recipe | None, dataset: str, splits: int, fold: int, part: str) -> str:
    """Why figures on a part of a data set would flatter a model that learned from it; "" where they would not.

    Args:
        recipe: that the model was made by; None where it is not known.
        dataset: its name.
        splits: how many the file of splits has; 0 where all cases are judged.
    """
    if recipe is None or recipe.data.source != "dataset" or recipe.data.name != dataset:
        return ""
    data = recipe.data
    if splits and (splits, fold, part) == (data.folds, data.fold, "test"):
        return ""
    return (
        f"The model has learned from cases of '{dataset}': only the part 'test' of fold {data.fold} of {data.folds} "
        f"(split seed {data.split_seed}) is new to it."
    )
