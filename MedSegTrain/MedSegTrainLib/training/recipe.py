"""Recipes from named presets, from files and from settings; what is wrong with one is said at once.

What a recipe holds is in `recipe_fields`, the presets lie in Resources/Recipes/presets.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from MedSegDLLib.atomic import replacing
from MedSegDLLib.bundle import Specification
from MedSegDLLib.errors import InputError

from ..data.heads import supervision_argument
from .recipe_fields import (
    Augmentation,
    Checkpoints,
    Data,
    Loss,
    Optimisation,
    Recipe,
    Validation,
)

__all__ = [
    "Augmentation",
    "Checkpoints",
    "Data",
    "Loss",
    "Optimisation",
    "Recipe",
    "Validation",
    "make_recipe",
    "merged",
    "preset_names",
    "read_recipe",
    "recipe_from",
    "with_overrides",
    "write_recipe",
]

PRESETS = Path(__file__).resolve().parents[2] / "Resources" / "Recipes" / "presets"

_EITHER = ("steps", "epochs")


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def make_recipe(
    name: str,
    specification: Specification,
    description: dict,
    preset: str = "modern",
    overrides: dict | None = None,
) -> Recipe:
    """A preset for the network and the data that a specification describes.

    Args:
        name: of the recipe and of its bundle.
        description: MONAI's keys for the bundle; what is missing is filled in plainly.
        overrides: any of a recipe's entries, nested as in its file; they win.

    Raises InputError that names what is wrong.
    """
    medseg = {key: value for key, value in specification.to_dict().items() if key != "format"}
    described = _plain_description(name, specification) | description | {"name": name}
    data = {"preset": preset, "name": name, "description": described, "medseg": medseg}
    return recipe_from(merged(data, overrides or {}), f"recipe '{name}'")


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe in YAML. Raises InputError that names what is wrong with it."""
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The recipe '{path}' cannot be read.", "Check the path.", str(error)) from error
    except yaml.YAMLError as error:
        raise _wrong(f"recipe '{path.name}'", " ".join(str(error).split()), error) from error
    return recipe_from(data, f"recipe '{path.name}'")


def write_recipe(recipe: Recipe, path: str | Path) -> None:
    """All of it, the preset's values too, so that it can be read when the preset has changed."""
    with replacing(path) as partial:
        text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        partial.write_text(text, encoding="utf-8")


def with_overrides(recipe: Recipe, overrides: dict) -> Recipe:
    """Raises InputError that names what is wrong with them."""
    if not overrides:
        return recipe
    return recipe_from(merged(recipe.model_dump(mode="json"), overrides), f"recipe '{recipe.name}'")


def recipe_from(data: Any, what: str) -> Recipe:
    """A recipe from nested entries. Raises InputError that begins with `what`."""
    if not isinstance(data, dict):
        raise _wrong(what, "it is no list of named entries")
    data = merged(_preset(data["preset"], what), data) if data.get("preset") is not None else data
    try:
        # through JSON, whose strict mode takes no text for a number but a list for a tuple
        recipe = Recipe.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise _wrong(what, _in_words(error), error) from error
    except TypeError as error:
        raise _wrong(what, str(error), error) from error
    return _supervised(recipe)


def merged(base: dict, changes: dict) -> dict:
    """A copy of `base` with `changes`, which win, entry by entry at every depth; steps take the place of epochs."""
    result = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if nested else value
        if key in _EITHER and value is not None:
            result |= {other: None for other in _EITHER if other != key and changes.get(other) is None}
    return result


def _preset(name: str, what: str) -> dict:
    if name not in preset_names():
        raise _wrong(what, f"preset: there is no '{name}'; there are {', '.join(preset_names())}")
    return yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))


def _supervised(recipe: Recipe) -> Recipe:
    """With every depth of the network supervised, if the recipe wants it and the network can."""
    network = recipe.spec.network
    argument = supervision_argument(network.name) if recipe.loss.deep_supervision else None
    if argument is None or argument in network.arguments:
        return recipe
    arguments = {**network.arguments, argument: True}
    return recipe.model_copy(update={"medseg": merged(recipe.medseg, {"network": {"arguments": arguments}})})


def _plain_description(name: str, spec: Specification) -> dict:
    structures = ", ".join(label.name for label in spec.labels)
    return {
        "version": "0.1.0",
        "title": name,
        "task": f"Segmentation of {structures}",
        "description": f"Segments {structures}.",
        "authors": "Not stated",
        "copyright": "Not stated",
        "data_source": "Not stated",
        "image_classes": " + ".join(spec.modality) or "Not stated",
        "intended_use": "Research. Not for diagnosis.",
    }


def _wrong(what: str, cause: str, error: Exception | None = None) -> InputError:
    return InputError(f"The {what} is wrong: {cause.rstrip('.')}.", "Correct it.", str(error or ""))


def _in_words(error: ValidationError) -> str:
    """The first problem: where it is, what it is, and what may stand there."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return f"{'.'.join(place)}: {_what_there_is(place)}"
    words = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(place)}: {words}" if place else words


def _what_there_is(place: list[str]) -> str:
    model: type[BaseModel] = Recipe
    for key in place[:-1]:
        model = model.model_fields[key].annotation
    known = list(model.model_fields)
    alike = difflib.get_close_matches(place[-1], known, 1)
    hint = f" (did you mean '{alike[0]}'?)" if alike else ""
    return f"there is no such entry{hint}; there are {', '.join(known)}"
