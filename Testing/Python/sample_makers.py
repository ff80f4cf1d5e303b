"""Specifications, cases and samples for the tests of what lies between a data set and a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from data_makers import LIVER, labels_of
from MedSegDLLib.bundle import Intensity, Network, Specification
from MedSegDLLib.files import write_volume
from MedSegDLLib.volume import Volume
from MedSegTrainLib.data.case import Case
from MedSegTrainLib.data.samples import Sample, places_of

SPLEEN = replace(LIVER, value=7, name="Milz")


def specification(dims: int = 3, channels: int = 1, **changes) -> Specification:
    """Two structures, values 1 and 7; the patch 12 x 10 x 8 along i, j, k, or 12 x 10 of a slice."""
    values = {
        "network": Network("unet", dims, channels, 3, "head.weight"),
        "modality": (),
        "orientation": "LPS",
        "spacing_mm": (1.0, 1.0, 1.0),
        "patch": (12, 10, 8) if dims == 3 else (12, 10, 1),
        "intensity": Intensity("zscore"),
        "labels": (LIVER, SPLEEN),
        "licence": "CC0",
        "channels": tuple(f"channel {n}" for n in range(channels)) if channels > 1 else ("image",),
    }
    return Specification(**(values | changes))


def sample(classes: np.ndarray, image: np.ndarray | None = None, annotated=(True, True, True), **parts) -> Sample:
    """Without an image each voxel's grey value is its own: its flat index."""
    if image is None:
        image = np.arange(classes.size, dtype=np.float32).reshape(1, *classes.shape)
    classes = classes.astype(np.uint8)
    image = image if image.dtype == np.float16 else image.astype(np.float32)
    return Sample(image, classes, np.array(annotated), places_of(classes), **parts)


def write_case(folder: Path, name: str, image: Volume, label: Volume | None = None, **facts) -> Case:
    """Files of a case: an image, and labels (of value 1 in a box by default)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{name}-image.nii.gz", folder / f"{name}-label.nii.gz"
    write_volume(image, paths[0])
    write_volume(label or box_labels(image), paths[1])
    return Case(name, (paths[0],), paths[1], **facts)


def hippocampus(shared_data: Path, count: int) -> list[Case]:
    """The first real cases."""
    folder = shared_data / "hippocampus-mr"
    files = sorted((folder / "images").glob("*.nii.gz"))[:count]
    return [Case(path.name.split(".")[0], (path,), folder / "labels" / path.name) for path in files]


HIPPOCAMPUS = (replace(LIVER, value=1, name="Anterior"), replace(LIVER, value=2, name="Posterior"))


def box_labels(image: Volume) -> Volume:
    """Value 1 in the middle."""
    region = tuple(slice(n // 4, n // 2 + 1) for n in image.array.shape)
    return labels_of({1: region}, image.array.shape, image.ijk_to_ras)
