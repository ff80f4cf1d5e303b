"""Where the platform keeps what programs store for a user."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_NAME = "MedSegDL"


def data_folder() -> Path:
    """For what shall stay, such as models."""
    return _base("XDG_DATA_HOME", ".local/share", "Library/Application Support") / _NAME


def cache_folder() -> Path:
    """For what can be made again."""
    return _base("XDG_CACHE_HOME", ".cache", "Library/Caches") / _NAME


def _base(variable: str, on_linux: str, on_macos: str) -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    if sys.platform == "darwin":
        return Path.home() / on_macos
    return Path(os.environ.get(variable, Path.home() / on_linux))
