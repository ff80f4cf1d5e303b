"""RTSTRUCT and DICOM SEG as drawings: what they hold and what they were drawn on, from their headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from MedSegDLLib.dicom.headers import reported_as_damage
from MedSegDLLib.dicom.series import Series
from MedSegDLLib.dicom.structures import (
    SEG_CLASSES,
    closed_regions,
    read_dicom_seg,
    read_rtstruct,
    segment_color,
    segment_terminology,
)
from MedSegDLLib.errors import InputError
from MedSegDLLib.volume import Grid

from ..found import Drawing, FoundStructure

DRAWING_CLASSES = (RTStructureSetStorage, *SEG_CLASSES)

_DATES = ("StructureSetDate", "ContentDate", "InstanceCreationDate", "SeriesDate", "StudyDate")
_TIMES = ("StructureSetTime", "ContentTime", "InstanceCreationTime", "SeriesTime", "StudyTime")


class DicomDrawing(Drawing):
    """What RTSTRUCT and SEG have in common.

    Args:
        frame_of_reference: where no series is named, the image must lie in this one.
        written: date and time, as DICOM writes them: of two objects with the same structure the later one counts.
    """

    def __init__(self, path: Path, series: Series, dataset: Dataset, structures: list[FoundStructure], image: str):
        super().__init__(structures, image, f"{series.patient_id}/{series.name}")
        self.path = path
        self.patient = series.patient_id
        self.frame_of_reference = _frame_of_reference(dataset)
        self.written = f"{_first(dataset, _DATES)} {_first(dataset, _TIMES)}"


class StructureSet(DicomDrawing):
    """The regions of an RTSTRUCT that have closed contours."""

    def masks(self, grid: Grid) -> Iterator[tuple[FoundStructure, np.ndarray]]:
        found = {structure.name: structure for structure in self.structures}
        for name, mask in read_rtstruct(self.path, grid).items():
            yield found.get(name, FoundStructure(name)), mask


class DicomSegmentation(DicomDrawing):
    """The segments of a DICOM SEG; on another grid each voxel takes the nearest value."""

    def masks(self, grid: Grid) -> Iterator[tuple[FoundStructure, np.ndarray]]:
        for found, structure in zip(self.structures, read_dicom_seg(self.path)):
            yield found, structure.on_grid(grid)


def read_drawing(path: Path, series: Series) -> DicomDrawing:
    """What an RTSTRUCT or SEG file holds, without its masks.

    Raises:
        InputError: it is damaged, or holds no structure that can be filled.
    """
    with reported_as_damage(path):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        if dataset.SOPClassUID in SEG_CLASSES:
            structures, image = [_segment(item) for item in dataset.SegmentSequence], _series_of_seg(dataset)
            drawing = DicomSegmentation(path, series, dataset, structures, image)
        else:
            structures = [_region(name, item) for name, item in closed_regions(dataset).items()]
            drawing = StructureSet(path, series, dataset, structures, _series_of_rtstruct(dataset))
    if not drawing.structures:
        raise InputError("It holds no structure with closed contours.", "Draw some, or leave it out.")
    return drawing


def _segment(item: Dataset) -> FoundStructure:
    return FoundStructure(str(item.SegmentLabel), terminology=segment_terminology(item), color=segment_color(item))


def _series_of_seg(dataset: Dataset) -> str:
    found = dataset.get("ReferencedSeriesSequence")
    return str(found[0].SeriesInstanceUID) if found else ""


def _series_of_rtstruct(dataset: Dataset) -> str:
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                return str(series.SeriesInstanceUID)
    return ""


def _frame_of_reference(dataset: Dataset) -> str:
    referenced = dataset.get("ReferencedFrameOfReferenceSequence") or [Dataset()]
    return str(dataset.get("FrameOfReferenceUID") or referenced[0].get("FrameOfReferenceUID") or "")


def _region(name: str, item: Dataset) -> FoundStructure:
    return FoundStructure(name, color=tuple(map(int, item.get("ROIDisplayColor") or ())) or None)


def _first(dataset: Dataset, keywords: tuple[str, ...]) -> str:
    return next((str(dataset.get(keyword)) for keyword in keywords if dataset.get(keyword)), "")
