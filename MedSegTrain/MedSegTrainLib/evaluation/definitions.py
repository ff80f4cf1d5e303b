"""The measures that are reported: what each is called, its unit, and which way is better."""

from __future__ import annotations

import re
from dataclasses import dataclass

from MedSegDLLib.errors import InputError


@dataclass(frozen=True)
class Measure:
    """One number a structure and case.

    Attributes:
        name: its column in a table of rows; ends in the tolerance in mm where there is one ("nsd_2mm").
        title: for people.
        unit: "" for a share from 0 to 1.
        better: 1 where more is better, -1 where less is, 0 where neither is.
        worst: what a structure counts that was not found; None where the image's diagonal does (distances).
    """

    name: str
    title: str
    unit: str = ""
    better: int = 1
    worst: float | None = 0.0

    @property
    def best(self) -> float:
        if self.better < 0:
            return 0.0
        return 100.0 if self.unit == "%" else 1.0


_DEFINED = {
    measure.name: measure
    for measure in (
        Measure("dice", "Dice"),
        Measure("iou", "IoU (Jaccard)"),
        Measure("hd_mm", "Hausdorff distance", "mm", -1, None),
        Measure("hd95_mm", "HD95", "mm", -1, None),
        Measure("assd_mm", "ASSD", "mm", -1, None),
        Measure("accuracy", "Accuracy"),
        Measure("accuracy_roi", "Accuracy around the structure"),
        Measure("segmentation_accuracy", "Segmentation accuracy", "%"),
        Measure("sensitivity", "Sensitivity"),
        Measure("specificity", "Specificity"),
        Measure("specificity_roi", "Specificity around the structure"),
        Measure("precision", "Precision"),
        Measure("volume_error_ml", "Volume error", "ml", 0),
        Measure("relative_volume_error", "Relative volume error", "", 0, -1.0),
        Measure("truth_ml", "Volume in the truth", "ml", 0),
        Measure("result_ml", "Volume in the result", "ml", 0),
    )
}
_AT_TOLERANCE = {
    "nsd": "Surface Dice",
    "boundary_accuracy": "Boundary accuracy",
    "boundary_iou": "Boundary IoU",
}


def measure(name: str) -> Measure:
    """The measure of that name. Raises InputError for one that does not exist."""
    if name in _DEFINED:
        return _DEFINED[name]
    family, _, tolerance = name.rpartition("_")
    if family in _AT_TOLERANCE and re.fullmatch(r"\d+(\.\d+)?mm", tolerance):
        return Measure(name, f"{_AT_TOLERANCE[family]} at {tolerance.removesuffix('mm')} mm")
    known = ", ".join([*_DEFINED, *(f"{family}_2mm" for family in _AT_TOLERANCE)])
    raise InputError(f"There is no measure '{name}'.", f"Choose one of {known} (or another tolerance in mm).")


def at_tolerance(family: str, tolerance_mm: float) -> str:
    """The name of a measure that has a tolerance: ("nsd", 2) is "nsd_2mm"."""
    return f"{family}_{tolerance_mm:g}mm"
