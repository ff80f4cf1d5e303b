"""Which method is best, and how sure that is: intervals, tests, and a ranking with its stability."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...evaluation.ranking import Stability, rank_then_mean, significance_rank, stability
from ...evaluation.scoreboard import Scoreboard, scoreboard
from ...evaluation.statistics import Interval, Pair, compare_pairs, intervals
from .collect import DataSetResults, MethodResults
from .document import Table
from .numbers import NONE, listed, number, p_value, share
from .published import PUBLISHED, Published

MEASURE = "dice"
_SURE = 0.05
_ENOUGH = 0.5
"""Of the cases of the most complete method; one with fewer would shrink the comparison of all to its own."""


@dataclass(frozen=True)
class Comparison:
    """The methods of a data set on the cases that all of them have.

    Attributes:
        methods: those compared.
        left_out: those that have results, but too few.
    """

    results: DataSetResults
    board: Scoreboard
    methods: tuple[MethodResults, ...]
    left_out: tuple[MethodResults, ...]

    @cached_property
    def pairs(self) -> list[Pair]:
        return compare_pairs(self.board)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        return intervals(self.board)

    @cached_property
    def stability(self) -> Stability:
        return stability(self.board)

    @property
    def order(self) -> list[MethodResults]:
        """Best mean first."""
        return sorted(self.methods, key=lambda method: -self.intervals[method.method.name].mean)

    @property
    def winner(self) -> MethodResults:
        return self.order[0]

    def pair(self, first: MethodResults, second: MethodResults) -> Pair:
        names = {first.method.name, second.method.name}
        return next(pair for pair in self.pairs if {pair.first, pair.second} == names)


def compare(results: DataSetResults) -> Comparison | None:
    """None where there are not two methods to compare."""
    most = max((method.cases for method in results.with_results), default=0)
    enough = [method for method in results.with_results if method.cases >= _ENOUGH * most]
    if len(enough) < 2:
        return None
    board = scoreboard({method.method.name: method.rows for method in enough}, MEASURE)
    return Comparison(results, board, tuple(enough), tuple(each for each in results.with_results if each not in enough))


def ranking(found: Comparison) -> Table:
    """Mean with its interval, rank by three schemes, and how often the rank would have been the same."""
    column = {name: n for n, name in enumerate(found.board.methods)}
    by_case, by_wins = rank_then_mean(found.board), significance_rank(found.board)
    rows = []
    for place, method in enumerate(found.order, start=1):
        n, interval = column[method.method.name], found.intervals[method.method.name]
        rows.append(
            (
                str(place),
                method.label,
                number(interval.mean),
                f"{interval.low:.3f} to {interval.high:.3f}",
                str(int(by_case[n])),
                str(int(by_wins[n])),
                share(found.stability.frequency[n, int(found.stability.ranks[n]) - 1]),
            )
        )
    heads = ("rank", "method", "mean Dice", "95 % interval", "rank of mean ranks", "rank by significant wins")
    return Table(
        f"{found.results.data_set.name}-ranking",
        "Ranking",
        (*heads, "resamples with the same rank of mean ranks"),
        rows,
        f"On {len(found.board.cases)} cases of {len(set(found.board.patients))} patients that all these methods have; "
        "where one found what is not there, the others count 1 for it, so a mean may differ from that of the scores. "
        f"Intervals and resamples by drawing patients. Kendall's tau between the ranking of a resample and this one is "
        f"{found.stability.tau:.2f} in the mean (1: the same order).",
    )


def significance(found: Comparison) -> Table:
    """Holm's p of every pair, with the sign of the difference: + where the row's method is the better one."""
    order = found.order
    rows = []
    for one in order:
        cells = (NONE if one is other else _signed(found, one, other) for other in order)
        rows.append((one.label, *cells))
    return Table(
        f"{found.results.data_set.name}-significance",
        "Wilcoxon signed-rank test of every pair, p after Holm's correction",
        ("better (+) or worse (-) than", *(method.label for method in order)),
        rows,
        f"{len(found.pairs)} pairs; the unit is the patient.",
    )


def per_case(found: Comparison) -> dict[str, np.ndarray]:
    """Mean Dice of each case, by the method's label."""
    return {method.label: found.board.column(method.method.name) for method in found.methods}


def papers_winners(found: Comparison) -> list[str]:
    """A sentence a paper: whether its winner wins here too."""
    return [sentence for each in PUBLISHED if (sentence := _papers_winner(each, found))]


def _papers_winner(published: Published, found: Comparison) -> str:
    theirs = [method for method in found.order if method.network == published.winner]
    rivals = {entry.network for entry in published.entries} - {published.winner}
    if not theirs or not any(method.network in rivals for method in found.methods):
        return ""
    method, place = theirs[0], found.order.index(theirs[0]) + 1
    claim = f"In “{published.paper}” {method.label} is the best."
    mean = found.intervals[method.method.name].mean
    if place == 1:
        return f"{claim} So it is here, with a mean Dice of {mean:.3f}{how_sure(found, method, found.order[1])}"
    best = found.intervals[found.winner.method.name].mean
    better = [each.label for each in found.order[: place - 1] if each.network in rivals]
    among = f" Of the networks in its own table, {listed(better)} did better." if better else ""
    return (
        f"{claim} It is not here: with a mean Dice of {mean:.3f} it comes at place {place} of {len(found.order)}, and "
        f"{found.winner.label} is the best with {best:.3f}{how_sure(found, found.winner, method)}{among}"
    )


def how_sure(found: Comparison, better: MethodResults, worse: MethodResults) -> str:
    """The end of a sentence that says which is better."""
    pair = found.pair(better, worse)
    if pair.significant(_SURE):
        return f"; the difference to {worse.label} is significant (Holm's p {p_value(pair.p_holm)})."
    return f"; the difference to {worse.label} may be chance (Holm's p {p_value(pair.p_holm)})."


def _signed(found: Comparison, one: MethodResults, other: MethodResults) -> str:
    pair = found.pair(one, other)
    effect = pair.effect if pair.first == one.method.name else -pair.effect
    sign = "+" if effect > 0 else "-" if effect < 0 else "="
    return f"{sign} {p_value(pair.p_holm)}"
