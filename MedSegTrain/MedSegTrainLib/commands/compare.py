"""compare: several models' results beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .numbers import at_least_one


def add_to(commands) -> None:
    """Add the verb to argparse's subparsers."""
    compare = commands.add_parser("compare", help="compare models by the tables that evaluate wrote")
    compare.add_argument("rows", type=Path, nargs="+", help="rows.csv of each model, on the same cases")
    compare.add_argument("--measure", action="append", help="dice, hd95_mm, nsd_2mm, ...; may be repeated")
    compare.add_argument(
        "--resamples", type=at_least_one, default=2000, help="of patients, for intervals (default: 2000)"
    )
    compare.add_argument("--seed", type=int, default=0, help="of the resamples (default: 0)")
    compare.add_argument("--markdown", action="store_true", help="tables in Markdown")
    compare.set_defaults(run=_compare)


def _compare(options) -> int:
    from ..evaluation.row_file import read_about
    from ..evaluation.rows import read_rows
    from ..evaluation.tables import comparison, markdown, text

    names = _distinct(options.rows, [read_about(path).get("method", path.stem) for path in options.rows])
    rows = {name: read_rows(path) for name, path in zip(names, options.rows)}
    for measure in options.measure or ["dice"]:
        for title, table in comparison(rows, measure, options.resamples, options.seed).items():
            print(f"{title}\n\n{(markdown if options.markdown else text)(table)}\n")
    return 0


def _distinct(paths: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Names of the methods; where two are alike, their paths tell them apart."""
    return [name if list(names).count(name) == 1 else str(path) for path, name in zip(paths, names)]
