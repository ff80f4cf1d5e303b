"""From what is chosen in the window to a benchmark's plan, as JSON holds it; JSON is YAML too."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.errors import InputError

from ..data.settings import parsed_settings
from .methods import PROPOSED, chosen_methods

ASKED = "asked.json"
"""In the folder of the runs: the plan as it was chosen here. What the runs go by is the benchmark's own plan.json."""

_DATA, _METHODS = "data", "methods"
_EXAMPLE = "optimisation.batch = 4"
_TAKEN = ("cache", "report", "session")  # folders of other things among the runs


@dataclass(frozen=True)
class PlanChoices:
    """What to train, and how.

    Args:
        dataset: folder of the data set.
        methods: keys of `methods.all_methods`.
        preset: name of the recipe.
        folds: parts that the cases are split into.
        folds_to_run: how many of them are done; 0 for all.
        epochs: 0 for as many as the recipe says.
        overrides: lines; see `parsed_overrides`.
        cpu: train on the processor.
    """

    dataset: Path | None = None
    methods: tuple[str, ...] = PROPOSED
    preset: str = "papers"
    folds: int = 5
    folds_to_run: int = 0
    epochs: int = 0
    overrides: str = ""
    cpu: bool = False


def plan_of(choices: PlanChoices, name: str) -> dict[str, Any]:
    """The plan as `benchmark.plan` reads it. Raises InputError for an override that cannot be read."""
    overrides = parsed_overrides(choices.overrides)
    data, methods = overrides.pop(_DATA, {}), overrides.pop(_METHODS, {})
    chosen = chosen_methods(choices.methods)
    _check_methods(methods, [method.key for method in chosen])
    planned = [method.planned() | methods.get(method.key, {}) for method in chosen]
    if choices.epochs:
        overrides.setdefault("optimisation", {}).setdefault("epochs", choices.epochs)
    plan = {
        "name": safe(name),
        "data_sets": [{"name": _folder_name(choices.dataset), "path": str(choices.dataset.absolute())} | data],
        "networks": [entry for entry in planned if "network" in entry],
        "baselines": [entry for entry in planned if "baseline" in entry],
        "folds": choices.folds,
        "recipe": {"preset": choices.preset, "overrides": overrides},
    }
    if 0 < choices.folds_to_run < choices.folds:
        plan["only_folds"] = list(range(choices.folds_to_run))
    return plan


def parsed_overrides(text: str) -> dict[str, Any]:
    """Nested entries from lines such as

        optimisation.batch = 4                              any entry of the recipe
        data.spacing_mm = [1, 1, 2]                         of the plan's data set
        methods.unet-2d.arguments = {"features": [8, 16]}   of one of its methods

    Values are JSON, as there is no YAML in Slicer's Python; what is none is a word. Empty lines and those that begin
    with # are passed over. Raises InputError.
    """
    lines = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    for line in lines:
        if "." not in line.partition("=")[0]:
            raise InputError(f"'{line}' does not say what it is an entry of.", f"Write it as {_EXAMPLE}.")
    return parsed_settings(lines, _EXAMPLE, _value)


def write_plan(plan: dict[str, Any], folder: Path) -> Path:
    """Into the folder of the runs, which is made where it is missing. Raises OutputError."""
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / ASKED) as partial:
        partial.write_text(json.dumps(plan, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder / ASKED


def safe(name: str) -> str:
    """As a plan's names must be."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).lstrip("._+-")[:80] or "benchmark"


def _folder_name(dataset: Path) -> str:
    name = safe(dataset.name)
    return f"data-{name}" if name in _TAKEN else name


def _check_methods(changes: dict[str, Any], chosen: Sequence[str]) -> None:
    for key, change in changes.items():
        if key not in chosen:
            raise InputError(f"'{_METHODS}.{key}': there is no such method.", f"Chosen are {', '.join(chosen)}.")
        if not isinstance(change, dict):
            raise InputError(
                f"'{_METHODS}.{key}' does not say which entry.", f"Write it as {_METHODS}.{key}.arguments."
            )


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()
