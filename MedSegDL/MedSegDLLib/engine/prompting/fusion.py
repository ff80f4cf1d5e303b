"""Many guesses made one: hypotheses and their weights, the membership that they add up to, and its best threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .pyramid import Window, resampled


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """What the structure may look like, or how it may change: an array on a window, and its weight's logarithm."""

    window: Window
    mask: np.ndarray
    log_weight: float = 0.0


def weights(hypotheses: list[Hypothesis]) -> np.ndarray:
    """They add up to 1."""
    logarithms = np.array([hypothesis.log_weight for hypothesis in hypotheses])
    unscaled = np.exp(logarithms - logarithms.max())
    return unscaled / unscaled.sum()


def membership(hypotheses: list[Hypothesis], target: Window) -> np.ndarray:
    """The weighted mean of all hypotheses; outside its window each says 0."""
    total = np.zeros(target.shape, np.float32)
    for weight, hypothesis in zip(weights(hypotheses), hypotheses):
        total += weight * resampled(hypothesis.mask, hypothesis.window, target)
    return total


def threshold_of_best_dice(membership: np.ndarray) -> float:
    """The threshold whose mask has the highest expected Dice, where the membership is the truth's probability."""
    falling = np.sort(membership[membership > 0], axis=None)[::-1]
    overlap = np.cumsum(falling, dtype=float)
    dice = 2 * overlap / (np.arange(1, len(falling) + 1) + overlap[-1])
    return float(falling[np.argmax(dice)])
