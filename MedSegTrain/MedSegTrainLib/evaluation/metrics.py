"""How well a labelmap agrees with the truth, for each structure of a case.

Definitions, with R the voxels of the truth, T those of the result (both without what nobody annotated):

- dice 2|R&T|/(|R|+|T|), iou |R&T|/|R|T|; sensitivity, specificity, precision and accuracy of the voxels, the last three
  over the whole image, where they are close to 1 for anything small: `specificity_roi` and `accuracy_roi` count only
  voxels within `Settings.roi_margin_mm` of the truth along each axis.
- segmentation_accuracy (1 - ||R|-|T||/|R|) * 100 %, of the sizes alone, as surveys of the field write it; below 0 where
  the result is more than twice too large.
- hd_mm, hd95_mm, assd_mm and nsd_Xmm by surface elements weighted with their area, as DeepMind's surface-distance does
  it (see `surface`); hd95 is the greater of the two directed 95th percentiles.
- boundary_accuracy_Xmm: the share of voxels on the right side, among those within X mm of the truth's boundary on
  either side; boundary_iou_Xmm: the IoU of the two inner bands of X mm (Cheng et al. 2021, arXiv:2103.16562). A band is
  at least a voxel wide.
- volume_error_ml |T|-|R|, relative_volume_error (|T|-|R|)/|R|.

Empty masks (the policy of this project):

- neither has the structure ("both empty"): nothing is measured, the case does not count.
- only the result has it ("false positive"): Dice, IoU, surface Dice, precision and boundary IoU are 0.
- only the truth has it ("missed"): the same and sensitivity are 0.
- distances then have no value: they are never infinite; a comparison of methods ranks them worst, and a summary counts
  them beside the mean (`Scores.worst_mm` is what stands in for them, the diagonal of the image).
- the case's structure was "not contoured": nothing is measured, whatever the result holds.

Measures without a value are left out of `Scores.values`. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from MedSegDLLib.errors import InputError
from MedSegDLLib.labels import Label

from ..data.case import IGNORE
from .definitions import at_tolerance
from .regions import (
    Box,
    boxes_of_values,
    grown_box,
    inner_band,
    outer_band,
    region_of_interest,
    union_box,
)
from .surface import surface_distances

FOUND, MISSED, FALSE_POSITIVE = "found", "missed", "false positive"
BOTH_EMPTY, NOT_CONTOURED = "both empty", "not contoured"


@dataclass(frozen=True)
class Settings:
    """What the measures depend on, in mm; pixels count as mm where an image knows no spacing."""

    tolerances_mm: tuple[float, ...] = (1.0, 2.0)
    band_mm: float = 2.0
    roi_margin_mm: float = 10.0


@dataclass(frozen=True)
class Scores:
    """One structure of one case.

    Attributes:
        status: "found" (truth and result have it, however well it fits), "missed", "false positive", "both empty" or
            "not contoured".
        values: measures by name (`definitions.measure`).
        worst_mm: the image's diagonal, which no distance in it exceeds.
    """

    status: str
    values: dict[str, float] = field(default_factory=dict)
    worst_mm: float = 0.0


def case_scores(
    result: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[Label],
    spacing_mm: Sequence[float],
    not_contoured: Collection[str] = (),
    settings: Settings | None = None,
) -> dict[str, Scores]:
    """The scores of every label by its name.

    Args:
        result, truth: labelmaps of whole numbers (k, j, i) of one shape, or (j, i). A volume of one slice is judged in
            two dimensions. Voxels whose truth is `IGNORE` do not count, and cut off what reaches into them.
        labels: the structures to judge.
        spacing_mm: distance of neighbouring voxel centres along i, j (and k), as `Grid.spacing_mm`.
        not_contoured: names of structures that nobody drew in this case.

    Raises InputError for shapes that differ.
    """
    if result.shape != truth.shape:
        raise InputError(
            f"The result has the shape {list(result.shape)}, the truth {list(truth.shape)}.",
            "Bring both to the grid of the image.",
        )
    case = _Case.of(result, truth, np.asarray(spacing_mm, dtype=float)[::-1])
    values = [label.value for label in labels]
    boxes = zip(boxes_of_values(case.truth, values), boxes_of_values(case.result, values))
    return {
        label.name: Scores(NOT_CONTOURED, worst_mm=case.diagonal_mm)
        if label.name in not_contoured
        else case.scores(label.value, *found, settings or Settings())
        for label, found in zip(labels, boxes)
    }


@dataclass(frozen=True)
class _Case:
    """Result and truth without what nobody annotated, and which voxels somebody did (None: all)."""

    result: np.ndarray
    truth: np.ndarray
    known: np.ndarray | None
    known_voxels: int
    spacing: np.ndarray
    voxel_ml: float

    @staticmethod
    def of(result: np.ndarray, truth: np.ndarray, spacing: np.ndarray) -> _Case:
        voxel_ml = float(spacing.prod()) / 1000
        if truth.ndim == 3 and len(truth) == 1:
            result, truth, spacing = result[0], truth[0], spacing[1:]
        known = truth != IGNORE
        known_voxels = int(np.count_nonzero(known))
        if known_voxels == truth.size:
            return _Case(result, truth, None, known_voxels, spacing, voxel_ml)
        return _Case(result * known, truth * known, known, known_voxels, spacing, voxel_ml)

    @property
    def diagonal_mm(self) -> float:
        return float(np.linalg.norm(self.spacing * self.truth.shape))

    def scores(self, value: int, truth_box: Box | None, result_box: Box | None, settings: Settings) -> Scores:
        if not (truth_box or result_box):
            return Scores(BOTH_EMPTY, worst_mm=self.diagonal_mm)
        box = union_box([each for each in (truth_box, result_box) if each])
        truth, result = (each[box] == value for each in (self.truth, self.result))
        counts = _Counts.of(truth, result, self.known_voxels)
        values = counts.values() | _volumes(counts, self.voxel_ml)
        if truth_box:
            values |= self._around_truth(value, truth_box, settings)
        if truth_box and result_box:
            values |= _of_surfaces(truth, result, self.spacing, settings)
            status = FOUND
        else:
            values |= {at_tolerance("nsd", each): 0.0 for each in settings.tolerances_mm}
            values[at_tolerance("boundary_iou", settings.band_mm)] = 0.0
            status = MISSED if truth_box else FALSE_POSITIVE
        return Scores(status, values, self.diagonal_mm)

    def _around_truth(self, value: int, box: Box, settings: Settings) -> dict[str, float]:
        """What is measured only near the truth."""
        truth, result, known = self._part(value, box, settings.roi_margin_mm)
        region = region_of_interest(truth, settings.roi_margin_mm, self.spacing) & known
        counts = _Counts.of(truth & region, result & region, int(np.count_nonzero(region))).values()
        values = {f"{name}_roi": counts[name] for name in ("accuracy", "specificity") if name in counts}
        truth, result, known = self._part(value, box, settings.band_mm)
        band = _band(truth, settings.band_mm, self.spacing) & known
        right = int(np.count_nonzero(band & (truth == result)))
        return values | {at_tolerance("boundary_accuracy", settings.band_mm): right / int(np.count_nonzero(band))}

    def _part(self, value: int, box: Box, margin_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray | bool]:
        """Masks of truth and result in the box with a margin, and which voxels there are annotated."""
        box = grown_box(box, margin_mm, self.spacing, self.truth.shape)
        known = True if self.known is None else self.known[box]
        return self.truth[box] == value, self.result[box] == value, known


@dataclass(frozen=True)
class _Counts:
    """Voxels that are right and wrong, by what they are called."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @staticmethod
    def of(truth: np.ndarray, result: np.ndarray, voxels: int) -> _Counts:
        """Of two masks, beyond whose arrays there are further voxels outside the structure, `voxels` in all."""
        both, of_truth, of_result = (int(np.count_nonzero(each)) for each in (truth & result, truth, result))
        return _Counts(both, of_result - both, of_truth - both, voxels - of_truth - of_result + both)

    def values(self) -> dict[str, float]:
        """Those measures that have a value."""
        hit, extra, lost, rest = self.true_positive, self.false_positive, self.false_negative, self.true_negative
        shares = {
            "dice": (2 * hit, 2 * hit + extra + lost),
            "iou": (hit, hit + extra + lost),
            "accuracy": (hit + rest, hit + extra + lost + rest),
            "sensitivity": (hit, hit + lost),
            "specificity": (rest, rest + extra),
            "precision": (hit, hit + extra),
            "segmentation_accuracy": (100 * (hit + lost - abs(extra - lost)), hit + lost),
            "relative_volume_error": (extra - lost, hit + lost),
        }
        return {name: part / whole for name, (part, whole) in shares.items() if whole}


