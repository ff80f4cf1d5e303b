"""Labels out as a DICOM SEG that names its source images and its codes."""

from __future__ import annotations

import warnings
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataset import Dataset

from ..atomic import replacing
from ..labels import Code, Label, voxel_counts
from ..volume import LPS_TO_RAS, Grid, Volume
from .headers import Frame, frames_of, reported_as_damage
from .series import Series

_ARTIFICIAL_INTELLIGENCE = hd.sr.CodedConcept("123109", "DCM", "Artificial Intelligence")
_SERIES_NUMBER = 300  # Slicer's own for a SEG: far behind the scanner's series
# Tags that must be there but may be empty; anonymised files lack some.
_MAY_BE_EMPTY = (
    "PatientID PatientName PatientBirthDate PatientSex AccessionNumber StudyID StudyDate StudyTime "
    "ReferringPhysicianName"
).split()


def write_dicom_seg(
    path: Path | str,
    labelmap: np.ndarray,
    labels: tuple[Label, ...],
    series: Series,
    volume: Volume,
    algorithm_name: str,
    algorithm_version: str,
) -> bool:
    """Write a binary DICOM SEG in the study of its source series.

    Labels without voxels are left out. Segments are numbered from 1 in the order of `labels`, as DICOM demands.

    Args:
        labelmap: unsigned integers (k, j, i) on the grid of `volume`; 0 is background.
        labels: names, colours and codes of the values to write; other values count as background.
        series: what `volume` was read from.
        volume: the segmented image; flipped, cropped or straightened, it keeps its own geometry.

    Returns:
        False, with nothing written, where no label has a voxel: DICOM has no segmentation without segments.

    Raises:
        InputError: the source series cannot be read any more.
        OutputError: the file cannot be written.
    """
    found = _found(labelmap, labels)
    if not found:
        return False
    source_grid = series.stack().grid
    numbers, grid = _along_slices(_numbered(labelmap, found), volume.grid, source_grid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # opinions of pydicom and highdicom on how patients and studies are named
        sources = _source_headers(series, source_grid.spacing_mm[2])
        segmentation = _segmentation(sources, numbers, grid, _descriptions(found, algorithm_name, algorithm_version))
    segmentation.SpecificCharacterSet = "ISO_IR 192"  # UTF-8: structures may have names beyond the source's set
    with replacing(path) as temporary:
        segmentation.save_as(temporary)
    return True


def _segmentation(
    sources: list[Dataset], labelmap: np.ndarray, grid: Grid, descriptions: list[hd.seg.SegmentDescription]
) -> hd.seg.Segmentation:
    algorithm = descriptions[0].SegmentationAlgorithmIdentificationSequence[0]
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=_highdicom_volume(labelmap, grid, sources[0].FrameOfReferenceUID),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="MedSegDL",
        manufacturer_model_name=algorithm.AlgorithmName,
        software_versions=algorithm.AlgorithmVersion,
        device_serial_number="0",
        content_label="SEGMENTATION",
        series_description=f"{algorithm.AlgorithmName} segmentation"[:64],
    )


def _found(labelmap: np.ndarray, labels: tuple[Label, ...]) -> list[Label]:
    counts = voxel_counts(labelmap, max((label.value for label in labels), default=0))
    return [label for label in labels if counts[label.value]]


def _numbered(labelmap: np.ndarray, found: list[Label]) -> np.ndarray:
    """Values of the labelmap as segment numbers: 1 and up without gaps."""
    numbers = np.zeros(int(labelmap.max()) + 1, dtype=np.uint8 if len(found) < 256 else np.uint16)
    for number, label in enumerate(found, start=1):
        numbers[label.value] = number
    return numbers[labelmap]


def _along_slices(labelmap: np.ndarray, grid: Grid, source_grid: Grid) -> tuple[np.ndarray, Grid]:
    """The labelmap turned until its axes run as in the source files, so that each frame has its source slice."""
    steps = grid.steps_to(source_grid.orientation())
    return steps.apply(labelmap), steps.apply_to_grid(grid)


def _highdicom_volume(labelmap: np.ndarray, grid: Grid, frame_of_reference_uid: str) -> hd.Volume:
    return hd.Volume(
        np.ascontiguousarray(labelmap),
        LPS_TO_RAS @ grid.ijk_to_ras @ np.eye(4)[[2, 1, 0, 3]],  # highdicom counts indices as k, j, i
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        frame_of_reference_uid=frame_of_reference_uid,
    )


def _source_headers(series: Series, slice_distance_mm: float) -> list[Dataset]:
    """All tags of the source files but their pixels, with those present that highdicom copies or compares."""
    headers = []
    frame_of_reference_uid = hd.UID()  # for a source that names none
    for path in series.files:
        with reported_as_damage(path):
            header = pydicom.dcmread(path, stop_before_pixels=True)
        for keyword in _MAY_BE_EMPTY:
            header.setdefault(keyword, None)
        header.setdefault("FrameOfReferenceUID", frame_of_reference_uid)
        if not header.get("SliceThickness"):
            header.SliceThickness = round(slice_distance_mm, 6)
        if "NumberOfFrames" in header:
            _set_functional_groups(header)
        headers.append(header)
    return headers


def _set_functional_groups(header: Dataset) -> None:
    """State the geometry of a multi-frame header where highdicom looks for it, whatever kind of object it is."""
    frames = frames_of(header)
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(frames[0].orientation)
    measures.PixelSpacing = list(frames[0].pixel_spacing_mm)
    measures.SliceThickness = header.SliceThickness
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = [_position_group(frame) for frame in frames]


def _position_group(frame: Frame) -> Dataset:
    position, group = Dataset(), Dataset()
    position.ImagePositionPatient = list(frame.position_mm)
    group.PlanePositionSequence = [position]
    return group


def _descriptions(found: list[Label], algorithm_name: str, algorithm_version: str) -> list[hd.seg.SegmentDescription]:
    algorithm = hd.AlgorithmIdentificationSequence(algorithm_name, _ARTIFICIAL_INTELLIGENCE, algorithm_version)
    return [_description(number, label, algorithm) for number, label in enumerate(found, start=1)]


def _description(number: int, label: Label, algorithm: hd.AlgorithmIdentificationSequence) -> hd.seg.SegmentDescription:
    codes = label.terminology
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label.name[:64],
        segmented_property_category=_concept(codes.category),
        segmented_property_type=_concept(codes.type),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        anatomic_regions=[_concept(codes.region)] if codes.region else None,
        display_color=hd.color.CIELabColor.from_rgb(*label.color),
    )
    if codes.type_modifier:
        kind = description.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(codes.type_modifier)]
    if codes.region and codes.region_modifier:
        description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [_concept(codes.region_modifier)]
    return description


def _concept(code: Code) -> hd.sr.CodedConcept:
    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning)
