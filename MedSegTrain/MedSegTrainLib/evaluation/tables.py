"""Results as text: one method by structure, several side by side, and how sure their differences are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from ..data.overview import counted
from .definitions import Measure, measure
from .ranking import Stability, mean_ranks, mean_then_rank, rank_then_mean, significance_rank, stability
from .rows import Row
from .scoreboard import scoreboard
from .statistics import LEVEL, RESAMPLES, Interval, compare_pairs, intervals
from .summary import Summary, case_seconds, grouped, over_structures, summarise

Table = list[tuple[str, ...]]
"""Heads of the columns, then the rows."""

MEASURES = ("dice", "iou", "hd95_mm", "assd_mm", "nsd_2mm", "sensitivity", "precision", "volume_error_ml")


def structure_table(rows: Sequence[Row], names: Sequence[str] = MEASURES) -> Table:
    """Mean and sd of measures for each structure, how many cases stand behind them, and the mean over structures."""
    heads = ("structure", *map(_head, names), "seconds", "cases", "missed", "wrongly found", "failed")
    body = [_summary_row(structure, its, names, summarise) for structure, its in grouped(rows, "structure").items()]
    if len(body) > 1:
        body.append(_summary_row("mean", rows, names, over_structures))
    return [heads, *body]


def comparison(
    rows: Mapping[str, Sequence[Row]], name: str, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Table]:
    """Tables by their titles: means with intervals and ranks, and every pair's test. Raises InputError."""
    board = scoreboard(rows, name)
    patients = counted(len(set(board.patients)), "patient")
    of_cases = f"{board.measure.title}, mean over {counted(len(board.cases), 'case')} of {patients}"
    steady = stability(board, rank_then_mean, resamples, seed)
    ranks = (mean_then_rank(board), rank_then_mean(board), significance_rank(board))
    found = intervals(board, resamples, seed)
    heads = (
        "method",
        f"mean [{LEVEL:.0%} interval]",
        "median",
        *("rank of mean", "mean rank", "rank of mean rank", "rank by wins", "stays there"),
        *("missed", "wrongly found", "failed"),
    )
    body = [
        (
            method,
            _interval(found[method], board.measure),
            _number(median(board.column(method)), board.measure),
            str(ranks[0][n]),
            f"{mean_ranks(board)[n]:.2f}",
            str(ranks[1][n]),
            str(ranks[2][n]),
            f"{_share_that_stays(steady, n):.0%}",
            *_counts(summarise(rows[method], name)),
        )
        for n, method in enumerate(board.methods)
    ]
    title = f"{of_cases}; the ranking keeps its order in resamples of patients with Kendall's tau {steady.tau:.2f}"
    return {title: [heads, *body], "Pairs, Wilcoxon signed-rank with Holm's correction": _pair_table(board)}


def _pair_table(board) -> Table:
    heads = ("first", "second", "difference", "p", "p (Holm)", "rank-biserial", "better")
    body = [
        (
            pair.first,
            pair.second,
            f"{pair.difference:+.4g}",
            f"{pair.p:.3g}",
            f"{pair.p_holm:.3g}",
            f"{pair.effect:+.2f}",
            (pair.first if pair.effect > 0 else pair.second) if pair.significant() else "not shown",
        )
        for pair in compare_pairs(board)
    ]
    return [heads, *body]


def text(table: Table) -> str:
    """Columns side by side for a terminal, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = [
        "  ".join(cell.ljust(width) if not n else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths)))
        for row in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def markdown(table: Table) -> str:
    heads, *body = table
    lines = [heads, ("---", *["---:"] * (len(heads) - 1)), *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _summary_row(title: str, rows: Sequence[Row], names: Sequence[str], summary_of) -> tuple[str, ...]:
    cells = [_spread(summary_of(rows, name), measure(name)) for name in names]
    first = summary_of(rows, names[0])
    return (title, *cells, _seconds(rows), str(first.valid), *_counts(first))


def _counts(summary: Summary) -> tuple[str, str, str]:
    return str(summary.missed), str(summary.false_positives), str(summary.failed)


def _seconds(rows: Iterable[Row]) -> str:
    seconds = case_seconds(rows).values()
    return f"{median(seconds):.3g}" if seconds else "-"


def _spread(summary: Summary, of: Measure) -> str:
    if summary.mean is None:
        return "-"
    sd = "" if summary.sd is None else f" +- {_number(summary.sd, of)}"
    return _number(summary.mean, of) + sd


def _interval(interval: Interval, of: Measure) -> str:
    return f"{_number(interval.mean, of)} [{_number(interval.low, of)}, {_number(interval.high, of)}]"


def _number(value: float, of: Measure) -> str:
    return f"{value:.2f}" if of.unit else f"{value:.4f}"


def _head(name: str) -> str:
    of = measure(name)
    return f"{of.title} ({of.unit})" if of.unit else of.title


def _share_that_stays(steady: Stability, method: int) -> float:
    return float(steady.frequency[method, steady.ranks[method] - 1])
