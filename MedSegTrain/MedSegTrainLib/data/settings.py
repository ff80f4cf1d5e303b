"""Settings as a command line takes them: "patch=[64, 64, 32]", "optimisation.steps=100"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from MedSegDLLib.errors import InputError


def parsed_settings(settings: Iterable[str], example: str) -> dict[str, Any]:
    """Named values, nested where a name has dots; the values are written as in YAML.

    Args:
        example: of a setting, for whoever wrote a wrong one.

    Raises InputError.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        *places, last = name.strip().split(".")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"The value of '{setting}' cannot be read.", "Write it as in YAML.", str(error)) from error
        inner = found
        for place in places:
            inner = inner.setdefault(place, {}) if isinstance(inner, dict) else None
        if not (text.strip() and last and isinstance(inner, dict)):
            raise InputError(f"'{setting}' is no setting.", f"Write it as {example}.")
        inner[last] = value
    return found
