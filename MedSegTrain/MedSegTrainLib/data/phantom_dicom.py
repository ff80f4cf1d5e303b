"""A volume as a CT series in DICOM files, marked as synthetic wherever a reader may look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from MedSegDLLib.errors import InputError, OutputError
from MedSegDLLib.volume import LPS_TO_RAS, Volume

_STUDY_DATE, _STUDY_TIME = "20000101", "120000"


def write_ct_series(volume: Volume, folder: Path | str, patient_id: str = "PHANTOM") -> list[Path]:
    """Write one CT Image Storage file a slice, along k, and return the files in that order.

    The UIDs follow from the patient's id, the volume's name and its grid: written twice, the series is the same.

    Args:
        volume: HU that fit int16, on any orthogonal grid, oblique ones included.
        folder: made where it is missing; holds slice_0001.dcm, ... afterwards.

    Raises:
        InputError: the grid is sheared, which a CT series cannot say, or the values do not fit int16.
        OutputError: the folder cannot be written.
    """
    _check_writable_as_ct(volume)
    folder = Path(folder)
    common = _series_dataset(volume, patient_id)
    paths = [folder / f"slice_{k + 1:04d}.dcm" for k in range(volume.array.shape[0])]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for k, path in enumerate(paths):
            _slice_dataset(common, volume, k).save_as(path, enforce_file_format=True)
    except OSError as error:
        raise OutputError(
            f"The DICOM series cannot be written to {folder}: {error.strerror}.",
            "Choose a folder that you may write to, on a disk with free space.",
        ) from error
    return paths


def _check_writable_as_ct(volume: Volume) -> None:
    if not volume.grid.is_orthogonal():
        raise InputError(
            "The volume's axes are not perpendicular, and a CT series cannot say so.",
            "Resample the volume to an orthogonal grid first.",
        )
    if volume.array.min() < -32768 or volume.array.max() > 32767:
        raise InputError(
            f"Values from {volume.array.min():g} to {volume.array.max():g} do not fit the 16 bits of a CT image.",
            "Write a volume in Hounsfield units.",
        )


def _uid(volume: Volume, patient_id: str, *parts: str) -> str:
    geometry = np.round(volume.ijk_to_ras, 4).tobytes().hex()
    return generate_uid(entropy_srcs=[patient_id, volume.name, str(volume.array.shape), geometry, *parts])


def _series_dataset(volume: Volume, patient_id: str) -> Dataset:
    """What all slices share: patient, study, series, equipment, frame of reference and the form of the pixels."""
    dataset = Dataset()
    _add_patient_and_study(dataset, volume, patient_id)
    _add_series(dataset, volume, patient_id)
    _add_pixel_form(dataset, volume)
    return dataset


def _add_patient_and_study(dataset: Dataset, volume: Volume, patient_id: str) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Phantom^Thorax"
    dataset.PatientID = patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.PatientComments = "Synthetic data: a drawn phantom, no patient."
    dataset.StudyInstanceUID = _uid(volume, patient_id, "study")
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = _STUDY_DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = _STUDY_TIME
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Synthetic thorax phantom"


def _add_series(dataset: Dataset, volume: Volume, patient_id: str) -> None:
    dataset.SOPClassUID = CTImageStorage
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = _uid(volume, patient_id, "series")
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = volume.name or "Thorax phantom"
    dataset.BodyPartExamined = "CHEST"
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = _uid(volume, patient_id, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = "MedSegDL"
    dataset.ManufacturerModelName = "Thorax phantom"
    dataset.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    dataset.ImageComments = "Synthetic data: a drawn phantom, no patient."
    dataset.DerivationDescription = "Drawn from formulas"
    dataset.BurnedInAnnotation = "NO"
    dataset.AcquisitionNumber = 1
    dataset.KVP = None  # no tube made this image


def _add_pixel_form(dataset: Dataset, volume: Volume) -> None:
    _, dataset.Rows, dataset.Columns = volume.array.shape
    spacing = volume.grid.spacing_mm
    directions = LPS_TO_RAS[:3, :3] @ volume.grid.directions
    dataset.PixelSpacing = _decimals([spacing[1], spacing[0]])
    dataset.SliceThickness = _decimals([spacing[2]])[0]
    dataset.ImageOrientationPatient = _decimals(directions[:, :2].T.ravel())
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = 40, 400


def _slice_dataset(common: Dataset, volume: Volume, k: int) -> Dataset:
    dataset = Dataset(common)
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[common.SeriesInstanceUID, str(k)])
    dataset.InstanceNumber = k + 1
    position = LPS_TO_RAS[:3, :3] @ volume.grid.ras((0, 0, k))
    dataset.ImagePositionPatient = _decimals(position)
    normal = LPS_TO_RAS[:3, :3] @ np.cross(volume.grid.directions[:, 0], volume.grid.directions[:, 1])
    dataset.SliceLocation = _decimals([normal @ position])[0]
    dataset.PixelData = volume.array[k].astype("<i2").tobytes()
    dataset.file_meta = _file_meta(dataset)
    return dataset


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _decimals(numbers) -> list[str]:
    """As DICOM decimal strings, which have sixteen characters at most."""
    return [f"{number:.10g}" if abs(number) > 1e-4 or number == 0 else f"{number:.10f}" for number in numbers]
