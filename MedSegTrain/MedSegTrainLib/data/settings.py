"""Settings as a command line and the window take them: "patch=[64, 64, 32]", "optimisation.steps=100"."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from MedSegDLLib.errors import InputError


def from_yaml(text: str) -> Any:
    """Raises InputError."""
    import yaml  # Slicer's Python has none, and reads settings with another reader

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"'{text.strip()}' is no value.", "Write it as in YAML.", str(error)) from error


def parsed_settings(settings: Iterable[str], example: str, read: Callable[[str], Any] = from_yaml) -> dict[str, Any]:
    """Named values, nested where a name has dots.

    Args:
        example: of a setting, for whoever wrote a wrong one.
        read: makes a value of what is written behind the "=".

    Raises InputError.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        *places, last = name.strip().split(".")
        inner = found
        for place in places:
            inner = inner.setdefault(place, {}) if isinstance(inner, dict) else None
        if not (text.strip() and last and isinstance(inner, dict)):
            raise InputError(f"'{setting}' is no setting.", f"Write it as {example}.")
        inner[last] = read(text)
    return found
