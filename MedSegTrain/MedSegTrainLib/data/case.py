"""One labelled case: its image files, its labels, and who it is of."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import Grid, Volume

from .images import read_image, read_values, resampled

IGNORE = 255
"""The value of voxels that nobody annotated: no loss and no score counts them."""

SAME_GRID_MM = 0.1  # NIfTI rounds positions


@dataclass(frozen=True)
class Channel:
    """What an image of every case shows; `modality` is DICOM's word for it ('CT', 'MR', 'PT', ...) or ''."""

    name: str
    modality: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of a case without loading it.

    Args:
        shape: voxels along k, j, i.
        spacing_mm: along i, j, k.
        volumes_ml: of each structure in the labels, by name, also of those that were not found (0.0).
        warnings: sentences for whoever looks at the data.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    volumes_ml: dict[str, float]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """Image files, one for each channel, and a labelmap file.

    Args:
        name: unique in its data set, usable as a file name.
        images: in the order of the data set's channels.
        label: values of the data set's labels, 0 elsewhere, `IGNORE` where nobody annotated.
        patient: all cases of a patient go into the same part of a split; the case's name where it is not known.
        not_contoured: names of structures that nobody looked for here: background may be one of them.
        instances: a labelmap file in which every single object has its own number from 1.
        facts: where they were collected already.
    """

    name: str
    images: tuple[Path, ...]
    label: Path
    patient: str = ""
    not_contoured: frozenset[str] = frozenset()
    instances: Path | None = None
    facts: Facts | None = field(default=None, compare=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "images", tuple(map(Path, self.images)))
        object.__setattr__(self, "label", Path(self.label))
        object.__setattr__(self, "patient", self.patient or self.name)
        object.__setattr__(self, "not_contoured", frozenset(self.not_contoured))

    def load(self) -> tuple[tuple[Volume, ...], Volume]:
        """Images, all on the grid of the first (others are interpolated linearly), and labels (uint8) on it.

        Raises:
            InputError: a file is missing or damaged, the labels lie on another grid, or hold what is no label.
        """
        label = self.load_label()
        return self.load_images(label.grid), label

    def load_images(self, grid: Grid) -> tuple[Volume, ...]:
        """All on the grid of the first. Raises InputError, also where that one is not the grid of the labels."""
        first, *others = (read_image(path) for path in self.images)
        check_same_grid(first.grid, grid, f"The labels of '{self.name}'")
        return (first, *(resampled(image, first.grid) for image in others))

    def load_label(self) -> Volume:
        """The labels alone, uint8. Raises InputError."""
        label = read_values(self.label)
        self.check_values(label)
        return label

    def check_values(self, label: Volume) -> None:
        """Raise InputError for what `read_values` reads, but is no number of a structure."""
        if label.array.dtype != np.uint8:
            raise InputError(
                f"The labels of '{self.name}' hold values up to {label.array.max()}; 255 is the highest.",
                "Import the data, with a table that maps its values to those of the model.",
            )

    def load_instances(self) -> Volume | None:
        """Every object with a number of its own, uint16 on the grid of the labels; None where there are none."""
        if self.instances is None:
            return None
        instances = read_values(self.instances)
        return instances.with_array(instances.array.astype(np.uint16))


def check_same_grid(image: Grid, label: Grid, what: str) -> None:
    """Raise InputError where labels lie on another grid than their image; they are never resampled in silence."""
    if image.shape != label.shape:
        raise InputError(
            f"{what} are an image of {_size(label)} voxels, the image has {_size(image)}.",
            "Resample the labels to the image, to the nearest voxel.",
        )
    if not image.agrees_with(label, SAME_GRID_MM):
        raise InputError(
            f"{what} lie elsewhere than the image: position, spacing or orientation differ.",
            "Resample the labels to the image, to the nearest voxel.",
        )


def _size(grid: Grid) -> str:
    return " x ".join(map(str, grid.shape[::-1]))


def case_to_dict(case: Case, folder: Path) -> dict:
    """For JSON; paths are relative to the folder."""
    return {
        "name": case.name,
        "patient": case.patient,
        "images": [_relative(path, folder) for path in case.images],
        "label": _relative(case.label, folder),
        "instances": _relative(case.instances, folder) if case.instances else None,
        "not_contoured": sorted(case.not_contoured),
        "facts": asdict(case.facts) if case.facts else None,
    }


def case_from_dict(data: dict, folder: Path) -> Case:
    """From what `case_to_dict` made."""
    facts = data["facts"]
    return Case(
        name=data["name"],
        patient=data["patient"],
        images=tuple(folder / image for image in data["images"]),
        label=folder / data["label"],
        instances=folder / data["instances"] if data["instances"] else None,
        not_contoured=frozenset(data["not_contoured"]),
        facts=Facts(tuple(facts["shape"]), tuple(facts["spacing_mm"]), facts["volumes_ml"], tuple(facts["warnings"]))
        if facts
        else None,
    )


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive on Windows
        return path.absolute().as_posix()
