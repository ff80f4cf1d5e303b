"""Where models lie: those that come with the extension, and those that the user added; and an image to try them on."""

from __future__ import annotations

import os
from pathlib import Path

from .bundle import METADATA, Bundle
from .errors import ModelError
from .folders import data_folder

_RESOURCES = Path(__file__).resolve().parents[1] / "Resources"
SHIPPED = _RESOURCES / "Models"
SAMPLE = _RESOURCES / "Samples" / "MedSegThoraxPhantom.nrrd"
"""An image for the shipped model `thorax-phantom`; drawn, no patient."""


def model_folders() -> list[Path]:
    """Folders that are searched for models: $MEDSEG_MODELS (or the user's own folder), then the shipped ones."""
    return [user_folder(), SHIPPED]


def user_folder() -> Path:
    """The user's models: $MEDSEG_MODELS, else the platform's place for application data."""
    if "MEDSEG_MODELS" in os.environ:
        return Path(os.environ["MEDSEG_MODELS"])
    return data_folder() / "models"


def installed_models() -> dict[str, Path]:
    """Folder of each model, by name; a user's model hides a shipped one of the same name."""
    found = {}
    for folder in reversed(model_folders()):
        found |= {metadata.parents[1].name: metadata.parents[1] for metadata in sorted(folder.glob(f"*/{METADATA}"))}
    return dict(sorted(found.items()))


def find_model(name: str) -> Bundle:
    """The model of that name, or in that folder. Raises ModelError that lists the installed ones."""
    installed = installed_models()
    if name in installed:
        return Bundle.load(installed[name])
    if Path(name).is_dir():
        return Bundle.load(name)
    raise ModelError(f"There is no model '{name}'.", f"Installed: {', '.join(installed) or 'none'}.")
