"""What is to be known of a finished training: how it went, on what, with which versions. For its model card."""

from __future__ import annotations

import json
from pathlib import Path

from MedSegDLLib.atomic import replacing

from ..data.versions import versions
from .machine import Machine
from .recipe_fields import Recipe
from .run_folder import RunFolder
from .schedule import Schedule

FACTS = "training.json"
_PACKAGES = ("torch", "monai", "lightning", "numpy")


def write_facts(folder: Path, facts: dict) -> None:
    with replacing(folder / FACTS) as partial:
        partial.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_facts(folder: Path) -> dict:
    """Empty where no training has ended in this folder."""
    try:
        return json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def facts_of(
    folder: RunFolder, recipe: Recipe, schedule: Schedule, machine: Machine, cases: dict[str, int], kept: str, step: int
) -> dict:
    """Of a training that has just ended.

    Args:
        cases: numbers of cases, by what they were used for.
        kept: name of the checkpoint that is its result.
        step: the last one that was done.
    """
    events = folder.events()
    validated = [event for event in events if event["dice"] is not None]
    return {
        "recipe": recipe.name,
        "preset": recipe.preset,
        "steps": step,
        "planned_steps": schedule.steps,
        "epochs": schedule.epoch_at(step),
        "cases": cases,
        "data": recipe.data.name or recipe.data.source,
        "split": split_in_words(recipe),
        "seed": recipe.optimisation.seed,
        "hardware": machine.description,
        "precision": machine.precision(recipe.optimisation.precision),
        "seconds": round(sum(event["seconds"] for event in events), 1),
        "versions": versions(*_PACKAGES),
        "kept": kept,
        "best": max(validated, key=lambda event: (event["dice"], event["epoch"])) if validated else None,
        "last": events[-1] if events else None,
    }


def split_in_words(recipe: Recipe) -> str:
    data = recipe.data
    if data.source == "thorax-phantom":
        return f"{data.cases} phantoms to train on, {data.held_back} others to judge on"
    if data.folds == 1:
        return f"70 % to train on, 15 % to validate, 15 % to judge on; split seed {data.split_seed}"
    return f"fold {data.fold} of {data.folds} held back to judge on, split seed {data.split_seed}"
