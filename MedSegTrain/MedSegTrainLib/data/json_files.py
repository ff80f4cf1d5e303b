"""JSON files that other programs and people write."""

from __future__ import annotations

import json
from pathlib import Path

from MedSegDLLib.errors import InputError


def read_json(path: Path) -> dict:
    """An object in a JSON file. Raises InputError where it is missing, damaged or something else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The file {path} cannot be read.", "Check that it is complete.", str(error)) from error
    if not isinstance(data, dict):
        raise InputError(f"The file {path} holds something else than expected.", "Choose another folder.")
    return data
