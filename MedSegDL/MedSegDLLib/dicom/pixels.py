"""Stored pixel values of a DICOM file, from whatever transfer syntax, with what Slicer brings along.

pydicom alone decodes uncompressed and RLE files; the JPEG, JPEG-LS and JPEG 2000 families go through the GDCM in
SimpleITK. ITK would apply the rescale itself, and one rescale to all frames; so it is given a copy of the file that
holds nothing but the pixels.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset

from ..errors import InputError
from .headers import reported_as_damage

_PIXEL_DATA = {"PixelData", "FloatPixelData", "DoubleFloatPixelData"}
_PIXEL_TAGS = (
    "Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation BitsAllocated BitsStored HighBit "
    "PixelRepresentation PixelData"
).split()


def stored_frames(path: Path) -> np.ndarray:
    """Stored values, (frames, rows, columns). Raises InputError for a file that is damaged or cannot be decoded."""
    with reported_as_damage(path):
        dataset = pydicom.dcmread(path)
        if _PIXEL_DATA.isdisjoint(element.keyword for element in dataset.group_dataset(0x7FE0)):
            raise EOFError("The file ends before its pixel data.")
        syntax = dataset.file_meta.TransferSyntaxUID
        if not syntax.is_compressed or syntax in (pydicom.uid.RLELossless, pydicom.uid.DeflatedExplicitVRLittleEndian):
            values = dataset.pixel_array
        else:
            values = _decoded_by_gdcm(dataset, path)
        return values.reshape(int(dataset.get("NumberOfFrames") or 1), dataset.Rows, dataset.Columns)


def _decoded_by_gdcm(dataset: Dataset, path: Path) -> np.ndarray:
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "pixels.dcm"
        _pixels_only(dataset).save_as(copy, enforce_file_format=True)
        try:
            return sitk.GetArrayFromImage(sitk.ReadImage(copy, imageIO="GDCMImageIO"))
        except RuntimeError as error:
            name = dataset.file_meta.TransferSyntaxUID.name
            raise InputError(
                f"The pixels of {path.name} cannot be decoded ({name}).",
                "Copy the file again, or export the series uncompressed.",
                str(error),
            ) from error


def _pixels_only(dataset: Dataset) -> Dataset:
    bare = Dataset()
    bare.SOPClassUID = pydicom.uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    bare.SOPInstanceUID = pydicom.uid.generate_uid()
    for keyword in _PIXEL_TAGS:
        if keyword in dataset:
            bare[keyword] = dataset[keyword]
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    return bare
