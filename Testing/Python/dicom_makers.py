"""Small DICOM files for the tests, made with pydicom; every number in them is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames

AXIAL = (1, 0, 0, 0, 1, 0)
CORONAL = (1, 0, 0, 0, 0, -1)
OBLIQUE = (0.8, 0.36, 0.48, -0.6, 0.48, 0.64)  # unit vectors at right angles, along no axis
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def normal_of(orientation: Sequence[float]) -> np.ndarray:
    return np.cross(orientation[:3], orientation[3:])


def make_slice(stored: np.ndarray, position=(0, 0, 0), orientation=AXIAL, spacing=(1, 1), **tags) -> Dataset:
    """A single-frame CT slice of 16-bit stored values (rows, columns); `tags` overwrite, None removes."""
    dataset = _image(uid.CTImageStorage, stored)
    dataset.ImagePositionPatient = _decimals(position)
    dataset.ImageOrientationPatient = _decimals(orientation)
    dataset.PixelSpacing = _decimals(spacing)
    return _with_tags(dataset, {"RescaleSlope": 1, "RescaleIntercept": 0} | tags)


def write_series(
    folder: Path, stored: np.ndarray, step=(0, 0, 3), origin=(10, -20, 30), names=None, **slices
) -> list[Path]:
    """One file for each slice of `stored` (k, j, i), at origin + k * step, LPS mm.

    A list given for a tag, as long as the stack, gives each slice its own value.
    """
    folder.mkdir(parents=True, exist_ok=True)
    common = {"SeriesInstanceUID": uid.generate_uid(), "StudyInstanceUID": uid.generate_uid(),
              "FrameOfReferenceUID": uid.generate_uid()}  # fmt: skip
    paths = []
    for k, plane in enumerate(stored):
        own = {key: value[k] if isinstance(value, list) else value for key, value in slices.items()}
        position = own.pop("position", np.add(origin, np.multiply(k, step)))
        dataset = make_slice(plane, position, **(common | {"InstanceNumber": k + 1} | own))
        paths.append(save(dataset, folder / (names[k] if names else f"slice_{k:03d}.dcm")))
    return paths


def make_enhanced(stored, positions, orientation=AXIAL, spacing=(1, 1), rescales=None, **tags) -> Dataset:
    """An enhanced CT: frames in the order given, orientation and spacing shared, position and rescale per frame."""
    dataset = _image(uid.EnhancedCTImageStorage, stored)
    dataset.NumberOfFrames = len(stored)
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=_decimals(orientation))]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=_decimals(spacing), SliceThickness="99")]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame_item(position, rescale) for position, rescale in zip(positions, rescales or [(1, 0)] * len(stored))
    ]
    return _with_tags(dataset, tags)


def make_nuclear(stored, position, slice_distance, **tags) -> Dataset:
    """A reconstructed SPECT: frames without positions of their own."""
    dataset = _image(uid.NuclearMedicineImageStorage, stored)
    dataset.NumberOfFrames = len(stored)
    dataset.Modality = "NM"
    dataset.PixelSpacing = [4, 4]
    dataset.SpacingBetweenSlices = slice_distance
    dataset.FrameIncrementPointer = 0x00540080
    dataset.DetectorInformationSequence = [
        _item(ImagePositionPatient=_decimals(position), ImageOrientationPatient=_decimals(AXIAL))
    ]
    return _with_tags(dataset, tags)


def make_rtstruct(regions: Sequence[tuple[str, list[np.ndarray]]], kind="CLOSED_PLANAR") -> Dataset:
    """A structure set: name and contours, each (points, 3) LPS mm, of every region."""
    dataset = _object(uid.RTStructureSetStorage, "RTSTRUCT")
    dataset.StructureSetROISequence = [_item(ROINumber=n, ROIName=name) for n, (name, _) in enumerate(regions)]
    dataset.ROIContourSequence = [
        _item(ReferencedROINumber=n, ContourSequence=[_contour(points, kind) for points in contours])
        for n, (_, contours) in enumerate(regions)
    ]
    return dataset


def compressed(dataset: Dataset, compressor: str) -> Dataset:
    """The same image compressed without loss: by pydicom ('RLE', 'JPEGLS') or SimpleITK's GDCM ('JPEG', 'JPEG2000')."""
    if compressor in ("RLE", "JPEGLS"):
        dataset.compress({"RLE": uid.RLELossless, "JPEGLS": uid.JPEGLSLossless}[compressor])
        return dataset
    planes = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    encoded = [_encoded(plane, compressor) for plane in planes]
    frames = [next(generate_frames(image.PixelData, number_of_frames=1)) for image in encoded]
    dataset.file_meta.TransferSyntaxUID = encoded[0].file_meta.TransferSyntaxUID
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].is_undefined_length = True
    return dataset


def _encoded(plane: np.ndarray, compressor: str) -> Dataset:
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "image.dcm")
        writer = sitk.ImageFileWriter()
        writer.SetUseCompression(True)
        writer.SetCompressor(compressor)
        writer.SetFileName(path)
        writer.Execute(sitk.GetImageFromArray(plane))
        return pydicom.dcmread(path)


def save(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def _image(storage_class: str, stored: np.ndarray) -> Dataset:
    dataset = _object(storage_class, "CT")
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1 if stored.dtype.kind == "i" else 0
    dataset.PixelData = stored.astype(f"<{stored.dtype.kind}2").tobytes()
    return dataset


def _object(storage_class: str, modality: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = storage_class
    dataset.SOPInstanceUID = uid.generate_uid()
    dataset.SeriesInstanceUID = uid.generate_uid()
    dataset.StudyInstanceUID = uid.generate_uid()
    dataset.FrameOfReferenceUID = uid.generate_uid()
    dataset.Modality = modality
    dataset.PatientID = "P1"
    dataset.PatientName = "Doe^Jane"
    dataset.SeriesDescription = "thorax"
    return dataset


def _with_tags(dataset: Dataset, tags: dict) -> Dataset:
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
        if value is None:
            delattr(dataset, keyword)
    return dataset


def _frame_item(position, rescale) -> Dataset:
    return _item(
        PlanePositionSequence=[_item(ImagePositionPatient=_decimals(position))],
        PixelValueTransformationSequence=[_item(RescaleSlope=rescale[0], RescaleIntercept=rescale[1])],
    )


def _contour(points: np.ndarray, kind: str) -> Dataset:
    return _item(ContourGeometricType=kind, NumberOfContourPoints=len(points), ContourData=_decimals(np.ravel(points)))


def _item(**tags) -> Dataset:
    return _with_tags(Dataset(), tags)


def _decimals(values) -> list[str]:
    """DICOM's decimal strings hold 16 characters."""
    return [f"{float(value):.10g}" for value in values]
