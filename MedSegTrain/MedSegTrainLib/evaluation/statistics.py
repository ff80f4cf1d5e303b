"""Whether one method is better than another, or was lucky: tests, effect sizes and intervals.

The unit is the patient: cases of one patient resemble each other, and counting them singly would make differences look
surer than they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from .scoreboard import Scoreboard

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Pair:
    """Two methods on the same patients.

    Attributes:
        difference: mean of first minus second, in the measure's unit.
        p: of the two-sided Wilcoxon signed-rank test; zeros are dropped, 1 where all differences are 0.
        p_holm: corrected for all pairs that were tested with it.
        effect: matched-pairs rank-biserial correlation, from -1 (second better everywhere) to 1 (first better).
        patients: how many were compared.
    """

    first: str
    second: str
    difference: float
    p: float
    p_holm: float
    effect: float
    patients: int

    def significant(self, alpha: float = 0.05) -> bool:
        return self.p_holm < alpha


@dataclass(frozen=True)
class Interval:
    """A mean and its bootstrap percentile interval."""

    mean: float
    low: float
    high: float


def compare_pairs(board: Scoreboard) -> list[Pair]:
    """Every pair of methods, with Holm's correction over all of them."""
    gains = patient_means(board.gains, board.patients)
    values = patient_means(board.values, board.patients)
    found = []
    for first, second in combinations(range(len(board.methods)), 2):
        p, effect = signed_rank(gains[:, first] - gains[:, second])
        found.append((first, second, p, effect))
    corrected = holm([p for _, _, p, _ in found])
    return [
        Pair(
            board.methods[first],
            board.methods[second],
            float((values[:, first] - values[:, second]).mean()),
            p,
            p_holm,
            effect,
            len(values),
        )
        for (first, second, p, effect), p_holm in zip(found, corrected)
    ]


def signed_rank(differences: np.ndarray) -> tuple[float, float]:
    """P of the two-sided Wilcoxon signed-rank test, and the rank-biserial correlation (Kerby 2014)."""
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0, 0.0
    ranks = stats.rankdata(np.abs(differences))
    effect = float((ranks * np.sign(differences)).sum() / ranks.sum())
    return float(stats.wilcoxon(differences).pvalue), effect


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979): no p gets below that of a smaller one, none above 1."""
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values, kind="stable")
    raised = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return corrected.tolist()


def intervals(
    board: Scoreboard, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, Interval]:
    """Mean over the cases and its interval, for each method; all see the same resamples."""
    bounds = bootstrap_mean(board.values, board.patients, resamples, seed, level)
    means = board.values.mean(axis=0)
    return {
        method: Interval(float(mean), float(low), float(high))
        for method, mean, (low, high) in zip(board.methods, means, bounds.T)
    }


def bootstrap_mean(
    values: np.ndarray, patients: Sequence[str], resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> np.ndarray:
    """Percentile interval of the mean over cases, patients being drawn with all their cases.

    Args:
        values: (cases,) or (cases, columns).
        patients: of each case.

    Returns (2,) or (2, columns): low and high.
    """
    sums, counts = _sums(values, patients)
    drawn = np.random.default_rng(seed).integers(len(counts), size=(resamples, len(counts)))
    totals = np.stack([sums[each].sum(axis=0) for each in drawn])
    sizes = counts[drawn].sum(axis=1)
    means = totals / sizes.reshape(-1, *(1 for _ in values.shape[1:]))
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)


def patient_means(values: np.ndarray, patients: Sequence[str]) -> np.ndarray:
    """(cases, ...) to (patients, ...)."""
    sums, counts = _sums(values, patients)
    return sums / counts.reshape(-1, *(1 for _ in values.shape[1:]))


def _sums(values: np.ndarray, patients: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the cases of each patient, and how many they are."""
    _, number, counts = np.unique(patients, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), *values.shape[1:]))
    np.add.at(sums, number, values)
    return sums, counts
