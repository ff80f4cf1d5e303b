"""Pictures of a run's best, median and worst case, kept so that a report can be drawn without data or predictor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from MedSegDLLib.atomic import output_errors, replacing
from MedSegDLLib.volume import Volume

from ..evaluation.rows import DAMAGED, FAILED, Row
from ..evaluation.summary import case_means

FOLDER = "examples"
BEST, MEDIAN, WORST = "best", "median", "worst"
MEASURE = "dice"


@dataclass(frozen=True)
class Example:
    """The slice of a case on which most of the truth is.

    Attributes:
        case: its name.
        dice: mean over the structures of the whole case.
        image: (j, i) uint8.
        truth, result: (j, i) uint8, label values.
        spacing_mm: along j, i.
    """

    case: str
    dice: float
    image: np.ndarray
    truth: np.ndarray
    result: np.ndarray
    spacing_mm: tuple[float, float]

    def write(self, path: Path) -> None:
        """Raises OutputError."""
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            np.savez_compressed(partial, **vars(self))

    @staticmethod
    def read(path: Path) -> Example:
        with np.load(path) as data:
            return Example(
                str(data["case"]),
                float(data["dice"]),
                *(data[name] for name in ("image", "truth", "result")),
                tuple(map(float, data["spacing_mm"])),
            )


def chosen_cases(rows: Sequence[Row]) -> dict[str, tuple[str, float]]:
    """Case and mean Dice of the best, the median and the worst; fewer where there are fewer cases."""
    without_result = {row.case for row in rows if row.status in (DAMAGED, FAILED)}
    means = case_means([row for row in rows if row.case not in without_result], MEASURE)
    means = {case: mean for case, mean in means.items() if mean is not None}
    ordered = sorted(means.items(), key=lambda item: item[1])
    if not ordered:
        return {}
    places = {WORST: 0, BEST: -1} | ({MEDIAN: len(ordered) // 2} if len(ordered) > 2 else {})
    return {name: ordered[place] for name, place in places.items()}


def example(case: str, dice: float, image: Volume, truth: Volume, result: Volume) -> Example:
    """The picture of a case; all three volumes lie on one grid."""
    k = int(np.argmax(np.count_nonzero(truth.array, axis=(1, 2))))
    spacing = truth.grid.spacing_mm
    return Example(
        case, dice, _grey(image.array[k]), truth.array[k], result.array[k], (float(spacing[1]), float(spacing[0]))
    )


def _grey(slice_: np.ndarray) -> np.ndarray:
    """All but the darkest and the brightest hundredth of the slice between black and white."""
    low, high = np.percentile(slice_, (1, 99))
    shares = (slice_.astype(np.float32) - low) / max(high - low, 1e-6)
    return (255 * np.clip(shares, 0, 1)).astype(np.uint8)
