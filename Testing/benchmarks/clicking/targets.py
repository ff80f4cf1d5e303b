"""Ninety structures that people drew, each with its image: what the clicking is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedSegDLLib.dicom.image import read_series
from MedSegDLLib.dicom.series import find_series
from MedSegDLLib.dicom.structures import read_rtstruct
from MedSegDLLib.files import read_volume
from MedSegDLLib.volume import Volume

_HIPPOCAMPI = 12
_NUCLEI = 40
_FEWEST_VOXELS = 30  # a nucleus smaller than that is a speck


@dataclass(frozen=True)
class Target:
    """One structure.

    Attributes:
        kind: the data set and the modality.
        name: case and structure.
        image: the image.
        mask: bool, axes (k, j, i), on the image's grid.
    """

    kind: str
    name: str
    image: Volume
    mask: np.ndarray


def read_targets(data: Path) -> Iterator[Target]:
    """All targets below the folder of the public data sets, in a fixed order."""
    yield from _hippocampi(data / "hippocampus-mr")
    yield from _sarcomas(data / "sarcoma-ct-mr-pet", "CT")
    yield from _sarcomas(data / "sarcoma-ct-mr-pet", "MR_T1")
    yield from _nuclei(data / "nuclei-microscopy")
    yield _cord(data / "spinal-cord-mr")
    yield _lung(data / "lung-ct-small")


def _hippocampi(folder: Path) -> Iterator[Target]:
    for path in sorted((folder / "images").glob("*.nii.gz"))[:_HIPPOCAMPI]:
        image, labels = read_volume(path), read_volume(folder / "labels" / path.name).array
        for value, part in ((1, "anterior"), (2, "posterior")):
            yield Target("hippocampus MR", f"{path.name.split('.')[0]} {part}", image, labels == value)


def _sarcomas(folder: Path, modality: str) -> Iterator[Target]:
    for patient in sorted(path for path in folder.iterdir() if path.is_dir()):
        (series,) = find_series(patient / modality / "image")
        image = read_series(series)
        (contours,) = (patient / modality / "mask").glob("*.dcm")
        (mask,) = read_rtstruct(contours, image.grid).values()
        yield Target(f"sarcoma {modality.split('_')[0]}", patient.name, image, mask)


def _nuclei(folder: Path) -> Iterator[Target]:
    """From each image the nucleus of the median size."""
    for case in sorted(path for path in folder.iterdir() if path.is_dir())[:_NUCLEI]:
        (picture,) = (case / "images").glob("*.png")
        masks = [
            sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0 for path in sorted((case / "masks").glob("*.png"))
        ]
        masks = sorted((mask for mask in masks if mask.sum() >= _FEWEST_VOXELS), key=np.count_nonzero)
        grey = sitk.GetArrayFromImage(sitk.ReadImage(str(picture)))[..., :3].mean(axis=-1).astype(np.float32)
        yield Target("nuclei", case.name[:8], Volume(grey[None], np.eye(4)), masks[len(masks) // 2][None])


def _cord(folder: Path) -> Target:
    paths = sorted(folder.glob("*.nii*"))
    (mask,) = (path for path in paths if "seg" in path.name or "mask" in path.name)
    (image,) = (path for path in paths if path != mask)
    return Target("spinal cord MR", "cord", read_volume(image), read_volume(mask).array > 0)


def _lung(folder: Path) -> Target:
    image, mask = read_volume(folder / "ct-64.nrrd"), read_volume(folder / "wholeLung-64.nrrd")
    return Target("lung CT", "lungs", image, mask.array > 0)
