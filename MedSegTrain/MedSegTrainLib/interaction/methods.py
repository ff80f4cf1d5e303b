"""The networks and baselines that can be compared, from a list that needs no torch to be read.

The list is written by Testing/update_networks.py from the registries; a test holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from MedSegDLLib.errors import InputError

_RESOURCES = Path(__file__).resolve().parents[2] / "Resources"
LIST, PRESETS = _RESOURCES / "networks.json", _RESOURCES / "Recipes" / "presets"

PROPOSED = ("unet-2d", "unet-3d-3d", "nnunet-3d")
"""Ticked until somebody has chosen: one on slices, one on volumes, and the one that plans itself."""


@dataclass(frozen=True)
class Method:
    """A network in some dimensions, or a baseline.

    Attributes:
        key: unique, and its name in a plan.
        name: in its registry.
        dims: 2 or 3; 0 for a baseline.
        parameters: of a network in its published size; 0 for a baseline.
        source: its paper, '' where it has none.
    """

    key: str
    name: str
    title: str
    dims: int
    parameters: int
    source: str

    @property
    def is_network(self) -> bool:
        return self.dims > 0

    @property
    def label(self) -> str:
        """In tables, where the same network may stand for slices and for volumes."""
        return f"{self.title}, {self.dims}D" if self.is_network else self.title

    def planned(self) -> dict[str, Any]:
        """Its entry in a plan."""
        entry = {"name": self.key, "label": self.label}
        return {"network": self.name, "dims": self.dims} | entry if self.is_network else {"baseline": self.name} | entry


@cache
def all_methods() -> tuple[Method, ...]:
    """Networks by family, then baselines."""
    data = json.loads(LIST.read_text(encoding="utf-8"))
    networks = [
        Method(f"{entry['name']}-{dims}d", entry["name"], entry["title"], int(dims), parameters, entry["paper"])
        for entry in data["networks"]
        for dims, parameters in entry["parameters"].items()
    ]
    baselines = [
        Method(entry["name"], entry["name"], entry["title"], 0, 0, entry["source"]) for entry in data["baselines"]
    ]
    return (*networks, *baselines)


def chosen_methods(keys: Iterable[str]) -> list[Method]:
    """Those of these keys, in the order of the list."""
    keys = set(keys)
    return [method for method in all_methods() if method.key in keys]


def check_methods(keys: Iterable[str]) -> None:
    """Raises InputError where there is none, or one that nobody knows."""
    keys, known = list(keys), {method.key for method in all_methods()}
    unknown = [key for key in keys if key not in known]
    if unknown:
        similar = get_close_matches(unknown[0], known) or sorted(known)
        raise InputError(f"There is no network or baseline '{unknown[0]}'.", f"Choose among {', '.join(similar)}.")
    if not keys:
        raise InputError("There is nothing to train.", "Name at least one network or baseline.")


def preset_names() -> list[str]:
    """The recipes that can be chosen by name."""
    return sorted((path.stem for path in PRESETS.glob("*.yaml")), key=lambda name: (name != "papers", name))
