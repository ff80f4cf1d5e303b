"""Labelled cases: where they lie, how they are split, and how a network sees them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from MedSegDLLib.bundle import Specification
from MedSegDLLib.engine.preprocessing import prepare
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import read_volume
from MedSegDLLib.volume import Volume


@dataclass(frozen=True)
class Case:
    """An image file and its labelmap file."""

    name: str
    image: Path
    label: Path

    def load(self) -> tuple[Volume, Volume]:
        """Image and labelmap. Raises InputError where they do not lie on one grid, or values are no labels."""
        image, label = read_volume(self.image), read_volume(self.label)
        if not image.grid.agrees_with(label.grid, tolerance_mm=0.1):
            raise InputError(
                f"Image and labels of '{self.name}' lie on different grids.", "Resample the labels to the image."
            )
        if not (label.array.min() >= 0 and label.array.max() <= 255):
            raise InputError(f"The labels of '{self.name}' are not all from 0 to 255.", "Correct the labels.")
        return image, label.with_array(np.rint(label.array).astype(np.uint8))


def find_cases(folder: str | Path) -> list[Case]:
    """Pairs of `images/NAME` and `labels/NAME`, by name. Raises InputError for an image without labels."""
    folder = Path(folder)
    images = sorted(path for path in (folder / "images").glob("[!.]*") if path.is_file())
    if not images:
        raise InputError(f"'{folder}' holds no cases.", "It needs a folder 'images' and a folder 'labels'.")
    cases = [Case(path.name.split(".")[0], path, folder / "labels" / path.name) for path in images]
    unlabelled = [case.name for case in cases if not case.label.exists()]
    if unlabelled:
        raise InputError(
            f"{len(unlabelled)} images have no labels, the first is '{unlabelled[0]}'.",
            "Add the missing labels, or remove the images.",
        )
    return cases


def split(cases: list[Case], folds: int, fold: int, seed: int) -> tuple[list[Case], list[Case]]:
    """Cases to train on and cases held back, for one fold of a seeded k-fold split.

    Raises InputError for fewer cases than folds.
    """
    if len(cases) < folds:
        raise InputError(f"{len(cases)} cases cannot be split into {folds} folds.", "Add cases, or take fewer folds.")
    order = np.random.default_rng(seed).permutation(len(cases))
    held_back = set(np.array_split(order, folds)[fold].tolist())
    return (
        [case for n, case in enumerate(cases) if n not in held_back],
        [case for n, case in enumerate(cases) if n in held_back],
    )


@dataclass(frozen=True)
class Sample:
    """What a network learns from: image float32 and class indices uint8, both (k, j, i) on the network's grid."""

    image: np.ndarray
    classes: np.ndarray


def prepare_sample(image: Volume, label: Volume, spec: Specification) -> Sample:
    """Bring a pair to the model's orientation, spacing and intensities; label values become class indices.

    Labels are resampled to the nearest voxel, unknown values count as background.
    """
    prepared = prepare(image, spec)
    class_of_value = np.zeros(256, dtype=np.uint8)
    class_of_value[spec.class_values] = np.arange(len(spec.class_values))
    turned = image.grid.steps_to(spec.orientation).apply(label.array)
    nearest = np.ix_(*(_nearest(n, m) for n, m in zip(turned.shape, prepared.grid.shape)))
    return Sample(prepared.array[0], class_of_value[turned[nearest]])


def _nearest(n: int, m: int) -> np.ndarray:
    """Index of the sample, of n, that lies nearest to each of m samples between the same edges."""
    return np.minimum(((np.arange(m) + 0.5) * n / m).astype(int), n - 1)
