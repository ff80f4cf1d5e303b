"""Image files (NIfTI, NRRD, MetaImage and whatever else SimpleITK reads) to volumes and back."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .atomic import replacing
from .errors import InputError, OutputError
from .volume import LPS_TO_RAS, Volume

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")


def read_volume(path: Path | str) -> Volume:
    """Read a grey-scale image; a 2D image becomes a volume of one slice.

    Raises:
        InputError: the file is missing, damaged, no image, in colour, a time series, or on a sheared grid.
    """
    path = Path(path)
    reader = _opened(path)
    with _unreadable(path):
        _check_complete(reader, path)
        image = reader.Execute()
    matrix = LPS_TO_RAS @ _index_to_lps(image)
    array = sitk.GetArrayFromImage(image)
    volume = Volume(array.reshape((1,) * max(0, 3 - array.ndim) + array.shape[-3:]), matrix, name=stem(path))
    if not volume.grid.is_orthogonal():
        raise _sheared(path)
    return volume


def check_is_volume(path: Path | str) -> None:
    """Raise InputError for a file that `read_volume` would refuse, or that has a single slice, by its header alone."""
    size = _opened(Path(path)).GetSize()
    if len(size) < 3 or size[2] == 1:
        raise InputError(
            f"The image {Path(path).name} has a single slice; a volume needs several.", "Choose a 3D image."
        )


def stem(path: Path) -> str:
    """The file's name without its suffix, also without both of '.nii.gz'."""
    return path.name.removesuffix(".gz").removesuffix(".GZ").rpartition(".")[0] or path.name


def folders_below(folder: Path) -> list[Path]:
    """The folder itself and every one below it, sorted; behind links too, but none twice, even if these form a ring."""
    found, seen = [], set()
    for place, names, _ in os.walk(folder, followlinks=True):
        names.sort()
        if (real := os.path.realpath(place)) in seen:
            names.clear()
        else:
            seen.add(real)
            found.append(Path(place))
    return sorted(found)


def check_name(path: Path) -> None:
    """Raise InputError for a name of another encoding, at which SimpleITK takes the whole process down with it."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError("The name of the file is not in UTF-8.", "Rename it.", repr(path)) from error


def _opened(path: Path) -> sitk.ImageFileReader:
    """A reader that has read the header of a grey-scale image."""
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    check_name(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with _unreadable(path):
        reader.ReadImageInformation()
    if reader.GetNumberOfComponents() > 1:
        raise InputError(
            f"The image {path.name} has {reader.GetNumberOfComponents()} values at each voxel (colours or vectors).",
            "Choose a grey-scale image.",
        )
    size = reader.GetSize()
    if any(n > 1 for n in size[3:]):
        raise InputError(
            f"The image {path.name} has {len(size)} axes (a time series?); a volume has three.",
            "Choose or export a single three-dimensional image.",
        )
    return reader


def _check_complete(reader: sitk.ImageFileReader, path: Path) -> None:
    """Raise RuntimeError for a NIfTI file that is cut off.

    ITK reads the missing part as zeros, without an error; in other formats it notices.
    """
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return
    numbers = [float(reader.GetMetaData(key)) for key in ("vox_offset", "bitpix", *(f"dim[{n}]" for n in range(1, 8)))]
    needed = numbers[0] + numbers[1] / 8 * np.prod(np.maximum(numbers[2:], 1))
    size = _unzipped_size(path, int(needed)) if path.suffix.lower() == ".gz" else path.stat().st_size
    if size < needed:
        raise RuntimeError(f"{size} bytes instead of {needed:.0f}")


def _unzipped_size(path: Path, expected: int) -> int:
    """Bytes in a gzip file. Its last four bytes tell, modulo 2**32; only if they do not agree is it unzipped."""
    with open(path, "rb") as file:
        file.seek(-4, os.SEEK_END)
        if int.from_bytes(file.read(), "little") == expected % 2**32:
            return expected
    try:
        with gzip.open(path) as file:
            return sum(map(len, iter(lambda: file.read(1 << 20), b"")))
    except (EOFError, OSError, zlib.error) as error:
        raise RuntimeError(str(error)) from error


@contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise _sheared(path) from error
        raise InputError(
            f"The file {path.name} cannot be read as an image: it is damaged, or of a kind that is not supported.",
            "Export the image again, as NIfTI, NRRD or MetaImage.",
            str(error),
        ) from error


def _sheared(path: Path) -> InputError:
    return InputError(
        f"The axes of the image {path.name} are not at right angles.", "Resample it to an orthogonal grid first."
    )


def _index_to_lps(image: sitk.Image) -> np.ndarray:
    """4x4; axes that a 2D image lacks are added, those beyond the third (of one voxel) dropped."""
    dimension = image.GetDimension()
    kept = min(dimension, 3)
    direction = np.reshape(image.GetDirection(), (dimension, dimension))[:kept, :kept]
    matrix = np.eye(4)
    matrix[:kept, :kept] = direction * np.array(image.GetSpacing())[:kept]
    matrix[:kept, 3] = image.GetOrigin()[:kept]
    return matrix


def write_volume(volume: Volume, path: Path | str) -> None:
    """Write a volume with its geometry, compressed; the suffix chooses the format. A mask of bool becomes uint8.

    Raises:
        OutputError: the folder cannot be written to, the disk is full, or the format cannot hold the volume.
            The file is then as it was before.
    """
    path = Path(path)
    if path.suffix.lower() == ".mhd":
        raise OutputError("MHD images consist of two files and are not written.", "Choose a name that ends in .mha.")
    image = to_sitk(volume)
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(image, temporary, useCompression=True)
            read_volume(temporary)  # some writers are silent on a full disk
        except (RuntimeError, InputError) as error:
            raise OutputError(
                f"The image {path.name} cannot be written.",
                "Check that the disk is not full, and that the name ends in .nii.gz, .nrrd or .mha.",
                str(error),
            ) from error


def to_sitk(volume: Volume) -> sitk.Image:
    """The volume as SimpleITK's image. Raises OutputError for a sheared grid, which few formats can hold."""
    if not volume.grid.is_orthogonal():
        raise OutputError("The axes of the volume are not at right angles.", "Resample it to an orthogonal grid first.")
    grid = volume.grid
    image = sitk.GetImageFromArray(volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array)
    image.SetSpacing(grid.spacing_mm)
    image.SetDirection((LPS_TO_RAS[:3, :3] @ grid.directions).ravel())
    image.SetOrigin(LPS_TO_RAS[:3, :3] @ grid.origin_mm)
    return image
