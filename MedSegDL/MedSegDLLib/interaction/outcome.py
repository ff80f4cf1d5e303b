"""What a run found, how large it is, and why something may be missing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from ..bundle import Bundle
from ..labels import Label, voxel_counts
from ..volume import Grid, Volume

_FIELD_SHARE = 0.75  # of the model's window: an image that covers less of the patient can well miss a structure


class Absence(Enum):
    """Why a structure may not have been found."""

    REGION = "region"
    FIELD_OF_VIEW = "field of view"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """A structure that was looked for.

    Args:
        volumes_ml: one a frame; 0.0 where it was not found.
        cut: it reaches the edge of what was segmented, so that a part of it may be missing.
    """

    name: str
    color: tuple[int, int, int]
    volumes_ml: tuple[float, ...]
    cut: bool = False

    @property
    def found(self) -> bool:
        return any(self.volumes_ml)


@dataclass(frozen=True)
class Outcome:
    """The result panel's contents.

    Args:
        coverage_mm: what the image, or the region, covers from left to right, back to front and foot to head.
        absence: why what was not found may be missing.
        segmentation_node: where the segments are.
    """

    findings: tuple[Finding, ...]
    coverage_mm: tuple[float, float, float]
    absence: Absence
    seconds: float
    device: str
    notes: tuple[str, ...] = ()
    segmentation_node: object = None

    @property
    def found(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.found)

    @property
    def missing(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.found)

    @property
    def cut(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.cut)


def find(frames: list[Volume], labels: tuple[Label, ...], region=None) -> tuple[Finding, ...]:
    """Measure the labels in each frame's labelmap.

    Args:
        region: slices (k, j, i) that were segmented; None for all.
    """
    counts, edges = [], set()
    highest = max(label.value for label in labels)
    for frame in frames:
        seen = frame.array[region] if region else frame.array
        counts.append(voxel_counts(seen, highest) * frame.grid.voxel_volume_ml)
        edges |= _values_at_the_edge(seen)
    return tuple(
        Finding(label.name, tuple(label.color), tuple(float(c[label.value]) for c in counts), label.value in edges)
        for label in labels
    )


def coverage_mm(grid: Grid) -> tuple[float, float, float]:
    """How much of the patient a grid covers from left to right, back to front and foot to head."""
    ijk = np.array(np.meshgrid(*[(-0.5, size - 0.5) for size in grid.shape[::-1]])).reshape(3, -1).T
    return tuple(float(length) for length in np.ptp(grid.ras(ijk), axis=0))


def absence(bundle: Bundle, grid: Grid, region) -> Absence:
    """Why a structure may be missing.

    Args:
        grid: of what was segmented: the volume's, or the region's.
    """
    if region is not None:
        return Absence.REGION
    spec = bundle.spec
    field_mm = np.sort(np.multiply(spec.patch, spec.spacing_mm))
    covered_mm = np.sort(grid.extent_mm)
    return Absence.FIELD_OF_VIEW if (covered_mm < _FIELD_SHARE * field_mm).any() else Absence.UNKNOWN


def _values_at_the_edge(array: np.ndarray) -> set[int]:
    """Values on the outermost voxels; an axis with few of them, as in a 2D image, has no edge to speak of."""
    values: set[int] = set()
    for axis, size in enumerate(array.shape):
        if size > 2:
            for index in (0, -1):
                values |= set(np.unique(np.take(array, index, axis)).tolist())
    return values - {0}
