"""Structures that others have drawn: RTSTRUCT contours and DICOM SEG objects, to masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset

from ..errors import InputError
from ..files import to_sitk
from ..labels import Code, Label, Terminology
from ..volume import LPS_TO_RAS, Grid, Volume
from .contours import mask_of
from .headers import reported_as_damage

SEG_CLASSES = (pydicom.uid.SegmentationStorage, "1.2.840.10008.5.1.4.1.1.66.7")  # the second: Label Map Segmentation
_CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"}
_UNCODED_COLOR = (128, 174, 128)  # Slicer's own for a segment without a colour


@dataclass(frozen=True)
class SegmentedStructure:
    """One segment of a DICOM SEG.

    Args:
        label: number in the file, name, colour and codes.
        mask: bool volume on the grid of the SEG object, (k, j, i).
    """

    label: Label
    mask: Volume

    def on_grid(self, grid: Grid) -> np.ndarray:
        """bool mask (k, j, i) on another grid: the value of the nearest voxel, False outside the SEG."""
        offset = _whole_offset(self.mask.grid, grid)
        if offset is None:
            return _resampled(self.mask, grid)
        array = np.zeros(grid.shape, dtype=bool)
        target = tuple(slice(max(o, 0), max(o + n, 0)) for o, n in zip(offset, self.mask.array.shape))
        source = tuple(slice(max(-o, 0), max(size - o, 0)) for o, size in zip(offset, grid.shape))
        array[target] = self.mask.array[source]
        return array


def _whole_offset(grid: Grid, other: Grid) -> np.ndarray | None:
    """Index (k, j, i) in `other` of the first voxel of `grid`, if all voxels of both coincide where they overlap."""
    offset = np.rint(other.ijk(grid.origin_mm)).astype(int)
    moved = other.ijk_to_ras.copy()
    moved[:3, 3] = other.ras(offset)
    return offset[::-1] if grid.agrees_with(Grid(grid.shape, moved)) else None


def _resampled(mask: Volume, grid: Grid) -> np.ndarray:
    reference = to_sitk(Volume(np.zeros(grid.shape, dtype=np.uint8), grid.ijk_to_ras))
    resampled = sitk.Resample(to_sitk(mask), reference, sitk.Transform(), sitk.sitkNearestNeighbor)
    return sitk.GetArrayFromImage(resampled).astype(bool)


def read_rtstruct(path: Path | str, grid: Grid) -> dict[str, np.ndarray]:
    """Fill the contours of a structure set on a grid; `contours.py` states the rule for voxels at the border.

    Returns:
        bool mask (k, j, i) of each region of interest, by name. Regions without closed contours (points, lines) are
        left out; a second region of the same name is called 'name (2)'.

    Raises:
        InputError: not an RTSTRUCT, damaged, or contours that are not planar.
    """
    dataset = _read(path, (pydicom.uid.RTStructureSetStorage,), "an RTSTRUCT")
    with reported_as_damage(Path(path)):
        contours = {name: _closed_contours(item) for name, item in closed_regions(dataset).items()}
    return {name: mask_of(points, grid) for name, points in contours.items()}


def closed_regions(dataset: Dataset) -> dict[str, Dataset]:
    """Items of the ROI Contour Sequence of an RTSTRUCT that have closed contours, by the names that regions get."""
    names = {int(item.ROINumber): str(item.ROIName) for item in dataset.StructureSetROISequence}
    found: dict[str, Dataset] = {}
    for item in dataset.get("ROIContourSequence") or []:
        if any(map(_is_closed, item.get("ContourSequence") or [])):
            number = int(item.ReferencedROINumber)
            found[_unused(names.get(number, f"ROI {number}"), found)] = item
    return found


def _is_closed(contour: Dataset) -> bool:
    return contour.ContourGeometricType in _CLOSED and len(contour.ContourData) >= 9  # three points


def _closed_contours(item: Dataset) -> list[np.ndarray]:
    """Points in RAS of each closed contour of a region, (points, 3)."""
    return [
        np.array(contour.ContourData, dtype=float).reshape(-1, 3) @ LPS_TO_RAS[:3, :3]
        for contour in item.ContourSequence
        if _is_closed(contour)
    ]


def _unused(name: str, taken: dict) -> str:
    candidates = (name if n == 1 else f"{name} ({n})" for n in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)


def read_dicom_seg(path: Path | str) -> list[SegmentedStructure]:
    """Every segment of a DICOM SEG as a mask of its own, so that overlapping segments survive.

    Raises:
        InputError: not a DICOM SEG, damaged, or its frames do not form one regular volume.
    """
    path = Path(path)
    dataset = _read(path, SEG_CLASSES, "a DICOM SEG")
    with reported_as_damage(path):
        segmentation = hd.seg.Segmentation.from_dataset(dataset, copy=False)
        if segmentation.get_volume_geometry() is None:
            raise InputError(
                f"The frames of the segmentation {path.name} do not form one volume of evenly spaced slices.",
                "Export the segmentation again from the program that made it.",
            )
        descriptions = [segmentation.get_segment_description(number) for number in segmentation.segment_numbers]
        return [SegmentedStructure(_label(item), _mask(segmentation, item.segment_number)) for item in descriptions]


def _read(path: Path | str, storage_classes: tuple[str, ...], kind: str) -> Dataset:
    if not Path(path).is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    with reported_as_damage(Path(path)):
        dataset = pydicom.dcmread(path)
    if dataset.get("SOPClassUID") not in storage_classes:
        raise InputError(f"The file {Path(path).name} is not {kind}.", "Choose another file.")
    return dataset


def _mask(segmentation: hd.seg.Segmentation, number: int) -> Volume:
    """Slices in the order of `read_series`: k runs along the normal, so that both grids agree."""
    volume = segmentation.get_volume(segment_numbers=[number])
    volume = volume.ensure_handedness(hd.AxisHandedness.LEFT_HANDED, flip_axis=0)  # as k, j, i: right-handed as i, j, k
    array = volume.array[..., 0] > 0
    matrix = LPS_TO_RAS @ volume.affine @ np.eye(4)[[2, 1, 0, 3]]  # highdicom counts indices as k, j, i
    return Volume(array, matrix, "SEG")


def _label(item: hd.seg.SegmentDescription) -> Label:
    color = segment_color(item) or _UNCODED_COLOR
    return Label(item.segment_number, item.segment_label, color, segment_terminology(item))


def segment_color(item: Dataset) -> tuple[int, int, int] | None:
    """Of an item of a Segment Sequence, 0 to 255; None where it has none."""
    color = item.get("RecommendedDisplayCIELabValue")
    return hd.color.CIELabColor.from_dicom_value(color).to_rgb() if color else None


def segment_terminology(item: Dataset) -> Terminology:
    """Of an item of a Segment Sequence."""
    kind = item.SegmentedPropertyTypeCodeSequence[0]
    region = (item.get("AnatomicRegionSequence") or [Dataset()])[0]
    return Terminology(
        category=_code(item, "SegmentedPropertyCategoryCodeSequence"),
        type=_code(item, "SegmentedPropertyTypeCodeSequence"),
        type_modifier=_code(kind, "SegmentedPropertyTypeModifierCodeSequence"),
        region=_code(item, "AnatomicRegionSequence"),
        region_modifier=_code(region, "AnatomicRegionModifierSequence"),
    )


def _code(dataset: Dataset, keyword: str) -> Code | None:
    found = dataset.get(keyword)
    if not found:
        return None
    value = found[0].get("CodeValue") or found[0].get("LongCodeValue") or found[0].get("URNCodeValue")
    return Code(found[0].get("CodingSchemeDesignator", ""), value, found[0].get("CodeMeaning", ""))
