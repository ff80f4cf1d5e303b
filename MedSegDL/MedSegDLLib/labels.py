"""What the values of a labelmap mean: names, colours, and codes that other programs understand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Code:
    """A coded concept, as DICOM writes it: coding scheme, code value, meaning."""

    scheme: str
    value: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.scheme}^{self.value}^{self.meaning}"


@dataclass(frozen=True)
class Terminology:
    """Codes of a segment: what kind of thing it is, and where. Schemes are SNOMED CT ('SCT') as a rule."""

    category: Code
    type: Code
    type_modifier: Code | None = None
    region: Code | None = None
    region_modifier: Code | None = None

    CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
    REGION_CONTEXT = "Anatomic codes - DICOM master list"

    def to_slicer(self) -> str:
        """The string that Slicer stores in a segment."""
        parts = (self.category, self.type, self.type_modifier), (self.region, self.region_modifier)
        kind, place = ("~".join(str(code) if code else "^^" for code in codes) for codes in parts)
        return f"{self.CONTEXT}~{kind}~{self.REGION_CONTEXT}~{place}"


@dataclass(frozen=True)
class Label:
    """One structure: its value in the labelmap (1 and up), name, colour (0..255) and codes."""

    value: int
    name: str
    color: tuple[int, int, int]
    terminology: Terminology


def volumes_ml(array: np.ndarray, labels: tuple[Label, ...], voxel_volume_ml: float) -> dict[str, float]:
    """Volume of each label in ml; 0.0 for one that was not found.

    Args:
        array: labelmap of unsigned integers, any shape.
        labels: the labels to measure.
        voxel_volume_ml: volume of a voxel.
    """
    counts = voxel_counts(array, max((label.value for label in labels), default=0))
    return {label.name: float(counts[label.value]) * voxel_volume_ml for label in labels}


def voxel_counts(array: np.ndarray, highest: int) -> np.ndarray:
    """Number of voxels of each value from 0 to `highest`."""
    counts = np.zeros(max(highest, 255) + 1, dtype=np.int64)
    for layer in array:  # layer by layer: bincount converts to int64, which for a whole CT would take gigabytes
        found = np.bincount(layer.ravel())
        if found.size > counts.size:
            counts = np.pad(counts, (0, found.size - counts.size))
        counts[: found.size] += found
    return counts[: highest + 1]
