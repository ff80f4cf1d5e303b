"""Image and label files of any of the formats that people keep training data in, as volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedSegDLLib.engine.alignment import aligned
from MedSegDLLib.errors import InputError
from MedSegDLLib.files import VOLUME_SUFFIXES, check_name, read_volume
from MedSegDLLib.volume import Grid, Volume

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
IMAGE_SUFFIXES = VOLUME_SUFFIXES + PICTURE_SUFFIXES
GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in a grey value: the luma of ITU-R BT.601; transparency is passed over."""

_NEARLY = 1e-3  # what the scaling of NIfTI leaves of whole numbers


def is_image_file(path: Path) -> bool:
    """Judged by its name; macOS leaves files '._name' beside others."""
    return path.name.lower().endswith(IMAGE_SUFFIXES) and not path.name.startswith(".")


def read_image(path: Path | str) -> Volume:
    """A grey-scale volume, or a picture as a volume of one slice; colours become grey by `GREY_WEIGHTS`.

    Pixels of a picture are taken for squares of 1 mm.

    Raises:
        InputError: the file is missing, damaged, or neither a volume nor a picture.
    """
    path = Path(path)
    return _read_picture(path) if path.suffix.lower() in PICTURE_SUFFIXES else read_volume(path)


def read_values(path: Path | str) -> Volume:
    """A label image as whole numbers from 0, uint8 where they fit and uint32 where they do not.

    Raises:
        InputError: the file cannot be read, is in colour, or holds negative or broken numbers.
    """
    path = Path(path)
    try:
        volume = _read_label_picture(path) if path.suffix.lower() in PICTURE_SUFFIXES else read_volume(path)
    except InputError as error:
        raise InputError(f"The labels cannot be read. {error.message}", error.remedy, error.details) from error
    array = volume.array
    if array.size == 0:
        raise InputError(f"The label image {path.name} is empty: it has no voxels.", "Export it again.")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and np.abs(array - np.rint(array)).max() < _NEARLY):
        raise InputError(
            f"The label image {path.name} holds values that are not whole numbers.",
            "Export the labels again without interpolation, as integers.",
        )
    if array.min() < 0 or array.max() > np.iinfo(np.uint32).max:
        raise InputError(
            f"The label image {path.name} holds values from {array.min():g} to {array.max():g}.",
            "Export the labels again as whole numbers from 0.",
        )
    whole = np.rint(array) if array.dtype.kind == "f" else array
    return volume.with_array(whole.astype(np.uint8 if whole.max() <= 255 else np.uint32, copy=False))


def resampled(volume: Volume, grid: Grid) -> Volume:
    """At the voxels of another grid, as the engine brings a model's images to one; see `alignment.aligned`."""
    return Volume(aligned(volume, grid), grid.ijk_to_ras, volume.modality, volume.name)


def _read_picture(path: Path) -> Volume:
    pixels = _pixels(path)
    return _as_volume(pixels if pixels.ndim == 2 else _grey(pixels), path)


def _read_label_picture(path: Path) -> Volume:
    """Grey values may be stored as colours; colours themselves are no numbers of structures."""
    pixels = _pixels(path)
    if pixels.ndim == 3:
        grey, *others = np.moveaxis(pixels, -1, 0)[: 3 if pixels.shape[-1] > 2 else 1]
        if any((grey != other).any() for other in others):
            raise InputError(
                f"The picture {path.name} is in colour or has a palette.",
                "Save it in grey values, one for each structure.",
            )
        pixels = grey
    return _as_volume(pixels, path)


def _pixels(path: Path) -> np.ndarray:
    """(j, i) or (j, i, components)."""
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    check_name(path)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(
            f"The picture {path.name} is damaged, or of a kind that is not supported.", "Export it again as PNG.",
            str(error),
        ) from error  # fmt: skip
    if image.GetDimension() != 2:
        raise InputError(
            f"The picture {path.name} has {image.GetDimension()} axes, not two.", "Export its planes one by one."
        )
    return sitk.GetArrayFromImage(image)


def _as_volume(pixels: np.ndarray, path: Path) -> Volume:
    return Volume(pixels[None], name=path.stem)


def _grey(array: np.ndarray) -> np.ndarray:
    """From (j, i, components), in the type of the array; two components are grey and transparency."""
    if array.shape[-1] == 2:
        return array[..., 0]
    grey = array[..., :3].astype(np.float32) @ np.array(GREY_WEIGHTS, np.float32)
    return np.rint(grey).astype(array.dtype) if array.dtype.kind in "iu" else grey
