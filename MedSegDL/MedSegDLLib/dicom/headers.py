"""What a DICOM file says about itself before its pixels are read."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from ..errors import InputError

_TAGS = (
    "SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID PatientID SeriesDescription "
    "SeriesNumber Modality ImageType FrameOfReferenceUID Rows Columns NumberOfFrames SamplesPerPixel "
    "PhotometricInterpretation ImagePositionPatient ImageOrientationPatient PixelSpacing SpacingBetweenSlices "
    "FrameIncrementPointer DetectorInformationSequence RescaleSlope RescaleIntercept ModalityLUTSequence "
    "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence"
).split()

# What pydicom raises on files cut off or overwritten at some point: it has no common class for them.
DAMAGE = (
    InvalidDicomError, BytesLengthException, EOFError, OSError, ValueError, LookupError, AttributeError, TypeError,
    NotImplementedError, struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """One plane of an image.

    Args:
        file: index of its file in the series.
        number: index of the frame in its file, from 0.
        shape: rows and columns.
        position_mm: LPS of the centre of its first pixel.
        orientation: LPS unit vectors along a row and along a column, (6,).
        pixel_spacing_mm: distance between rows, and between columns.
        slope, intercept: what turns stored values into HU or whatever the scanner means.
    """

    file: int
    number: int
    shape: tuple[int, int]
    position_mm: np.ndarray
    orientation: np.ndarray
    pixel_spacing_mm: np.ndarray
    slope: float
    intercept: float


def is_dicom(path: Path) -> bool:
    """True for a file with DICOM's preamble."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_header(path: Path) -> Dataset:
    """The tags that geometry and grouping need. Raises InputError for a damaged file."""
    with reported_as_damage(path):
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        list(header)  # pydicom interprets values when they are first used; damage shall show here
        if "SeriesInstanceUID" not in header and not _is_directory(header):
            raise EOFError("The file ends before its SeriesInstanceUID.")
    return header


def _is_directory(header: Dataset) -> bool:
    """True for a DICOMDIR, the table of contents of a disc, which belongs to no series."""
    return header.file_meta.get("MediaStorageSOPClassUID") == pydicom.uid.MediaStorageDirectoryStorage


@contextmanager
def reported_as_damage(path: Path) -> Iterator[None]:
    """Turn what pydicom raises on a damaged or unreadable file into InputError; keep its warnings off the terminal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DAMAGE as error:
        system = getattr(error, "strerror", None)  # the system's own reason, such as 'Permission denied'
        raise InputError(
            f"The file {path.name} {f'cannot be read: {system}' if system else 'is damaged or cut off'}.",
            "Copy or export it again from its source.",
            f"{path}: {type(error).__name__}: {error}",
        ) from error


def frames_of(header: Dataset, file: int = 0) -> list[Frame]:
    """The planes of one file, in the order they are stored. Raises InputError where the geometry is not given."""
    if "PerFrameFunctionalGroupsSequence" in header:
        return _enhanced_frames(header, file)
    if int(header.get("NumberOfFrames") or 1) > 1:
        return _classic_frames(header, file)
    return [_frame(header, file, 0, header, header, header, header)]


def _enhanced_frames(header: Dataset, file: int) -> list[Frame]:
    if len(header.PerFrameFunctionalGroupsSequence) != int(header.NumberOfFrames):
        raise ValueError("The number of frames and that of their descriptions differ.")
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    return [
        _frame(header, file, number, *(_macro(name, own, shared, header) for name in _MACROS))
        for number, own in enumerate(header.PerFrameFunctionalGroupsSequence)
    ]


_MACROS = (
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence",
)  # fmt: skip


def _macro(name: str, own: Dataset, shared: Dataset, header: Dataset) -> Dataset:
    """A functional group: the frame's own, else what all frames share, else the tags of the file."""
    found = own.get(name) or shared.get(name)
    return found[0] if found else header


def _classic_frames(header: Dataset, file: int) -> list[Frame]:
    """Frames of an object without functional groups, such as nuclear medicine.

    There only the first frame has a position, and the standard places the others by SpacingBetweenSlices.
    """
    _check_frames_are_slices(header)
    place = (header.get("DetectorInformationSequence") or [header])[0]
    place = place if "ImagePositionPatient" in place else header
    first = _frame(header, file, 0, place, place, header, header)
    step = np.cross(first.orientation[:3], first.orientation[3:]) * float(_required(header, "SpacingBetweenSlices"))
    return [
        Frame(file, number, first.shape, first.position_mm + number * step, first.orientation,
              first.pixel_spacing_mm, first.slope, first.intercept)
        for number in range(int(header.NumberOfFrames))
    ]  # fmt: skip


def _check_frames_are_slices(header: Dataset) -> None:
    pointers = header.get("FrameIncrementPointer") or []
    pointers = [pointers] if isinstance(pointers, int) else pointers
    slices = {pydicom.datadict.tag_for_keyword(name) for name in ("SliceVector", "SpacingBetweenSlices")}
    if not slices.issuperset(pointers):
        raise InputError(
            "The frames of the image are points in time or projections, not slices.",
            "Choose a series of slices, for example the reconstructed one.",
        )


def _frame(header, file, number, position, orientation, measures, rescale) -> Frame:
    return Frame(
        file=file,
        number=number,
        shape=(int(header.Rows), int(header.Columns)),
        position_mm=_numbers(position, "ImagePositionPatient", 3),
        orientation=_numbers(orientation, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_numbers(measures, "PixelSpacing", 2),
        slope=_number_or(rescale.get("RescaleSlope"), 1.0),
        intercept=_number_or(rescale.get("RescaleIntercept"), 0.0),
    )


def _numbers(dataset: Dataset, keyword: str, count: int) -> np.ndarray:
    values = np.array(_required(dataset, keyword), dtype=float).ravel()
    if values.size != count or not np.isfinite(values).all():
        raise InputError(
            f"The image does not say where it lies: its tag {keyword} holds {values.size} values instead of {count}.",
            "Export the series again from the scanner or archive.",
        )
    return values


def _required(dataset: Dataset, keyword: str):
    value = dataset.get(keyword)
    if value is None or value == "":
        raise InputError(
            f"The image does not say where it lies in the patient: its tag {keyword} is missing.",
            "Choose the original series, not a screen capture or an export without geometry.",
        )
    return value


def _number_or(value, default: float) -> float:
    return default if value is None or value == "" else float(value)
