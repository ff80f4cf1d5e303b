"""Dice of a bundle on cases that it never saw, through the predictor that its users get."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from MedSegDLLib.bundle import Bundle, Specification, write_metadata
from MedSegDLLib.engine.predictor import Predictor
from MedSegDLLib.volume import Volume

from ..training.model_card import write_model_card
from ..training.recipe import Recipe
from ..training.train import folder_split, phantom_seeds


@dataclass(frozen=True)
class Scores:
    """Dice of each structure in one case; NaN where neither truth nor result has it."""

    case: str
    dice: dict[str, float]
    seconds: float
    precision: str

    @property
    def mean(self) -> float:
        return float(np.nanmean(list(self.dice.values())))


def held_back_cases(recipe: Recipe, data: Path | None) -> Iterator[tuple[str, Volume, Volume]]:
    """Name, image and truth of every case that the recipe did not train on."""
    if recipe.data.source == "thorax-phantom":
        from ..data.phantom import draw_thorax

        for seed in phantom_seeds(recipe)[1]:
            phantom = draw_thorax(seed)
            yield f"phantom {seed}", phantom.image, phantom.truth
    else:
        for case in folder_split(recipe, data)[1]:
            yield case.name, *case.load()


def evaluate_bundle(folder: Path, cases, **options) -> list[Scores]:
    """Segment every case; `options` are the predictor's."""
    predictor = Predictor(Bundle.load(folder), "cpu", **options)
    return [_score(predictor, *case) for case in cases]


def _score(predictor: Predictor, name: str, image: Volume, truth: Volume) -> Scores:
    result = predictor.segment(image)
    values = dice(result.array, truth.array, predictor.bundle.spec)
    return Scores(name, values, predictor.report.total_seconds, predictor.report.precision)


def dice(result: np.ndarray, truth: np.ndarray, spec: Specification) -> dict[str, float]:
    """Dice of each label of the specification between two labelmaps of one shape; NaN where neither has it."""
    return {label.name: _dice(result == label.value, truth == label.value) for label in spec.labels}


def _dice(result: np.ndarray, truth: np.ndarray) -> float:
    """Not MONAI's, which has no value for a structure that was found where there is none: here that is 0."""
    size = np.count_nonzero(result) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(result & truth) / size if size else float("nan")


def record_results(folder: Path, scores: list[Scores], recipe: Recipe) -> dict:
    """Write the mean over the cases into the bundle's metadata and model card, and return it."""
    bundle = Bundle.load(folder)
    results = summary(scores, recipe)
    bundle = write_metadata(folder, recipe.description, replace(recipe.spec, results=results))
    write_model_card(bundle, recipe)
    return results


def summary(scores: list[Scores], recipe: Recipe) -> dict:
    """Mean Dice of each structure that the cases have, and how it was measured."""
    names = [name for name in scores[0].dice if not all(np.isnan(s.dice[name]) for s in scores)]
    return {
        "dice": {name: round(float(np.nanmean([s.dice[name] for s in scores])), 4) for name in names},
        "mean_dice": round(float(np.nanmean([s.mean for s in scores])), 4),
        "worst_case": round(float(np.nanmin([s.mean for s in scores])), 4),
        "cases": len(scores),
        "precision": scores[0].precision,
        "split": _split_in_words(recipe),
        "command": _command(recipe),
    }


def write_scores(path: Path, scores: list[Scores]) -> None:
    """A CSV file with a row a case."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", *scores[0].dice, "mean", "seconds"])
        for s in scores:
            writer.writerow([s.case, *(f"{d:.4f}" for d in s.dice.values()), f"{s.mean:.4f}", f"{s.seconds:.3f}"])


def _split_in_words(recipe: Recipe) -> str:
    data = recipe.data
    if data.source == "thorax-phantom":
        return f"Drawn with seeds that training did not use ({data.cases} phantoms were trained on)."
    return f"Held back from training: fold {data.fold} of {data.folds}, split seed {data.split_seed}."


def _command(recipe: Recipe) -> str:
    data = " --data FOLDER" if recipe.data.source == "folder" else ""
    return f"python -m MedSegTrainLib evaluate {recipe.name}.yaml{data} --bundle MODELS/{recipe.name}"
