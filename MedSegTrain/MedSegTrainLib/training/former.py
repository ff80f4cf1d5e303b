"""Whether what a folder holds is the training that is asked for now."""

from __future__ import annotations

from pathlib import Path

from MedSegDLLib.errors import InputError

from .recipe import read_recipe
from .recipe_fields import Recipe

_OF_ANOTHER = {"name": "another name", "medseg": "another network, patch or labels", "data": "other cases"}
_HOW = ("optimisation", "loss", "augmentation", "validation")
_KEPT = {  # of which a checkpoint holds what another one could not go on from
    "optimiser": lambda recipe: recipe.optimisation.optimiser,
    "averaging_decay": lambda recipe: recipe.optimisation.averaging_decay > 0,
}


def check_former(path: Path, recipe: Recipe, finished: bool) -> str:
    """What is to be said of a recipe with which a training goes on; "" where nothing has changed.

    Args:
        path: of the recipe that the training began with.
        finished: whether the training has ended.

    Raises InputError where it is the training of something else, has ended by another recipe, or cannot go on by this.
    """
    if not path.exists():
        return ""
    former = read_recipe(path)
    others = [words for entry, words in _OF_ANOTHER.items() if _differ(former, recipe, entry)]
    if others:
        raise InputError(
            f"'{path.parent}' holds a training of '{former.name}' with {' and '.join(others)}.",
            "Choose another folder, or train with its recipe.yaml.",
        )
    changed = ", ".join(entry for entry in _HOW if _differ(former, recipe, entry))
    if changed and finished:
        raise InputError(
            f"The training in '{path.parent}' is finished; the recipe that is given now differs from its own in "
            f"{changed}.",
            "Choose another folder to train anew. It goes on only for more epochs or steps.",
        )
    other = [entry for entry, value in _KEPT.items() if value(former) != value(recipe)]
    if other:
        raise InputError(
            f"The training in '{path.parent}' cannot go on with another optimisation.{other[0]}.",
            "Leave it as it was, or choose another folder to train anew.",
        )
    words = f"The recipe has changed since the training began ({changed}); it goes on with the new one."
    return words if changed else ""


def _differ(one: Recipe, other: Recipe, entry: str) -> bool:
    return getattr(one, entry) != getattr(other, entry)