def _volumes(counts: _Counts, voxel_ml: float) -> dict[str, float]:
    truth = (counts.true_positive + counts.false_negative) * voxel_ml
    result = (counts.true_positive + counts.false_positive) * voxel_ml
    return {"truth_ml": truth, "result_ml": result, "volume_error_ml": result - truth}


def _of_surfaces(truth: np.ndarray, result: np.ndarray, spacing: np.ndarray, settings: Settings) -> dict[str, float]:
    surfaces = surface_distances(truth, result, spacing)
    inner = [inner_band(mask, settings.band_mm, spacing) for mask in (truth, result)]
    both, either = (int(np.count_nonzero(each)) for each in (inner[0] & inner[1], inner[0] | inner[1]))
    return {
        "hd_mm": surfaces.hausdorff_mm(),
        "hd95_mm": surfaces.hausdorff_mm(0.95),
        "assd_mm": surfaces.average_mm(),
        **{at_tolerance("nsd", each): surfaces.surface_dice(each) for each in settings.tolerances_mm},
        at_tolerance("boundary_iou", settings.band_mm): both / either,
    }


def _band(mask: np.ndarray, radius_mm: float, spacing: np.ndarray) -> np.ndarray:
    return inner_band(mask, radius_mm, spacing) | outer_band(mask, radius_mm, spacing)
