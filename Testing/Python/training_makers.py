"""A recipe and cases on which a tiny network learns in seconds: a bright ball beside a brighter one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from bundle_makers import DESCRIPTION
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume

ANATOMY = {
    "category": {"scheme": "SCT", "value": "123037004", "meaning": "Anatomical Structure"},
    "type": {"scheme": "SCT", "value": "10200004", "meaning": "Liver"},
}


def recipe_data(**changes) -> dict:
    """A recipe as YAML holds it; `changes` replace its parts."""
    data = {
        "name": "balls",
        "description": DESCRIPTION | {"name": "balls"},
        "medseg": {
            "network": {
                "name": "nnunet",
                "spatial_dims": 3,
                "in_channels": 1,
                "out_channels": 3,
                "head": "decoder.heads.1.weight",
                "arguments": {"features": [4, 8, 8], "deep_supervision": True},
            },
            "modality": ["MR"],
            "orientation": "LPS",
            "spacing_mm": [1.0, 1.0, 1.0],
            "patch": [16, 16, 16],
            "intensity": {"rule": "zscore"},
            "licence": "Apache-2.0",
            "labels": [
                {"value": 1, "name": "grey ball", "color": [10, 20, 30], "terminology": ANATOMY},
                {"value": 5, "name": "white ball", "color": [40, 50, 60], "terminology": ANATOMY},
            ],
        },
        "data": {"source": "folder", "folds": 2},
        "optimisation": {
            "steps": 30,
            "batch": 2,
            "learning_rate": 0.02,
            "warmup_steps": 2,
            "averaging_decay": 0.8,
        },
    }
    return data | changes


def nested(key: str, **changes) -> dict:
    """Changes of one part of the recipe."""
    return {key: recipe_data()[key] | changes}


def write_recipe(path: Path, data: dict) -> Path:
    path.write_text(yaml.safe_dump(data))
    return path


def balls(seed: int, shape=(20, 22, 24)) -> tuple[Volume, Volume]:
    """Image and labels (1 and 5)."""
    rng = np.random.default_rng(seed)
    places = np.indices(shape)
    labels = np.zeros(shape, np.uint8)
    for value, j in ((1, 6), (5, 15)):
        center = np.array([10, j, 12]) + rng.uniform(-1, 1, 3)
        labels[np.linalg.norm(places - center[:, None, None, None], axis=0) < 4] = value
    image = np.choose(np.minimum(labels, 2), (0.0, 100.0, 200.0)) + rng.normal(0, 5, shape)
    matrix = np.diag([-1.0, 1, 1, 1])
    return Volume(image.astype(np.float32), matrix), Volume(labels, matrix)


def write_cases(folder: Path, count: int) -> Path:
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for n in range(count):
        for part, volume in zip(("images", "labels"), balls(n)):
            write_volume(volume, folder / part / f"case_{n:02}.nii.gz")
    return folder
