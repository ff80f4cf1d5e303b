"""Ranking methods, and how much of the ranking is chance.

The schemes are those of challengeR (Wiesenfarth et al. 2021, doi:10.1038/s41598-021-82017-6): aggregate then rank, rank
then aggregate, and by significant wins; stability by bootstrap. What a method missed has the worst value already
(`scoreboard`). Rank 1 is the best; equals share the smaller rank.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .scoreboard import Scoreboard
from .statistics import compare_pairs

RESAMPLES = 1000

Scheme = Callable[[Scoreboard], np.ndarray]


def mean_then_rank(board: Scoreboard) -> np.ndarray:
    """(methods,) ranks of the means over the cases."""
    return _ranks(board.gains.mean(axis=0))


def rank_then_mean(board: Scoreboard) -> np.ndarray:
    """(methods,) ranks of the mean ranks: no case with a wide spread decides more than another."""
    return _ranks(-mean_ranks(board))


def mean_ranks(board: Scoreboard) -> np.ndarray:
    """(methods,) mean over the cases of the rank in each."""
    return _ranks(board.gains).mean(axis=0)


def significance_rank(board: Scoreboard, alpha: float = 0.05) -> np.ndarray:
    """(methods,) ranks by how many others a method is significantly better than (Wilcoxon, Holm)."""
    wins = dict.fromkeys(board.methods, 0)
    for pair in compare_pairs(board):
        if pair.significant(alpha):
            wins[pair.first if pair.effect > 0 else pair.second] += 1
    return _ranks(np.array([wins[method] for method in board.methods]))


def _ranks(gains: np.ndarray) -> np.ndarray:
    """Ranks along the last axis. Gains that differ by rounding only are equal."""
    return stats.rankdata(-gains.round(12), method="min", axis=-1)


@dataclass(frozen=True)
class Stability:
    """What a ranking would have been with other patients.

    Attributes:
        ranks: (methods,) of all cases.
        frequency: (methods, ranks), share of the resamples in which a method had rank 1, 2, ...
        taus: (resamples,) Kendall's tau-b between a resample's ranking and that of all cases; 1 is the same order.
    """

    ranks: np.ndarray
    frequency: np.ndarray
    taus: np.ndarray

    @property
    def tau(self) -> float:
        return float(self.taus.mean())


def stability(
    board: Scoreboard, scheme: Scheme = rank_then_mean, resamples: int = RESAMPLES, seed: int = 0
) -> Stability:
    """Rank again and again on patients drawn with replacement.

    `significance_rank` takes about a millisecond a pair of methods and resample.
    """
    rng = np.random.default_rng(seed)
    ranks = scheme(board)
    drawn = np.array([scheme(board.resampled(rng)) for _ in range(resamples)])
    frequency = np.array([[(its == rank).mean() for rank in range(1, len(ranks) + 1)] for its in drawn.T])
    return Stability(ranks, frequency, np.array([_tau(each, ranks) for each in drawn]))


def _tau(ranks: np.ndarray, others: np.ndarray) -> float:
    """Kendall's tau-b, which has no value where a ranking says nothing: 1 where the other says nothing too, else 0."""
    if len({*ranks}) == 1 or len({*others}) == 1:
        return float(np.array_equal(ranks, others))
    return float(stats.kendalltau(ranks, others).statistic)
