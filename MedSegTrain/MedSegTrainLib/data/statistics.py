"""Grey values in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOW, HIGH = 0.5, 99.5
"""Percentiles between which nnU-Net keeps the grey values of CT."""


@dataclass(frozen=True)
class Statistics:
    """Of grey values; `low` and `high` are the percentiles 0.5 and 99.5."""

    mean: float
    std: float
    low: float
    median: float
    high: float


def statistics_of(values: np.ndarray) -> Statistics | None:
    """In double precision; None where there are no values."""
    if not values.size:
        return None
    low, median, high = np.percentile(values, (LOW, 50, HIGH))
    mean, std = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    return Statistics(*(float(f"{number:.6g}") for number in (mean, std, low, median, high)))


def sampled(values: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most so many of the values (N,), float32, each as likely as the others."""
    if len(values) > most:
        values = values[rng.integers(len(values), size=most)]
    return values.astype(np.float32)
