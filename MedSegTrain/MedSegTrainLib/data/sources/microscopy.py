"""Pictures with one mask file an object, as in the Data Science Bowl 2018: CASE/images/*.png, CASE/masks/*.png."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import Grid

from ..dataset import Skipped
from ..found import Drawing, Findings, FoundCase, FoundImage, FoundStructure
from ..images import PICTURE_SUFFIXES, read_image, read_values
from ..patients import read_patients

OBJECT = FoundStructure("object", 1)
"""All objects are of one kind, for which the data have no name."""

_MOST_OBJECTS = np.iinfo(np.uint16).max


class ObjectMasks(Drawing):
    """A picture file for each object, not 0 where it is. Objects are numbered in the order of their file names."""

    def __init__(self, files: tuple[Path, ...]):
        super().__init__([OBJECT], name=f"{len(files)} masks")
        self._files = files
        self._warnings: tuple[str, ...] = ()

    def masks(self, grid: Grid) -> Iterator[tuple[FoundStructure, np.ndarray]]:
        yield OBJECT, self.instances(grid) > 0

    def instances(self, grid: Grid) -> np.ndarray:
        """uint16 (k, j, i). Where objects overlap, the later one wins."""
        instances = np.zeros(grid.shape, dtype=np.uint16)
        shared = 0
        for number, path in enumerate(self._files, start=1):
            mask = read_values(path).array > 0
            if mask.shape != grid.shape:
                raise InputError(f"The mask {path.name} has another size than its picture.", "Export it again.")
            shared += int(np.count_nonzero(instances[mask]))
            instances[mask] = number
        self._warnings = (f"{shared} pixels belong to several objects; the last one has them.",) if shared else ()
        return instances

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._warnings


def is_microscopy(folder: Path) -> bool:
    """True where a folder in it holds a folder of images and one of masks, both of pictures."""
    return any(_pictures(case / "images") and _pictures(case / "masks") for case in _folders(folder))


def find_microscopy(folder: Path) -> Findings:
    """A case for each folder. Raises InputError where none can be used."""
    places = _folders(folder)
    patients, unknown = read_patients(folder, [place.name for place in places])
    cases, skipped = [], [Skipped(*item) for item in unknown]
    for place in places:
        images, masks = _pictures(place / "images"), _pictures(place / "masks")
        if len(images) != 1:
            skipped.append(Skipped(place.name, f"It has {len(images)} images; one is expected."))
        elif not masks:
            skipped.append(Skipped(place.name, "It has no masks."))
        elif len(masks) > _MOST_OBJECTS:
            skipped.append(Skipped(place.name, f"It has {len(masks)} objects; {_MOST_OBJECTS} are possible."))
        else:
            image = FoundImage("image", "image", "", partial(read_image, images[0]))
            patient = patients.get(place.name, place.name)
            cases.append(FoundCase(place.name, patient, (image,), (ObjectMasks(masks),), (*images, *masks)))
    if not cases:
        raise InputError(f"'{folder}' holds no picture with masks.", "Check the folder.")
    return Findings("microscopy with a mask for each object", tuple(cases), tuple(skipped), ("image",))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    files = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    return tuple(sorted(path for path in files if not path.name.startswith(".")))
